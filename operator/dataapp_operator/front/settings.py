"""What the rest of the operator must know about the front.

The front is one image for every app: its HAProxy configuration, its few lines of Lua and its page for visitors are
baked in, and what differs from slot to slot is four environment variables. Here are the names of those variables, the
ports, the paths of its agent and the places of its files, each said once; a test compares them with `haproxy.cfg`.
The front writes no file and needs no volume: a read-only root is enough.
"""

from pathlib import Path
from typing import Final

TRAFFIC_PORT: Final = 18080
"""Visitors enter here (the slot's Service sends port 80 to it). Counted."""

PROBE_PORT: Final = 18081
"""Our own probes enter here: the same app, not counted, no pin."""

AGENT_PORT: Final = 18082
"""The operator and the kubelet ask here; see the four paths."""

SESSIONS_PATH: Final = "/sessions"
"""Answers at once, in JSON: {"live": n, "quietFor": seconds, "answers": n, "errors": n, "timed": n, "within": [n, …]}.
`live` counts requests in flight and open websockets of visitors; `quietFor` is for how many whole seconds nothing has
been live, and never above the truth. The others count since the front began: answers that visitors got, those of them
with a status of 500 and more, and how many of the app's answers began within each of `WITHIN`."""

WITHIN: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds, each with a count of its own of the answers that began within it."""

DRAIN_PATH: Final = "/drain"
"""Answers when nothing was live for three seconds, all of them after the question: the app container's preStop."""

METRICS_PATH: Final = "/metrics"
"""Requests, errors and latency of this slot, in the format of Prometheus; the backend of visitors is `app`."""

HEALTH_PATH: Final = "/healthz"
"""Answers 200 as soon as the front runs, whatever the app does: the sidecar's startup probe."""

RELEASE_HEADER: Final = "X-DataApp-Release"
"""On every answer, also on the front's own: the release's number."""

FULL_HEADER: Final = "X-DataApp-Full"
"""On the answer to a new visitor for whom a slot has no place; the page tries again by itself."""

COMMAND: Final = ("/usr/bin/tini", "--", "haproxy", "-f", "/etc/front/haproxy.cfg")
"""The sidecar's command. tini is PID 1, since HAProxy as PID 1 ignores SIGTERM and stays for the whole grace period."""

HOME: Final = "/etc/front"
"""Where the image keeps the files."""

FILES: Final = ("haproxy.cfg", "front.lua", "unavailable.html", "full.html", "renewing.html")
"""The files that belong in `HOME`, all from `directory()`."""


COOKIE_ATTRIBUTES: Final = {
    "plain": "Path=/; HttpOnly; SameSite=Lax",
    "secure": "Path=/; Secure; HttpOnly; SameSite=Lax",
    "embedded": "Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
}
"""What stands behind the pin in Set-Cookie, by kind: over HTTP, over HTTPS, and inside pages of other sites."""

_OTHER_JAR = {"secure": "Path=/; Secure; Partitioned; Max-Age=0", "embedded": "Path=/; Secure; Max-Age=0"}
"""A browser keeps cookies for pages of other sites apart: how one of the same name that is kept there, or here, is ended."""


def directory() -> Path:
    """Where the files are beside this module: what an image build copies, and what the tests run."""
    return Path(__file__).parent


NOBODY: Final = 9
"""The port of an app where there is none."""


def page_environment() -> dict[str, str]:
    """The environment of a front without an app: every visitor gets a page that says so, and tries again."""
    return environment(app_port=NOBODY, cookie="none", pin="none", release=0) | {"DATAAPP_PAGE": "1"}


def environment(
    *,
    app_port: int,
    cookie: str,
    pin: str,
    release: int,
    sessions: int | None = None,
    kind: str = "plain",
    other: str | None = None,
) -> dict[str, str]:
    """The environment of one slot's front: the four variables without which it refuses to start.

    And, where there is a limit, how many may have the slot open at once.

    `app_port` is where the app listens in the pod, `cookie` and `pin` the pin cookie's name and value (for instance
    `dataapp-sales-production` and `14.0`), `release` the release's number. `kind` is the cookie's, one of
    `COOKIE_ATTRIBUTES`; `other` the name that it has where the app is reached in another way.
    """
    optional = {
        "DATAAPP_SESSIONS": None if sessions is None else str(sessions),
        "DATAAPP_OTHER_COOKIE": other,
        "DATAAPP_OTHER_JAR": _OTHER_JAR.get(kind),
        "DATAAPP_COOKIE_ATTRIBUTES": None if kind == "plain" else COOKIE_ATTRIBUTES[kind],
    }
    return {name: value for name, value in optional.items() if value is not None} | {
        "DATAAPP_APP_PORT": str(app_port),
        "DATAAPP_COOKIE": cookie,
        "DATAAPP_PIN": pin,
        "DATAAPP_RELEASE": str(release),
    }
