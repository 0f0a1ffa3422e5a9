"""The control group `dataapp-lab`, under which the kubelet puts every pod: what is in it is ours, by construction.

Version 1 has one tree per controller, version 2 one for all; which one is decided by what is mounted. The group lets
`down` end whatever still runs in a pod even when containerd has lost track of it.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from lab.errors import LabError

NAME = "dataapp-lab"
_NEEDED = ("cpu", "memory", "pids")


def version() -> int:
    """1 or 2. Raises LabError when no control groups are mounted."""
    mounted = {line.split()[1]: line.split()[2] for line in Path("/proc/self/mounts").read_text().splitlines()}
    if mounted.get("/sys/fs/cgroup") == "cgroup2":
        return 2
    if any(kind == "cgroup" for kind in mounted.values()):
        return 1
    raise LabError("No control groups are mounted at /sys/fs/cgroup; pods cannot run on this machine.")


def _trees() -> list[Path]:
    """The directories in which a group of ours may be: the one tree of version 2, or version 1's, one per controller.

    Beside version 1 there may be a tree of version 2 without controllers (systemd's hybrid mode); runc uses it too.
    """
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(fields[1]) for fields in lines if fields[2] in ("cgroup", "cgroup2")]


def ensure() -> None:
    """Have the group, with the controllers that the kubelet asks for. Raises LabError when the machine forbids it."""
    try:
        if version() == 2:
            _ensure_v2(Path("/sys/fs/cgroup"))
            return
        for tree in _trees():
            (tree / NAME).mkdir(exist_ok=True)
            for limit in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, and then nothing may run in it
                here = tree / NAME / limit
                if here.exists() and not here.read_text().strip():
                    here.write_text((tree / limit).read_text())
    except OSError as error:
        raise LabError(
            f"The control group {NAME} cannot be made ({error}). In a container, run it privileged with a cgroup "
            "namespace of its own; otherwise see that /sys/fs/cgroup is mounted writable."
        ) from None


def _ensure_v2(root: Path) -> None:
    group = root / NAME
    offered = set((root / "cgroup.controllers").read_text().split())
    absent = [name for name in _NEEDED if name not in offered]
    if absent:
        raise LabError(f"The kernel does not offer the cgroup controllers {', '.join(absent)} here; pods need them.")
    wanted = " ".join(f"+{name}" for name in sorted(offered & {*_NEEDED, "cpuset", "io", "hugetlb"}))
    (root / "cgroup.subtree_control").write_text(wanted)
    group.mkdir(exist_ok=True)
    (group / "cgroup.subtree_control").write_text(wanted)


def pids() -> set[int]:
    """Processes in our group, pods' all."""
    found: set[int] = set()
    for tree in _trees():
        for directory, _, names in os.walk(tree / NAME):
            if "cgroup.procs" in names:
                with contextlib.suppress(OSError):
                    found |= {int(line) for line in (Path(directory) / "cgroup.procs").read_text().split()} - {0}
    return found


def kill_all(seconds: float = 15.0) -> None:
    """SIGKILL everything in the group until it is empty. Raises LabError after `seconds`."""
    deadline = time.monotonic() + seconds
    while left := pids():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LabError(f"Processes of pods do not end even on SIGKILL: {sorted(left)[:20]}.")
        time.sleep(0.05)


def remove(seconds: float = 10.0) -> None:
    """Remove the empty group; the kernel may hold a group for a moment after its last process."""
    deadline = time.monotonic() + seconds
    while groups := [tree / NAME for tree in _trees() if (tree / NAME).is_dir()]:
        for group in groups:
            for directory, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(directory).rmdir()
        if time.monotonic() > deadline:
            raise LabError(
                f"The control groups {', '.join(map(str, groups))} cannot be removed; something is still in them."
            )
        time.sleep(0.05)
