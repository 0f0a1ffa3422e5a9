"""One git process: it inherits nothing, keeps its limits, and leaves nothing behind."""

import os
import threading
import time

import pytest

from dataapp_operator.source.limits import Limits
from dataapp_operator.source.process import Overrun, Runner, Stopped
from tests.unit.git_rig import children_of, git, git_processes, wait_until

pytestmark = pytest.mark.git


def run(runner, *arguments, at, **options):
    return runner.run(arguments, at=at, stop=threading.Event(), **{"seconds": 10} | options)


@pytest.fixture
def runner():
    return Runner(Limits())


def test_git_sees_nothing_of_our_environment(runner, tmp_path, monkeypatch):
    monkeypatch.setenv("OPERATOR_TOKEN", "S3CRET")
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("GIT_SSH_COMMAND", "touch pwn")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.fsmonitor=touch pwn'")
    # An alias is the one way to have git print the environment that it gives to its children.
    code, out, _ = run(runner, "-c", "alias.x=!env", "x", at=tmp_path)
    given = dict(line.split("=", 1) for line in out.decode().splitlines() if "=" in line)
    assert code == 0
    assert "S3CRET" not in out.decode()
    assert "GIT_TRACE" not in given
    assert given["HOME"] == "/nonexistent"
    assert given["GIT_TERMINAL_PROMPT"] == "0"
    assert not (tmp_path / "pwn").exists()


def test_settings_of_the_system_the_user_and_the_directory_are_not_read(runner, tmp_path, monkeypatch):
    (tmp_path / ".gitconfig").write_text("[core]\n\tfsmonitor = touch pwn\n[alias]\n\tpwn = !touch pwn\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    code, out, _ = run(runner, "config", "--list", "--show-scope", at=tmp_path)
    assert code == 0
    assert {line.split()[0] for line in out.decode().splitlines()} == {"command"}
    assert run(runner, "pwn", at=tmp_path)[0] != 0
    assert not (tmp_path / "pwn").exists()


def test_no_template_and_no_hook_comes_into_a_mirror(runner, tmp_path, monkeypatch):
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    (template / "hooks" / "post-checkout").write_text("#!/bin/sh\ntouch pwn\n")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(template))
    assert run(runner, "init", "--bare", "--template=", "m.git", at=tmp_path)[0] == 0
    assert not (tmp_path / "m.git" / "hooks").exists()
    assert run(runner, "config", "core.hooksPath", at=tmp_path)[1] == b"/dev/null\n"


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% pwn",
        "fd::17/foo",
        "--upload-pack=touch pwn;true",
        "file:///etc",
        "/etc",
        "ssh://-oProxyCommand=touch%20pwn/x",
        "git@localhost:x.git",
        "http://127.0.0.1/x.git",
        "git://127.0.0.1/x.git",
    ],
)
@pytest.mark.parametrize("command", [("ls-remote",), ("fetch", "--depth=1")])
def test_even_if_a_bad_address_reached_git_nothing_would_happen(runner, tmp_path, url, command):
    """Addresses are checked long before; this is the wall behind that wall."""
    git("init", "--quiet", "--bare", "m.git", at=tmp_path)
    began = time.monotonic()
    code, _, _ = run(runner, *command, "--end-of-options", url, "main", at=tmp_path / "m.git")
    assert code != 0
    assert time.monotonic() - began < 5
    assert not list(tmp_path.rglob("pwn"))


def test_a_process_that_takes_too_long_is_ended_with_its_children(runner, tmp_path):
    began = time.monotonic()
    with pytest.raises(Overrun, match="time"):
        run(runner, "-c", "alias.x=!sleep 77 & sleep 77", "x", at=tmp_path, seconds=0.3)
    assert time.monotonic() - began < 4
    assert wait_until(lambda: not git_processes())


def test_a_process_that_ignores_being_asked_is_killed(runner, tmp_path, monkeypatch):
    monkeypatch.setattr("dataapp_operator.source.process.GRACE", 0.3)
    monkeypatch.setattr("dataapp_operator.source.command.GRACE", 0.3)
    with pytest.raises(Overrun):
        run(runner, "-c", "alias.x=!trap '' TERM; while true; do sleep 0.1; done", "x", at=tmp_path, seconds=0.3)
    assert wait_until(lambda: not git_processes())


def test_a_child_that_outlives_git_is_ended(runner, tmp_path):
    code, _, _ = run(runner, "-c", "alias.x=!sleep 77 >/dev/null 2>&1 &", "x", at=tmp_path)
    assert code == 0
    assert wait_until(lambda: not git_processes())


def test_a_process_is_ended_when_nobody_waits_for_it(runner, tmp_path):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        runner.run(("-c", "alias.x=!sleep 77", "x"), at=tmp_path, stop=stop, seconds=60)
    assert time.monotonic() - began < 3
    assert wait_until(lambda: not git_processes())
    with pytest.raises(Stopped):
        runner.run(("version",), at=tmp_path, stop=stop, seconds=60)
    assert runner.started == 1


def test_output_without_end_is_broken_off(tmp_path):
    runner = Runner(Limits(answer_bytes=1 << 20))
    with pytest.raises(Overrun, match="output"):
        run(runner, "-c", "alias.x=!yes", "x", at=tmp_path)
    assert wait_until(lambda: not git_processes())


def test_complaints_without_end_are_cut(runner, tmp_path):
    code, out, complaint = run(runner, "-c", "alias.x=!head -c 1000000 /dev/zero >&2; echo done", "x", at=tmp_path)
    assert (code, out) == (0, b"done\n")
    assert len(complaint) == 64 * 1024


def test_a_long_question_and_a_long_answer_do_not_wait_for_each_other(runner, tmp_path):
    git("init", "--quiet", "--bare", ".", at=tmp_path)
    oid = git("hash-object", "-w", "--stdin", at=tmp_path, stdin=b"x" * 10_000)
    code, out, _ = run(runner, "cat-file", "--batch", at=tmp_path, stdin=f"{oid}\n".encode() * 2000)
    assert code == 0
    assert len(out) > 20_000_000


def test_limits_of_memory_and_size_reach_git_itself(runner, tmp_path):
    code, out, _ = run(runner, "-c", "alias.x=!ulimit -v; ulimit -c; ulimit -n", "x", at=tmp_path)
    assert code == 0
    assert out.split() == [str(Limits().address_space // 1024).encode(), b"0", b"256"]


def test_nothing_of_ours_stays_open_in_git(runner, tmp_path):
    held = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        _, out, _ = run(runner, "-c", "alias.x=!ls -l /proc/self/fd", "x", at=tmp_path)
    finally:
        os.close(held)
    assert str(tmp_path) not in out.decode().replace(f"{tmp_path}/", "")
    assert not children_of(os.getpid()) or wait_until(lambda: not git_processes())
