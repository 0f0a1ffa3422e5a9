"""An app without sessions is one Deployment a release: its pods come and go on the real cluster, and no request fails."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.test_former_releases import eventually, version
from tests.harness.cluster import Json, Team, environment
from tests.harness.prober import Prober, Report
from tests.harness.watcher import Watcher

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run, pytest.mark.alone]

IMAGE = "scripted-websocket"
"""An API, by FastAPI. What it keeps of those who open its websocket is not asked for here."""
SECONDS = 150


def release(team: Team, app: Json | None = None, **options: Any) -> None:
    """Commit it as an app that keeps no sessions."""
    manifest = team.manifest("app", IMAGE, app=app, **options)
    manifest["spec"]["app"].pop("sessions", None)
    manifest["spec"]["app"]["resources"]["memory"] = "192Mi"  # there are up to six of them at a time
    team.kube.apply(manifest)


def deployments(team: Team) -> dict[str, int]:
    """How many pods each Deployment is told to have, by name."""
    found = team.kube.list("deployments", team.namespace, "dataapps.dev/app=app")
    return {item["metadata"]["name"]: item["spec"]["replicas"] for item in found}


def pods(team: Team, number: int) -> list[str]:
    """The pods of a release that are ready and not being ended."""
    found = team.kube.list("pods", team.namespace, f"dataapps.dev/app=app,dataapps.dev/release={number}")
    return [
        pod["metadata"]["name"]
        for pod in found
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    ]


async def until(holds: Callable[[], object], *, what: str) -> None:
    """Wait until something is so, for a minute and a half at the most."""
    await asyncio.to_thread(eventually, holds, what=what, timeout=90)


def looked(team: Team) -> None:
    """Have the operator look at the app now, and see that it has."""
    word = f"{time.time():.3f}"
    team.kube.run(
        "annotate", "dataapp", "app", "-n", team.namespace, "--overwrite", f"reconcile.dataapps.dev/requestedAt={word}"
    )
    team.kube.wait(
        "dataapp",
        "app",
        team.namespace,
        lambda app: app["status"].get("lastHandledReconcileAt") == word,
        what="it was looked at",
    )


def judge(report: Report, *releases: int) -> None:
    """Nobody was refused anything, and new visits went from one release to the next only."""
    print(f"\n  {report}")
    assert report.late == 0, "the machine was too busy for a judgement"
    assert report.failed == 0
    assert [seen.release for seen in report.changes()] == list(releases)


async def test_a_release_takes_over_under_twenty_requests_a_second(team: Team) -> None:
    release(team, replicas=2)
    await asyncio.to_thread(team.wait_released, "app", 1)
    assert deployments(team) == {"app-sandbox-1-s0": 2}
    async with (
        Watcher(team.kube.kubeconfig, team.namespace) as watcher,
        Prober(team.host("app"), rate=20.0, seconds=SECONDS) as prober,
    ):
        await asyncio.to_thread(release, team, version("v2"), replicas=2)
        await asyncio.to_thread(team.wait_released, "app", 2)
        await asyncio.to_thread(team.wait_phase, "app", 1, "Retired")
    judge(prober.report, 1, 2)
    assert deployments(team) == {"app-sandbox-2-s0": 2}
    of_first = "dataapps.dev/app=app,dataapps.dev/release=1"
    assert team.kube.list("deployments,replicasets,services,pods,httproutes", team.namespace, of_first) == []
    assert watcher.found == []


async def test_who_scales_it_is_left_alone_until_its_author_says_something_new(team: Team) -> None:
    release(team, replicas=1)
    await asyncio.to_thread(team.wait_released, "app", 1)
    team.kube.run("scale", "deployment", "app-sandbox-1-s0", "-n", team.namespace, "--replicas=3")
    await until(lambda: len(pods(team, 1)) == 3, what="three pods work")
    looked(team)
    assert deployments(team) == {"app-sandbox-1-s0": 3}
    release(team, version("v2"), replicas=1)
    await asyncio.to_thread(team.wait_released, "app", 2)
    assert team.record("app", 2)["spec"]["plan"]["replicas"] == 3, "it begins as large as what it takes over from"
    assert len(pods(team, 2)) == 3
    release(team, version("v2"), replicas=2)
    await until(lambda: len(pods(team, 2)) == 2, what="its author's new number is written")
    team.kube.run("scale", "deployment", "app-sandbox-2-s0", "-n", team.namespace, "--replicas=1")
    looked(team)
    assert deployments(team)["app-sandbox-2-s0"] == 1
    assert environment(team.app("app"))["stable"] == 2
    assert team.kube.get("apprelease", "app-sandbox-3", team.namespace) is None


async def test_pods_that_are_deleted_and_restarted_take_no_request_with_them(team: Team) -> None:
    release(team, replicas=2)
    await asyncio.to_thread(team.wait_released, "app", 1)
    budget = await asyncio.to_thread(
        team.kube.wait,
        "poddisruptionbudget",
        "app-sandbox",
        team.namespace,
        lambda found: (found.get("status") or {}).get("disruptionsAllowed") == 1,
        what="one pod may be evicted at a time",
    )
    assert budget["spec"]["maxUnavailable"] == 1
    async with (
        Watcher(team.kube.kubeconfig, team.namespace) as watcher,
        Prober(team.host("app"), rate=20.0, seconds=SECONDS) as prober,
    ):
        for _ in range(2):
            before = await asyncio.to_thread(pods, team, 1)
            await asyncio.to_thread(team.kube.run, "delete", "pod", before[0], "-n", team.namespace, "--wait=false")
            await until(
                lambda gone=before[0]: len(pods(team, 1)) == 2 and gone not in pods(team, 1), what="another one works"
            )
        before = await asyncio.to_thread(pods, team, 1)
        restart = ("rollout", "restart", "deployment/app-sandbox-1-s0", "-n", team.namespace)
        await asyncio.to_thread(team.kube.run, *restart)
        await until(lambda: len(pods(team, 1)) == 2 and not {*before} & {*pods(team, 1)}, what="both are new")
    judge(prober.report, 1)
    assert watcher.found == []


async def test_with_a_max_the_cluster_scales_each_release_and_without_it_nobody_does(team: Team) -> None:
    size = {"min": 1, "max": 3, "cpu": 70}
    release(team, {"replicas": size})
    await asyncio.to_thread(team.wait_released, "app", 1)
    scaler = team.kube.get("horizontalpodautoscaler", "app-sandbox-1-s0", team.namespace)
    assert scaler is not None
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 3)
    assert scaler["spec"]["scaleTargetRef"]["name"] == "app-sandbox-1-s0"
    looked(team)
    again = team.kube.get("horizontalpodautoscaler", "app-sandbox-1-s0", team.namespace)
    assert again is not None
    assert again["spec"] == scaler["spec"]
    release(team, {"replicas": {"min": 2}})
    await until(
        lambda: team.kube.get("horizontalpodautoscaler", "app-sandbox-1-s0", team.namespace) is None,
        what="it has gone with the max",
    )
    await until(lambda: len(pods(team, 1)) == 2, what="its author's number is written")
    assert team.kube.get("apprelease", "app-sandbox-2", team.namespace) is None
