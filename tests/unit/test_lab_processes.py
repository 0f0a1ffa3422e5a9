"""Processes are signalled only when proved ours: same boot, same start time, same argv. Real processes, no doubles."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest

from lab import processes
from lab.context import Lab, LabError
from tests.unit.lab_rig import lab_in

_SLEEP = ["sleep", "301.5"]


@pytest.fixture
def lab(tmp_path) -> Iterator[Lab]:
    made = lab_in(tmp_path)
    yield made
    for name in made.names():
        made.stop(name)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process, which must outlive everything that the lab does."""
    with subprocess.Popen(["sleep", "302.5"]) as process:
        yield process
        assert process.poll() is None
        process.kill()


def _record(lab: Lab, name: str) -> processes.Record:
    record = processes.load(lab.state / "run" / f"{name}.json")
    assert record is not None
    return record


def test_starting_twice_keeps_the_process(lab):
    lab.start("napper", _SLEEP)
    first = lab.pid("napper")
    lab.start("napper", _SLEEP)
    assert lab.pid("napper") == first
    assert lab.running("napper")
    lab.stop("napper")
    assert not lab.running("napper")
    assert lab.names() == []


def test_another_argv_or_changed_inputs_start_it_anew(lab, tmp_path):
    config = tmp_path / "config"
    config.write_text("a")
    lab.start("napper", _SLEEP, inputs=[config])
    first = lab.pid("napper")
    config.write_text("b")
    lab.start("napper", _SLEEP, inputs=[config])
    second = lab.pid("napper")
    lab.start("napper", ["sleep", "303.5"], inputs=[config])
    assert len({first, second, lab.pid("napper")}) == 3


def test_a_killed_process_is_seen_as_gone_and_started_again(lab):
    lab.start("napper", _SLEEP)
    os.kill(_record(lab, "napper").pid, 9)
    assert processes.wait_gone(_record(lab, "napper"), 5)
    assert not lab.running("napper")
    lab.start("napper", _SLEEP)
    assert lab.running("napper")


@pytest.mark.parametrize(
    "forge",
    [
        lambda record, pid: replace(record, pid=pid),  # the pid was used again: another start time
        lambda record, pid: replace(record, pid=pid, ticks=processes.ticks(pid), argv=["sleep", "1"]),
        lambda record, pid: replace(
            record, pid=pid, ticks=processes.ticks(pid), argv=["sleep", "302.5"], boot="earlier"
        ),
    ],
    ids=["start time", "argv", "boot"],
)
def test_a_process_that_cannot_be_proved_ours_is_left_alone(lab, stranger, forge):
    lab.start("napper", _SLEEP)
    record = _record(lab, "napper")
    processes.end(record, patience=5)
    path = lab.state / "run" / "napper.json"
    path.write_text(json.dumps(asdict(forge(record, stranger.pid))))
    assert not lab.running("napper")
    lab.stop("napper")
    assert not path.exists()
    assert stranger.poll() is None


def test_a_half_written_record_is_no_record_and_the_process_is_found_by_its_argv(lab):
    lab.start("napper", [*_SLEEP, f"{len(str(lab.state))}.0"])
    stray = _record(lab, "napper")
    (lab.state / "run" / "napper.json").write_text('{"pid": 1')
    assert not lab.running("napper")
    lab.start("napper", stray.argv)
    assert not processes.alive(stray)
    assert lab.running("napper")


def test_a_program_that_ignores_sigterm_is_killed(lab):
    deaf = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"]
    lab.start("deaf", deaf)
    record = _record(lab, "deaf")
    while "deaf" not in lab.log("deaf").read_text():
        assert processes.alive(record)
    processes.end(record, patience=0.2)
    assert not processes.alive(record)


def test_a_missing_program_is_a_sentence(lab):
    with pytest.raises(LabError, match=r"/no/such/program could not be started: .*No such file"):
        lab.start("nothing", ["/no/such/program"])
    assert lab.names() == []


def test_output_is_in_the_log_and_the_environment_is_small(lab, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "hidden")
    lab.run(["sh", "-c", "env; echo told >&2"], log="shell")
    text = lab.log("shell").read_text()
    assert "told" in text
    assert "SOME_TOKEN" not in text


def test_a_failing_command_says_where_its_log_is(lab):
    with pytest.raises(LabError, match=r"failed with code 3. The end of its log .*shell\.log:\n(.*\n)*    it broke"):
        lab.run(["sh", "-c", "echo it broke >&2; exit 3"], log="shell")


def test_a_secret_answer_stays_out_of_the_log(lab):
    assert lab.run(["echo", "k3y"], log="shell", secret=True) == "k3y\n"
    assert "k3y\n" not in lab.log("shell").read_text().split("\n", 1)[1]
