"""Who has an app open during the demo: a tab, and somebody who works in one the whole time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from lab.demo.stage import Stage, until
from lab.demo.teams import Team
from tests.harness.browser import Browser
from tests.harness.sessions import LiveSession
from tests.harness.visitor import Visitor, leave


@asynccontextmanager
async def tab_at(host: str, live: type[LiveSession]) -> AsyncIterator[LiveSession]:
    """A visitor's tab, in a browser of its own."""
    async with Browser(host) as browser:
        tab = live(browser)
        try:
            yield tab
        finally:
            await tab.close()


def tab_of(team: Team) -> AbstractAsyncContextManager[LiveSession]:
    """A tab on a team's app, in its sandbox."""
    return tab_at(team.host, team.live)


@asynccontextmanager
async def working_on(team: Team) -> AsyncIterator[Visitor]:
    """Somebody who has the app open and types a number every second."""
    async with Browser(team.host) as browser:
        visitor = Visitor(team.live(browser))
        await visitor.session.open()
        visitor.task = asyncio.create_task(visitor.keep_using())
        try:
            yield visitor
        finally:
            await leave(visitor)


async def undisturbed(stage: Stage, team: Team, worker: Visitor, version: str) -> None:
    """Whoever has a version open has noticed nothing, still has it, and goes on."""
    session, enough = worker.session, worker.answers + 2
    await asyncio.to_thread(
        until,
        lambda: worker.answers >= enough or session.failures,
        timeout=30,
        what=f"{team.app}: who has {version} open gets answers",
    )
    versions = ", ".join(sorted(session.visits[-1].versions))
    first = f", the first one: {session.failures[0]}" if session.failures else ""
    other = "" if versions == version else f" (and had opened {version})"
    stage.expect(
        versions == version and not session.failures,
        f"{team.app}: who worked in {versions}{other} goes on: {worker.answers} numbers, failures {len(session.failures)}{first}",
    )
