"""Who asks for a release that is on its way sees it on the production host; nobody else does, and afterwards nobody can."""

import asyncio

import aiohttp
import pytest

from tests.harness.browser import Browser
from tests.harness.cluster import Json, Team, environment
from tests.harness.live import session_of
from tests.harness.newcomers import arrive
from tests.harness.watcher import Watcher

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

PORT = 8088


def version(text: str) -> Json:
    """The version that the app shows."""
    return {"env": [{"name": "APP_VERSION", "value": text}]}


def paused_before_visitors(team: Team, number: int) -> None:
    """Wait until a release has passed its checks and a person has it wait before anybody is sent to it."""

    def waits(app: Json) -> bool:
        memory = environment(app)
        wait = memory.get("waitingFor") or {}
        return memory.get("candidate") == number and "nobody is sent to it yet" in wait.get("message", "")

    team.kube.wait("dataapp", "app", team.namespace, waits, what=f"r{number} is paused before visitors come")


async def page(host: str, headers: dict[str, str]) -> int:
    """The release that answers a page load of a browser of its own which sends these headers besides."""
    marked = {"Host": f"{host}:{PORT}", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", **headers}
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        client.get(f"http://127.0.0.1:{PORT}/", headers=marked) as answer,
    ):
        return int(answer.headers["X-DataApp-Release"])


@pytest.mark.parametrize("key", ["scripted-streamlit", "scripted-websocket"])
async def test_a_tester_sees_the_candidate_on_the_production_host_and_nobody_else_does(team: Team, key: str) -> None:
    host = team.host("app")
    await asyncio.to_thread(team.release, "app", key, replicas=2)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with Watcher(team.kube.kubeconfig, team.namespace) as watcher:
        team.kube.run("annotate", "dataapp", "app", "-n", team.namespace, "dataapps.dev/pause=sandbox=2")
        await asyncio.to_thread(team.release, "app", key, replicas=2, app=version("v2"))
        await asyncio.to_thread(paused_before_visitors, team, 2)

        async with Browser(host) as normal, Browser(host, always={"X-DataApp-Release": "2"}) as tester:
            before = session_of(key)(normal, timeout=30)
            await before.open()
            assert before.visits[0].page.release == 1
            pin = normal.cookie("dataapp-")
            for asks in (
                {"X-DataApp-Release": "2"},
                {"X-DataApp-Release": "2", "Cookie": f"dataapp-app-sandbox={pin}"},
                {"Cookie": "dataapp-release=2"},
                {"Cookie": f"dataapp-release=2; dataapp-app-sandbox={pin}"},
            ):
                assert await page(host, asks) == 2, asks
            for asks in ({}, {"X-DataApp-Release": "3"}, {"Cookie": "dataapp-release=21"}, {"X-DataApp-Release": "1"}):
                assert await page(host, asks) == 1, asks
            assert await arrive(host, 100) == {1: 100}

            tab = session_of(key)(tester, timeout=30)
            assert (await tab.open()).version == "v2"
            assert (await tab.set_input(5)).total == 15
            await tab.fetch_asset()
            await tab.reload()
            assert [visit.page.release for visit in tab.visits] == [2, 2]
            await tab.close()
            assert tab.failures == []

            assert (await before.set_input(3)).version == "v1", "and who works in r1 goes on with it"
            team.kube.run("annotate", "dataapp", "app", "-n", team.namespace, "dataapps.dev/pause-")
            await asyncio.to_thread(team.wait_released, "app", 2)
            assert (await before.set_input(4)).version == "v1"
            await before.close()
            assert before.failures == []
        await asyncio.to_thread(team.release, "app", key, replicas=2, app=version("v3"))
        await asyncio.to_thread(team.wait_released, "app", 3)
        assert await page(host, {"X-DataApp-Release": "2"}) == 3, "its number means nothing any more"
        assert await page(host, {"Cookie": "dataapp-release=2"}) == 3
        assert "dataapp-release" not in str([r["spec"] for r in team.kube.list("httproutes", team.namespace)])
    assert watcher.found == []


async def test_a_client_without_cookies_meets_either_release_at_a_step_and_one_if_it_says_which(team: Team) -> None:
    """Each of its requests is a new visitor: a share of them, and not of its work, goes to the new release."""
    key, host = "scripted-websocket", team.host("app")
    await asyncio.to_thread(team.release, "app", key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    await asyncio.to_thread(team.release, "app", key, steps=[{"weight": 50, "pause": True}], app=version("v2"))
    await asyncio.to_thread(
        team.kube.wait,
        "apprelease",
        "app-sandbox-2",
        team.namespace,
        lambda record: (record.get("status") or {}).get("weight") == "50%",
        what="r2 has its share",
    )
    assert set(await arrive(host, 60)) == {1, 2}
    for number in (1, 2):
        came = {await page(host, {"X-DataApp-Release": str(number)}) for _ in range(20)}
        assert came == {number}
    team.kube.run("annotate", "dataapp", "app", "-n", team.namespace, "dataapps.dev/abort=sandbox=2")
    await asyncio.to_thread(team.wait_phase, "app", 2, "Aborted")
    await asyncio.to_thread(team.wait_released, "app", 1)
    for asks in ({"X-DataApp-Release": "2"}, {"Cookie": "dataapp-release=2"}):
        assert await page(host, asks) == 1, "what was taken back cannot be asked for"
