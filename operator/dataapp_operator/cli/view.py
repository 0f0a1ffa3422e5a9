"""What the command line sees of an app: small frozen views of the objects' statuses.

They hold only what is shown or decided with. Whatever an object does not say is empty or None here: an older operator says
less, a newer one more, and neither is a reason to fail. ``reading.py`` makes them from JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.status import SCALE


@dataclass(frozen=True, slots=True)
class Waiting:
    """What an environment waits for."""

    reason: str
    message: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the operator did about a command, or why it did nothing."""

    command: str
    word: str
    message: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A release that failed, or that a person gave up: the same is not tried again by itself."""

    release: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment of an app, as the operator remembers it."""

    name: str
    url: str = ""
    stable: int | None = None
    stable_since: datetime | None = None
    candidate: int | None = None
    phase: str = ""
    step: int | None = None
    going_back: bool = False
    stopped: bool = False
    """The stable release was ended to make room; visitors have a page, or its successor."""
    weights: Mapping[int, int] = field(default_factory=dict)
    sessions: Mapping[int, int | None] = field(default_factory=dict)
    """Open sessions of releases that drain; None: nobody could count."""
    warm: Mapping[int, datetime | None] = field(default_factory=dict)
    commits: Mapping[int, str] = field(default_factory=dict)
    held: tuple[Held, ...] = ()
    waiting: Waiting | None = None
    answers: tuple[Answer, ...] = ()

    def answer(self, command: str) -> Answer | None:
        """The newest answer to a command."""
        return next((a for a in self.answers if a.command == command), None)

    def has_answered(self, command: str, word: str | None) -> bool:
        """Whether the operator has answered this very word."""
        return any(a.command == command and a.word == word for a in self.answers)

    def waits(self, reason: Reason) -> bool:
        """Whether this is what it waits for."""
        return self.waiting is not None and self.waiting.reason == reason

    def holds(self, release: int | None) -> Held | None:
        """A release that failed here, by its number."""
        return next((h for h in self.held if h.release == release), None)

    @property
    def serving(self) -> tuple[int, ...]:
        """The releases that new visitors get, the greatest share first."""
        return tuple(sorted((n for n, w in self.weights.items() if w), key=lambda n: -self.weights[n]))

    @property
    def live(self) -> frozenset[int]:
        """The releases of which something runs."""
        mine = {n for n in (self.stable, self.candidate) if n is not None}
        return frozenset(mine | set(self.serving) | set(self.sessions) | set(self.warm))

    def percent(self, release: int) -> str:
        """The share of new visitors that a release gets."""
        return f"{self.weights.get(release, 0) * 100 / SCALE:g} %"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an app."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class App:
    """One app."""

    name: str
    namespace: str
    version: str = field(default="", compare=False)
    """resourceVersion. It says nothing that a person could see, so two views are equal without it."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    environments: tuple[Environment, ...] = ()
    conditions: tuple[Condition, ...] = ()
    image: str = ""
    commit: str = ""
    """What the code was when it was last read."""
    created: datetime | None = None
    deleting: bool = False

    def environment(self, name: str) -> Environment | None:
        """An environment by its name."""
        return next((e for e in self.environments if e.name == name), None)

    def condition(self, kind: str) -> Condition | None:
        """A condition by its type."""
        return next((c for c in self.conditions if c.type == kind), None)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a canary release: its share of new visitors, in per cent."""

    weight: int | None = None
    hold: str = ""
    pause: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """One replica of a release."""

    name: str
    ready: bool = False
    sessions: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a release, with what was measured and what was expected."""

    name: str
    verdict: str = ""
    measured: str = ""
    expected: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """The record of a release in one environment."""

    app: str
    environment: str
    number: int
    commit: str = ""
    phase: str = ""
    summary: str = ""
    next_step: str = ""
    preview_url: str = ""
    sessions: int | None = None
    steps: tuple[Step, ...] = ()
    hold: str = ""
    """For how long it can be looked at before the switch, as its plan says it."""
    slots: tuple[Slot, ...] = ()
    checks: tuple[Check, ...] = ()
