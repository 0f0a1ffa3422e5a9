"""Commands from the keyboard to the answer, with a kubectl that is a script; and what a script sees of them."""

import io
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dataapp_operator.cli import asking, entry, screens
from dataapp_operator.cli.errors import CliError, Refusal, UsageError
from dataapp_operator.cli.kubectl import Kubectl
from dataapp_operator.cli.situation import Request
from dataapp_operator.cli.voice import Voice
from tests.unit.cli_rig import FakeCluster, apprelease, at, dataapp, environment, serving, waiting

BAKING = environment("production", stable=13, candidate=14, phase="Baking", weights={14: 1000})
ANSWER = {"command": "abort", "word": "", "at": at("10:03"), "message": "r14 is given up"}


@pytest.fixture
def cluster(tmp_path: Path) -> FakeCluster:
    return FakeCluster.at(tmp_path, dataapp(BAKING), apprelease("production", 14, "Baking"))


class Ears:
    """A voice, and what it said."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.voice = Voice("kubectl dataapp", self.out, self.err)


def ask(cluster: FakeCluster, command: str = "abort", *, patience: float = 10, **typed: Any) -> tuple[int, Ears]:
    ears = Ears()
    code = asking.ask(cluster.kubectl, "sales", Request(command, **typed), ears.voice, patience=patience)
    return code, ears


def test_a_command_is_written_and_its_answer_told(cluster: FakeCluster) -> None:
    cluster.answers(dataapp(serving("production", 13, answers=[ANSWER]))["status"])
    code, ears = ask(cluster)
    assert code == 0
    assert ears.out.getvalue() == "production: r14 is given up\n"
    assert ears.err.getvalue() == "production: r14 is given up; new visitors go back to r13\n"
    assert cluster.app()["metadata"]["annotations"]["dataapps.dev/abort"].startswith("production=14@20")
    assert cluster.watchers() == []


def test_the_answer_is_seen_when_it_comes(cluster: FakeCluster) -> None:
    def operator() -> None:
        while not (said := cluster.app()["metadata"]["annotations"].get("dataapps.dev/abort")):
            time.sleep(0.02)
        time.sleep(0.3)
        answer = {**ANSWER, "word": said.removeprefix("production=")}
        cluster.put("dataapps", dataapp(serving("production", 13, answers=[answer])))

    thread = threading.Thread(target=operator)
    thread.start()
    code, ears = ask(cluster)
    thread.join()
    assert (code, ears.out.getvalue()) == (0, "production: r14 is given up\n")


def test_without_an_answer_it_says_so_and_how_to_look(cluster: FakeCluster) -> None:
    code, ears = ask(cluster, patience=0.5)
    assert code == 3
    assert ears.out.getvalue() == ""
    assert "has not answered within 0.5 s" in ears.err.getvalue()
    assert "`kubectl dataapp status sales -n analytics`" in ears.err.getvalue()
    code, ears = ask(cluster, patience=0.5)
    assert (code, len(cluster.calls("annotate"))) == (3, 1), "it is written down already"


def test_who_does_not_want_to_wait_does_not(cluster: FakeCluster) -> None:
    code, _ = ask(cluster, patience=0)
    assert code == 0
    assert not any("--watch" in call for call in cluster.calls("get"))


def test_a_change_between_look_and_write_is_looked_at_again(cluster: FakeCluster) -> None:
    cluster.fails("annotate", "Error from server (Conflict): the object has been modified")
    cluster.answers(dataapp(serving("production", 13, answers=[ANSWER]))["status"])
    code, _ = ask(cluster)
    assert (code, len(cluster.calls("annotate"))) == (0, 2)
    assert len([call for call in cluster.calls("get") if "sales" in call and "--watch" not in call]) == 2


def test_an_app_that_changes_all_the_time_is_given_up(cluster: FakeCluster) -> None:
    cluster.fails("annotate", *["Error from server (Conflict): the object has been modified"] * asking.TRIES)
    with pytest.raises(CliError, match="5 times in a row; nothing was written"):
        ask(cluster)


def test_what_makes_no_sense_is_not_written(cluster: FakeCluster) -> None:
    cluster.put("dataapps", dataapp(serving("production", 13)))
    with pytest.raises(Refusal, match="nothing is on its way in production"):
        ask(cluster)
    cluster.put("dataapps", dataapp(BAKING))
    with pytest.raises(UsageError, match="a release is a number"):
        ask(cluster, release="latest")
    assert cluster.calls("annotate") == []


def test_promote_waits_until_something_begins(cluster: FakeCluster) -> None:
    asked = serving("production", 13, waitingFor=waiting("AwaitingPromotion", "r14 waits for a person"))
    cluster.put("dataapps", dataapp(serving("sandbox", 14), asked))
    cluster.put("appreleases", apprelease("sandbox", 14, "Released"))
    begun = serving("production", 13, candidate=14, phase="Deploying")
    cluster.answers(dataapp(serving("sandbox", 14), begun)["status"])
    code, ears = ask(cluster, "promote", environment="production")
    assert (code, ears.out.getvalue()) == (0, "production: r14 is on its way (Deploying)\n")


def test_a_cluster_that_goes_away_while_it_is_waited_for(cluster: FakeCluster) -> None:
    cluster.fails("watch-dataapps", "Unable to connect to the server: i/o timeout--forever")
    code, _ = ask(cluster, patience=0.5)
    assert code == 3


def test_a_suspension_needs_no_answer(cluster: FakeCluster) -> None:
    code, ears = ask(cluster, "suspend")
    assert (code, ears.out.getvalue()) == (0, "")
    assert ears.err.getvalue() == "sales: nothing new begins; what runs and what is on its way goes on\n"
    assert set(cluster.app()["metadata"]["annotations"]) == {"dataapps.dev/suspend"}
    code, _ = ask(cluster, "unsuspend")
    assert (code, cluster.app()["metadata"]["annotations"]) == (0, {})


def test_an_app_that_is_deleted_while_it_is_waited_for(cluster: FakeCluster) -> None:
    cluster.fails("watch-dataapps", 'Error from server (NotFound): dataapps "sales" not found')
    with pytest.raises(CliError, match="sales was deleted before the operator answered"):
        ask(cluster)

    def somebody() -> None:
        while not any("--watch" in call for call in cluster.calls("get")[before:]):
            time.sleep(0.02)
        cluster.put("dataapps")

    before = len(cluster.calls("get"))
    thread = threading.Thread(target=somebody)
    thread.start()
    with pytest.raises(CliError, match="sales was deleted before the operator answered"):
        ask(cluster)
    thread.join()


# The screens


def test_status_once_and_in_plain_text(cluster: FakeCluster) -> None:
    ears = Ears()
    assert screens.show_status(cluster.kubectl, "sales", ears.voice, watch=False) == 0
    lines = ears.out.getvalue().splitlines()
    assert lines[1:] == [
        "  production  https://production.example.org",
        "    r14  Baking  100 %  000000e",
        "    r13  Released",
    ]
    assert "\x1b" not in ears.out.getvalue()


def test_a_watched_app_is_printed_with_each_change_until_it_is_gone(cluster: FakeCluster) -> None:
    ears = Ears()
    thread = threading.Thread(
        target=screens.show_status, args=(cluster.kubectl, "sales", ears.voice), kwargs={"watch": True}
    )
    thread.start()

    def printed(text: str, times: int = 1) -> None:
        until = time.monotonic() + 10
        while ears.out.getvalue().count(text) < times:
            assert time.monotonic() < until, ears.out.getvalue()
            time.sleep(0.02)

    printed("r14  Baking")
    while len(cluster.watchers()) < 2:
        time.sleep(0.02)
    same = dataapp(BAKING, metadata={"resourceVersion": "8", "labels": {"a": "b"}})
    cluster.put("dataapps", same)
    time.sleep(0.3)
    cluster.put("dataapps", dataapp(serving("production", 14)))
    cluster.put("appreleases", apprelease("production", 14, "Released"))
    printed("r14  Released")
    assert ears.out.getvalue().count("r14  Baking") == 1, "what cannot be seen is no change"
    cluster.put("dataapps")
    thread.join(10)
    assert not thread.is_alive()
    assert ears.err.getvalue() == "sales is gone\n"
    assert cluster.watchers() == []


def test_an_app_that_was_gone_before_the_watch_began_again(cluster: FakeCluster) -> None:
    cluster.fails("watch-dataapps", 'Error from server (NotFound): dataapps "sales" not found')
    ears = Ears()
    assert screens.show_status(cluster.kubectl, "sales", ears.voice, watch=True) == 0
    assert ears.err.getvalue() == "sales is gone\n"


def test_list(cluster: FakeCluster) -> None:
    ears = Ears()
    cluster.put("dataapps", dataapp(BAKING), dataapp(serving("production", 3), name="penguins"))
    assert screens.show_list(cluster.kubectl, ears.voice, everywhere=False) == 0
    assert [line.split()[0] for line in ears.out.getvalue().splitlines()] == ["NAME", "penguins", "sales"]
    cluster.put("dataapps")
    assert screens.show_list(cluster.kubectl, ears.voice, everywhere=True) == 0
    assert ears.err.getvalue() == "there are no apps in any namespace\n"


# The whole program


def run(
    monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster, *words: str, called: str = "/usr/bin/kubectl-dataapp"
) -> int:
    monkeypatch.setenv("PATH", f"{cluster.here}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "argv", [called, *words])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    try:
        return entry.main()
    except SystemExit as end:
        return int(end.code or 0)


def test_the_program_from_end_to_end(
    monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.answers(dataapp(serving("production", 13, answers=[ANSWER]))["status"])
    assert run(monkeypatch, cluster, "-n", "analytics", "--context=a", "abort", "sales", "--context", "b") == 0
    assert capsys.readouterr().out == "production: r14 is given up\n"
    assert cluster.calls("annotate")[0][-2:] == ["--context=b", "--namespace=analytics"]
    assert run(monkeypatch, cluster, "abort", "sales", "production") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("kubectl dataapp: nothing is on its way in production; r13 has served since ")
    assert run(monkeypatch, cluster, "list") == 0
    assert capsys.readouterr().out.startswith("NAME")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("abort",), 2, "Missing argument 'APP'"),
        (("frobnicate",), 2, "No such command 'frobnicate'"),
        (("abort", "sales", "--now"), 2, "No such option"),
        (("abort", "sales", "--timeout", "soon"), 2, "--timeout is a length of time such as 30s or 2m, and not 'soon'"),
        (("abort", "sale"), 1, "there is no app sale in namespace analytics; did you mean sales?"),
        (("status", "Sales"), 2, "no name of an app"),
        (("rollback", "sales", "--to", "x"), 1, "serves everybody in production, but is not released yet"),
        (("unsuspend", "sales"), 1, "sales is not suspended"),
    ],
)
def test_what_is_typed_wrongly_or_makes_no_sense(
    monkeypatch: pytest.MonkeyPatch,
    cluster: FakeCluster,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    assert run(monkeypatch, cluster, *words) == code
    assert said in capsys.readouterr().err
    assert cluster.calls("annotate") == []


def test_ctrl_c_while_waiting_leaves_what_was_written(
    monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(asking, "_wait", interrupt)
    assert run(monkeypatch, cluster, "abort", "sales") == 130
    assert "what was written down stays so" in capsys.readouterr().err
    assert len(cluster.calls("annotate")) == 1
    monkeypatch.setattr(screens, "show_status", interrupt)
    assert run(monkeypatch, cluster, "status", "sales", "--watch") == 0
    assert run(monkeypatch, cluster, "status", "sales") == 130


def test_a_fault_of_the_program_is_called_one(
    monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screens, "show_list", lambda *_, **__: 1 / 0)
    assert run(monkeypatch, cluster, "list", called="dataapp") == 1
    assert capsys.readouterr().err.startswith("dataapp: this should not have happened (ZeroDivisionError")
    monkeypatch.setenv("DATAAPP_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, cluster, "list")


def test_without_its_libraries_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "typer" or name == "dataapp_operator.cli.main"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("dataapp_operator.cli.main", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)
    assert run(monkeypatch, cluster, "list") == 1
    assert "uv tool install 'dataapp-operator[cli]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("started_as", "typed"),
    [
        ("/usr/local/bin/kubectl-dataapp", "kubectl dataapp"),
        ("kubectl-dataapp.exe", "kubectl dataapp"),
        ("/opt/bin/dataapp", "dataapp"),
        ("/x/entry.py", "dataapp"),
    ],
)
def test_it_speaks_of_itself_as_it_was_called(started_as: str, typed: str) -> None:
    assert entry.program(started_as) == typed


def test_version(monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, cluster, "--version") == 0
    assert capsys.readouterr().out[0].isdigit()
    assert Kubectl().program == "kubectl"
