"""One app's code as of one commit: which files it has, and the texts by which its framework is recognised."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.errors import SourceError, name
from dataapp_operator.source.reader import Broken, Entry, Reader
from dataapp_operator.source.tree import Place, app_files, key, listed, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dataapp_operator.source.limits import Limits
    from dataapp_operator.source.process import Process

# What detection reads: code, and the files that name dependencies.
TEXTS = (
    "*.py",
    "*.R",
    "*.r",
    "*.Rmd",
    "*.qmd",
    "*.ipynb",
    "requirements*.txt",
    "requirements*.in",
    "uv.lock",
    "pyproject.toml",
    "poetry.lock",
    "pdm.lock",
    "Pipfile",
    "Pipfile.lock",
    "environment.yml",
    "environment.yaml",
    "renv.lock",
    "DESCRIPTION",
    "Dockerfile*",
    "*.Dockerfile",
    ".python-version",
    "runtime.txt",
    "packages.txt",
    "manifest.json",
    ".dockerignore",
)
_MAX_COMMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Code:
    """`tree`: the key of the files. `contents`: of the small text files that detection reads."""

    commit: str
    tree: str
    committed_at: datetime
    files: tuple[Entry, ...]
    contents: Mapping[str, bytes]


def read_code(reader: Reader, commit: str, place: Place) -> Code:
    """Read one app's code from a mirror that holds the commit."""
    files = app_files(reader, commit, listed(reader, commit, (place,), sizes=True), place)
    texts = _texts(files, reader.limits)
    with closing(reader.objects([commit, *(entry.oid for entry in texts)])) as found:
        committed_at = _committed_at(commit, *next(found))
        contents = _contents(found, texts, reader.limits, reader.limits.text_bytes)
    return Code(commit, key(files), committed_at, files, contents)


def read_blobs(reader: Reader, entries: Sequence[Entry], *, max_bytes: int) -> dict[str, bytes]:
    """The contents of plain files by path; raises SourceError (TooLarge, UnsafeTree) naming the one that is not."""
    for entry in entries:
        if not entry.regular:
            message = f"{name(entry.path)} is {entry.kind}, which is not followed: put the file itself there"
            raise SourceError(Reason.UNSAFE_TREE, message)
        if entry.size > max_bytes:
            raise too_large(entry, max_bytes)
    with closing(reader.objects([entry.oid for entry in entries])) as found:
        return _contents(found, entries, reader.limits, max_bytes)


def _contents(
    found: Iterator[tuple[bytes, int, Process]], entries: Sequence[Entry], limits: Limits, max_bytes: int
) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    total = 0
    # In this order, so that `found` is taken to its end.
    for (kind, length, git), entry in zip(found, entries, strict=False):
        total += length
        # git says the size before it sends anything: what is larger than it was said to be is not read either.
        if length > max_bytes or total > limits.app_bytes:
            raise too_large(replace(entry, size=length), max_bytes)
        content = git.read(length)
        if kind != b"blob" or len(content) != length:
            raise Broken(entry.path)
        contents[entry.path] = content
    return contents


def _texts(files: Sequence[Entry], limits: Limits) -> list[Entry]:
    def readable(entry: Entry) -> bool:
        parts = entry.path.split("/")
        known = any(fnmatchcase(parts[-1], pattern) for pattern in TEXTS)
        return known and len(parts) <= limits.text_depth and entry.size <= limits.text_bytes

    # Those nearest to the top first: an app's entry is seldom deep.
    return sorted(filter(readable, files), key=lambda e: (e.path.count("/"), e.path))[: limits.text_files]


def _committed_at(commit: str, kind: bytes, length: int, git: Process) -> datetime:
    if length > _MAX_COMMIT:
        raise SourceError(Reason.TOO_LARGE, f"the message of commit {commit[:12]} is too large")
    head = git.read(length)
    if kind != b"commit" or len(head) != length:
        raise Broken(commit)
    for line in head.partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(b"committer "):
            with suppress(ValueError, IndexError, OverflowError, OSError):
                return datetime.fromtimestamp(int(line.split()[-2]), UTC)
    raise SourceError(Reason.UNSAFE_TREE, f"commit {commit[:12]} does not say when it was made")
