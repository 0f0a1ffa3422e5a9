"""Mounts below a directory: to take them off, and never to delete through one."""

import re
from pathlib import Path

from lab import files
from lab.context import Lab
from lab.errors import LabError


def below(path: Path) -> list[Path]:
    """Mount points at or under `path`, deepest and latest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        raw = line.split()[4]
        point = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), raw))
        if point == path or path in point.parents:
            found.append(point)
    return found[::-1]


def unmount(lab: Lab, path: Path) -> None:
    """Unmount everything at or under `path`, lazily where something still holds it. Raises LabError when some stay."""
    for options in ([], ["--lazy"]):
        for point in below(path):  # one that was mounted twice is listed twice
            lab.run(["umount", *options, point], log="network", check=False)
    left = below(path)
    if left:
        raise LabError(
            f"These mounts cannot be taken off: {', '.join(map(str, left[:5]))}. See what uses them with "
            f"`fuser -vm {left[0]}`, end it, and run this again."
        )


def remove_tree(path: Path) -> None:
    """Remove a directory, unless something is mounted in it (deleting would reach through the mount)."""
    mounted = below(path)
    if mounted:
        raise LabError(f"{path} is not removed: {mounted[0]} is still mounted in it.")
    files.remove_tree(path)
