"""One line a step: what happens, how long that usually takes, how long it took.

The same figures go to build/lab/timings.json, so that the time of a cold start can be looked up per stage and step.
Lines are only printed for work that is done: a check that finds all well stays silent.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab import files


@dataclass
class Timings:
    """Seconds per stage and per step of this run, and where they are kept."""

    path: Path
    stages: dict[str, float] = field(default_factory=dict)
    steps: list[dict[str, object]] = field(default_factory=list)
    stage: str = ""
    _open: list[str] = field(default_factory=list)
    _fresh_line: bool = True

    @contextmanager
    def timed_stage(self, name: str) -> Iterator[None]:
        """Time one stage, also when it fails, and write the file."""
        began = time.monotonic()
        self.stage = name
        say(f"[{name}]")
        try:
            yield
        finally:
            self.stages[name] = round(time.monotonic() - began, 2)
            self.save()

    @contextmanager
    def step(self, what: str, usually: int) -> Iterator[None]:
        """Print `what`, run the body, print how long it took; `usually` is in seconds on two cores."""
        if self._open and not self._fresh_line:
            sys.stdout.write("\n")
        indent = "  " * (len(self._open) + 1)
        sys.stdout.write(f"{indent}{what} … (usually about {usually} s) ")
        sys.stdout.flush()
        self._fresh_line = False
        self._open.append(what)
        began = time.monotonic()
        outcome = "failed after"
        try:
            yield
            outcome = ""
        finally:
            took = time.monotonic() - began
            self._open.pop()
            lead = f"{indent}{what}: " if self._fresh_line else ""
            sys.stdout.write(f"{lead}{outcome}{' ' if outcome else ''}{took:.1f} s\n")
            sys.stdout.flush()
            self._fresh_line = True
            self.steps.append({"stage": self.stage, "step": what, "seconds": round(took, 2), "failed": bool(outcome)})

    def save(self) -> None:
        """Write the figures of this run; those of stages it did not reach are kept from earlier runs."""
        try:
            earlier = json.loads(self.path.read_text())
            stages, longest = dict(earlier["stages"]), dict(earlier["longest"])
        except (FileNotFoundError, ValueError, KeyError):
            stages, longest = {}, {}
        for name, seconds in self.stages.items():
            longest[name] = max(seconds, longest.get(name, 0.0))
        total = {
            "stages": {**stages, **self.stages},  # the last run that had the stage
            "longest": longest,  # the cold one, as a rule
            "thisRun": self.stages,
            "steps": self.steps,
        }
        files.write(self.path, json.dumps(total, indent=1) + "\n")

    def table(self) -> str:
        """The closing table of `up`: a line a stage, and the sum."""
        width = max((len(name) for name in self.stages), default=5)
        rows = [f"  {name:<{width}}  {seconds:8.1f} s" for name, seconds in self.stages.items()]
        return "\n".join([*rows, f"  {'sum':<{width}}  {sum(self.stages.values()):8.1f} s"])


def say(text: str) -> None:
    """A line for the person watching, at once even through a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
