"""Nothing half-written is ever found under its final name."""

import json
import os
import re

import pytest

from lab import files
from lab.context import LabError
from lab.progress import Timings


def test_writing_says_whether_anything_changed(tmp_path):
    path = tmp_path / "deep" / "file"
    assert files.write(path, "one")
    assert not files.write(path, "one")
    assert files.write(path, "two")
    assert path.read_text() == "two"


def test_a_key_is_never_readable_by_others(tmp_path):
    path = tmp_path / "key"
    previous = os.umask(0)
    try:
        files.write(path, "secret", mode=0o600)
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_content_and_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write(path, "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_too_little_disk_is_said_before_anything_starts(tmp_path):
    with pytest.raises(LabError, match=r"Not enough disk for images: [\d.]+ GiB are free at .*, about 1000000 GiB"):
        files.need_space(tmp_path / "not" / "there" / "yet", gib=1e6, what_for="images")


def test_a_read_only_tree_is_removed(tmp_path):
    deep = tmp_path / "modules" / "one"
    deep.mkdir(parents=True)
    (deep / "go.mod").write_text("module one")
    deep.chmod(0o555)
    files.remove_tree(tmp_path / "modules")
    assert not (tmp_path / "modules").exists()


def test_a_digest_follows_the_contents(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a")
    before = files.digest([one, other])
    other.write_text("b")
    assert files.digest([one, other]) != before


def test_timings_name_every_stage_and_step_also_of_a_failed_one(tmp_path, capsys):
    timings = Timings(tmp_path / "timings.json")
    with timings.timed_stage("packages"), timings.step("apt-get update", 10):
        pass
    with pytest.raises(LabError), timings.timed_stage("binaries"), timings.step("compiling etcd", 40):
        raise LabError("no compiler")
    kept = json.loads((tmp_path / "timings.json").read_text())
    assert list(kept["stages"]) == ["packages", "binaries"]
    assert [(one["step"], one["failed"]) for one in kept["steps"]] == [
        ("apt-get update", False),
        ("compiling etcd", True),
    ]
    printed = capsys.readouterr().out
    assert "apt-get update … (usually about 10 s) 0.0 s" in printed
    assert "compiling etcd … (usually about 40 s) failed after 0.0 s" in printed


def test_a_step_inside_a_step_gets_its_own_line(tmp_path, capsys):
    timings = Timings(tmp_path / "timings.json")
    with timings.step("outer", 2), timings.step("inner", 1):
        pass
    lines = [re.sub(r"\d+\.\d s$", "# s", line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "  outer … (usually about 2 s) ",
        "    inner … (usually about 1 s) # s",
        "  outer: # s",
    ]
