"""An app's files as a tar file, which is all that a build ever sees of a repository.

The same input gives the same bytes: names sorted, one owner, one time, two modes. The files are streamed out of the
mirror one after the other; nothing of them is written to disk but the archive itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import time
from contextlib import closing
from typing import TYPE_CHECKING

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.errors import SourceError, name, size
from dataapp_operator.source.paths import is_safe
from dataapp_operator.source.reader import Broken, Entry, Reader
from dataapp_operator.source.tree import Place, app_files, is_executable, key, listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dataapp_operator.source.limits import Limits
    from dataapp_operator.source.process import Process

CONTEXT = "context/"
# 1 January 2000. Not 1970: zip files, and so Python's packages, cannot hold a time before 1980.
_TIME = 946_684_800
_FRESH = 60.0  # seconds in which an archive is surely still being sent


class _Content:
    """What tarfile reads one file's content from."""

    def __init__(self, git: Process, entry: Entry) -> None:
        self._git = git
        self._entry = entry

    def read(self, count: int) -> bytes:
        data = self._git.read(count)
        if len(data) != count:
            raise Broken(self._entry.path)
        return data


def write_archive(reader: Reader, commit: str, place: Place, extra: Mapping[str, bytes], directory: Path) -> Path:
    """Write context/… and the extra members; an archive of the same content is used again."""
    files = app_files(reader, commit, listed(reader, commit, (place,), sizes=True), place)
    for member in extra:
        if not is_safe(member) or member.startswith(CONTEXT):
            raise SourceError(Reason.INVALID_SPEC, f"{name(member)} cannot be a name in the archive")
    path = directory / f"{_digest(files, extra)}.tar"
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)
        return path
    need = sum(entry.size for entry in files) + sum(map(len, extra.values()))
    make_room(directory, reader.limits, keep=path, need=need)
    part = directory / f"{path.name}.{os.getpid()}.{time.monotonic_ns()}.part"
    try:
        with part.open("xb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for member in sorted(extra):
                tar.addfile(_member(member, len(extra[member]), 0o644), io.BytesIO(extra[member]))
            _add_files(reader, files, tar)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _add_files(reader: Reader, files: tuple[Entry, ...], tar: tarfile.TarFile) -> None:
    with closing(reader.objects([entry.oid for entry in files])) as found:
        for (kind, length, git), entry in zip(found, files, strict=False):
            if kind != b"blob" or length != entry.size:
                raise Broken(entry.path)
            info = _member(CONTEXT + entry.path, length, 0o755 if is_executable(entry) else 0o644)
            tar.addfile(info, _Content(git, entry))  # type: ignore[arg-type]  # it reads, which is all that is asked


def _member(path: str, length: int, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.mtime = length, mode, _TIME
    return info


def _digest(files: tuple[Entry, ...], extra: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(key(files).encode())
    for member in sorted(extra):
        digest.update(f"\0{member}\0{len(extra[member])}\0".encode())
        digest.update(extra[member])
    return digest.hexdigest()


def make_room(directory: Path, limits: Limits, *, keep: Path, need: int) -> None:
    """Delete archives that nobody has asked for lately, and older ones than that if the rest does not fit."""
    now = time.time()
    found = []
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            stat = path.stat()
            found.append((stat.st_mtime, stat.st_size, path))
    total = need + sum(length for _, length, _ in found)
    for used, length, path in sorted(found):
        age = now - used
        if path != keep and (age > limits.archives_seconds or (total > limits.archives_bytes and age > _FRESH)):
            path.unlink(missing_ok=True)
            total -= length
    if total > limits.archives_bytes:
        message = f"builds that run now use all of the {size(limits.archives_bytes)} for their code: it is tried again"
        raise SourceError(Reason.TOO_LARGE, message, transient=True)
