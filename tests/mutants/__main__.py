"""`make mutants`: break each invariant in the code, three ways each, and see that the property tests notice.

Prints a line for each mutant and exits with 1 if one survives. A mutant whose tests do not end is not caught: a test has
to say what is wrong. Arguments choose mutants by the number of their invariant; ``-j`` says how many at a time.
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.catalogue import MUTANTS
from tests.mutants.runner import CAUGHT, SURVIVED, Outcome, attempt

WIDTH = 110


def main() -> int:
    """Try them all. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Break the invariants one by one.")
    parser.add_argument("invariants", nargs="*", type=int, help="only mutants of these invariants")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="how many at a time (default: 2)")
    chosen = parser.parse_args()
    mutants = [m for m in MUTANTS if not chosen.invariants or m.invariant in chosen.invariants]
    began = time.monotonic()
    whole = attempt(None)
    if whole.verdict != SURVIVED:
        print(f"the tests do not pass on the package as it is, so nothing can be said: {whole.words}")
        return 1
    with ThreadPoolExecutor(chosen.jobs) as pool:
        outcomes = []
        for outcome in pool.map(attempt, mutants):
            print(_line(outcome), flush=True)
            outcomes.append(outcome)
    left = [outcome for outcome in outcomes if outcome.verdict != CAUGHT]
    for outcome in left:
        assert outcome.mutant is not None
        print(f"\n--- {outcome.mutant.name}: {outcome.verdict} ---\n{outcome.mutant.why}\n{outcome.words}")
    took = time.monotonic() - began
    print(f"mutants: {len(outcomes) - len(left)} of {len(outcomes)} caught, after {took:.0f} s")
    return 1 if left else 0


def _line(outcome: Outcome) -> str:
    mutant = outcome.mutant
    assert mutant is not None
    where = f"{mutant.invariant:>2}  {mutant.way:<21}  {mutant.file:<14}"
    return f"{where}  {outcome.verdict:<8}  {outcome.seconds:>4.0f} s  {outcome.words.splitlines()[0][:WIDTH]}"


if __name__ == "__main__":
    sys.exit(main())
