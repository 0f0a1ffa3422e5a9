"""A canary on the real cluster: new visitors are shared out step by step, everybody keeps what they came to; and commands."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.harness import breaking
from tests.harness.browser import Browser
from tests.harness.cluster import Json, Team, environment
from tests.harness.live import session_of
from tests.harness.newcomers import arrive, band
from tests.harness.prober import Prober
from tests.harness.sessions import LiveSession
from tests.harness.visitor import visiting
from tests.harness.watcher import Watcher

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

NEWCOMERS = 2000
STEPS = [{"weight": 10, "pause": True, "replicas": 1}, {"weight": 50, "pause": True}]
"""With two replicas, the second one comes with the second step."""


def version(text: str) -> Json:
    """The version that the app shows."""
    return {"env": [{"name": "APP_VERSION", "value": text}]}


async def at_step(team: Team, number: int, step: int) -> str:
    """Wait until a release stands at a step; what status says that it waits for."""

    def there(app: Json) -> bool:
        memory = environment(app)
        held = (memory.get("waitingFor") or {}).get("reason") in {"Paused", "Holding"}
        return memory.get("candidate") == number and memory.get("step") == step and "intent" not in memory and held

    def paused(app: Json) -> bool:
        return there(app) and environment(app)["waitingFor"]["reason"] == "Paused"

    app = await asyncio.to_thread(
        team.kube.wait, "dataapp", "app", team.namespace, paused, what=f"r{number} stands at step {step}"
    )
    message: str = environment(app)["waitingFor"]["message"]
    return message


async def told(team: Team, message: str) -> None:
    """Do what status says."""
    command = message[message.index("kubectl ") :].split()
    await asyncio.to_thread(team.kube.run, *command[1:])


@pytest.mark.parametrize("slots", [1, 2])
async def test_new_visitors_are_shared_out_and_everybody_stays_with_what_they_came_to(team: Team, slots: int) -> None:
    key, host = "scripted-websocket", team.host("app")
    team.release("app", key, replicas=slots)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with (
        Watcher(team.kube.kubeconfig, team.namespace) as watcher,
        visiting(team, "app", key) as old,
        AsyncExitStack() as stack,
    ):
        team.release("app", key, replicas=slots, steps=STEPS, app=version("v2"))
        early = None
        for step, (share, replicas) in enumerate(((0.1, 1), (0.5, slots))):
            message = await at_step(team, 2, step)
            pods = team.kube.list("pods", team.namespace, "dataapps.dev/release=2")
            assert len(pods) == replicas
            assert f"{share:.0%}".replace("%", " %") in message
            assert team.record("app", 2)["status"]["weight"] == f"{share:.0%}"
            came = await arrive(host, NEWCOMERS)
            low, high = band(NEWCOMERS, share)
            print(
                f"\n  {slots} slots, step {step}: {came[2]} of {NEWCOMERS} new visitors to r2, {low:.0f} to {high:.0f} fit"
            )
            assert set(came) == {1, 2}
            assert low <= came[2] <= high
            await nobody_is_moved(team, key)
            early = early or await one_on_the_new_one(team, key, stack)
            await told(team, message)
        await asyncio.to_thread(team.wait_released, "app", 2)
        assert await arrive(host, 100) == {2: 100}
        assert old.session.is_live
        assert old.session.visits[0].versions == {"v1"}
        assert early is not None
        assert (await early.set_input(5)).version == "v2"
        assert old.session.failures == early.failures == []
    assert watcher.found == []
    timeline = [entry["phase"] for entry in team.record("app", 2)["status"]["timeline"]]
    assert timeline == ["Deploying", "Checking", "Releasing", "Baking", "Released"]


async def one_on_the_new_one(team: Team, key: str, stack: AsyncExitStack) -> LiveSession:
    """Somebody who came to the second release; the tab stays open until the stack ends."""
    for _ in range(300):
        browser = await stack.enter_async_context(Browser(team.host("app")))
        tab = session_of(key)(browser, timeout=30)
        if (await tab.open()).version == "v2":
            stack.push_async_callback(tab.close)
            return tab
        await tab.close()
    raise AssertionError("none of 300 new visitors came to r2")


async def nobody_is_moved(team: Team, key: str) -> None:
    """Whoever loads the page again during a step gets the release that they had."""
    seen = set()
    for _ in range(12):
        async with Browser(team.host("app")) as browser:
            tab = session_of(key)(browser, timeout=30)
            await tab.open()
            first = tab.visits[0].page.release
            await tab.reload()
            await tab.reload()
            assert [visit.page.release for visit in tab.visits] == [first] * 3
            await tab.close()
            seen.add(first)
    assert 1 in seen


async def test_a_canary_that_fails_at_a_step_is_taken_back_and_few_have_seen_it(team: Team) -> None:
    key = "scripted-streamlit"
    team.release("app", key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with visiting(team, "app", key) as old, Prober(team.host("app"), rate=10, seconds=90) as prober:
        team.release("app", key, steps=[{"weight": 20, "hold": "10m"}], app=version("v2"))
        await asyncio.to_thread(
            team.kube.wait,
            "apprelease",
            "app-sandbox-2",
            team.namespace,
            lambda record: (record.get("status") or {}).get("weight") == "20%",
            what="r2 has its share",
        )
        breaking.tell(team, "app", 2, "session")
        await asyncio.to_thread(team.wait_phase, "app", 2, "RolledBack", timeout=30)
        await asyncio.to_thread(team.wait_released, "app", 1)
        assert await arrive(team.host("app"), 100) == {1: 100}
        assert old.session.failures == []
    assert prober.report.failed == 0
    record = team.record("app", 2)["status"]
    assert (record["reason"], record["step"]) == ("SessionFailed", 0)


async def test_a_person_pauses_ends_restarts_and_goes_back(team: Team) -> None:
    """Each command is done once, answered, and costs whoever has the app open nothing."""
    key = "scripted-websocket"
    team.release("app", key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with visiting(team, "app", key) as old, Watcher(team.kube.kubeconfig, team.namespace) as watcher:
        assert "no release is on its way; r1 serves" in await asyncio.to_thread(team.say, "app", "abort", "1")
        team.release("app", key, steps=STEPS, app=version("v2"))
        message = await at_step(team, 2, 0)
        answer = await asyncio.to_thread(team.say, "app", "pause", "2")
        assert "no further step of r2" in answer
        await told(team, message)  # it may go on from its step, and is paused all the same
        await asyncio.sleep(5)  # two session checks: time enough to go on wrongly
        assert environment(team.app("app"))["step"] == 0
        answer = await asyncio.to_thread(team.say, "app", "abort", "2")
        assert answer == "r2 is given up; new visits go back to r1"
        await asyncio.to_thread(team.wait_phase, "app", 2, "Aborted")
        await asyncio.to_thread(team.wait_released, "app", 1)
        assert await arrive(team.host("app"), 50) == {1: 50}

        team.release("app", key, steps=STEPS, app=version("v3"), keep_warm=1)
        await at_step(team, 3, 0)
        answer = await asyncio.to_thread(team.say, "app", "promote-full", "3")
        assert "all new visitors without further steps" in answer
        await asyncio.to_thread(team.wait_released, "app", 3)

        answer = await asyncio.to_thread(team.say, "app", "restart", "3")
        assert answer == "r3 is released once more, as r4"
        answer = await asyncio.to_thread(team.say, "app", "promote-full", "4")
        await asyncio.to_thread(team.wait_released, "app", 4)
        assert "restarted" in team.record("app", 4)["spec"]["cause"]

        answer = await asyncio.to_thread(team.say, "app", "rollback", "4:1")
        assert answer.startswith("going back from r4 to r1, ")
        number = 1 if "still there" in answer else 5
        await asyncio.to_thread(team.wait_released, "app", number)
        assert await arrive(team.host("app"), 50) == {number: 50}
        waits = await asyncio.to_thread(
            team.kube.wait,
            "dataapp",
            "app",
            team.namespace,
            lambda app: (environment(app).get("waitingFor") or {}).get("reason") == "ReleaseFailed",
            what="it says that v3 is not released again by itself",
        )
        assert "a person went back to r1" in environment(waits)["waitingFor"]["message"]
        assert old.session.failures == []
    assert watcher.found == []
    events = team.kube.run(
        "get", "events", "-n", team.namespace, "-o", "custom-columns=R:.reason", "--no-headers"
    ).split()
    assert {"Abort", "Pause", "Restart", "Rollback", "Aborted"} <= set(events)
