"""What a command is decided from: the app, one of its environments, the records, the time; and what comes out. Pure.

A command is either refused, with words that say why it makes no sense now, or becomes a decision: which annotations to
write, and how to know that the operator has answered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dataapp_operator.api.reasons import Reason
from dataapp_operator.cli import moments, words
from dataapp_operator.cli.errors import Refusal, UsageError
from dataapp_operator.cli.view import App, Environment, Release

_RELEASE = re.compile(r"r?([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Request:
    """What a person typed. ``release`` and ``to`` are what they wrote, not yet read."""

    command: str
    environment: str | None = None
    release: str | None = None
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What to look for in status. ``command``: the operator answers its ``word``; without one, a change is the answer.

    ``lifted``: the reason that the environment (without one, all of them) must no longer wait for.
    """

    environment: str | None = None
    command: str | None = None
    word: str = ""
    lifted: Reason | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """``words``: what is asked of the operator. ``changes``: annotations; None takes one away, and there may be none.

    ``expected`` is None where there is nothing to wait for.
    """

    words: str
    expected: Expected | None
    changes: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Situation:
    """One environment as things are. ``earlier``: the environment that a release must have passed before this one."""

    request: Request
    app: App
    env: Environment
    earlier: Environment | None
    records: tuple[Release, ...]
    now: datetime

    def record(self, number: int | None, *, environment: str | None = None) -> Release | None:
        """The record of a release, here or in another environment."""
        where = environment or self.env.name
        return next((r for r in self.records if r.environment == where and r.number == number), None)

    def numbers(self, environment: str) -> list[int]:
        """The releases of an environment that there are records of."""
        return [r.number for r in self.records if r.environment == environment]

    @property
    def earlier_stable(self) -> int | None:
        """The release of the environment before."""
        return self.earlier.stable if self.earlier is not None else None

    @property
    def asked(self) -> int | None:
        """The release that was typed, if one was."""
        return None if self.request.release is None else number(self.request.release)

    def candidate(self) -> int:
        """The release on its way here, which must be the one that was typed. Refused where there is none."""
        on_its_way = self.env.candidate
        if on_its_way is None:
            raise Refusal(f"nothing is on its way in {self.env.name}; {self.standing}")
        if self.asked not in {None, on_its_way}:
            raise Refusal(f"r{on_its_way} is on its way in {self.env.name}, and not r{self.asked}")
        return on_its_way

    def stable(self) -> int:
        """The release that is released here, which must be the one that was typed. Refused where there is none."""
        serving = self.env.stable
        if serving is None:
            raise Refusal(f"no release of {self.app.name} has been released in {self.env.name} yet")
        if self.asked not in {None, serving}:
            raise Refusal(f"{self.env.name} has r{serving}, and not r{self.asked}")
        return serving

    @property
    def standing(self) -> str:
        """How the environment stands."""
        return standing(self.env, self.now)

    def until(self) -> str:
        """Until when it waits, where that is known: ``, until 10:11 (in 7m)``."""
        waiting = self.env.waiting
        return f", {moments.until(waiting.until, self.now)}" if waiting and waiting.until else ""

    def said(self, command: str) -> str | None:
        """What stands there for this environment, by whomever."""
        return words.word(self.app.annotations.get(words.annotation(command)), self.env.name)

    def writes(self, command: str, word: str | None) -> dict[str, str | None]:
        """The change that says a word for this environment, or says none any more."""
        key = words.annotation(command)
        return {key: words.with_word(self.app.annotations.get(key), self.env.name, word)}

    def decision(self, word: str, told: str, *, answered: bool = True) -> Decision:
        """The decision to say ``word`` for this environment. ``answered``: the operator answers this command."""
        command, told = self.request.command, f"{self.env.name}: {told}"
        standing = self.said(command)
        if standing is not None and words.unmarked(standing) == word and not self.env.has_answered(command, standing):
            expected = Expected(self.env.name, command if answered else None, standing)
            return Decision(f"{told} (this is written down already)", expected)
        new = words.marked(word, self.now) if answered else word
        return Decision(told, Expected(self.env.name, command if answered else None, new), self.writes(command, new))


def number(text: str) -> int:
    """The release that ``14`` or ``r14`` names."""
    found = _RELEASE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"a release is a number such as 14 or r14, and not {text!r}")
    return int(found[1])


def standing(env: Environment, now: datetime) -> str:
    """What runs in an environment, what is on its way, what it waits for: a clause for the end of a sentence."""
    if env.candidate is not None:
        said = f"r{env.candidate} is on its way ({env.phase or 'it begins'})"
    elif env.stable is not None:
        when = f" since {moments.clock(env.stable_since, now)}" if env.stable_since else ""
        said = f"r{env.stable} has served{when}" if when else f"r{env.stable} serves"
    else:
        said = "nothing has been released there yet"
    waiting = env.waiting
    return f"{said}; it waits ({waiting.reason}): {waiting.message}" if waiting and waiting.message else said


def named(numbers: list[int]) -> str:
    """``r12, r14``, the newest ones."""
    return ", ".join(f"r{n}" for n in sorted(numbers)[-5:])
