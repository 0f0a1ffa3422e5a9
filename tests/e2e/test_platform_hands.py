"""What platform teams do under running apps: they empty a node, and they stop the operator for a while."""

import asyncio
import time

import pytest

from tests.e2e.test_former_releases import NODE, eventually, pods, somebody, version
from tests.harness.cluster import Team, condition, environment
from tests.harness.operator_pod import NAME, NAMESPACE, OperatorPod

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run, pytest.mark.alone]


async def test_a_replica_on_a_cordoned_node_gets_another_one_and_nobody_is_ended(team: Team) -> None:
    key = "scripted-streamlit"
    team.release("app", key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with somebody(team, key) as tab:
        team.kube.run("cordon", NODE)
        try:
            # This cluster has one node: the other one finds no room, and a person is told why.
            message = await asyncio.to_thread(team.wait_condition, "app", "Stalled", "NoRoom")
            assert "r1 gets another replica: no machine of the cluster has room" in message
            assert condition(team.app("app"), "Ready")["status"] == "True"
            assert (await tab.set_input(3)).total == 9
        finally:
            team.kube.run("uncordon", NODE)
        # The node stays after all: whoever serves goes on, and the one that waited for room is not needed.
        await asyncio.to_thread(
            eventually, lambda: not environment(team.app("app")).get("scales"), what="it is what it was"
        )
        assert (await tab.set_input(4)).total == 12
        assert len(pods(team, 1)) == 1
        assert tab.failures == []
    assert team.kube.get("apprelease", "app-sandbox-2", team.namespace) is None


async def test_an_operator_that_is_away_in_the_middle_of_a_drain_ends_nobody(team: Team) -> None:
    key = "scripted-websocket"
    team.release("app", key)
    await asyncio.to_thread(team.wait_released, "app", 1)
    operator = OperatorPod(team.kube)
    async with somebody(team, key) as tab:
        team.release("app", key, app=version("v2"))
        await asyncio.to_thread(team.wait_released, "app", 2)
        team.kube.run("scale", "deployment", NAME, "-n", NAMESPACE, "--replicas=0")
        try:
            await asyncio.to_thread(eventually, lambda: operator.now() is None, what="the operator is gone")
            gone = time.monotonic()
            n = 0
            while time.monotonic() < gone + 30:
                n += 1
                assert (await tab.set_input(n)).version == "v1"
                await tab.fetch_asset()
                await asyncio.sleep(1)
        finally:
            team.kube.run("scale", "deployment", NAME, "-n", NAMESPACE, "--replicas=1")
        await asyncio.to_thread(operator.wait_ready)
        assert (await tab.set_input(7)).version == "v1"
        assert tab.failures == []
        assert len(pods(team, 1)) == 1
    await asyncio.to_thread(eventually, lambda: pods(team, 1) == [], what="the old release is gone")
