"""The command line on a machine where this lab is not up: every refusal is a sentence, and nothing is changed."""

import os
import subprocess
import sys
from pathlib import Path

from lab import lock
from lab.context import CHECKOUT
from tests.unit.lab_rig import lab_in


def _lab(tmp_path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {"DATAAPP_LAB_STATE": str(tmp_path / "state"), "DATAAPP_LAB_CACHE": str(tmp_path / "cache")}
    kept = {name: value for name, value in os.environ.items() if name not in ("LAB", "KUBECONFIG")}
    return subprocess.run(
        [sys.executable, "-m", "lab", *words],
        cwd=CHECKOUT,
        env={**kept, **own, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_unknown_provider_is_named_with_the_known_ones(tmp_path):
    done = _lab(tmp_path, "up", LAB="minikube")
    assert done.returncode == 1
    assert "LAB=minikube is not known; it is one of native, current, kind." in done.stderr


def test_kind_without_a_container_engine_says_so_and_counts_as_a_skip(tmp_path):
    done = _lab(tmp_path, "up", LAB="kind", DOCKER_HOST=f"unix://{tmp_path}/no-engine.sock")
    assert (done.returncode, done.stdout.strip()) == (77, "not run here: kind needs a container engine")


def test_current_without_a_cluster_says_what_to_set(tmp_path):
    done = _lab(tmp_path, "up", LAB="current", KUBECONFIG=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "LAB=current needs a cluster" in done.stderr
    assert "Set KUBECONFIG" in done.stderr


def test_status_of_a_lab_that_was_never_raised_fails_and_says_how_to_raise_it(tmp_path):
    done = _lab(tmp_path, "status")
    assert done.returncode == 1
    assert "raised to   nothing: `make lab-up` raises it" in done.stdout
    assert not (tmp_path / "state").exists()


def test_kubectl_never_reaches_the_cluster_of_another_lab(tmp_path):
    done = _lab(tmp_path, "kubectl", "get", "pods")
    assert done.returncode == 1
    assert "The lab of this checkout is not up" in done.stderr


def test_an_owner_is_known_by_its_state_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "OWNER", tmp_path / "owner.json")
    one, other = lab_in(tmp_path / "one"), lab_in(tmp_path / "other")
    assert lock.owner() is None
    lock.claim(one)
    holder = lock.owner()
    assert holder is not None
    assert holder.is_of(one)
    assert not holder.is_of(other)
    assert holder.lab(other).state == one.state
    (tmp_path / "owner.json").write_text('{"checkout": "/half')
    assert lock.owner() is None


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_on_the_new_file(tmp_path):
    path = tmp_path / "run" / "lock"
    with lock._locked(path):
        code = (
            "import sys; from pathlib import Path; from lab import lock\n"
            "with lock._locked(Path(sys.argv[1])): print('held', Path(sys.argv[1]).exists(), flush=True)"
        )
        waiter = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
        )
        assert waiter.stdout is not None
        assert "Waiting for another lab command" in waiter.stdout.readline()
        path.unlink()
    assert waiter.stdout.readline() == "held True\n"
    waiter.stdout.close()
    assert waiter.wait(10) == 0
