"""The lab as it stands on this machine: raised again it only checks; a killed component comes back alone."""

import json
import os
import subprocess
import sys
import time

import pytest

from lab import controlplane, lock, node, processes
from lab.context import CHECKOUT, Lab

pytestmark = pytest.mark.journey
_ALL = (*controlplane.COMPONENTS, *node.COMPONENTS)


@pytest.fixture
def lab() -> Lab:
    here = Lab.here()
    owner = lock.owner()
    if owner is None or not owner.is_of(here):
        pytest.skip("the lab of this checkout is not up: make lab-up")
    return here


def _command(*words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {**{name: value for name, value in os.environ.items() if name != "LAB"}, **extra}
    return subprocess.run(
        [sys.executable, "-m", "lab", *words],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _pids(lab: Lab) -> dict[str, int | None]:
    return {name: lab.pid(name) for name in _ALL}


def _published(lab: Lab) -> dict[str, bytes]:
    """By which people and tests find the lab. Raises FileNotFoundError when any of it is missing."""
    return {
        name: (lab.out / name).read_bytes() for name in ("kubeconfig", "images.json", "git.json", "prometheus.json")
    }


def test_status_names_every_component_with_its_log(lab):
    done = _command("status")
    for name in _ALL:
        assert f"{lab.state}/log/{name}.log" in done.stdout
    assert "NOT RUNNING" not in done.stdout
    assert str(lab.out / "kubeconfig") in done.stdout


def test_raising_it_again_touches_no_process_and_takes_seconds(lab):
    before = _pids(lab)
    began = time.monotonic()
    done = _command("up", "--until", "node")
    assert done.returncode == 0, done.stderr
    assert _pids(lab) == before
    assert time.monotonic() - began < 15
    assert "starting" not in done.stdout


@pytest.mark.parametrize(
    "name", ["kube-scheduler", "coredns", "registry-tokens", "gitserver", "podtargets", "prometheus"]
)
def test_a_killed_component_is_shown_and_comes_back_alone(lab, name):
    before = _pids(lab)
    record = processes.load(lab.state / "run" / f"{name}.json")
    assert record is not None
    assert processes.alive(record)
    os.kill(record.pid, 9)
    processes.wait_gone(record, 5)
    seen = _command("status")
    assert seen.returncode == 1
    assert f"NOT RUNNING (was pid {record.pid})" in seen.stdout
    assert _command("up", "--until", "node").returncode == 0
    after = _pids(lab)
    assert {one for one in _ALL if before[one] != after[one]} == {name}


def test_the_audit_log_names_users_and_holds_no_bodies(lab):
    lab.kubectl("get", "namespaces")
    with (lab.state / "log" / "audit.log").open() as handle:
        entries = [json.loads(line) for line in handle if line.endswith("\n")]
    assert {"admin", "system:kube-scheduler", "system:node:lab", "system:coredns"} <= {
        one["user"]["username"] for one in entries
    }
    assert not any("requestObject" in one or "responseObject" in one for one in entries)


def test_the_published_kubeconfig_is_private_and_works_when_copied(lab, tmp_path):
    published = lab.out / "kubeconfig"
    assert published.stat().st_mode & 0o077 == 0
    copied = tmp_path / "kubeconfig"
    copied.write_bytes(published.read_bytes())
    assert lab.run([lab.binary("kubectl"), "--kubeconfig", copied, "get", "--raw", "/readyz"], log="kubectl") == "ok"


def test_down_of_another_checkout_leaves_this_lab_alone(lab, tmp_path):
    before, published = _pids(lab), _published(lab)
    other = tmp_path / "state"
    other.mkdir()
    done = _command("down", DATAAPP_LAB_STATE=str(other))
    assert done.returncode == 0, done.stderr
    assert f"The lab of {lab.checkout} holds this machine and is left alone" in done.stdout
    assert not other.exists()
    assert _pids(lab) == before
    assert lock.owner() is not None
    assert _published(lab) == published
