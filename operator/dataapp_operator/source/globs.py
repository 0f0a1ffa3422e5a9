"""Patterns for paths: `*` is anything within one name, `**` any number of directories, and nothing else is special.

Patterns come from authors, so there is no regular expression anywhere: matching goes through pattern and path once and
steps back to the last star only, which is enough, and costs at most their two lengths multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ANY_DIRECTORIES = "**"


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern, taken apart once."""

    parts: tuple[str, ...]

    @classmethod
    def of(cls, pattern: str) -> Glob:
        """From its text; runs of `**` are one, and a last `**` stands for every file below."""
        parts: list[str] = []
        for part in pattern.split("/"):
            if part != _ANY_DIRECTORIES or parts[-1:] != [_ANY_DIRECTORIES]:
                parts.append(part)
        if parts[-1] == _ANY_DIRECTORIES:
            parts.append("*")
        return cls(tuple(parts))

    def matches(self, path: str) -> bool:
        """Whether a file's path is meant."""
        return _match(self.parts, path.split("/"), lambda part: part == _ANY_DIRECTORIES, _fits)

    @property
    def top(self) -> str:
        """The directory below which all that it can match lies; "" for the whole repository."""
        fixed: list[str] = []
        for part in self.parts[:-1]:
            if "*" in part:
                break
            fixed.append(part)
        return "/".join(fixed)


def _fits(pattern: str, name: str) -> bool:
    """Whether one name fits a pattern without slashes."""
    if "*" not in pattern:
        return pattern == name
    return _match(pattern, name, lambda character: character == "*", lambda one, other: one == other)


def _match(
    pattern: Sequence[str], text: Sequence[str], is_star: Callable[[str], bool], fits: Callable[[str, str], bool]
) -> bool:
    """Match a sequence with stars, each for any number of elements. Only the last star is ever widened: whatever an
    earlier one could take in addition, the last one can take as well.
    """
    at = star = -1
    seen = 0
    at, position = 0, 0
    while position < len(text):
        if at < len(pattern) and is_star(pattern[at]):
            star, seen = at, position
            at += 1
        elif at < len(pattern) and fits(pattern[at], text[position]):
            at += 1
            position += 1
        elif star >= 0:
            seen += 1
            at, position = star + 1, seen
        else:
            return False
    return all(is_star(part) for part in pattern[at:])
