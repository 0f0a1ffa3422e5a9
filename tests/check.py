"""`make check`: what needs no cluster, but the longest scripts (`make test` has them). Prints what took how long, and failed."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("DATAAPP_LAB_CACHE") or Path.home() / ".cache" / "dataapp-lab")
TYPES_HERE, TYPES_SHARED = ROOT / ".mypy_cache", CACHE / "mypy"
"""What mypy remembers, by the contents of files: a fresh clone begins with what the last one knew."""
BYTECODE = ROOT / "build" / "bytecode"
"""Compiled tests. Without them each worker compiles all tests, and what they import, at every run."""

# `uv run` tells where it is itself: on a fresh machine it is not on the PATH.
STATIC = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "imports": ["lint-imports", "--no-cache"],
    "generated files": [sys.executable, "crds/generate.py", "--check"],
    "lock file": [os.environ.get("UV", "uv"), "lock", "--check"],
}
TESTS = [
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-n",
    "3",  # on two cores: some tests wait for a process or for real seconds, and others run meanwhile
    "--dist",
    "worksteal",
    "--durations=5",
    "-m",
    "not git and not long",
    "tests/property",  # the long ones first, so that no worker is left with one at the end
    "tests/unit",
]


def part(name: str, argv: list[str]) -> tuple[str, bool, str, float]:
    """Run one part: (name, well, output, seconds)."""
    began = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment())
    return name, done.returncode == 0, done.stdout + done.stderr, time.monotonic() - began


def environment() -> dict[str, str]:
    """Compiled Python is kept, also where the machine says otherwise; beside the sources there is none of it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {"PYTHONPYCACHEPREFIX": str(BYTECODE)} | kept


def take(there: Path, here: Path) -> None:
    """Copy a directory to where there is none. Two who do it at once do no harm to each other."""
    if not there.is_dir() or here.exists():
        return
    with tempfile.TemporaryDirectory(dir=here.parent, prefix=f".{here.name}-", ignore_cleanup_errors=True) as place:
        copied = shutil.copytree(there, Path(place) / here.name)
        if not here.exists():
            copied.rename(here)


def remember_types() -> None:
    """What mypy knows after this run is for the next clone, once a day."""
    if TYPES_SHARED.is_dir() and time.time() - TYPES_SHARED.stat().st_mtime < 24 * 3600:
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".mypy-") as place:
        if TYPES_SHARED.is_dir():
            TYPES_SHARED.rename(Path(place) / "former")
        take(TYPES_HERE, TYPES_SHARED)
        os.utime(TYPES_SHARED)


def main() -> int:
    """Run all parts, two at a time. Returns the exit code."""
    began = time.monotonic()
    with contextlib.suppress(OSError):  # without a cache it only takes longer
        take(TYPES_SHARED, TYPES_HERE)
    parts = {"tests": TESTS} | STATIC
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda item: part(*item), parts.items()))
    if next(well for name, well, _, _ in results if name == "types"):
        with contextlib.suppress(OSError):
            remember_types()
    failed = [name for name, well, _, _ in results if not well]
    for name, well, output, seconds in results:
        if not well or name == "tests":
            print(f"--- {name} ---\n{output.strip()}")
        print(f"{'ok  ' if well else 'FAIL'} {name} ({seconds:.1f} s)")
    print(f"check: {'failed: ' + ', '.join(failed) if failed else 'all well'} after {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
