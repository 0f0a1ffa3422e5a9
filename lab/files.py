"""Writing files so that nobody ever finds half of one.

A lab can be killed, or its disk can fill up, at any moment. So everything that another run trusts is written beside
its final name, flushed, and then renamed: a file that exists is a whole file.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError


def write(path: Path, content: str | bytes, *, mode: int = 0o644) -> bool:
    """Make `path` hold exactly `content`; true when that changed anything.

    Parents are made as needed. The mode is set before the content is visible, so a key is never readable by others.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        if path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
            return False
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fchmod(handle.fileno(), mode)
            os.fsync(handle.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    return True


def digest(paths: Iterable[Path]) -> str:
    """A short digest of the contents of `paths`, in order; a missing file counts as empty."""
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path}\0".encode())
        if path.is_file():
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def remove_tree(path: Path) -> None:
    """Remove a directory of ours, read-only parts (Go's module cache) included; a missing one is fine."""
    if not path.exists():
        return
    for directory, _, _ in os.walk(path):
        Path(directory).chmod(0o700)
    shutil.rmtree(path)


def need_space(where: Path, *, gib: float, what_for: str) -> None:
    """Refuse to start with too little disk: half-written builds help nobody.

    Raises LabError naming the place, the free space and what is needed (GiB).
    """
    existing = where
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free / 2**30
    if free < gib:
        raise LabError(
            f"Not enough disk for {what_for}: {free:.1f} GiB are free at {existing}, about {gib:.0f} GiB are needed. "
            "Free some space, or point DATAAPP_LAB_CACHE and DATAAPP_LAB_STATE at a larger disk, and run this again."
        )
