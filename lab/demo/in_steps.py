"""The fifth commit: new visitors come to it in steps. What share of them really does is counted, from outside.

Somebody works in the version before the whole time. At each step a few hundred new visitors come to the gateway, each with
no cookie of an earlier visit, and the release that answers each is noted. The first step ends by its time, the second one
by a person's word.
"""

import asyncio
import math
import textwrap
import time

import aiohttp

from lab.demo import plugin
from lab.demo.stage import Stage, SurpriseError
from lab.demo.teams import CANARY, Team
from lab.demo.visitors import undisturbed, working_on
from tests.harness.cluster import Json, environment
from tests.harness.newcomers import arrive, band

_BEFORE, _NEW = 2, 5
_STEPS = ((25, "Holding"), (50, "Paused"))
"""Of each step: the percent of the new visitors that the manifest says, and what the release then waits for."""
_VISITORS = 400


def in_steps(stage: Stage, both: tuple[Team, ...]) -> None:
    """The R team is careful this time."""
    stage.title("commit 5: new visitors come in steps")
    team = both[1]
    asyncio.run(_story(stage, team))
    stage.show("get", "appreleases", only=lambda line: line.startswith(("NAME", f"{team.app}-sandbox-{_NEW} ")))


async def _story(stage: Stage, team: Team) -> None:
    async with working_on(team) as worker:
        stage.say(f"{team.app}: somebody works in v{_BEFORE}: a number every second")
        pushed = time.monotonic()
        commit = await asyncio.to_thread(team.push, team.fifth(), "in steps")
        await asyncio.to_thread(team.look_now, stage)
        stage.say(f"{team.name}: git push of {commit[:7]}; its dataapp.yaml says:{textwrap.indent(CANARY, ' ' * 11)}")
        for step, (percent, waits) in enumerate(_STEPS):
            await asyncio.to_thread(_reached, stage, team, step, waits)
            if step == 0:
                stage.figure("commit 5: push → the first new visitors", team.app, time.monotonic() - pushed)
            await _counted(stage, team, step, percent)
            await undisturbed(stage, team, worker, f"v{_BEFORE}")
        await asyncio.to_thread(plugin.show, stage, "resume", team.app, "sandbox")
        await asyncio.to_thread(stage.settled, team.app, _NEW)
        record = await asyncio.to_thread(stage.record, team.app, _NEW, "Released")
        came = await _arrive(team, 50)
        stage.expect(set(came) == {_NEW}, f"{team.app}: r{_NEW} is {record['status']['phase']}; {_said(came)}")
        await undisturbed(stage, team, worker, f"v{_BEFORE}")


def _stands(app: Json, step: int) -> bool:
    """Whether new visitors are shared out as this step says, and the next switch is not decided yet."""
    memory = environment(app)
    return (memory.get("candidate"), memory.get("step")) == (_NEW, step) and "intent" not in memory


def _reached(stage: Stage, team: Team, step: int, waits: str) -> None:
    """The release stands at a step, and status says what it waits for and until when."""

    def there(app: Json) -> bool:
        return _stands(app, step) and (environment(app).get("waitingFor") or {}).get("reason") == waits

    stage.wait("dataapp", team.app, there, what=f"r{_NEW} stands at step {step + 1}", timeout=120)
    plugin.show(stage, "status", team.app, only=lambda line: f"r{_NEW} has" in line)


async def _counted(stage: Stage, team: Team, step: int, percent: int) -> None:
    """The share that came, which 999 of 1000 honest tries keep to."""
    came = await _arrive(team, _VISITORS)
    if not _stands(await asyncio.to_thread(stage.get, "dataapp", team.app), step):
        raise SurpriseError(f"{team.app}: step {step + 1} was over before all had come: too busy a machine to count")
    low, high = band(_VISITORS, percent / 100)
    stage.expect(
        set(came) == {_BEFORE, _NEW} and low <= came[_NEW] <= high,
        f"{team.app}: step {step + 1}, {percent} %: {_said(came)}, so {100 * came[_NEW] / _VISITORS:.1f} % to r{_NEW}"
        f" ({math.ceil(low)} to {math.floor(high)} visitors fit)",
    )


async def _arrive(team: Team, count: int) -> dict[int, int]:
    """By release, how many of so many new visitors came to it. They ask for a small file: R computes 35 pages a second."""
    try:
        return await arrive(team.host, count, path=f"/{team.live.asset_path}")
    except (aiohttp.ClientError, OSError) as error:
        raise SurpriseError(f"{team.app}: a new visitor got no answer: {error or type(error).__name__}") from None


def _said(came: dict[int, int]) -> str:
    shares = ", ".join(f"{came[number]} to r{number}" for number in sorted(came))
    return f"of {sum(came.values())} new visitors came {shares}"
