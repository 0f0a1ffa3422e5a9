"""What the processes that a bench has started take of the machine, as the kernel counts it."""

import contextlib
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(parent: int | None = None) -> dict[int, tuple[str, float]]:
    """Each living child of a process (by default, of this one): pid -> (program, processor seconds so far)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it has just ended
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            fields = rest.split()
            if int(fields[1]) == (parent or os.getpid()):
                found[int(entry.name)] = (name, (int(fields[11]) + int(fields[12])) / _TICKS)
    return found


def spent(before: dict[int, tuple[str, float]], after: dict[int, tuple[str, float]]) -> dict[int, float]:
    """Processor seconds between two looks by pid, of those that were there at both."""
    return {pid: round(after[pid][1] - seconds, 2) for pid, (_, seconds) in before.items() if pid in after}


def busy_seconds() -> float:
    """Processor seconds that the whole machine has worked since it was started, over all its processors."""
    user, nice, system, _idle, _waiting, irq, softirq = Path("/proc/stat").read_text().split(maxsplit=8)[1:8]
    return sum(map(int, (user, nice, system, irq, softirq))) / _TICKS


def peak_memory_mib(pid: int) -> float:
    """The most memory (RSS) that a process ever had, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    return round(int(peak.split()[1]) / 1024, 1)
