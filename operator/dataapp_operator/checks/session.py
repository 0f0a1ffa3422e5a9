"""One entry for all probes: which framework, where, and how long to wait.

The base URL is a pod's probe port (18081 of the front), which is the same app but is not counted as a session. The
client should keep no cookies between probes (`aiohttp.DummyCookieJar`), so that every probe is a new visitor.
"""

from collections.abc import Awaitable, Callable, Mapping

import aiohttp

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks import fastapi, shiny, streamlit
from dataapp_operator.checks.conversation import Target
from dataapp_operator.checks.result import SessionResult

_PROBES: Mapping[str, Callable[[Target, float], Awaitable[SessionResult]]] = {
    "streamlit": streamlit.probe,
    "shiny-r": shiny.probe,
    "shiny-python": shiny.probe,  # the same protocol
    "fastapi": fastapi.probe,  # no session: one question, as any client asks it
}

FRAMEWORKS = frozenset(_PROBES)
"""Frameworks that have a probe."""


async def probe_session(
    framework: str,
    base_url: str,
    *,
    host: str | None = None,
    timeout: float = 30.0,  # noqa: ASYNC109 - it ends in a verdict, not in an exception
    client: aiohttp.ClientSession,
) -> SessionResult:
    """Open a real session (ask a real question, where there are none) and say what a user would have got.

    `timeout` is in seconds and covers everything from connecting to the verdict. Nothing is raised for what an app
    does: not reachable is `ERROR`, no value in time is `INCONCLUSIVE`.
    """
    probe = _PROBES.get(framework)
    if probe is None:
        known = ", ".join(sorted(_PROBES))
        return SessionResult(
            Verdict.ERROR,
            "not checked",
            f"there is no session probe for framework {framework!r}; there is one for {known}",
            0.0,
        )
    return await probe(Target(base_url, host, client), timeout)
