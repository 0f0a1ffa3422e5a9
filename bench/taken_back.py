"""What `bench-rollback` measures of one rollback, and the judgement of all of them. Pure.

The clock starts when the break was written into the app's container. The first failing answer comes at that moment or
later, so the times are upper bounds. It stops when the last new visit began that the broken release got, or nobody:
a visit without a proper answer counts as one on the broken release.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.chronicle import Moment
from bench.plan import REASONS
from bench.report import Target, percentile
from tests.harness.prober import Report

SIGNALS = {
    "session": "session failure",
    "listen": "readiness",
    "crash": "crash",
    "errors": "error rate",
    "slow": "latency",
}
"""What is written into /tmp/break, and what it is a signal of."""
FIRST_ANSWER = {"slow": 2.0}
"""Seconds after the break until the first bad answer can come, where that is not at once: pages that take so long."""
SAFE_WITHIN, BACK_WITHIN = 5.0, 2.0


@dataclass(frozen=True, slots=True)
class TakenBack:
    """One release that broke while it baked. Times are seconds since the epoch."""

    app: str
    number: int
    how: str
    broken: float
    decided: float | None
    """When the status first said that visits go back; None if it never did."""
    first_visit: float | None
    last_visit: float | None
    """New visits on it, the failed ones included; None if the prober never saw it."""
    phase: str
    reason: str
    message: str
    begins: float = 0.0
    """Seconds after the break until the first bad answer can have come."""

    @property
    def to_safety(self) -> float:
        """From the first bad answer to the last new visit on it."""
        return max(0.0, (self.last_visit or self.broken) - self.broken - self.begins)

    @property
    def back(self) -> float:
        """From the decision to the last new visit on it."""
        return max(0.0, (self.last_visit or 0.0) - self.decided) if self.decided else float("inf")

    @property
    def was_seen(self) -> bool:
        """Whether new visitors were on it before it broke: else there was nothing to measure."""
        return self.first_visit is not None and self.first_visit < self.broken

    @property
    def as_planned(self) -> bool:
        """Whether the record says that it was taken back, and the right reason."""
        return self.phase == "RolledBack" and self.reason in REASONS[self.how]

    def __str__(self) -> str:
        """One line."""
        words = f"{self.app} r{self.number}, {self.how}: {self.phase} ({self.reason}: {self.message})"
        return f"{words}; last new visit on it {self.to_safety:.2f} s after it failed, {self.back:.2f} s after the decision"


def visits_on(report: Report, number: int, *, broken: float) -> tuple[float | None, float | None]:
    """The first and the last new visit on a release; after the break those count too that got no proper answer."""
    named = [seen.at for seen in report.seen if seen.release == number]
    lost = [seen.at for seen in report.seen if seen.release is None and seen.at >= broken]
    lost += [
        failure.at for failure in report.failures.seen if failure.at >= broken and failure.words.startswith("no answer")
    ]
    return min(named, default=None), max([*named, *lost], default=None)


def decided(moments: Sequence[Moment], stable: int, *, after: float) -> float | None:
    """When the status first said that visits go back to the stable release."""
    return next((moment.at for moment in moments if moment.at >= after and moment.intent == stable), None)


def judge(rollbacks: Sequence[TakenBack], *, wanted: int, dropped: int, failed: int, late: int) -> list[Target]:
    """All targets. `dropped`, `failed`: sessions and requests of the people who were on the old version."""
    targets = []
    for how, name in SIGNALS.items():
        times = [one.to_safety for one in rollbacks if one.how == how]
        targets.append(Target.at_least(f"{name}: rollbacks measured", wanted, len(times), "rollbacks"))
        for share in (0.5, 0.99):
            at = percentile(times, share) if times else float("inf")
            what = f"{name}: first failing answer -> last new visit on it, p{share * 100:.0f}"
            targets.append(Target.at_most(what, SAFE_WITHIN, round(at, 2), "s"))
    backs = [one.back for one in rollbacks] or [float("inf")]
    return [
        *targets,
        Target.at_most("decision -> last new visit on it, p50", BACK_WITHIN, round(percentile(backs, 0.5), 2), "s"),
        Target.at_most("decision -> last new visit on it, p99", BACK_WITHIN, round(percentile(backs, 0.99), 2), "s"),
        Target.exactly(
            "not taken back, or for a wrong reason", 0, sum(not one.as_planned for one in rollbacks), "releases"
        ),
        Target.exactly(
            "broken before anybody new was on it", 0, sum(not one.was_seen for one in rollbacks), "releases"
        ),
        Target.exactly("people on the old version: dropped sessions", 0, dropped, "sessions"),
        Target.exactly("people on the old version: failed requests", 0, failed, "requests"),
        Target.exactly("visits that began late (the machine was too busy to judge)", 0, late, "visits"),
    ]


def details(rollbacks: Sequence[TakenBack]) -> list[dict[str, Any]]:
    """One row each, for the file."""
    return [
        {
            "app": one.app,
            "signal": SIGNALS[one.how],
            "release": one.number,
            "secondsToSafety": round(one.to_safety, 3),
            "secondsUntilDecided": round(one.decided - one.broken, 3) if one.decided else None,
            "secondsBack": round(one.back, 3) if one.decided else None,
            "end": f"{one.phase} ({one.reason}: {one.message})",
        }
        for one in rollbacks
    ]
