"""Slow work in virtual time: one of each at once, news wakes the app, and nothing that breaks off is lost silently."""

import asyncio
import logging

import pytest

from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.control.background import Workbench
from dataapp_operator.plan.actions import AskFronts, ObserveGateway, ReadCode, ReadLog, StartCheck, Target
from dataapp_operator.plan.facts import CheckFacts, CodeFacts, FrontFacts, LogFacts, Origin, ViewFacts
from tests.unit.control_rig import APP, Deaf

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

KEY = ("sandbox", 1)
TARGET = Target(slot="s0", pod="p0", ip="10.0.0.1")
LOOK = ObserveGateway(environment="sandbox", number=1, plan=1, host="h", address="a:1")
LOG = ReadLog(environment="sandbox", number=1, pods=("p0",))
ASK = AskFronts(environment="sandbox", targets=(TARGET,))


def check(attempt: int) -> StartCheck:
    return StartCheck(
        environment="sandbox", number=1, attempt=attempt, framework="streamlit", host="h", targets=(TARGET,)
    )


class Senses(Deaf):
    """Each answers after a second, and counts how often it was asked and how many were at it at once."""

    def __init__(self) -> None:
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0
        self.verdict: Verdict | Exception = Verdict.PASS
        self.live = 0

    async def _take(self) -> None:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(1)
        finally:
            self.at_once -= 1
        if isinstance(self.verdict, Exception):
            raise self.verdict

    async def check(self, app, work):
        await self._take()
        return CheckFacts(verdict=self.verdict)

    async def look(self, work):
        await self._take()
        return ViewFacts(plan=work.plan, release=work.number, seen=True)

    async def read_log(self, app, work):
        await self._take()
        return LogFacts(cause="it is broken")

    async def ask(self, target):
        self.asked += 1
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return FrontFacts(live=self.live, quiet_for=0.0)


class Bench:
    def __init__(self) -> None:
        self.senses = Senses()
        self.woken: list[tuple[str, str]] = []
        self.workbench = Workbench(self.senses, wake=self.woken.append)

    async def check(self, attempt: int, verdict: Verdict | Exception) -> CheckFacts:
        self.senses.verdict = verdict
        self.workbench.start(APP, [check(attempt)])
        await asyncio.sleep(2)
        return self.workbench.facts(APP).checks[KEY]


@pytest.mark.parametrize("work", [check(1), LOOK, LOG], ids=lambda work: type(work).__name__)
async def test_the_same_work_runs_once_at_a_time_and_wakes_the_app(work) -> None:
    bench = Bench()
    for _ in range(5):
        bench.workbench.start(APP, [work])
        await asyncio.sleep(0.1)
    assert bench.senses.asked == bench.senses.most_at_once == 1
    assert bench.woken == []
    await asyncio.sleep(1)
    assert bench.woken == [APP]


async def test_a_check_is_told_as_running_then_with_its_verdict_and_attempt() -> None:
    bench = Bench()
    bench.workbench.start(APP, [check(1)])
    assert bench.workbench.facts(APP).checks[KEY].running
    await asyncio.sleep(2)
    facts = bench.workbench.facts(APP).checks[KEY]
    assert (facts.running, facts.verdict, facts.attempt) == (False, Verdict.PASS, 1)
    assert facts.finished_at is not None
    bench.workbench.start(APP, [check(1)])
    await asyncio.sleep(2)
    assert bench.senses.asked == 1, "an attempt that was made is not made again"


async def test_only_a_session_that_works_ends_a_row_of_failures(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    rows = []
    with caplog.at_level(logging.CRITICAL):
        for attempt, verdict in enumerate(
            [Verdict.FAIL, Verdict.INCONCLUSIVE, ValueError("bug"), Verdict.FAIL, Verdict.PASS, Verdict.FAIL], start=1
        ):
            rows.append((await bench.check(attempt, verdict)).failed_in_row)
    assert rows == [1, 1, 1, 2, 0, 1]


async def test_a_check_that_breaks_off_is_an_error_and_no_verdict_on_the_app(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        facts = await Bench().check(1, RuntimeError("boom"))
    assert (facts.verdict, facts.running) == (Verdict.ERROR, False)
    assert "boom" not in facts.message


async def test_a_look_that_breaks_off_says_so_and_does_not_spin(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.senses.verdict = RuntimeError("boom")
    with caplog.at_level(logging.CRITICAL):
        for _ in range(100):
            bench.workbench.start(APP, [LOOK])
            await asyncio.sleep(0.1)
    view = bench.workbench.facts(APP).views["sandbox"]
    assert not view.seen
    assert "broke off" in view.words
    assert bench.senses.asked <= 4


async def test_a_log_that_cannot_be_read_is_an_empty_one(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.senses.verdict = RuntimeError("boom")
    with caplog.at_level(logging.CRITICAL):
        bench.workbench.start(APP, [LOG])
        assert bench.workbench.facts(APP).logs[KEY].running
        await asyncio.sleep(2)
    assert bench.workbench.facts(APP).logs[KEY] == LogFacts()


async def test_fronts_are_asked_again_and_again_while_wanted() -> None:
    bench = Bench()
    bench.workbench.start(APP, [ASK])
    await asyncio.sleep(1)
    assert bench.workbench.facts(APP).fronts["p0"].live == 0
    assert bench.woken == [APP]
    bench.senses.live = 3
    await asyncio.sleep(2)
    assert bench.workbench.facts(APP).fronts["p0"].live == 3
    assert len(bench.woken) == 2, "woken by a change"
    await asyncio.sleep(11)
    assert len(bench.woken) == 3, "and now and then, since time itself may have made it empty for long enough"
    bench.workbench.start(APP, [])
    await asyncio.sleep(3)
    asked = bench.senses.asked
    await asyncio.sleep(60)
    assert bench.senses.asked == asked
    assert bench.workbench.facts(APP).fronts == {}


async def test_a_front_that_cannot_be_asked_is_unknown_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.senses.verdict = RuntimeError("boom")
    with caplog.at_level(logging.CRITICAL):
        bench.workbench.start(APP, [ASK])
        await asyncio.sleep(5)
    assert bench.workbench.facts(APP).fronts["p0"].live is None
    assert bench.senses.asked == 3
    await bench.workbench.close()


@pytest.mark.parametrize(
    ("interval", "looks"),
    [
        (5.0, [0, 5, 10, 15, 20]),
        (60.0, [0, 10, 30, 70, 130]),
        (600.0, [0, 10, 30, 70, 130]),
        (None, [0, 10, 30, 70, 130]),
    ],
)
async def test_code_that_cannot_be_read_is_read_again_and_never_later_than_code_that_can(
    interval: float | None, looks: list[float]
) -> None:
    bench, began = Bench(), asyncio.get_running_loop().time()
    at: list[float] = []

    async def read_code(_app: object, work: ReadCode, _known: object) -> CodeFacts:
        at.append(asyncio.get_running_loop().time() - began)
        return CodeFacts(key=work.key, trouble=(Reason.AUTHENTICATION_FAILED, "a wrong password"))

    bench.senses.read_code = read_code
    origin = Origin(url="https://git.example.org/a/b.git", path=".")
    work = ReadCode("k", origin, framework=None, entrypoint=None, dockerfile=None, include=(), interval=interval)
    bench.workbench.start(APP, [work])
    await asyncio.sleep(looks[-1] + 1)
    assert [round(seconds) for seconds in at] == looks
    await bench.workbench.close()


async def test_what_is_known_of_releases_nobody_asks_for_is_dropped() -> None:
    bench = Bench()
    await bench.check(1, Verdict.PASS)
    bench.workbench.forget(APP, {KEY})
    assert KEY in bench.workbench.facts(APP).checks
    bench.workbench.forget(APP, {("sandbox", 2)})
    assert bench.workbench.facts(APP).checks == {}


async def test_dropping_an_app_ends_its_work_and_wakes_nobody() -> None:
    bench = Bench()
    bench.workbench.start(APP, [check(1), LOOK, ASK])
    await asyncio.sleep(0.5)
    bench.woken.clear()
    bench.workbench.drop(APP)
    await asyncio.sleep(5)
    assert (bench.woken, bench.senses.at_once) == ([], 0)
    assert bench.workbench.facts(APP).checks == {}
    bench.workbench.drop(("team", "never"))


async def test_another_object_of_the_same_name_is_another_app() -> None:
    bench = Bench()
    bench.workbench.facts(APP, uid="old")
    bench.workbench.start(APP, [check(1)])
    assert bench.workbench.facts(APP, uid="old").checks
    assert bench.workbench.facts(APP, uid="new").checks == {}
    await asyncio.sleep(5)
    assert bench.workbench.facts(APP).checks == {}, "what comes back late is not told of the new one"


async def test_closing_waits_until_everything_has_ended() -> None:
    bench = Bench()
    bench.workbench.start(APP, [check(1), LOOK, LOG, ASK])
    await asyncio.sleep(0.5)
    await bench.workbench.close()
    assert bench.senses.at_once == 0
