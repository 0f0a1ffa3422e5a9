"""What the metrics of a release say: go on, take it back, or not enough to say. Pure.

Four verdicts, as everywhere: a metric passes only with enough samples, and the absence of data is never success. What the
fronts count since the step or bake began (five minutes at the most) is compared with the limit as it is. The last seconds
are looked at beside it, so that a release that begins to fail is noticed while its thousands of good answers still weigh;
a few answers are a small sample, and so they count only where chance can be ruled out.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dataapp_operator.api.analysis import COMPARISON, Metric
from dataapp_operator.api.base import seconds
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.front.settings import WITHIN
from dataapp_operator.plan.actions import AskPrometheus, Question
from dataapp_operator.plan.facts import Counts, FrontFacts
from dataapp_operator.plan.scene import Draft, Scene, since

RECENT = (3, 6, 12, 30)
"""Seconds that the quick looks go back."""
_SURE = 3.0
"""Standard errors by which a small sample must be bad: chance does that once in 700 looks."""
_MORE = 3
"""How many times the usual samples a percentile of a few seconds needs."""
USUAL = Metric(name="answers", front="errorRate", fail_when="> 0.5", min_samples=20, on_no_data="ignore")
"""What is measured of every release whose author does not measure the error rate otherwise."""
_QUANTILE = 0.95
_BEYOND = 2 * WITHIN[-1]
"""Seconds that an answer counts with which began after the last limit."""
_COMPARISON = re.compile(COMPARISON)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one metric says now. ``measured`` and ``expected`` are for the record."""

    metric: Metric
    verdict: Verdict
    measured: str
    samples: int

    @property
    def expected(self) -> str:
        """What the author expects."""
        return f"not {self.metric.fail_when}, in at least {self.metric.min_samples} samples"


def metrics(scene: Scene, number: int) -> tuple[Metric, ...]:
    """The metrics of a release: its author's, frozen with it, and the usual one."""
    spec = scene.spec(number)
    own: tuple[Metric, ...] = spec.plan.analysis if spec is not None else ()
    usual = () if any(m.front == USUAL.front or m.name == USUAL.name for m in own) else (USUAL,)
    return (*own, *usual)


def findings(scene: Scene, number: int) -> list[Finding]:
    """What each metric says of a release that has visitors."""
    return [_of_front(scene, number, m) if m.front else _of_query(scene, number, m) for m in metrics(scene, number)]


def bad(found: list[Finding]) -> Finding | None:
    """The first metric that says to take the release back."""
    return next((f for f in found if f.verdict is Verdict.FAIL and not f.metric.dry_run), None)


def undecided(found: list[Finding]) -> list[Finding]:
    """The metrics that the release has to wait for."""
    open_ = (Verdict.INCONCLUSIVE, Verdict.ERROR)
    return [f for f in found if f.verdict in open_ and not f.metric.dry_run and f.metric.on_no_data != "ignore"]


def ask(scene: Scene, draft: Draft, number: int) -> None:
    """Have Prometheus asked what the author wants to know."""
    asked = [m for m in metrics(scene, number) if m.prometheus is not None]
    address = scene.cls.prometheus.address if scene.cls is not None and scene.cls.prometheus is not None else None
    if not asked or address is None:
        return
    draft.background.append(
        AskPrometheus(
            environment=scene.env,
            number=number,
            address=address,
            since=since(scene.memory, scene.now),
            questions=tuple(
                Question(m.name, _filled(scene, number, m), max(1, seconds(m.interval)), m.fail_when) for m in asked
            ),
        )
    )


def fails(value: float, fail_when: str) -> bool:
    """Whether a number is bad. Raises ValueError for what is no comparison: the API lets none in."""
    match = _COMPARISON.match(fail_when)
    if match is None:
        raise ValueError(fail_when)
    sign, limit = match[1], float(fail_when[len(match[1]) :])
    return {">": value > limit, ">=": value >= limit, "<": value < limit, "<=": value <= limit}[sign]


def _filled(scene: Scene, number: int, metric: Metric) -> str:
    query = metric.prometheus.query if metric.prometheus is not None else ""
    values = {
        "namespace": scene.observed.namespace,
        "app": scene.app,
        "environment": scene.env,
        "release": str(number),
    }
    for name, value in values.items():  # names of Kubernetes: none can end a string of PromQL
        query = query.replace("{{" + name + "}}", value)
    return query


def _of_query(scene: Scene, number: int, metric: Metric) -> Finding:
    facts = scene.observed.queries.get((scene.env, number), {}).get(metric.name)
    if scene.cls is None or scene.cls.prometheus is None:
        return Finding(metric, Verdict.ERROR, "the EnvironmentClass names no Prometheus to ask", 0)
    if facts is None or facts.since < since(scene.memory, scene.now):
        return Finding(metric, Verdict.INCONCLUSIVE, "nothing was measured yet", 0)
    measured = _text(facts.value) if facts.value is not None else "no number yet"
    if facts.failing_in_row >= metric.failure_limit:
        return Finding(metric, Verdict.FAIL, measured, facts.samples)
    if facts.trouble:
        return Finding(metric, Verdict.ERROR, f"{measured}; the last time: {facts.trouble}", facts.samples)
    enough = facts.samples >= metric.min_samples and facts.failing_in_row == 0
    return Finding(metric, Verdict.PASS if enough else Verdict.INCONCLUSIVE, measured, facts.samples)


def _of_front(scene: Scene, number: int, metric: Metric) -> Finding:
    fronts = scene.fronts(number)
    began = since(scene.memory, scene.now)
    for back in RECENT:
        moment = max(began, scene.now - timedelta(seconds=back))
        counts = _sum(_between(f, moment) for f in fronts)
        samples, value = _value(metric, counts)
        if value is not None and _surely_bad(metric, samples, value):
            words = f"{_words(metric, samples, value)} in the last {back} s"
            return Finding(metric, Verdict.FAIL, words, samples)
    samples, value = _value(metric, _sum(_between(f, began) for f in fronts))
    verdict = Verdict.INCONCLUSIVE
    if samples >= metric.min_samples and value is not None:
        verdict = Verdict.FAIL if fails(value, metric.fail_when) else Verdict.PASS
    return Finding(metric, verdict, _words(metric, samples, value), samples)


def _surely_bad(metric: Metric, samples: int, value: float) -> bool:
    """Whether the answers of a few seconds are bad enough to rule out chance.

    Of a share, the lower end of Wilson's interval must be bad too (E. B. Wilson, JASA 22 (1927) 209); a percentile needs
    more samples.
    """
    if samples < metric.min_samples or not metric.fail_when.startswith(">"):
        return False
    if metric.front == "latencyP95":
        return samples >= _MORE * metric.min_samples and fails(value, metric.fail_when)
    z, n = _SURE, samples
    spread = z * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    return fails((value + z * z / (2 * n) - spread) / (1 + z * z / n), metric.fail_when)


def _between(front: FrontFacts, moment: datetime) -> Counts:
    """What a front has counted since a moment, as far as it was asked."""
    if not front.counted:
        return Counts()
    before = [counts for at, counts in front.counted if at <= moment]
    first, last = before[-1] if before else front.counted[0][1], front.counted[-1][1]
    if last.answers < first.answers or last.timed < first.timed:
        return last  # it began anew
    within = tuple(new - old for new, old in zip(last.within, first.within, strict=False))
    return Counts(last.answers - first.answers, last.errors - first.errors, last.timed - first.timed, within)


def _sum(parts: Iterator[Counts]) -> Counts:
    total = Counts(within=(0,) * len(WITHIN))
    for part in parts:
        within = tuple(a + b for a, b in zip(total.within, part.within or total.within, strict=False))
        total = Counts(
            total.answers + part.answers,
            total.errors + part.errors,
            total.timed + part.timed,
            within if part.within else total.within,
        )
    return total


def _value(metric: Metric, counts: Counts) -> tuple[int, float | None]:
    """(samples, number) of a front's metric; without a sample there is no number."""
    if metric.front == "errorRate":
        return counts.answers, counts.errors / counts.answers if counts.answers else None
    return counts.timed, _p95(counts) if counts.timed else None


def _p95(counts: Counts) -> float:
    """Within how many seconds 95 of 100 answers began: straight lines between the limits, as Prometheus does."""
    rank, below, start = _QUANTILE * counts.timed, 0, 0.0
    for limit, upto in zip(WITHIN, counts.within, strict=True):
        if upto >= rank:
            inside = upto - below
            return start + (limit - start) * ((rank - below) / inside if inside else 1.0)
        below, start = upto, limit
    return _BEYOND


def _words(metric: Metric, samples: int, value: float | None) -> str:
    if value is None:
        return "no answer yet"
    if metric.front == "errorRate":
        return f"{value * 100:.3g} % of {samples} answers failed"
    limit = f"over {WITHIN[-1]:g} s" if value >= _BEYOND else f"{value:.3g} s"
    return f"95 of 100 answers began within {limit} ({samples} answers)"


def _text(value: float) -> str:
    return f"{value:.6g}"
