"""The second commit: one line of code, released while somebody has the app open."""

import asyncio
import time

from lab.demo.let_in import POLL
from lab.demo.stage import Stage, release_at, until
from lab.demo.teams import Team
from lab.demo.visitors import tab_of


def change(stage: Stage, both: tuple[Team, ...]) -> None:
    """One team after the other: the first asks for a look, the second leaves it to the poll."""
    stage.title("commit 2: one line of code, while a visitor has the app open")
    python, r = both
    asyncio.run(_released_under(stage, python, told=True))
    asyncio.run(_released_under(stage, r, told=False))
    for team in both:
        stage.settled(team.app, 2)


async def _released_under(stage: Stage, team: Team, *, told: bool) -> None:
    """A visitor opens the app, it is released anew, the visitor goes on and reloads at last."""
    async with tab_of(team) as tab:
        answer = await tab.open()
        stage.expect(answer.version == "v1", f"{team.app}: a visitor has it open and reads total = {answer.total} (v1)")
        await asyncio.to_thread(_release, stage, team, told=told)
        answer = await tab.set_input(14)
        stage.expect(
            answer.version == "v1" and answer.total == 42,
            f"{team.app}: the open session still computes with {answer.version}: 3 × 14 = {answer.total}",
        )
        answer = await tab.reload()
        stage.expect(answer.version == "v2", f"{team.app}: after a reload the same visitor has {answer.version}")
        stage.expect(not tab.failures, f"{team.app}: failures the visitor saw: {len(tab.failures)}")


def _release(stage: Stage, team: Team, *, told: bool) -> None:
    """Push, and wait for the preview and for the switch."""
    pushed = time.monotonic()
    commit = team.push(team.second(), "version 2")
    if told:
        team.look_now(stage)
    until(lambda: release_at(team.preview(2)) == "2", timeout=300, what=f"the preview of {team.app} r2")
    preview = time.monotonic() - pushed
    stage.released(team.app, 2)
    released = time.monotonic() - pushed - preview
    how = "told to look (requestedAt)" if told else f"by poll, every {POLL}"
    stage.say(f"{team.app}: {commit[:7]}, {how}: push → preview {preview:.1f} s, preview → released {released:.1f} s")
    stage.figure(f"commit 2: push → preview, {'told to look' if told else 'by poll'}", team.app, preview)
    stage.figure("commit 2: preview → new visitors", team.app, released)
