"""A bench's result: a table for people, build/bench/NAME.json for tools, and whether every target holds."""

import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

OUT = Path(__file__).parents[1] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that was measured, and what it has to be."""

    what: str
    target: str
    measured: float
    unit: str
    holds: bool

    @classmethod
    def at_most(cls, what: str, most: float, measured: float, unit: str) -> Self:
        """It may not be more."""
        return cls(what, f"<= {most:g}", measured, unit, measured <= most)

    @classmethod
    def at_least(cls, what: str, least: float, measured: float, unit: str) -> Self:
        """It may not be less."""
        return cls(what, f">= {least:g}", measured, unit, measured >= least)

    @classmethod
    def exactly(cls, what: str, wanted: float, measured: float, unit: str) -> Self:
        """It has to be just that."""
        return cls(what, f"{wanted:g}", measured, unit, measured == wanted)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]


def finish(name: str, targets: Sequence[Target], details: Mapping[str, Any]) -> int:
    """Print the table and write the file; returns the exit code."""
    rows = [("", "target", "measured", "")]
    rows += [
        (one.what, one.target, f"{one.measured:g} {one.unit}", "ok" if one.holds else "NOT MET") for one in targets
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    print(f"\nbench {name}: {_words(machine())}")
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    OUT.mkdir(parents=True, exist_ok=True)
    report = {"name": name, "machine": machine(), "targets": [_row(one) for one in targets], "details": details}
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written to {path.relative_to(OUT.parents[1])}")
    return 0 if all(one.holds for one in targets) else 1


def machine() -> dict[str, Any]:
    """What it was measured on."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor[1] if processor else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memoryGiB": round(memory / 2**30),
        "kernel": platform.release(),
    }


def _row(target: Target) -> dict[str, Any]:
    """As JSON has it, which knows no infinity: what never came is null."""
    return asdict(target) | {"measured": target.measured if math.isfinite(target.measured) else None}


def _words(about: Mapping[str, Any]) -> str:
    return f"{about['cores']} cores ({about['processor']}), {about['memoryGiB']} GiB"
