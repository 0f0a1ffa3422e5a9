"""What containerd holds for us, through its own client `ctr`: whether it answers, and how to empty it.

Images stay; containers, their tasks and snapshots go. The namespace is the kubelet's, `k8s.io`, in a containerd that
is our own process with its own socket, so everything in it is ours.
"""

import os
import signal
from pathlib import Path

from lab import cgroups, processes
from lab.context import Lab
from lab.node_config import SOCKET


def client() -> list[str]:
    """`ctr` with our socket and namespace."""
    return ["ctr", "--address", str(SOCKET), "--namespace", "k8s.io"]


def answers(lab: Lab) -> bool:
    """Whether our containerd answers; also no when its image service is not loaded yet."""
    if not SOCKET.exists():
        return False
    return "REF" in lab.run([*client(), "--timeout", "5s", "images", "ls"], log="containerd-client", check=False)


def wipe(lab: Lab) -> None:
    """End and remove every container; containerd has to be running."""
    cgroups.kill_all()
    for task in _ids(lab, "tasks", "ls", "-q"):
        lab.run([*client(), "tasks", "rm", "--force", task], log="containerd-client", check=False)
    found = _ids(lab, "containers", "ls", "-q")
    for start in range(0, len(found), 50):
        lab.run([*client(), "containers", "rm", *found[start : start + 50]], log="containerd-client", check=False)


def _ids(lab: Lab, *words: str) -> list[str]:
    return lab.run([*client(), *words], log="containerd-client", check=False).split()


def shims() -> list[int]:
    """Pids of containerd's shims that serve our socket, containers' parents that outlive a killed containerd."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            argv = processes.argv_of(int(entry.name))
            if argv and Path(argv[0]).name.startswith("containerd-shim") and str(SOCKET) in argv:
                found.append(int(entry.name))
    return found


def kill_shims() -> None:
    """End shims that are left after their containers are gone."""
    for pid in shims():
        began = processes.ticks(pid)
        if began is not None and str(SOCKET) in processes.argv_of(pid) and processes.ticks(pid) == began:
            os.kill(pid, signal.SIGKILL)
