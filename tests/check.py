"""`make check`: what needs no cluster, but the longest scripts (`make test` has them). Prints what took how long, and failed."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

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
    "2",
    "--durations=5",
    "-m",
    "not git and not long",
    "tests/unit",
    "tests/property",
]


def part(name: str, argv: list[str]) -> tuple[str, bool, str, float]:
    """Run one part: (name, well, output, seconds)."""
    began = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return name, done.returncode == 0, done.stdout + done.stderr, time.monotonic() - began


def main() -> int:
    """Run all parts, two at a time. Returns the exit code."""
    began = time.monotonic()
    parts = {"tests": TESTS} | STATIC
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda item: part(*item), parts.items()))
    failed = [name for name, well, _, _ in results if not well]
    for name, well, output, seconds in results:
        if not well or name == "tests":
            print(f"--- {name} ---\n{output.strip()}")
        print(f"{'ok  ' if well else 'FAIL'} {name} ({seconds:.1f} s)")
    print(f"check: {'failed: ' + ', '.join(failed) if failed else 'all well'} after {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
