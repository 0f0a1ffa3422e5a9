"""What gateways do is seen before it is relied on: the cluster's own, and a stand-in that does one thing wrong."""

import asyncio

import pytest

from tests.harness.browser import Browser
from tests.harness.cluster import Json, Team, condition, environment
from tests.harness.gateway_in_cluster import GatewayInCluster
from tests.harness.gateway_stand_in import Fault
from tests.harness.live import session_of
from tests.harness.newcomers import arrive
from tests.harness.watcher import Watcher

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

KEY = "scripted-streamlit"
STEPS = [{"weight": 10, "hold": "10m"}]


def version(text: str) -> Json:
    """The version that the app shows."""
    return {"env": [{"name": "APP_VERSION", "value": text}]}


async def release(team: Team, gateway: GatewayInCluster, *, shows: str = "v1", **options: object) -> None:
    """Release an app whose environment is behind this gateway."""
    manifest = team.manifest("app", KEY, app=version(shows), **options)
    manifest["spec"]["environments"][0]["class"] = gateway.environment_class
    await asyncio.to_thread(team.kube.apply, manifest)


async def released(team: Team, number: int) -> Json:
    """The app, once this release is stable."""
    return await asyncio.to_thread(team.wait_released, "app", number)


def gateway_check(team: Team, number: int) -> Json:
    """What the record of a release says of its gateway."""
    checks = team.record("app", number)["status"]["checks"]
    found: Json = next(check for check in checks if check["name"] == "gateway")
    return found


def routes(team: Team) -> set[str]:
    """The routes that are there."""
    return {route["metadata"]["name"] for route in team.kube.list("httproutes", team.namespace)}


async def test_the_gateway_of_this_cluster_does_everything_and_the_question_leaves_nothing(team: Team) -> None:
    await asyncio.to_thread(team.release, "app", KEY, replicas=2)
    app = await released(team, 1)
    check = gateway_check(team, 1)
    print(f"\n  {check['measured']}")
    assert check["verdict"] == "pass"
    assert condition(app, "Limited") == {}
    assert routes(team) == {"app-sandbox", "app-sandbox-1", "app-sandbox-1.preview"}


@pytest.mark.parametrize(
    ("faults", "refuses"),
    [((Fault.TAKES_NO_COOKIE,), False), ((Fault.KEEPS_SET_COOKIE,), False), ((), True)],
    ids=["takes no notice of cookies", "keeps cookies from visitors", "refuses routes that look at cookies"],
)
async def test_without_pins_a_session_app_has_one_replica_and_says_what_may_be_lost(
    team: Team, faults: tuple[Fault, ...], *, refuses: bool
) -> None:
    async with (
        GatewayInCluster(team, *faults, refuses=refuses) as gateway,
        Watcher(team.kube.kubeconfig, team.namespace) as watcher,
    ):
        await release(team, gateway, replicas=2, steps=STEPS)
        app = await released(team, 2)
        first, second = team.record("app", 1), team.record("app", 2)
        assert (first["status"]["phase"], first["status"]["reason"]) == ("Superseded", "GatewayUnable")
        plan = second["spec"]["plan"]
        assert (plan["slots"], plan["strategy"], plan["pins"]) == (1, "blueGreen", False)
        assert gateway_check(team, 2)["verdict"] == "fail"
        message = condition(app, "Limited")["message"]
        print(f"\n  {message}")
        assert "may be lost" in message
        assert "RegularExpression" not in str([r["spec"] for r in team.kube.list("httproutes", team.namespace)])

        async with Browser(team.host("app"), port=gateway.stand_in.port) as browser:
            tab = session_of(KEY)(browser, timeout=30)
            await tab.open()
            assert (await tab.set_input(3)).version == "v1"
            await release(team, gateway, shows="v2", replicas=2, steps=STEPS)
            await released(team, 3)
            assert (await tab.set_input(4)).version == "v1", "what is open keeps its connection"
            assert await arrive(team.host("app"), 30, port=gateway.stand_in.port) == {3: 30}
            await tab.close()
        assert team.record("app", 3)["spec"]["plan"]["slots"] == 1
    assert watcher.found == []


async def test_where_weights_mean_nothing_a_canary_ends_with_its_first_step(team: Team) -> None:
    async with (
        GatewayInCluster(team, Fault.SPLITS_EVENLY) as gateway,
        Watcher(team.kube.kubeconfig, team.namespace) as watcher,
    ):
        await release(team, gateway, steps=STEPS)
        await released(team, 1)
        await release(team, gateway, shows="v2", steps=STEPS)
        app = await released(team, 2)
        assert "of 100 new visits came" in condition(app, "Limited")["message"]
        assert gateway_check(team, 2)["verdict"] == "fail"
        assert len(team.record("app", 2)["spec"]["plan"]["steps"]) == 1
        await release(team, gateway, shows="v3", steps=STEPS)
        await released(team, 3)
        third = team.record("app", 3)["spec"]
        assert (third["plan"]["strategy"], third["plan"].get("steps") or []) == ("blueGreen", [])
        assert "does not share visitors out" in third["limited"]
    assert watcher.found == []


async def test_where_no_switch_can_be_seen_nobody_is_sent_until_it_can(team: Team) -> None:
    async with GatewayInCluster(team, Fault.ADDS_NO_HEADER) as gateway:
        await release(team, gateway)
        message = await asyncio.to_thread(team.wait_condition, "app", "Stalled", "GatewayUnable")
        print(f"\n  {message}")
        assert "ResponseHeaderModifier" in message
        assert "app-sandbox" not in routes(team)
        assert not environment(team.app("app")).get("weights")
        await gateway.change()
        await released(team, 1)
        assert await arrive(team.host("app"), 10, port=gateway.stand_in.port) == {1: 10}
        assert gateway_check(team, 1)["verdict"] == "pass"


async def test_a_gateway_that_was_changed_is_asked_again(team: Team) -> None:
    async with GatewayInCluster(team, Fault.TAKES_NO_COOKIE) as gateway:
        await release(team, gateway, replicas=2)
        await released(team, 2)
        await gateway.change()
        await release(team, gateway, shows="v2", replicas=2)
        app = await released(team, 3)
        assert team.record("app", 3)["spec"]["plan"]["slots"] == 2
        assert condition(app, "Limited") == {}
