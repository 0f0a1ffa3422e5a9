"""Replicas come and go on the real cluster without a release, and whoever has the app open does not notice."""

import asyncio
import contextlib
import time

import aiohttp
import pytest

from tests.harness import breaking
from tests.harness.browser import Browser, PageLoad
from tests.harness.cluster import Json, Team, environment
from tests.harness.newcomers import arrive
from tests.harness.visitor import visiting
from tests.harness.watcher import Watcher

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

APP = "scripted-websocket"


def slots(team: Team) -> set[str]:
    """The replicas that have a pod which is not being ended."""
    pods = team.kube.list("pods", team.namespace, "dataapps.dev/app=app")
    return {p["metadata"]["labels"]["dataapps.dev/slot"] for p in pods if "deletionTimestamp" not in p["metadata"]}


async def serving(team: Team, *names: str) -> None:
    """Wait until exactly these replicas get new visitors, by the route."""

    def there(route: Json) -> bool:
        backends = route["spec"]["rules"][-1]["backendRefs"]
        return {backend["name"].rpartition("-")[2] for backend in backends} == set(names)

    await asyncio.to_thread(
        team.kube.wait, "httproute", "app-sandbox", team.namespace, there, what=f"{', '.join(names)} get visitors"
    )


async def let_in(team: Team) -> str | None:
    """Come as a new visitor, and do what the page of a full replica does: try again. The pin of the one with a place."""
    while True:
        async with Browser(team.host("app")) as browser:
            with contextlib.suppress(aiohttp.ClientResponseError):
                return (await browser.load_page()).pin
            assert browser.cookie("dataapp-") is None, "whoever is turned away is not pinned"
        await asyncio.sleep(0.3)  # a page that is full says when to try again; here it need not take three seconds


async def gone(team: Team, name: str, *, within: float = 60) -> None:
    """Wait until a replica has no pod any more."""
    async with asyncio.timeout(within):
        while name in await asyncio.to_thread(slots, team):
            await asyncio.sleep(0.5)  # the pace of looking


async def test_replicas_are_added_and_leave_with_their_last_session_and_it_is_no_release(team: Team) -> None:
    team.release("app", APP, replicas=1)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with Watcher(team.kube.kubeconfig, team.namespace) as watcher, visiting(team, "app", APP) as first:
        team.release("app", APP, replicas=2)
        await serving(team, "s0", "s1")
        people, visitors = [], []
        async with asyncio.timeout(30):  # until the gateway has read it
            while {visitor.session.visits[0].page.pin for visitor in visitors} != {"1.0", "1.1"}:
                people.append(visiting(team, "app", APP))
                visitors.append(await people[-1].__aenter__())
        team.release("app", APP, replicas=1)
        await serving(team, "s0")
        assert await arrive(team.host("app"), 30) == {1: 30}
        await asyncio.sleep(8)  # longer than emptyFor: nobody may be ended while they work
        assert slots(team) == {"s0", "s1"}
        moved = next(v for v in visitors if v.session.visits[0].page.pin == "1.1")
        for visitor in [first, *visitors]:
            assert visitor.session.failures == []
            assert visitor.session.is_live
        for person in people:
            await person.__aexit__(None, None, None)
        assert moved.session.failures == []
        await gone(team, "s1")
        assert first.session.failures == []
    assert watcher.found == []
    assert team.kube.get("apprelease", "app-sandbox-2", team.namespace) is None


async def pinned_to(team: Team, pin: str) -> Browser:
    """A new visitor who came to this replica; whoever asked for the browser closes it."""
    async with asyncio.timeout(30):
        while True:
            browser = Browser(team.host("app"))
            if (await browser.load_page()).pin == pin:
                return browser
            await browser.close()


async def test_visitors_go_round_a_replica_that_does_not_answer_and_come_back_to_it(team: Team) -> None:
    team.release("app", APP, replicas=2)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with (
        Watcher(team.kube.kubeconfig, team.namespace) as watcher,
        await pinned_to(team, "1.1") as pinned,
        contextlib.AsyncExitStack() as people,
    ):
        there = await people.enter_async_context(visiting(team, "app", APP))
        while there.session.visits[0].page.pin != "1.0":
            there = await people.enter_async_context(visiting(team, "app", APP))
        begun = time.monotonic()
        await asyncio.to_thread(breaking.tell, team, "app", 1, "listen", slot="s1")
        await serving(team, "s0")
        async with asyncio.timeout(10):  # until the gateway has read it
            while (page := await page_of(pinned)) is None:
                await asyncio.sleep(0.1)
        print(f"\n  from the break to a page again for who was on it: {time.monotonic() - begun:.1f} s")
        assert page.pin == "1.0"
        async with asyncio.timeout(10):  # two routes are written; the gateway may have read the other one first
            while not await all_are_let_in(team):
                await asyncio.sleep(0.1)
        assert await arrive(team.host("app"), 60) == {1: 60}
        await asyncio.to_thread(breaking.mend, team, "app", 1, slot="s1")
        await serving(team, "s0", "s1")  # its probes have started it again
        assert await arrive(team.host("app"), 60) == {1: 60}
        assert there.session.failures == []
        assert there.session.is_live
    assert watcher.found == []
    assert team.kube.get("apprelease", "app-sandbox-2", team.namespace) is None


async def all_are_let_in(team: Team) -> bool:
    """Whether a few new visitors all got a page."""
    with contextlib.suppress(AssertionError):
        return await arrive(team.host("app"), 10) == {1: 10}
    return False


async def page_of(browser: Browser) -> PageLoad | None:
    """The page, or None while a gateway answers in the place of the replica."""
    with contextlib.suppress(aiohttp.ClientResponseError):
        return await browser.load_page()
    return None


async def test_another_replica_is_started_before_all_places_are_taken(team: Team) -> None:
    size = {"replicas": {"min": 1, "max": 2, "sessionsPerReplica": 3}}
    team.release("app", APP, app=size)
    await asyncio.to_thread(team.wait_released, "app", 1)
    people = [visiting(team, "app", APP) for _ in range(3)]
    visitors = [await person.__aenter__() for person in people]
    await serving(team, "s0", "s1")
    pin = await asyncio.wait_for(let_in(team), 30)
    assert pin == "1.1", "the first is full, the second has places"
    for visitor, person in zip(visitors, people, strict=True):
        assert visitor.session.failures == []
        await person.__aexit__(None, None, None)
    memory = environment(team.app("app"))
    assert memory["scales"][0]["serving"] == [0, 1]
