"""Failures as the harness records them: when, where, and in words. A test asserts that there are none, or prints them."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that a user would have noticed. `at` is seconds since the epoch."""

    at: float
    what: str
    words: str

    def __str__(self) -> str:
        """One line for an assertion's message."""
        return f"{datetime.fromtimestamp(self.at, tz=UTC):%H:%M:%S.%f} {self.what}: {self.words}"


class UserNoticed(Exception):
    """An operation of a session failed; the failure is recorded already."""


@dataclass(slots=True)
class Failures:
    """The failures of one session or prober, in order."""

    seen: list[Failure] = field(default_factory=list)

    def record(self, what: str, words: str) -> Failure:
        """Note a failure now."""
        failure = Failure(time.time(), what, words)
        self.seen.append(failure)
        return failure

    def noticed(self, what: str, words: str) -> UserNoticed:
        """Note a failure now; returns the exception that ends the operation."""
        return UserNoticed(str(self.record(what, words)))
