"""The judgement of `bench-sessions`: from what was seen to targets that hold or do not. Pure.

Who counts: every session that was opened on a release which was meant to be good, and every visit. A release that is
broken on purpose after its switch serves everybody for the seconds until it is taken back. Whoever comes in these
seconds gets what a broken release gives: their sessions show its errors, and where its process is gone they may get no
page at all. That cannot be otherwise, and is measured by `bench-rollback`. Those who were there before must not notice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.chronicle import Moment, answered_by_a_release_that_left
from bench.people import THINGS, Stay
from bench.plan import EMPTY_FOR, REASONS, Step
from bench.report import Target
from tests.harness.failures import Failure
from tests.harness.returning import Load

_WITHOUT_PAGES = frozenset({"crash", "listen"})
"""What breaks the page itself, and not only sessions."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One release, as its record has it once it is over."""

    app: str
    number: int
    version: str
    step: Step
    phases: frozenset[str]
    """How it may end."""
    phase: str
    reason: str = ""
    message: str = ""
    seconds: float = 0.0

    @property
    def as_planned(self) -> bool:
        """Whether it ended as it had to, for the right reason."""
        failed = self.phase in {"Failed", "RolledBack"}
        return self.phase in self.phases and (not failed or self.reason in REASONS[self.step.breaks])

    def __str__(self) -> str:
        """One line."""
        why = f" ({self.reason}: {self.message})" if self.reason and not self.as_planned else ""
        return f"{self.app} r{self.number} {self.version}, {self.step}: {self.phase}{why} after {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Broken:
    """A release that was broken on purpose while it served everybody, until visits went elsewhere again."""

    app: str
    release: int
    how: str
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class Visits:
    """What the visitors of one app saw who keep no session open: a prober, or a returning visitor."""

    app: str
    loads: Sequence[Load]
    failures: Sequence[Failure]
    late: int = 0
    """How many could not begin in time: the machine was too busy for a judgement."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was seen."""

    planned: int
    outcomes: Sequence[Outcome]
    stays: Sequence[Stay]
    visits: Sequence[Visits]
    moments: Mapping[str, Sequence[Moment]]
    broken: Sequence[Broken]
    violations: Sequence[object]
    gaps: Sequence[str]
    control: Mapping[str, int]
    """Per app: sessions that were dropped by a plain rolling update of it."""
    until_empty: float
    """Seconds from the last person's leaving until the last pod of an old release is gone."""
    done: Mapping[str, int]
    """How often people did each kind of thing, and it went well."""
    deaths: tuple[int, int]
    """Of the operator: planned, and seen."""
    cordons: tuple[int, int]
    """How often no node took new pods while a release began: planned, and seen."""

    def good_stays(self) -> list[Stay]:
        """The stays that must be without a fault."""
        bad = {(one.app, one.release) for one in self.broken}
        return [stay for stay in self.stays if (stay.app, stay.release) not in bad and not self._came_to_nobody(stay)]

    def failed_visits(self) -> list[Failure]:
        """The visits that failed and that no broken release explains."""
        return [
            failure
            for visits in self.visits
            for failure in visits.failures
            if not any(_explains(one, visits.app, failure.at) for one in self.broken)
        ]

    def on_releases_that_left(self) -> list[Load]:
        """All page loads, of everybody, that were answered by a release after it had left."""
        wrong: list[Load] = []
        for app, moments in self.moments.items():
            loads = [Load(one.began, one.loaded, one.release) for one in self.stays if one.app == app]
            loads += [load for visits in self.visits if visits.app == app for load in visits.loads]
            wrong += answered_by_a_release_that_left(moments, loads)
        return wrong

    def other_versions(self) -> list[Stay]:
        """Sessions that showed another version than that of the release whose page they are on."""
        versions = {(one.app, one.number): one.version for one in self.outcomes}
        return [
            stay
            for stay in self.stays
            if (known := versions.get((stay.app, stay.release or 0))) and not stay.versions <= {known}
        ]

    def _came_to_nobody(self, stay: Stay) -> bool:
        return stay.release is None and any(_explains(one, stay.app, stay.loaded) for one in self.broken)


_LAST_WAIT = 5.0
"""Seconds a front may try to reach an app that does not listen; a visit that began before the switch back ends so late."""


def _explains(broken: Broken, app: str, at: float) -> bool:
    mine = broken.app == app and broken.how in _WITHOUT_PAGES
    return mine and broken.at <= at <= broken.until + _LAST_WAIT


def judge(seen: Evidence) -> list[Target]:
    """All targets of the bench."""
    stays = seen.good_stays()
    dropped = [stay for stay in stays if stay.was_dropped]
    failed = [failure for stay in stays if not stay.was_dropped for failure in stay.failures]
    wrong = [one for one in seen.outcomes if not one.as_planned]
    return [
        Target.exactly("failed requests: new and returning visitors", 0, len(seen.failed_visits()), "visits"),
        Target.exactly("failed requests: people with an open session", 0, len(failed), "requests"),
        Target.exactly("dropped sessions", 0, len(dropped), "sessions"),
        Target.at_most(
            "versions seen by one open session", 1, max((len(s.versions) for s in seen.stays), default=0), ""
        ),
        Target.exactly(
            "sessions that saw another version than their page's", 0, len(seen.other_versions()), "sessions"
        ),
        Target.exactly("page loads on a release that left", 0, len(seen.on_releases_that_left()), "page loads"),
        Target.exactly("violations of the invariants, at any event", 0, len(seen.violations), ""),
        Target.exactly("times that the watcher was blind", 0, len(seen.gaps), ""),
        Target.at_least("releases made", seen.planned, len(seen.outcomes), "releases"),
        Target.exactly("releases that did not end as planned", 0, len(wrong), "releases"),
        Target.at_most("after the last has left: until old releases are gone", EMPTY_FOR + 30, seen.until_empty, "s"),
        # What did not happen cannot have gone wrong. (A very short run ends before everybody has done everything.)
        Target.at_least("sessions that worked", 1, len([stay for stay in stays if stay.versions]), "sessions"),
        Target.at_least("kinds of things that people did", len(THINGS), len(THINGS & {*seen.done}), ""),
        Target.at_least("deaths of the operator", seen.deaths[0], seen.deaths[1], "deaths"),
        Target.at_least("releases begun on cordoned nodes", seen.cordons[0], seen.cordons[1], "releases"),
        # Without this all zeros above would say nothing: a harness that is blind sees no drop either.
        *(
            Target.at_least(f"plain rolling update, {app}: dropped sessions", 1, seen.control.get(app, 0), "sessions")
            for app in seen.moments
        ),
        Target.exactly(
            "visits that began late (the machine was too busy to judge)",
            0,
            sum(visits.late for visits in seen.visits),
            "visits",
        ),
    ]
