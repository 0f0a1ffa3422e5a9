"""The judgement of bench-rollback: times from the break to the last new visit, and nothing that may be forgotten."""

from dataclasses import replace

import pytest

from bench.chronicle import Moment
from bench.report import Target
from bench.taken_back import TakenBack, decided, details, judge, visits_on
from tests.harness.prober import Report, Seen

ONE = TakenBack("sales", 2, "session", 100.0, 102.0, 95.0, 103.0, "RolledBack", "SessionFailed", "no column")
ALL = [
    ONE,
    replace(ONE, how="crash", reason="Crashed"),
    replace(ONE, how="listen", reason="NotReady"),
    replace(ONE, how="errors", reason="MetricFailed"),
    replace(ONE, how="slow", reason="MetricFailed"),
]


def report(*visits: tuple[float, int | None], lost: tuple[float, ...] = ()) -> Report:
    made = Report(seen=[Seen(at, release) for at, release in visits])
    for at in lost:
        made.failures.record("visit", "no answer (TimeoutError)")
        made.failures.seen[-1] = replace(made.failures.seen[-1], at=at)
    return made


def judged(
    rollbacks: list[TakenBack], *, wanted: int = 1, dropped: int = 0, failed: int = 0, late: int = 0
) -> list[Target]:
    return [t for t in judge(rollbacks, wanted=wanted, dropped=dropped, failed=failed, late=late) if not t.holds]


def test_a_clean_run_passes() -> None:
    assert judged(ALL) == []
    assert details(ALL)[0]["secondsToSafety"] == 3.0
    assert details(ALL)[0]["secondsBack"] == 1.0


def test_one_slow_rollback_of_many_breaks_the_highest_percentile_only() -> None:
    slow = replace(ONE, last_visit=107.0, decided=106.0)
    assert [target.what[-3:] for target in judged([*ALL * 8, slow])] == ["p99"]


def test_a_slow_way_back_is_told_from_a_slow_decision() -> None:
    assert [target.what for target in judged([*ALL, replace(ONE, decided=100.5)])] == [
        "decision -> last new visit on it, p99"
    ]


@pytest.mark.parametrize(
    "change",
    [{"phase": "Released"}, {"reason": "NotReady"}, {"first_visit": None}, {"first_visit": 101.0}, {"decided": None}],
)
def test_what_was_not_taken_back_or_not_seen_fails(change: dict[str, object]) -> None:
    assert judged([*ALL, replace(ONE, **change)])


def test_people_who_were_there_before_and_a_busy_machine_count() -> None:
    assert judged(ALL, dropped=1)
    assert judged(ALL, failed=1)
    assert judged(ALL, late=1)


def test_a_signal_that_was_not_measured_is_not_met() -> None:
    assert len(judged(ALL[:4])) == 3
    assert judged(ALL, wanted=2)
    assert judged([])


def test_a_visit_without_an_answer_counts_as_one_on_the_broken_release() -> None:
    seen = report((90.0, 1), (95.0, 2), (101.0, 2), (102.0, None), (103.0, 1))
    assert visits_on(seen, 2, broken=100.0) == (95.0, 102.0)
    assert visits_on(report((95.0, 2), (103.0, 1), lost=(99.0, 102.5)), 2, broken=100.0) == (95.0, 102.5)
    assert visits_on(report((95.0, 1)), 2, broken=100.0) == (None, None)


def test_the_decision_is_the_first_one_after_the_break() -> None:
    moments = [
        Moment(90.0, frozenset({1})),
        Moment(92.0, frozenset({1}), 2),
        Moment(93.0, frozenset({2})),
        Moment(102.0, frozenset({2}), 1),
        Moment(103.0, frozenset({1})),
    ]
    assert decided(moments, 1, after=100.0) == 102.0
    assert decided(moments[:3], 1, after=100.0) is None
