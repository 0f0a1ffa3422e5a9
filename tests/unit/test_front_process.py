"""The front as a process: it refuses to start half configured, ends on SIGTERM, and agrees with its constants."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataapp_operator.front import settings
from tests.unit.front_rig import configuration, environment, program

SLOT = ("DATAAPP_APP_PORT", "DATAAPP_COOKIE", "DATAAPP_PIN", "DATAAPP_RELEASE")


def _check(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("haproxy"), "-c", "-f", configuration()],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_haproxy_accepts_the_configuration_without_a_warning() -> None:
    checked = _check(environment(8501))
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr


@pytest.mark.parametrize("missing", SLOT)
def test_a_missing_variable_is_refused_with_a_sentence(missing: str) -> None:
    env = environment(8501)
    del env[missing]
    checked = _check(env)
    assert checked.returncode != 0
    assert f"The front needs {missing}: " in checked.stderr


def test_the_constants_say_what_the_configuration_does() -> None:
    text = Path(configuration()).read_text()
    assert text.endswith("\n"), "HAProxy 3.0 refuses a configuration that does not end in a line feed"
    binds = dict(re.findall(r'bind "\$\{DATAAPP_FRONT_(\w+)-:(\d+)\}"', text))
    assert binds == {
        "TRAFFIC": str(settings.TRAFFIC_PORT),
        "PROBE": str(settings.PROBE_PORT),
        "AGENT": str(settings.AGENT_PORT),
    }
    assert set(settings.environment(app_port=1, cookie="c", pin="1.0", release=1)) == set(SLOT)
    assert set(re.findall(r"DATAAPP_FRONT_HOME-([^}]+)}", text)) == {settings.HOME}
    assert settings.COMMAND[-1] == f"{settings.HOME}/haproxy.cfg"
    files = {path.name for path in settings.directory().iterdir() if path.is_file() and path.suffix != ".py"}
    assert files == set(settings.FILES)
    for path in (settings.SESSIONS_PATH, settings.DRAIN_PATH, settings.METRICS_PATH, settings.HEALTH_PATH):
        assert f"{{ path {path} }}" in text


@contextlib.contextmanager
def _as_pid_1(argv: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run `argv` as PID 1 of a process namespace, as in a container; gives the outer process and its child's id."""
    alone = [program("unshare"), *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), "--pid", "--fork"]
    # Nobody connects to it: abstract sockets of our own keep it off every port.
    binds = {f"DATAAPP_FRONT_{name}": f"abns@dataapp-{os.getpid()}-{name}" for name in ("TRAFFIC", "PROBE", "AGENT")}
    with subprocess.Popen([*alone, "--kill-child", *argv], env=environment(8501) | binds) as outer:
        try:
            yield outer, _haproxy_below(outer.pid)
        finally:
            outer.kill()


def _haproxy_below(outer: int) -> int:
    """Wait until HAProxy runs somewhere below `outer`, and give the id of the child of `outer`."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        first = below = _child(outer)
        while below:
            # Only a HAProxy that polls has read its configuration and set its signals up. (tini never polls.)
            if _polls(below):
                return first
            below = _child(below)
        time.sleep(0.02)
    pytest.fail("HAProxy did not come up in its process namespace within 10 s")


def _child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0


def _polls(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):  # it may close a file while we look
        return any("eventpoll" in str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_tini_ends_the_front_on_sigterm_which_haproxy_alone_ignores() -> None:
    haproxy = ["haproxy", "-f", configuration()]
    with _as_pid_1([program("haproxy"), *haproxy[1:]]) as (outer, first):
        os.kill(first, signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):  # the control: this is why the command begins with tini
            outer.wait(1)
    with _as_pid_1([program("tini"), "--", *haproxy]) as (outer, first):
        os.kill(first, signal.SIGTERM)
        assert outer.wait(5) is not None
