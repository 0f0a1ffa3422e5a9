"""The fourth commit: it passes every check and fails after the switch, for both teams at once.

The new version asks a price service in every session; the old one does not. Somebody works in the old version the whole
time. The new one comes, serves whoever comes, and then the price service stops. How long new visitors still get the bad
version is measured from outside: twenty visits a second, each with the release that answered it.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from lab.demo import prices
from lab.demo.stage import Stage, until
from lab.demo.teams import Team
from lab.demo.visitors import tab_of, undisturbed, working_on
from tests.harness.cluster import condition, environment
from tests.harness.prober import Prober
from tests.harness.sessions import LiveSession
from tests.harness.visitor import Visitor

_GOOD, _BAD = 2, 4
_RATE = 20  # visits a second
_LONGEST = 60  # s until a bad release must have been taken back
_TOLD = (
    "Status:", "Checks:", "Measured:", "Verdict:", "Log:", 'File "/app/', "Message:", "Next Step:", "Phase:", "Reason:",
    "Timeline:", "At:", "Users Affected:",
)  # fmt: skip


@dataclass(frozen=True)
class _People:
    """Who is there, of one team: somebody on the old version, somebody on the new one, and a stream of new visitors."""

    team: Team
    worker: Visitor
    newcomer: LiveSession
    stream: Prober


def taken_back(stage: Stage, both: tuple[Team, ...]) -> None:
    """Released, bad, and taken back; and what the records say of it."""
    stage.title("commit 4: it passes its checks, and fails after the switch")
    prices.start(stage)
    stage.say(f"a price service answers at {prices.ADDRESS}; the new version of both apps asks it in every session")
    try:
        asyncio.run(_story(stage, both))
    finally:
        prices.remove(stage)
    name = f"{both[0].app}-sandbox-{_BAD}"
    stage.show("get", "dataapps")
    stage.show("get", "appreleases", only=lambda line: line.startswith("NAME") or f"-{_BAD} " in line)
    stage.show("describe", "apprelease", name, only=lambda line: line.strip().startswith(_TOLD))


async def _story(stage: Stage, both: tuple[Team, ...]) -> None:
    async with AsyncExitStack() as doors:
        workers = [await doors.enter_async_context(working_on(team)) for team in both]
        stage.say(f"somebody works in v2 of {' and '.join(team.app for team in both)}: a number every second")
        for team in both:
            await asyncio.to_thread(_push, stage, team)
        newcomers = await asyncio.gather(*(_arrives(stage, team, doors) for team in both))
        streams = [await doors.enter_async_context(_stream(team)) for team in both]
        crowd = [_People(*each) for each in zip(both, workers, newcomers, streams, strict=True)]
        for people in crowd:
            await _only(people, _BAD)
        stopped = time.time()
        await asyncio.to_thread(prices.stop, stage)
        stage.say("the price service is stopped: kubectl scale deployment/prices --replicas=0")
        await asyncio.gather(*(_goes_back(stage, people, stopped) for people in crowd))


def _push(stage: Stage, team: Team) -> None:
    commit = team.push(team.fourth(), "the price of today")
    team.look_now(stage)
    stage.synced(team.app, commit)
    stage.say(f"{team.name}: git push of {commit[:7]}")


async def _arrives(stage: Stage, team: Team, doors: AsyncExitStack) -> LiveSession:
    """The new version bakes, and somebody new opens it."""
    app = await asyncio.to_thread(stage.released, team.app, _BAD)
    record = await asyncio.to_thread(stage.record, team.app, _BAD, "Baking")
    check = record["status"]["checks"][0]
    stage.expect(check["verdict"] == "pass", f"{team.app}: r{_BAD} passed its check: {check['measured']!r}")
    tab = await doors.enter_async_context(tab_of(team))
    answer = await tab.open()
    stage.expect(
        answer.version == "v4" and tab.visits[-1].page.release == _BAD,
        f"{team.app}: a new visitor has r{_BAD} and reads total = {answer.total} ({answer.version})",
    )
    stage.say(f"{team.app}: {environment(app)['waitingFor']['message']}")
    return tab


def _stream(team: Team) -> Prober:
    """New visitors, who ask for a small file: R computes one page after the other, and would do nothing else."""
    return Prober(team.host, rate=_RATE, path=f"/{team.live.asset_path}")


async def _goes_back(stage: Stage, people: _People, stopped: float) -> None:
    """Nobody comes to the bad version any more; the seconds, and what became of everybody."""
    team, report = people.team, people.stream.report
    await _only(people, _GOOD)
    await people.stream.stop()
    last = report.last(_BAD) or stopped
    met = sum(seen.release == _BAD and seen.at > stopped for seen in report.seen)
    stage.expect(
        last - stopped < _LONGEST and not report.failed,
        f"{team.app}: taken back: {last - stopped:.1f} s after the stop the last new visitor got r{_BAD} ({met} did, of"
        f" {_RATE} a second); failed visits: {report.failed} of {report.sent}",
    )
    stage.figure("commit 4: price service stops → no new visitor on it", team.app, last - stopped)
    await undisturbed(stage, team, people.worker, "v2")
    answer = await people.newcomer.reload()
    stage.expect(answer.version == "v2", f"{team.app}: who had r{_BAD} open reloads and has {answer.version}")
    await asyncio.to_thread(_on_record, stage, team)


def _on_record(stage: Stage, team: Team) -> None:
    """What the objects say: the cause, who had it open, and that it is not tried again."""
    status = stage.record(team.app, _BAD, "RolledBack")["status"]
    stage.expect(
        status["reason"] == "SessionFailed" and team.without_prices in status["message"],
        f"{team.app}: r{_BAD} is {status['phase']}, {status['reason']}: {status['message']!r}",
    )
    affected = status.get("usersAffected", 0)
    stage.expect(affected >= 1, f"{team.app}: sessions that were open on it (usersAffected): {affected}")
    app = stage.wait(
        "dataapp",
        team.app,
        lambda found: (environment(found).get("waitingFor") or {}).get("reason") == "ReleaseFailed",
        what=f"r{_BAD} is not tried again",
    )
    stage.expect(condition(app, "Ready")["status"] == "True", f"{team.app}: Ready is {stage.ready(team.app)}")
    failed = condition(app, "LastReleaseFailed")
    about = failed.get("message", "").partition(": ")[0]
    stage.expect(about.endswith(f"r{_BAD}"), f"{team.app}: LastReleaseFailed is {failed.get('status')}: {about}")
    quarantined = [entry["release"] for entry in environment(app)["quarantined"]]
    words = environment(app)["waitingFor"]["message"]
    again = words[words.index("To try it") :]
    stage.expect(_BAD in quarantined, f"{team.app}: not tried again by themselves: releases {quarantined}. {again!r}")


async def _only(people: _People, release: int) -> None:
    """Every visit of the last second got this release."""
    began = time.time()

    def everybody() -> bool:
        late = [seen.release for seen in people.stream.report.seen if seen.at > began][-_RATE:]
        return len(late) == _RATE and set(late) == {release}

    what = f"new visitors of {people.team.app} get r{release}, and nothing else"
    await asyncio.to_thread(until, everybody, timeout=_LONGEST, what=what)
