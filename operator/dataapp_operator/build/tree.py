"""What detection is given, what it finds, and what it says when it finds nothing. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

from dataapp_operator.api.code import Dependencies
from dataapp_operator.api.reasons import Reason
from dataapp_operator.build.rules import Framework

MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class Tree:
    """An app's directory: every file's path in it, and the text of the small ones. `name` is the directory's own."""

    files: frozenset[str]
    contents: Mapping[str, str]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be the app, and the rule that says so. `served` is the object that is served, if it is one."""

    framework: Framework
    rule: str
    file: str
    served: str = ""

    @property
    def entrypoint(self) -> str:
        """As it stands in status and in spec.build.entrypoint: `app.py`, or `main.py:app` where an object is served."""
        return f"{self.file}:{self.served}" if self.served else self.file

    def __str__(self) -> str:
        return f"{shown(self.file)} ({self.framework.title})"


@dataclass(frozen=True, slots=True)
class Detected:
    """What the code is and how it is built."""

    framework: str
    entrypoint: str
    rule: str
    file: str
    recipe: str
    dockerfile: str | None
    dependencies: Dependencies


class DetectionError(Exception):
    """The code is not recognised, or not as one thing. `message` says what to write where.

    `reason` is NothingDetected, Ambiguous, UnsupportedFramework, DependenciesMissing or ManifestInvalid.
    """

    def __init__(self, reason: Reason, message: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.candidates = candidates


def shown(name: str) -> str:
    """A file's name for a sentence: as it is, or in quotes where it could be misread."""
    return name if name.isprintable() and not set(name) & set(" '\"`,;") else repr(name)


def listed(names: list[str]) -> str:
    """Some names for a sentence, not too many."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(shown(name) for name in names[:MOST_NAMES]) + more
