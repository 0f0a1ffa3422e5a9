"""The judgement of bench-sessions: a clean run passes, and every single thing that may go wrong makes it fail."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.chronicle import Moment
from bench.judge import Broken, Evidence, Outcome, Visits, judge
from bench.people import THINGS, Stay
from bench.plan import EMPTY_FOR, GOOD, Step
from tests.harness.failures import Failure
from tests.harness.returning import Load

APP = "sales"
DROP = Failure(50.0, "dropped session", "the websocket was closed (code 1006)")
ASSET = Failure(50.0, "asset of the app", "502")
BREAKS = Step(breaks="crash")


def outcome(number: int, step: Step = GOOD, phase: str = "Released", reason: str = "") -> Outcome:
    return Outcome(APP, number, f"v{number}", step, frozenset({step.end}), phase, reason)


def stay(release: int | None = 1, *failures: Failure, versions: str = "v1", began: float = 20.0) -> Stay:
    return Stay(APP, began, began + 1, release, frozenset(versions.split()), failures)


def visits(*loads: Load, failures: tuple[Failure, ...] = (), late: int = 0) -> Visits:
    return Visits(APP, loads, failures, late)


# r1 from 10; r2 from 30, broken at 33 and taken back at 36.
CLEAN = Evidence(
    planned=2,
    outcomes=[outcome(1), outcome(2, BREAKS, "RolledBack", "Crashed")],
    stays=[stay(), stay(2, DROP, versions="v2", began=31.0)],
    visits=[visits(Load(15, 15.1, 1), Load(30.5, 30.6, 2), Load(31, 31.1, 2), Load(40, 40.1, 1))],
    moments={
        APP: [
            Moment(10, frozenset({1})),
            Moment(29, frozenset({1}), 2),
            Moment(30, frozenset({2})),
            Moment(35, frozenset({2}), 1),
            Moment(36, frozenset({1})),
        ]
    },
    broken=[Broken(APP, 2, "crash", 33.0, 36.0)],
    violations=[],
    gaps=[],
    control={APP: 1},
    until_empty=12.0,
    done=dict.fromkeys(THINGS, 1),
    deaths=(1, 1),
    cordons=(1, 1),
)


def broken_targets(seen: Evidence) -> list[str]:
    return [target.what for target in judge(seen) if not target.holds]


def test_a_clean_run_passes_although_a_broken_release_dropped_those_who_came_to_it() -> None:
    assert broken_targets(CLEAN) == []


FAULTS: dict[str, Callable[[Evidence], Evidence]] = {
    "dropped sessions": lambda seen: replace(seen, stays=[*seen.stays, stay(1, DROP)]),
    "failed requests: people with an open session": lambda seen: replace(seen, stays=[*seen.stays, stay(1, ASSET)]),
    "failed requests: new and returning visitors": lambda seen: replace(
        seen, visits=[*seen.visits, visits(failures=(Failure(20.0, "visit", "status 503"),))]
    ),
    "page loads on a release that left": lambda seen: replace(seen, visits=[visits(Load(31, 31.1, 1))]),
    "violations of the invariants, at any event": lambda seen: replace(seen, violations=["one"]),
    "times that the watcher was blind": lambda seen: replace(seen, gaps=["one"]),
    "releases made": lambda seen: replace(seen, planned=3),
    "releases that did not end as planned": lambda seen: replace(
        seen, outcomes=[outcome(1), outcome(2, BREAKS, "Released")]
    ),
    "after the last has left: until old releases are gone": lambda seen: replace(seen, until_empty=EMPTY_FOR + 31),
    "kinds of things that people did": lambda seen: replace(seen, done={"inputs": 5}),
    "deaths of the operator": lambda seen: replace(seen, deaths=(2, 1)),
    "releases begun on cordoned nodes": lambda seen: replace(seen, cordons=(1, 0)),
    "plain rolling update, sales: dropped sessions": lambda seen: replace(seen, control={}),
    "visits that began late (the machine was too busy to judge)": lambda seen: replace(
        seen, visits=[*seen.visits, visits(late=1)]
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_each_fault_breaks_its_own_target_and_no_other(what: str) -> None:
    assert broken_targets(FAULTS[what](CLEAN)) == [what]


def test_two_versions_in_one_session_are_seen() -> None:
    mixed = replace(CLEAN, stays=[*CLEAN.stays, stay(1, versions="v1 v2")])
    assert "versions seen by one open session" in broken_targets(mixed)


def test_a_page_of_one_release_with_the_session_of_another_is_seen() -> None:
    crossed = replace(CLEAN, stays=[*CLEAN.stays, stay(1, versions="v2")])
    assert broken_targets(crossed) == ["sessions that saw another version than their page's"]


def test_nobody_there_is_no_success() -> None:
    assert "sessions that worked" in broken_targets(replace(CLEAN, stays=[]))


@pytest.mark.parametrize(("phase", "reason"), [("Failed", "Crashed"), ("RolledBack", "SessionFailed"), ("missing", "")])
def test_the_right_end_for_the_wrong_reason_is_not_as_planned(phase: str, reason: str) -> None:
    assert not outcome(2, BREAKS, phase, reason).as_planned


def test_nobody_who_was_there_before_may_notice_a_broken_release() -> None:
    dropped_while_broken = replace(CLEAN, stays=[*CLEAN.stays, stay(1, replace(DROP, at=34.0))])
    assert broken_targets(dropped_while_broken) == ["dropped sessions"]


@pytest.mark.parametrize(("at", "counts"), [(32.0, True), (34.0, False), (60.0, True)])
def test_a_failed_visit_is_explained_only_while_a_broken_release_serves_everybody(at: float, *, counts: bool) -> None:
    failed = replace(CLEAN, visits=[visits(failures=(Failure(at, "visit", "status 503"),))])
    lost = replace(CLEAN, stays=[stay(), stay(None, Failure(at, "page load", "503"), began=at - 1)])
    assert bool(broken_targets(failed)) == counts
    assert bool(broken_targets(lost)) == counts


def test_a_session_that_fails_is_no_reason_for_a_page_that_fails() -> None:
    only_sessions = replace(CLEAN.broken[0], how="session")
    failed = replace(CLEAN, broken=[only_sessions], visits=[visits(failures=(Failure(34.0, "visit", "status 503"),))])
    assert broken_targets(failed) == ["failed requests: new and returning visitors"]


@pytest.mark.parametrize(
    ("load", "wrong"),
    [
        (Load(5, 5.1, 1), False),  # before anything is known
        (Load(29.5, 29.6, 1), False),  # the switch is under way: either may answer
        (Load(29.5, 29.6, 2), False),
        (Load(28.9, 29.1, 2), False),  # the switch was decided while the page was on its way
        (Load(30.1, 30.2, 1), True),
        (Load(34.9, 36.2, 1), False),
        (Load(37, 37.1, 2), True),
    ],
)
def test_who_may_answer_a_page_load(load: Load, *, wrong: bool) -> None:
    seen = replace(CLEAN, visits=[visits(load)])
    assert bool(seen.on_releases_that_left()) == wrong
