"""Who holds the lab: one at a time on a machine, because kube-proxy's table, the bridge and the CNI are host-wide.

`/run/dataapp-lab/owner.json` names the checkout whose lab is up. It lives in /run, so a reboot, which stops
everything, also forgets the owner. A file lock beside it keeps two lab commands from working at the same moment.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from lab import files
from lab.context import Lab
from lab.errors import LabError
from lab.progress import say

RUN = Path("/run/dataapp-lab")
OWNER = RUN / "owner.json"


@dataclass(frozen=True, slots=True)
class Owner:
    """The checkout whose lab is up, with its directories."""

    checkout: str
    state: str
    cache: str
    since: str  # UTC, for people

    def is_of(self, lab: Lab) -> bool:
        """Whether this is the lab at hand: the same state directory, whatever the checkout is called."""
        return self.state == str(lab.state)

    def lab(self, like: Lab) -> Lab:
        """The owner's lab as a value, so that it can be stopped from here even if its checkout is gone."""
        state = Path(self.state)
        return Lab(
            checkout=like.checkout, cache=Path(self.cache), state=state, out=state,
            versions=like.versions, kubeconfig=state / "kubeconfig",
        )  # fmt: skip


def owner() -> Owner | None:
    """Who holds the lab on this machine; None when nobody does."""
    try:
        return Owner(**json.loads(OWNER.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def claim(lab: Lab) -> None:
    """Write down that this lab holds the machine from now on."""
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    mine = Owner(checkout=str(lab.checkout), state=str(lab.state), cache=str(lab.cache), since=since)
    files.write(OWNER, json.dumps(asdict(mine), indent=1) + "\n")


def release() -> None:
    """Nobody holds the lab any more."""
    OWNER.unlink(missing_ok=True)


def need_root() -> None:
    """Raise LabError unless we may change network, mounts and packages."""
    if os.geteuid() != 0:
        raise LabError("The native lab needs root (network, mounts, packages). Run it with sudo, or use LAB=current.")


@contextmanager
def exclusive(lab: Lab, what: str) -> Iterator[None]:
    """Be the only lab command that changes anything on this machine; waits, and says for whom."""
    need_root()
    with _locked(RUN / "lock") as handle:
        handle.seek(0)
        handle.truncate()
        handle.write(f"{what} of {lab.checkout}, pid {os.getpid()}\n")
        handle.flush()
        yield


def vanish() -> None:
    """Remove the lock and its directory, as the last act of a `down` that holds the lock."""
    (RUN / "lock").unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something of another lab is in it
        RUN.rmdir()


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """Hold a lock file that its last holder may have removed: what we locked has to be what is there."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                say(f"Waiting for another lab command to end: {handle.read().strip() or 'unknown'}")
                fcntl.flock(handle, fcntl.LOCK_EX)
            if path.exists() and path.samefile(f"/proc/self/fd/{handle.fileno()}"):
                yield handle
                return


@contextmanager
def cache_lock(lab: Lab, name: str) -> Iterator[None]:
    """A lock on one part of the shared cache, so that two checkouts never build the same thing at once."""
    lab.cache.mkdir(parents=True, exist_ok=True)
    with (lab.cache / f".{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
