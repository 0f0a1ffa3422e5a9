"""Paths in a repository: names of tree entries, never names of files here. Checked all the same, because the builder
will make files of them.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.errors import SourceError, name

_MAX_PATH, _MAX_PARTS, _MAX_PATTERN, _MAX_PATTERNS = 512, 64, 256, 32
# Characters that some file systems leave out of names, so that ".g<one of them>it" is ".git" there.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_UNSAFE_PART = re.compile(r"(?:^|/)(?:\.{0,2}|\.git|git~1)(?:/|$)", re.IGNORECASE)


def checked_path(path: str, what: str = "path") -> str:
    """A directory or file, written from the top of the repository ("." is the top); SourceError(InvalidSpec)."""
    if path == ".":
        return path
    if len(path) > _MAX_PATH or path.count("/") >= _MAX_PARTS or not is_safe(path) or not is_safe(unquote(path)):
        raise SourceError(
            Reason.INVALID_SPEC,
            f"{what} {name(path)!r} cannot be used: write it from the top of the repository, like apps/sales, without .. "
            "and without a / at its beginning or end",
        )
    return path


def checked_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns for manifests; SourceError(InvalidSpec)."""
    if len(patterns) > _MAX_PATTERNS:
        raise SourceError(Reason.INVALID_SPEC, f"there are more than {_MAX_PATTERNS} patterns in paths")
    for pattern in patterns:
        if len(pattern) > _MAX_PATTERN or not is_safe(pattern):
            raise SourceError(
                Reason.INVALID_SPEC,
                f"the pattern {name(pattern)!r} cannot be used: write it from the top of the repository, like "
                "apps/*/dataapp.yaml, without ..",
            )
    return patterns


def is_safe(path: str) -> bool:
    """Whether a path can be a file's on every system without becoming another: no control characters, no backslash, no
    empty part, no `.`, no `..`, no `.git` in any guise.
    """
    return not _ODD.search(path) and not _UNSAFE_PART.search(_IGNORED.sub("", path))
