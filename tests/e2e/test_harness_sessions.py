"""Live sessions of every framework against the real apps, through the real gateway: all that a user does, before a switch
and after it; and a scripted app fails when it is told to.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.harness import breaking
from tests.harness.browser import Browser
from tests.harness.cluster import Team
from tests.harness.cluster_view import releases_that_left
from tests.harness.failures import UserNoticed
from tests.harness.live import session_of
from tests.harness.returning import ReturningVisitor
from tests.harness.sessions import LiveSession
from tests.harness.watcher import Watcher

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

APPS = ("scripted-streamlit", "scripted-shiny", "scripted-shiny-python", "scripted-websocket")


@asynccontextmanager
async def people(team: Team, image_key: str, count: int, *, patience: float = 30.0) -> AsyncIterator[list[LiveSession]]:
    """So many people, each with a browser and a tab that is not open yet."""
    async with AsyncExitStack() as stack:
        tabs = []
        for _ in range(count):
            browser = await stack.enter_async_context(Browser(team.host("app")))
            tabs.append(session_of(image_key)(browser, timeout=patience))
            stack.push_async_callback(tabs[-1].close)
        yield tabs


async def do_everything(tab: LiveSession, n: int) -> None:
    """All that a user does in an open tab."""
    assert (await tab.set_input(n)).total == 3 * n
    assert await tab.fetch_asset() == "asset of a scripted app"
    assert await tab.upload(b"x" * 70_000) == 70_000
    assert (await tab.download()).total == 3 * n


async def test_whoever_types_all_the_time_loses_no_upload(team: Team) -> None:
    team.release("app", "scripted-streamlit")
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with people(team, "scripted-streamlit", 1) as (tab,):
        await tab.open()

        async def type_numbers() -> None:
            for n in range(60):
                await tab.set_input(n)

        async with asyncio.TaskGroup() as at_once:
            at_once.create_task(type_numbers())
            for _ in range(60):
                assert await tab.upload(b"x" * 1_000) == 1_000
        assert tab.failures == []


@pytest.mark.parametrize("image_key", APPS)
async def test_all_that_a_user_does_works_and_goes_on_working_after_a_switch(team: Team, image_key: str) -> None:
    team.release("app", image_key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with Watcher(team.kube.kubeconfig, team.namespace) as watcher, people(team, image_key, 2) as (one, other):

        def gone() -> set[int]:
            return releases_that_left(watcher.snapshot, "app", "sandbox")

        async with ReturningVisitor(team.host("app"), gone=gone, every=2.0) as returning:
            for tab in (one, other):
                assert (await tab.open()).version == "v1"
                await do_everything(tab, 5)
            second = await one.second_tab()
            await do_everything(second, 6)
            assert (await one.offline(3)).total == 15

            team.release("app", image_key, app={"env": [{"name": "APP_VERSION", "value": "v2"}]})
            await asyncio.to_thread(team.wait_released, "app", 2)
            await do_everything(one, 7)
            assert (await second.offline(3)).total == 18
            await do_everything(second, 8)
            assert (await other.reload()).version == "v2"
            await do_everything(other, 9)
            await second.close()
        assert [visit.versions for visit in one.visits] == [{"v1"}]
        assert [visit.versions for visit in second.visits] == [{"v1"}]
        assert [visit.versions for visit in other.visits] == [{"v1"}, {"v2"}]
        assert one.failures == second.failures == other.failures == returning.failures == []
        assert one.is_live
        assert returning.releases() == [1, 2]
    assert watcher.found == []
    assert watcher.gaps == []


@pytest.mark.parametrize("image_key", APPS)
async def test_an_app_that_is_told_to_break_fails_in_every_session_from_then_on(team: Team, image_key: str) -> None:
    team.release("app", image_key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with people(team, image_key, 2, patience=3) as (before, after):
        await before.open()
        await asyncio.to_thread(breaking.tell, team, "app", 1, "session")
        with pytest.raises(UserNoticed):
            await after.open()
        assert after.visits[0].page.release == 1, "the page itself is answered with 200"
        with pytest.raises(UserNoticed):
            await before.set_input(5)
        for tab in (before, after):
            assert "column 'price' is not in the price list; it has: net, gross" in tab.failures[0].words
        await asyncio.to_thread(breaking.mend, team, "app", 1)
        assert (await after.reload()).total == 21
