"""The edge: a kubectl that is started, read, ended, and seen off."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dataapp_operator.cli import kubectl as port
from dataapp_operator.cli import looking, watching
from dataapp_operator.cli.errors import CliError, Conflict, Denied, NotFound, Unreachable, UsageError
from dataapp_operator.cli.kubectl import APPS, RELEASES, Kubectl
from dataapp_operator.cli.stream import Objects
from dataapp_operator.cli.watching import Source, Watch
from tests.unit.cli_rig import FakeCluster, apprelease, dataapp, serving


@pytest.fixture
def cluster(tmp_path: Path) -> FakeCluster:
    return FakeCluster.at(tmp_path, dataapp(serving("production", 14)), apprelease("production", 14, "Released"))


def eventually(holds: Callable[[], object], *, timeout: float = 10) -> None:
    until = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < until, "it still is not so"
        time.sleep(0.01)


def script(here: Path, text: str) -> Kubectl:
    program = here / "kubectl"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return Kubectl(program=str(program))


def test_the_persons_options_are_passed_on(cluster: FakeCluster) -> None:
    given = Kubectl.of(context="a b", kubeconfig="/x y", namespace=None)
    assert given.options == ("--context=a b", "--kubeconfig=/x y")
    asked = Kubectl(("--context=a b", "--namespace=$(reboot)"), cluster.kubectl.program)
    assert asked.one(APPS, "sales")["metadata"]["name"] == "sales"
    (call,) = cluster.calls("get")
    assert call[-2:] == ["--context=a b", "--namespace=$(reboot)"]


def test_objects_are_got(cluster: FakeCluster) -> None:
    kubectl = cluster.kubectl
    assert [item["spec"]["number"] for item in looking.records(kubectl, "sales")] == [14]
    kubectl.several(APPS, everywhere=True)
    assert "--selector=dataapps.dev/app=sales" in cluster.calls("get")[0]
    assert "--all-namespaces" in cluster.calls("get")[1]


def test_annotations_are_written_at_the_version_that_was_seen(cluster: FakeCluster) -> None:
    kubectl = cluster.kubectl
    kubectl.annotate(APPS, "sales", {"a/b": "x=1,y=2", "a/c": "z"}, version="7")
    assert cluster.app()["metadata"]["annotations"] == {"a/b": "x=1,y=2", "a/c": "z"}
    kubectl.annotate(APPS, "sales", {"a/b": None}, version="8")
    assert cluster.app()["metadata"]["annotations"] == {"a/c": "z"}
    with pytest.raises(Conflict):
        kubectl.annotate(APPS, "sales", {"a/b": "x"}, version="8")
    assert "--overwrite" in cluster.calls("annotate")[0]


def test_an_app_that_there_is_not_is_told_with_those_that_there_are(cluster: FakeCluster) -> None:
    with pytest.raises(CliError, match=r"there is no app sale in namespace analytics; did you mean sales\?"):
        looking.app(cluster.kubectl, "sale")
    cluster.put("dataapps")
    with pytest.raises(CliError, match="nor any other, in this namespace"):
        looking.app(cluster.kubectl, "sale")
    cluster.fails("get", "Error from server (NotFound): x", "Error from server (Forbidden): no")
    with pytest.raises(CliError, match="there is no app sale in this namespace"):
        looking.app(cluster.kubectl, "sale")


@pytest.mark.parametrize("name", ["--all", "", "Sales", "a b", "-x", "a/b"])
def test_what_is_no_name_is_not_asked_for(cluster: FakeCluster, name: str) -> None:
    with pytest.raises(UsageError):
        looking.app(cluster.kubectl, name)
    assert cluster.calls("get") == []


def test_failures_are_told_by_kind(cluster: FakeCluster) -> None:
    cluster.fails("get", "Unable to connect to the server: dial tcp 127.0.0.1:1: connection refused")
    with pytest.raises(Unreachable, match="the cluster does not answer"):
        cluster.kubectl.one(APPS, "sales")
    with pytest.raises(NotFound):
        cluster.kubectl.one(APPS, "other")


def test_without_kubectl_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="there is no kubectl on your PATH"):
        Kubectl(program=str(tmp_path / "nothing")).run("get")
    (tmp_path / "plain").write_text("x")
    with pytest.raises(CliError, match="kubectl cannot be started"):
        Kubectl(program=str(tmp_path / "plain")).run("get")


@pytest.mark.parametrize("printed", ["", "no json", "[1]"])
def test_what_is_no_object_is_an_error(tmp_path: Path, printed: str) -> None:
    with pytest.raises(CliError, match="not an object in JSON"):
        script(tmp_path, f"echo '{printed}'").one(APPS, "sales")


def test_much_output_on_both_sides_blocks_nothing(tmp_path: Path) -> None:
    noisy = script(
        tmp_path, 'i=0; while [ $i -lt 9000 ]; do echo "line $i of many"; echo "line $i of many" >&2; i=$((i+1)); done'
    )
    assert len(noisy.run().splitlines()) == 9000


def test_a_login_is_shown_while_it_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(port, "PATIENCE", 0.2)
    slow = script(
        tmp_path,
        "echo 'E1128 18:00:00.0 99 a.go:1] log' >&2; echo 'To sign in, enter ABC' >&2; sleep 0.6; echo later >&2; echo '{}'",
    )
    assert slow.run() == "{}\n"
    assert capfd.readouterr().err == "To sign in, enter ABC\nlater\n"
    quick = script(tmp_path, "echo 'Warning: old' >&2; echo '{}'")
    assert quick.run() == "{}\n"
    assert capfd.readouterr().err == ""


def test_a_call_that_is_interrupted_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forever = script(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    started: list[subprocess.Popen[bytes]] = []
    start = Kubectl.start
    monkeypatch.setattr(Kubectl, "start", lambda self, *args: started.append(start(self, *args)) or started[0])
    # Whoever runs the tests in the background of a shell has Ctrl-C ignored, and Python then leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            forever.run()
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert started[0].returncode == -signal.SIGKILL


# Watching


def watch(cluster: FakeCluster, objects: Objects | None = None) -> Watch:
    return Watch(
        cluster.kubectl,
        (looking.app_source("sales"), looking.records_source("sales")),
        objects or Objects(),
        first_pause=0.05,
    )


def until(watching_: Watch, holds: Callable[[], object], *, timeout: float = 10) -> None:
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end, "it was not seen"
        watching_.next(0.5)


def test_a_watch_sees_what_is_there_and_what_changes(cluster: FakeCluster) -> None:
    with watch(cluster) as seen:
        until(seen, lambda: seen.objects.of(APPS) and seen.objects.of(RELEASES))
        cluster.put("dataapps", dataapp(serving("production", 15)))
        until(seen, lambda: seen.objects.of(APPS)[0]["status"]["environments"][0]["stable"] == 15)
        cluster.put("dataapps")
        until(seen, lambda: not seen.objects.of(APPS))
    assert cluster.watchers() == []
    for call in cluster.calls("get"):
        assert {"--watch", "--output-watch-events", "--output=json"} <= set(call)
        assert not any(word.startswith("--request-timeout") for word in call), "it would end the watch"


def test_without_news_it_waits_as_long_as_it_is_told_to(cluster: FakeCluster) -> None:
    with watch(cluster) as seen:
        until(seen, lambda: seen.objects.of(APPS) and seen.objects.of(RELEASES))
        while seen.next(0.3):
            pass
        began = time.monotonic()
        assert not seen.next(0.3)
        assert 0.25 <= time.monotonic() - began < 2


def test_a_stream_that_ends_is_begun_again(cluster: FakeCluster) -> None:
    cluster.put("appreleases", apprelease("production", 13, "Retired"), apprelease("production", 14, "Released"))
    with watch(cluster) as seen:
        until(seen, lambda: len(seen.objects.of(RELEASES)) == 2)
        cluster.ends("appreleases")
        eventually(lambda: not (cluster.here / "end-appreleases").exists())
        cluster.put("appreleases", apprelease("production", 14, "Draining"))  # r13 is deleted while nobody watches
        until(seen, lambda: [r["status"]["phase"] for r in seen.objects.of(RELEASES)] == ["Draining"])
    assert cluster.watchers() == []


def test_trouble_is_told_and_over_with_the_next_event(cluster: FakeCluster) -> None:
    cluster.fails("watch-dataapps", *["Unable to connect to the server: i/o timeout"] * 2)
    objects = Objects()
    objects.put(APPS, [dataapp(serving("production", 13))])
    with watch(cluster, objects) as seen:
        until(seen, lambda: seen.trouble)
        assert "does not answer" in seen.trouble
        assert seen.objects.of(APPS) == [dataapp(serving("production", 13))], "the best that is known"
        until(seen, lambda: not seen.trouble)
        until(seen, lambda: seen.objects.of(APPS)[0]["status"]["environments"][0]["stable"] == 14)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('Error from server (NotFound): dataapps "sales" not found', NotFound),
        ("Error from server (Forbidden): no", Denied),
    ],
)
def test_what_would_be_the_same_the_next_time_is_an_error(
    cluster: FakeCluster, said: str, kind: type[CliError]
) -> None:
    cluster.fails("watch-dataapps", said)
    with pytest.raises(kind), watch(cluster) as seen:
        until(seen, lambda: False)
    eventually(lambda: cluster.watchers() == [])


def test_a_flood_of_events_is_told_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_MOST_SETTLING", 0.3)
    event = '{"type": "MODIFIED", "object": {"metadata": {"name": "sales"}}}'
    flood = script(tmp_path, f"while :; do echo '{event}'; done")
    with Watch(flood, (Source(APPS),)) as seen:
        began = time.monotonic()
        assert seen.next(20)
        assert time.monotonic() - began < 10


def test_a_kubectl_that_does_not_go_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_GRACE", 0.2)
    stubborn = script(tmp_path, f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.05; done")
    with Watch(stubborn, (Source(APPS),)) as seen:
        seen.next(0.1)
        eventually((tmp_path / "pid").exists)
        eventually(lambda: (tmp_path / "pid").read_text().strip())
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_what_is_no_json_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataapp_operator.cli.stream.MOST_CHARACTERS", 100)
    babble = script(tmp_path, "while :; do echo 'no json }'; done")
    with Watch(babble, (Source(APPS),)) as seen:
        until(seen, lambda: seen.trouble)
    assert "no JSON" in seen.trouble


def test_a_terminated_program_ends_its_watches(cluster: FakeCluster) -> None:
    environment = {**os.environ, "PATH": f"{cluster.here}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "dataapp_operator.cli.entry", "status", "sales", "--watch"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        eventually(lambda: len(cluster.watchers()) == 2, timeout=30)
        process.terminate()
        assert process.wait(10) == 143
    assert cluster.watchers() == []
