"""A switch under load: no request fails, no session is lost; a plain rolling update shows that we would see it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.harness.browser import Browser
from tests.harness.cluster import Team
from tests.harness.live import session_of
from tests.harness.prober import Prober
from tests.harness.sessions import LiveSession
from tests.harness.watcher import Watcher

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run, pytest.mark.alone]


@contextlib.asynccontextmanager
async def tabs(prefix: str, host: str, count: int) -> AsyncIterator[list[LiveSession]]:
    """So many visitors, each with a browser of their own."""
    opened = [session_of(prefix)(Browser(host)) for _ in range(count)]
    try:
        yield opened
    finally:
        for tab in opened:
            await tab.close()
            await tab.browser.close()


async def use_until(stop: asyncio.Event, tab: LiveSession) -> int:
    """Use an open session as somebody who works with it does; returns how often. Failures are recorded in the tab."""
    number = 0
    while not stop.is_set():
        number += 1
        await tab.set_input(number)
        await tab.fetch_asset()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.5)
    return number


@pytest.mark.parametrize(("prefix", "slots"), [("streamlit", 1), ("streamlit", 2), ("shiny", 1), ("shiny", 2)])
async def test_a_switch_under_twenty_requests_a_second_fails_nobody(team: Team, prefix: str, slots: int) -> None:
    host = team.host("app")
    team.release("app", f"{prefix}-v1", replicas=slots)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with tabs(prefix, host, 4) as visitors, Watcher(team.kube.kubeconfig, team.namespace) as watcher:
        for tab in visitors:
            assert (await tab.open()).version == "v1"
        pins = {tab.visits[0].page.pin for tab in visitors}
        assert pins <= {f"1.{index}" for index in range(slots)}
        stop = asyncio.Event()
        async with Prober(host, rate=20.0, seconds=150) as prober, asyncio.TaskGroup() as using:
            for tab in visitors:
                using.create_task(use_until(stop, tab))
            team.release("app", f"{prefix}-v2", replicas=slots)
            await asyncio.to_thread(team.wait_phase, "app", 2, "Baking", "Released")
            await asyncio.to_thread(team.wait_phase, "app", 2, "Released")
            # Released, and the old ones still open: they keep their websocket, their assets and their version.
            for tab in visitors[1:]:
                assert await tab.upload(b"x" * 70_000) == 70_000
            stop.set()
        report = prober.report
        print(f"\n  {prefix}, {slots} slot(s): {report}")
        assert report.late == 0, "the machine was too busy for a judgement"
        assert report.failed == 0
        assert [seen.release for seen in report.changes()] == [1, 2], "new visitors went back and forth"
        for tab in visitors:
            assert tab.failures == []
            assert tab.is_live
            assert tab.visits[0].versions == {"v1"}
        answer = await visitors[0].reload()
        assert answer.version == "v2"
        assert visitors[0].visits[-1].page.release == 2
        assert watcher.found == []


async def test_the_old_release_goes_once_its_last_session_has_left(team: Team) -> None:
    team.release("app", "streamlit-v1")
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with tabs("streamlit", team.host("app"), 1) as (tab,):
        await tab.open()
        team.release("app", "streamlit-v2")
        await asyncio.to_thread(team.wait_phase, "app", 2, "Released")
        record = await asyncio.to_thread(team.wait_phase, "app", 1, "Draining")
        assert record["status"]["phase"] == "Draining"
        await asyncio.to_thread(
            team.kube.wait,
            "apprelease",
            "app-sandbox-1",
            team.namespace,
            lambda found: found["status"].get("sessions") == 1,
            what="the record counts the one open session",
        )
        assert (await tab.set_input(5)).version == "v1"
        assert tab.failures == []
    await asyncio.to_thread(team.wait_phase, "app", 1, "Retired", timeout=60)
    assert team.kube.list("replicasets,services,pods,httproutes", team.namespace, "dataapps.dev/release=1") == []


async def test_a_plain_rolling_update_under_the_same_prober_shows_drops(team: Team) -> None:
    """The negative control: the same images, sessions and prober, behind a plain Deployment, Service and route."""
    host = f"plain--{team.namespace}.localhost"
    for manifest in plain(team, host, "streamlit-v1"):
        team.kube.apply(manifest)
    team.kube.run("rollout", "status", "-n", team.namespace, "deployment/plain", "--timeout=120s")
    async with tabs("streamlit", host, 1) as (tab,):
        await wait_until_served(host)
        await tab.open()
        async with Prober(host, rate=20.0, seconds=120) as prober:
            team.kube.apply(plain(team, host, "streamlit-v2")[0])
            await asyncio.to_thread(
                team.kube.run, "rollout", "status", "-n", team.namespace, "deployment/plain", "--timeout=120s"
            )
            await asyncio.wait_for(dropped(tab), 60)
        print(f"\n  plain rolling update: {prober.report}; session: {tab.failures}")
    assert tab.failures, "the harness is blind: a rolling update ended the session's pod and nobody noticed"


async def dropped(tab: LiveSession) -> None:
    """Wait until the session's websocket is closed."""
    while tab.is_live:
        await asyncio.sleep(0.1)


async def wait_until_served(host: str) -> None:
    """Wait until the gateway serves a host."""
    async with asyncio.timeout(60):
        while True:
            async with Prober(host, rate=5.0, visits=1) as prober:
                report = await prober.finished()
            if report.failed == 0:
                return


def plain(team: Team, host: str, image_key: str) -> list[dict]:
    """What people have without us."""
    labels = {"app": "plain"}
    metadata = {"name": "plain", "namespace": team.namespace}
    container = {
        "name": "app",
        "image": team.images[image_key],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "readinessProbe": {"tcpSocket": {"port": 8501}, "periodSeconds": 1},
    }
    pod = {"securityContext": {"runAsUser": 1000, "runAsNonRoot": True}, "containers": [container]}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8501}]},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": metadata,
            "spec": {
                "parentRefs": [{"namespace": "gateways", "name": "public"}],
                "hostnames": [host],
                "rules": [{"backendRefs": [{"name": "plain", "port": 80}]}],
            },
        },
    ]
