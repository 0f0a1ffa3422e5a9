"""Which of a commit's files are one app's, what is wrong with them, and the key that says whether they have changed.

Symbolic links and submodules are never followed; within an app they are refused by name.
"""

from __future__ import annotations

import difflib
import hashlib
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.errors import SourceError, listing, name, size
from dataapp_operator.source.paths import is_safe
from dataapp_operator.source.reader import DIRECTORY, SUBMODULE, SYMLINK, Entry, Reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataapp_operator.source.limits import Limits

__all__ = ["Entry", "Listing", "Place", "absent", "app_files", "is_executable", "key", "listed", "too_large"]

_FEW = 64  # directories that git is asked for by name; more are picked out of the whole listing


@dataclass(frozen=True, slots=True)
class Place:
    """An app's code in a repository: its directory, what it needs besides, and the manifest that is no part of it."""

    path: str
    include: tuple[str, ...] = ()
    manifest: str | None = None

    @property
    def roots(self) -> tuple[str, ...]:
        """What to list to see all of it; nothing means everything."""
        return () if self.path == "." else (self.path, *self.include)


def listed(reader: Reader, commit: str, places: Iterable[Place], *, sizes: bool) -> Listing:
    """What is needed to see some apps."""
    roots: dict[str, None] = {}
    for place in places:
        roots.update(dict.fromkeys(place.roots or (".",)))
    few = len(roots) <= _FEW and "." not in roots
    return Listing(reader.entries(commit, tuple(roots) if few else (), sizes=sizes))


class Listing:
    """Files of a commit by directory. git lists them in the order of their bytes, so a directory is one stretch."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._keys = [entry.path.encode("utf-8", "surrogateescape") for entry in entries]

    def below(self, directory: str) -> list[Entry]:
        """All below a directory, "." for everything."""
        if directory == ".":
            return self._entries
        prefix = directory.encode() + b"/"
        return self._entries[bisect_left(self._keys, prefix) : bisect_left(self._keys, prefix[:-1] + b"0")]

    def at(self, path: str) -> Entry | None:
        """The entry of exactly this path, if it is not a directory."""
        key = path.encode()
        place = bisect_left(self._keys, key)
        return self._entries[place] if place < len(self._keys) and self._keys[place] == key else None


def app_files(reader: Reader, commit: str, listing_: Listing, place: Place) -> tuple[Entry, ...]:
    """The files of one app, by the names they will have in its image: those of its directory relative to it, those
    included under their own. Raises SourceError (PathMissing, UnsafeTree, TooLarge).
    """
    prefix = "" if place.path == "." else f"{place.path}/"
    own = listing_.below(place.path)
    if not own:
        raise absent(reader, commit, place.path, "path")
    files = {e.path[len(prefix) :]: e for e in own if e.path != place.manifest}
    for wanted in place.include:
        single = listing_.at(wanted)
        found = [single] if single else listing_.below(wanted)
        if not found:
            raise absent(reader, commit, wanted, "include")
        for entry in found:
            if prefix and not entry.path.startswith(prefix) and entry.path != place.manifest:
                other = files.setdefault(entry.path, entry)
                if other is not entry and other.path != entry.path:
                    raise _both(other.path, entry.path, entry.path)
    _check(files, reader.limits, place)
    return tuple(replace(files[shown], path=shown) for shown in sorted(files))


def key(files: Iterable[Entry]) -> str:
    """The same for the same files: SHA-1 over the sorted lines "<mode> <oid> <path>"."""
    lines = sorted(f"{_plain_mode(entry)} {entry.oid} {entry.path}\n".encode() for entry in files)
    return hashlib.sha1(b"".join(lines), usedforsecurity=False).hexdigest()


def is_executable(entry: Entry) -> bool:
    """Whether a file is meant to be run."""
    return _plain_mode(entry) == "100755"


def _plain_mode(entry: Entry) -> str:
    """One of the two modes that files have; old tools wrote others."""
    return "100755" if int(entry.mode, 8) & 0o100 else "100644"


def _check(files: dict[str, Entry], limits: Limits, place: Place) -> None:
    odd = [e for e in files.values() if not e.regular]
    if odd:
        what = "symbolic links or submodules" if len(odd) > 1 else odd[0].kind
        raise SourceError(
            Reason.UNSAFE_TREE,
            f"{listing(e.path for e in odd)}: {what}, which an app may not have: replace it by the files themselves, or "
            "move it out of the app's directory",
        )
    if unsafe := [shown for shown in files if not is_safe(shown)]:
        raise SourceError(Reason.UNSAFE_TREE, f"{listing(unsafe)}: no file of an app may have such a name: rename it")
    if len(files) > limits.app_entries:
        message = f"{place.path} has {len(files)} files, and an app may have {limits.app_entries}: keep data out of git"
        raise SourceError(Reason.TOO_LARGE, message)
    for entry in files.values():
        if entry.size > limits.file_bytes:
            raise too_large(entry, limits.file_bytes)
    total = sum(max(0, entry.size) for entry in files.values())
    if total > limits.app_bytes:
        message = f"{place.path} has {size(total)} of files, and an app may have {size(limits.app_bytes)}: keep data out of git"
        raise SourceError(Reason.TOO_LARGE, message)
    if place.include:
        _check_directories(files)


def _check_directories(files: dict[str, Entry]) -> None:
    """No name may be a file of the app and a directory of what is included."""
    for shown, entry in files.items():
        parts = shown.split("/")
        for depth in range(1, len(parts)):
            if other := files.get("/".join(parts[:depth])):
                raise _both(other.path, entry.path, "/".join(parts[:depth]))


def _both(one: str, other: str, shown: str) -> SourceError:
    return SourceError(
        Reason.INVALID_SPEC,
        f"{name(one)} and {name(other)} would both be {name(shown)} in the image: rename one, or leave it out of include",
    )


def too_large(entry: Entry, limit: int) -> SourceError:
    """A file over its limit."""
    return SourceError(
        Reason.TOO_LARGE,
        f"{name(entry.path)} is {size(entry.size)}, and the limit for a file is {size(limit)}: keep large data out of git, "
        "for example in object storage, and read it when the app starts",
    )


def absent(reader: Reader, commit: str, path: str, what: str) -> SourceError:
    """Why nothing is at a path: walk down to where it ends, and say what is there instead."""
    at = f"in the repository at commit {commit[:12]}"
    if path == ".":
        return SourceError(Reason.EMPTY_SOURCE, f"there is no file {at}")
    walked = ""
    for part in path.split("/"):
        here = reader.level(commit, walked)
        entry = here.get(part)
        below = f"{walked}/{part}".lstrip("/")
        if entry is None:
            return SourceError(Reason.PATH_MISSING, f"{what} {name(path)} is not {at}{_nearest(here, walked, part)}")
        if entry.mode in {SYMLINK, SUBMODULE}:
            message = f"{what} {name(path)} leads through {name(below)}, which is {entry.kind} {at} and is not followed"
            return SourceError(Reason.UNSAFE_TREE, message)
        if entry.mode != DIRECTORY:
            return SourceError(
                Reason.PATH_MISSING, f"{what} {name(path)} is not a directory {at}: {name(below)} is a file"
            )
        walked = below
    return SourceError(Reason.PATH_MISSING, f"{what} {name(path)} is empty {at}")


def _nearest(here: dict[str, Entry], walked: str, part: str) -> str:
    directories = [each for each, entry in here.items() if entry.mode == DIRECTORY]
    close = difflib.get_close_matches(part, directories, 3, 0.6) or sorted(directories)
    where = f"in {name(walked)}" if walked else "at its top"
    if not close:
        return f": there is no directory {where}"
    words = f"the directory {where} is" if len(close) == 1 else f"the directories {where} are"
    return f": {words} {listing(close)}"
