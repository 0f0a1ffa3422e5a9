"""Try one mutant: a copy of the package with one change, and the property tests against it.

The package as it is goes first. If the tests do not pass on it, that they fail on a mutant says nothing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import HOME, PLAN, Mutant

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator"
TESTS = tuple(
    f"tests/property/{name}.py"
    for name in ("test_release_machine", "test_former_releases", "test_code_machine", "test_ways_of_releasing")
)
PATIENCE = 600
"""Seconds for one mutant. The tests need a tenth of it, alone on a core."""
CAUGHT, SURVIVED, HUNG, BROKEN = "caught", "SURVIVED", "HUNG", "BROKEN"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant: by what it was caught, or what the tests said last."""

    mutant: Mutant | None
    verdict: str
    words: str
    seconds: float


def attempt(mutant: Mutant | None) -> Outcome:
    """Run the tests against a mutant; without one, against a copy that is not mutated."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dataapp-mutant-") as scratch:
        home = Path(scratch)
        shutil.copytree(
            PACKAGE / "dataapp_operator", home / "dataapp_operator", ignore=shutil.ignore_patterns("__pycache__")
        )
        if mutant is not None:
            (home / PLAN / mutant.file).write_text(mutant.applied(PACKAGE), encoding="utf-8")
        verdict, words = _judge(home)
    return Outcome(mutant, verdict, words, time.monotonic() - began)


def _judge(home: Path) -> tuple[str, str]:
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "-p", "tests.mutants.plugin"]
    # pytest puts the package of the project first in the path, whatever the environment says.
    argv += ["-p", "no:cacheprovider", "-o", f"pythonpath={home} {ROOT}", *TESTS]
    env = os.environ | {"PYTHONPATH": f"{home}{os.pathsep}{ROOT}", HOME: str(home)}
    env.pop("DATAAPP_DEEP", None)
    try:
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return HUNG, f"the tests did not end within {PATIENCE} s"
    if done.returncode == 0:
        return SURVIVED, "every test passed"
    if done.returncode != 1:  # not a failed test but tests that could not be run
        return BROKEN, (done.stdout + done.stderr).strip()[-2000:]
    return CAUGHT, _cause(done.stdout)


def _cause(output: str) -> str:
    """The invariant's own words, or the name of the test that failed."""
    said = re.search(r"^E +(?:tests\.property\.cluster\.)?Violation: (.*)$", output, re.MULTILINE)
    failed = re.search(r"^FAILED \S+::(\S+)", output, re.MULTILINE)
    return said[1] if said else failed[1] if failed else output.strip()[-200:]
