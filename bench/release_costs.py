"""What many releases at once have cost, and the judgement of it. Pure.

Calls are the operator's own, as the API server's audit log has them, about the apps' namespace: its Lease, its watches and
its listings are not among them. All calls count that a release causes: its writes, the events that tell of it, and the
removal of the release before.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.fleet import RELEASED, SETTLED, STAGES, percentiles, reached
from bench.report import Target
from dataapp_operator.api.apprelease import Workload
from tests.harness.audit import Call, by_kind

SECONDS, CALLS = 18.0, 12.0
"""Of 200 releases at once: half of the time that Argo Rollouts takes for it, and fewer calls (13.8) than it needs."""

_NOTICED = 0.1
"""The share of the machine's work that may be somebody else's without a word."""


@dataclass(frozen=True)
class Costs:
    """One run. Times are seconds; those of apps, since the first of them was changed."""

    workload: Workload
    apps: int
    replicas: int
    bake: str
    latency: float
    marks: Mapping[str, Mapping[str, float]]
    """App -> stage -> when it was first seen there."""
    applied: float
    """When the last of the apps had been changed."""
    until_released: Sequence[Call]
    until_settled: Sequence[Call]
    passes: Mapping[str, float] = field(default_factory=dict)
    """How often an app was looked at, by how that ended."""
    callers: Mapping[str, int] = field(default_factory=dict)
    """All calls to the API server until everything was released, by user."""
    cpu: Mapping[str, float] = field(default_factory=dict)
    """Processor seconds until everything was released, by program."""
    busy: float = 0.0
    """Processor seconds of the whole machine in that time."""
    peak_mib: float = 0.0
    floor: float = 0.0
    """Until as many new Deployments of as many replicas were available."""

    def at(self, stage: str) -> list[float]:
        """When each app that came to a stage did so."""
        return [at for marks in self.marks.values() if (at := reached(dict(marks), stage)) is not None]

    @property
    def others(self) -> float:
        """Processor seconds that somebody else took meanwhile."""
        return max(0.0, self.busy - sum(self.cpu.values()))

    @property
    def seconds(self) -> float:
        """Until the last app was released; infinite if one never was."""
        times = self.at(RELEASED)
        return max(times) if len(times) == self.apps else float("inf")


def judge(costs: Costs) -> list[Target]:
    """All targets."""
    calls = len(costs.until_settled) / costs.apps
    of = called(costs)
    left = costs.apps - len(costs.at(SETTLED))
    return [
        Target.at_most(f"{of}: {costs.apps} releases at once, all Released", SECONDS, round(costs.seconds, 1), "s"),
        Target.at_most(f"{of}: API calls a release, until the former one is gone", CALLS, round(calls, 1), "calls"),
        Target.exactly(f"{of}: not released, or the former one not removed", 0, left, "apps"),
    ]


def called(costs: Costs) -> str:
    """What a release is made of, in words."""
    return f"a Deployment of {costs.replicas}" if costs.workload == "deployment" else f"{costs.replicas} slots"


def details(costs: Costs) -> dict[str, Any]:
    """What a reader of the file may ask next."""
    each = by_kind(costs.until_settled)
    return {
        "workload": costs.workload,
        "apps": costs.apps,
        "replicas": costs.replicas,
        "bake": costs.bake,
        "standIns": "sessions, session counters and looks through the gateway are answered by stand-ins,"
        f" checks and looks after {costs.latency:g} s",
        "floorSeconds": round(costs.floor, 1),
        "timesTheFloor": round(costs.seconds / costs.floor, 2) if costs.floor and costs.seconds < float("inf") else None,
        "secondsUntilAllWereApplied": round(costs.applied, 1),
        "secondsUntil": {stage: _rounded(percentiles(costs.at(stage))) for stage in STAGES},
        "callsARelease": round(len(costs.until_settled) / costs.apps, 2),
        "callsAReleaseUntilReleased": round(len(costs.until_released) / costs.apps, 2),
        "callsAReleaseByKind": {
            f"{verb} {kind}": round(n / costs.apps, 2) for (verb, kind), n in each.most_common() if n * 100 >= costs.apps
        },
        "callsRefused": _refused(costs.until_settled),
        "passesARelease": {word: round(n / costs.apps, 2) for word, n in costs.passes.items()},
        "callsOfAll": dict(costs.callers),
        "cpuSeconds": dict(costs.cpu),
        "cpuSecondsOfOthers": round(costs.others, 1),
        "operatorPeakMiB": costs.peak_mib,
    }  # fmt: skip


def words(costs: Costs) -> list[str]:
    """What a person wants to see of it at once."""
    each = by_kind(costs.until_settled).most_common()
    calls = ", ".join(f"{number / costs.apps:.1f} {verb} {kind}" for (verb, kind), number in each)
    until = ", ".join(f"{stage} {max(costs.at(stage), default=float('inf')):.1f} s" for stage in STAGES)
    used = ", ".join(f"{program} {seconds:.1f} s" for program, seconds in costs.cpu.items())
    return [
        f"{called(costs)}: the last app came to: {until}",
        f"calls a release: {calls}",
        f"processor time until all were released: {used}; the operator's memory: {costs.peak_mib:g} MiB at most",
        *_not_alone(costs),
    ]


def _not_alone(costs: Costs) -> list[str]:
    """A warning, in case."""
    if costs.others <= _NOTICED * costs.busy:
        return []
    return [
        f"not alone on the machine: others took {costs.others:.0f} of {costs.busy:.0f} s of processor time meanwhile"
    ]


def _refused(calls: Sequence[Call]) -> dict[str, int]:
    """Calls that were answered with an error, by what they were and the answer."""
    counted = Counter(f"{call.verb} {call.kind} {call.code}" for call in calls if call.code >= 400)  # noqa: PLR2004
    return dict(counted.most_common())


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}
