"""The other two providers: an existing cluster, proved by pointing it at the native lab, and kind where it can run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KUBECONFIG = ROOT / "build" / "lab" / "kubeconfig"


def lab(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python3 -m lab …` with these variables set."""
    env = {**os.environ, "CI": "true", **environment}
    argv = [sys.executable, "-m", "lab", *arguments]
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=300)


def test_an_existing_cluster_gets_the_same_gateway_and_operator(tmp_path: Path) -> None:
    if not KUBECONFIG.exists():
        pytest.skip("there is no native lab to point LAB=current at: `make lab-up` raises one")
    copy = tmp_path / "kubeconfig"
    copy.write_text(KUBECONFIG.read_text())
    copy.chmod(0o600)
    done = lab("up", LAB="current", KUBECONFIG=str(copy))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[operator]" in done.stdout
    assert "[node]" not in done.stdout, "an existing cluster's node is none of our business"


def test_kind_runs_where_there_is_a_container_engine() -> None:
    done = lab("up", "--until", "images", LAB="kind")
    if done.returncode == 77:
        pytest.skip(f"LAB=kind: {done.stdout.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
