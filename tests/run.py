"""`make test` after `make check` and `make lab-up`: all tests on the real cluster, and what was skipped and why.

Tests run three at a time. Those that build images run after the others, since a build takes both cores; those marked
`alone` measure something and run after them, one by one. A skipped R, session or
gateway test fails the run. The last lines say how many passed, how long each stage took, and what was slowest.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = {
    "git, and long scripts": ["tests/unit", "tests/property", "-m", "git or long", "-n", "2"],
    "API server, pods, sessions, gateway": [
        "tests/apiserver",
        "tests/e2e",
        "-m",
        "not alone and not builds",
        "-n",
        "3",
    ],
    "from a commit to an image": ["tests/e2e", "-m", "builds and not alone", "-n", "3", "--dist", "loadfile"],
    "measured alone": ["tests/e2e", "-m", "alone", "-s"],
    "the lab itself": ["tests/lab"],
}


def main() -> int:
    """Run the parts in order; a failed part does not stop the next. Returns the exit code."""
    took: dict[str, float] = {}
    failed = []
    for name, arguments in PARTS.items():
        print(f"\n=== {name} ===", flush=True)
        began = time.monotonic()
        argv = [sys.executable, "-m", "pytest", "-q", "--must-run", "--durations=8", "-rs", *arguments]
        code = subprocess.run(argv, check=False, cwd=ROOT).returncode
        took[name] = time.monotonic() - began
        if code not in (0, 5):  # 5: no test is in this part
            failed.append(name)
    print("\n=== times ===")
    timings = ROOT / "build" / "lab" / "timings.json"
    if timings.exists():
        stages = json.loads(timings.read_text()).get("thisRun", {})
        print("the lab: " + ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in stages.items()))
    print("the tests: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items()))
    print(f"test: {'failed: ' + ', '.join(failed) if failed else 'all well'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
