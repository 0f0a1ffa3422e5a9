"""Reading a bare mirror: which files a commit has, and what is in them.

A listing is read while git writes it and broken off at the limit: a repository of a few kilobytes can hold more files than
there is memory. Of a file, git says the size first, and what is too large is not asked for.
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.errors import SourceError

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from dataapp_operator.source.limits import Limits
    from dataapp_operator.source.process import Process, Runner

SYMLINK, SUBMODULE, DIRECTORY = "120000", "160000", "040000"
_LEVEL = 2000  # names of one directory that a suggestion is looked for in
_SCARCE = re.compile(r"out of memory|cannot allocate|mmap failed", re.IGNORECASE)


class Broken(Exception):  # noqa: N818 - it says what happened
    """The mirror lacks an object that it should have."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a commit (or a symbolic link or a submodule: see `regular`). `size` in bytes, -1 where not asked for."""

    path: str
    oid: str
    size: int
    mode: str

    @property
    def regular(self) -> bool:
        """Whether it is a plain file."""
        return self.mode.startswith("100")

    @property
    def kind(self) -> str:
        """What it is, for a sentence."""
        return {SYMLINK: "a symbolic link", SUBMODULE: "a submodule", DIRECTORY: "a directory"}.get(self.mode, "a file")


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads a mirror that holds what it is asked for, in a thread; `stop` ends it."""

    runner: Runner
    at: Path
    stop: threading.Event

    @property
    def limits(self) -> Limits:
        """What the processes may cost."""
        return self.runner.limits

    def start(self, *arguments: str, stdin: bytes = b"") -> Process:
        """Start git on the mirror."""
        if not self.at.is_dir():
            raise Broken(self.at)
        return self.runner.start(
            ("--git-dir", str(self.at), *arguments),
            at=self.at,
            stop=self.stop,
            seconds=self.limits.read_seconds,
            stdin=stdin,
        )

    def entries(self, commit: str, roots: Sequence[str] = (), *, sizes: bool = True) -> list[Entry]:
        """All files of a commit below some directories, in git's order."""
        found: list[Entry] = []
        with closing(self._listed(("-r", "-l") if sizes else ("-r",), commit, roots)) as every:
            for entry in every:
                found.append(entry)
                if len(found) > self.limits.entries:
                    message = f"the repository has more than {self.limits.entries} files, which is the limit"
                    raise SourceError(Reason.TOO_LARGE, message)
        return found

    def level(self, commit: str, directory: str) -> dict[str, Entry]:
        """The first names in one directory ("" is the top)."""
        found: dict[str, Entry] = {}
        with closing(self._listed((), commit, (f"{directory}/",) if directory else ())) as every:
            for entry in islice(every, _LEVEL):
                found[entry.path.rpartition("/")[2]] = entry
        return found

    def _listed(self, options: Sequence[str], commit: str, roots: Sequence[str]) -> Generator[Entry, None, None]:
        rest = b""
        with self.start("ls-tree", "-z", "--full-tree", *options, "--end-of-options", commit, *roots) as git:
            for chunk in git:
                *records, rest = (rest + chunk).split(b"\0")
                for record in records:
                    yield _entry(record)
        if git.code and _SCARCE.search(git.complaint):
            raise SourceError(Reason.TOO_LARGE, "a directory of the repository has too many files to be listed")
        if git.code:
            raise Broken(git.complaint)

    def objects(self, oids: Sequence[str]) -> Generator[tuple[bytes, int, Process], None, None]:
        """For each object its type and size, and the process to read exactly so many bytes from."""
        if not oids:
            return
        with self.start("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in oids).encode()) as git:
            for _ in oids:
                head = git.line().split()
                if len(head) != 3:  # noqa: PLR2004 - "<oid> <type> <size>"
                    raise Broken(head)
                yield head[1], int(head[2]), git
                git.read(1)


def _entry(record: bytes) -> Entry:
    head, _, path = record.partition(b"\t")
    mode, _, oid, *length = head.split()
    known = int(length[0]) if length and length[0] != b"-" else -1
    return Entry(path.decode("utf-8", "surrogateescape"), oid.decode(), known, mode.decode())
