"""What becomes of a release after its time, on the real cluster: drained, kept warm, gone back to; and of a deleted app."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.harness import breaking
from tests.harness.browser import Browser
from tests.harness.cluster import Json, KubectlError, Team, condition, environment
from tests.harness.live import session_of
from tests.harness.prober import Prober
from tests.harness.sessions import LiveSession
from tests.harness.visitor import children, sees

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

APPS = ("scripted-streamlit", "scripted-shiny", "scripted-shiny-python", "scripted-websocket")
EMPTY_FOR = 5
NODE = "lab"


def version(text: str) -> Json:
    """The version that the app shows."""
    return {"env": [{"name": "APP_VERSION", "value": text}]}


@asynccontextmanager
async def somebody(team: Team, image_key: str) -> AsyncIterator[LiveSession]:
    """A person with the app open."""
    async with Browser(team.host("app")) as browser:
        tab = session_of(image_key)(browser, timeout=30)
        await tab.open()
        try:
            yield tab
        finally:
            await tab.close()


def pods(team: Team, number: int) -> list[str]:
    """The names of a release's pods that are not being ended."""
    found = team.kube.list("pods", team.namespace, f"dataapps.dev/release={number}")
    return sorted(p["metadata"]["name"] for p in found if "deletionTimestamp" not in p["metadata"])


def eventually(holds, *, what: str, timeout: float = 60) -> float:
    """Wait until something is so; the seconds it took."""
    began = time.monotonic()
    while time.monotonic() < began + timeout:
        if holds():
            return time.monotonic() - began
        time.sleep(0.2)  # the pace of looking
    raise AssertionError(f"after {timeout:g} s it still is not so: {what}")


@pytest.mark.parametrize("image_key", APPS)
async def test_a_former_release_is_gone_soon_after_its_last_tab_and_not_before(team: Team, image_key: str) -> None:
    team.release("app", image_key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with somebody(team, image_key) as tab:
        team.release("app", image_key, app=version("v2"))
        await asyncio.to_thread(team.wait_released, "app", 2)
        mine = pods(team, 1)
        for n in range(2 * EMPTY_FOR):  # twice the time after which an empty one would be gone
            assert (await tab.set_input(n)).version == "v1"
            await asyncio.sleep(1)
        assert pods(team, 1) == mine
        assert tab.failures == []
    took = await asyncio.to_thread(eventually, lambda: pods(team, 1) == [], what="its pods are gone")
    print(f"\n  {image_key}: the pods of r1 were gone {took:.1f} s after the last tab, emptyFor is {EMPTY_FOR} s")
    assert EMPTY_FOR - 1 <= took <= EMPTY_FOR + 30


async def test_a_warm_release_is_gone_back_to_in_seconds_and_without_a_pod(team: Team) -> None:
    key = "scripted-shiny"
    team.release("app", key, keep_warm=1)
    await asyncio.to_thread(team.wait_released, "app", 1)
    team.release("app", key, keep_warm=1, app=version("v2"))
    await asyncio.to_thread(team.wait_phase, "app", 1, "Warm")
    record = team.record("app", 1)["status"]
    assert record["summary"].startswith("kept until")
    before = pods(team, 1) + pods(team, 2)
    async with Prober(team.host("app"), rate=10, seconds=60) as prober:
        began = time.monotonic()
        team.release("app", key, keep_warm=1)
        await asyncio.to_thread(eventually, lambda: asyncio.run(sees(team, "app")) == "1", what="r1 serves", timeout=20)
        took = time.monotonic() - began
        await asyncio.to_thread(team.wait_released, "app", 1)
    print(f"\n  applied → new visitors on the warm release: {took:.1f} s; {prober.report}")
    assert prober.report.failed == 0
    assert [seen.release for seen in prober.report.changes()] == [2, 1]
    assert pods(team, 1) + pods(team, 2) == before, "no pod was made, none was ended"
    timeline = [entry["phase"] for entry in team.record("app", 1)["status"]["timeline"]]
    assert timeline[-4:] == ["Checking", "Releasing", "Baking", "Released"]
    assert team.kube.get("apprelease", "app-sandbox-3", team.namespace) is None


async def test_a_deleted_app_ends_with_its_last_session(team: Team) -> None:
    key = "scripted-streamlit"
    team.release("app", key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with somebody(team, key) as tab:
        team.kube.run("delete", "dataapp", "app", "-n", team.namespace, "--wait=false")
        message = await asyncio.to_thread(team.wait_condition, "app", "Ready", "Deleting")
        assert "open sessions are kept until their end" in message
        await asyncio.to_thread(
            eventually,
            lambda: team.kube.get("httproute", "app-sandbox", team.namespace) is None,
            what="new visitors are not let in",
        )
        for n in range(2 * EMPTY_FOR):
            assert (await tab.set_input(n)).total == 3 * n
            await tab.fetch_asset()
            await asyncio.sleep(1)
        assert await tab.upload(b"x" * 1000) == 1000
        assert tab.failures == []
    await asyncio.to_thread(
        eventually,
        lambda: team.kube.get("dataapp", "app", team.namespace) is None and children(team, "app") == [],
        what="the app is gone, with everything that belonged to it",
        timeout=EMPTY_FOR + 40,
    )


async def test_a_person_need_not_wait_for_the_sessions_of_a_deleted_app(team: Team) -> None:
    team.release("app", "scripted-streamlit")
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with somebody(team, "scripted-streamlit"):
        team.kube.run("delete", "dataapp", "app", "-n", team.namespace, "--wait=false")
        message = await asyncio.to_thread(team.wait_condition, "app", "Ready", "Deleting")
        command = message[message.index("kubectl ") :].split()
        team.kube.run(*command[1:])
        await asyncio.to_thread(
            eventually, lambda: team.kube.get("dataapp", "app", team.namespace) is None, what="it is gone", timeout=60
        )


async def test_what_fails_in_its_bake_is_taken_back_and_the_record_and_the_events_say_so(team: Team) -> None:
    key = "scripted-shiny"
    team.release("app", key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with somebody(team, key) as old:
        team.release("app", key, bake="2m", app=version("v2"))
        await asyncio.to_thread(team.wait_phase, "app", 2, "Baking")
        async with somebody(team, key) as new:
            assert (await new.set_input(2)).version == "v2"
            await asyncio.sleep(3)  # for the fronts to be asked while this one is open
            breaking.tell(team, "app", 2, "session")
            await asyncio.to_thread(team.wait_phase, "app", 2, "RolledBack", timeout=30)
            await asyncio.to_thread(eventually, lambda: asyncio.run(sees(team, "app")) == "1", what="r1 serves again")
        assert (await old.set_input(4)).version == "v1"
        assert old.failures == []
    record = team.record("app", 2)["status"]
    assert record["reason"] == "SessionFailed"
    assert "column 'price' is not in the price list" in record["message"]
    assert record["usersAffected"] == 1
    assert "dataapps.dev/retry=sandbox=2" in record["nextStep"]
    app = team.app("app")
    assert condition(app, "Ready")["status"] == "True"
    assert "r2" in condition(app, "LastReleaseFailed")["message"]
    told = events(team)
    assert [e["reason"] for e in told if "r2" in e["note"]] == ["Deploying", "Baking", "RolledBack"]
    assert {e["reason"] for e in told if e["type"] == "Warning"} == {"RolledBack"}
    # Moments are told in whole seconds, so two releases' events of one second have no order between them.
    await asyncio.to_thread(
        eventually,
        lambda: [e["note"] for e in events(team)].count("sandbox r1 serves everybody again") == 1,
        what="who serves now is told, once",
    )
    assert "RolledBack" in team.kube.run("describe", "dataapp", "app", "-n", team.namespace)

    settled = await asyncio.to_thread(
        team.kube.wait,
        "dataapp",
        "app",
        team.namespace,
        lambda found: (environment(found).get("waitingFor") or {}).get("reason") == "ReleaseFailed",
        what="it says how to try it again",
    )
    message = environment(settled)["waitingFor"]["message"]
    command = message[message.index("kubectl ") :].split()
    team.kube.run(*command[1:])
    await asyncio.to_thread(team.wait_phase, "app", 3, "Baking")


def events(team: Team) -> list[Json]:
    """The events of the namespace about DataApps, in the order in which they happened."""
    text = team.kube.run("get", "events.v1.events.k8s.io", "-n", team.namespace, "-o", "json")
    found = [e for e in json.loads(text)["items"] if e["regarding"]["kind"] == "DataApp"]
    return sorted(found, key=lambda event: event["eventTime"])


async def test_an_eviction_is_refused_while_somebody_has_the_app_open(team: Team) -> None:
    key = "scripted-websocket"
    team.release("app", key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with somebody(team, key) as tab:
        (pod,) = pods(team, 1)
        await asyncio.to_thread(
            team.kube.wait,
            "poddisruptionbudget",
            "app-sandbox",
            team.namespace,
            lambda found: (found.get("status") or {}).get("expectedPods") == 1,
            what="the budget counts the pod",
        )
        with pytest.raises(KubectlError, match=r"disruption budget|429|Too Many"):
            evict(team, pod)
        assert (await tab.set_input(3)).total == 9
        assert tab.failures == []


def evict(team: Team, pod: str) -> None:
    """What `kubectl drain` does to each pod."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": team.namespace}}
    path = f"/api/v1/namespaces/{team.namespace}/pods/{pod}/eviction"
    team.kube.run("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
