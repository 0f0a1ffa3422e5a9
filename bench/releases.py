"""`make bench-releases`: 200 blue-green releases at once, on a cluster of fake nodes of its own.

The machine that decides about releases, and its calls, are real; pods are KWOK's and become ready after a second, and
what would look at them is played by stand-ins (`bench.stand_ins`). First the floor: as many plain Deployments as there
are apps, on the same nodes. Then every app is released once, untimed, and then all of them are given another image at
the same moment. So for apps of sessions, whose releases are slots, and on a new cluster for apps without, whose releases
are a Deployment each. The clock runs from the first change to the last app that says Released; calls are counted until
nothing of the former releases is left. It needs no lab, and nothing else should be busy on the machine meanwhile.
"""

import argparse
import asyncio
import signal
import sys
import time
from dataclasses import replace

import aiohttp

from bench.fake_cluster import FakeCluster, fake_cluster
from bench.fleet import AVAILABLE, RELEASED, SETTLED, followed, of_deployment, of_release
from bench.many_apps import (
    APPS,
    BAKE,
    DATAAPPS,
    DEPLOYMENTS,
    FLOOR,
    FRAMEWORKS,
    Asked,
    app,
    change_all,
    create_all,
    deployment,
)
from bench.release_costs import Costs, called, details, judge, words
from bench.report import finish
from bench.under_test import Operator, operator
from bench.usage import busy_seconds, cpu_seconds, peak_memory_mib, spent
from lab.context import Lab
from tests.harness.audit import Call
from tests.harness.kubeconfig import read_access

_AT_MOST, _PATIENCE = 900.0, 300.0
"""Seconds after which the run, or one step of it, is given up."""


async def floor(cluster: FakeCluster, author: aiohttp.ClientSession, asked: Asked) -> float:
    """Seconds until as many new Deployments are available: what the cluster itself takes."""
    await asyncio.to_thread(cluster.namespace, FLOOR)
    async with followed(author, DEPLOYMENTS, of_deployment) as fleet:
        began = time.monotonic()
        await create_all(author, DEPLOYMENTS, deployment, asked)
        ended = await fleet.all_at([AVAILABLE], number=asked.apps, what="all are available", timeout=_PATIENCE)
    await asyncio.to_thread(cluster.kube.run, "delete", "namespace", FLOOR, "--timeout=120s")
    return ended - began


async def first_releases(cluster: FakeCluster, author: aiohttp.ClientSession, asked: Asked) -> None:
    """Every app is released once. Nothing is measured."""
    await asyncio.to_thread(cluster.namespace, APPS)
    async with followed(author, DATAAPPS, lambda one: of_release(one, 1)) as fleet:
        await create_all(author, DATAAPPS, app, asked)
        await fleet.all_at([SETTLED], number=asked.apps, what="every app is released once", timeout=_PATIENCE)


async def second_releases(
    cluster: FakeCluster, author: aiohttp.ClientSession, under_test: Operator, asked: Asked
) -> Costs:
    """All of them get another image at once; what that costs."""
    async with followed(author, DATAAPPS, lambda one: of_release(one, 2)) as fleet:
        passes, cpu, mark = await under_test.passes(author), cpu_seconds(), cluster.audit.mark()
        busy, own, began = busy_seconds(), time.process_time(), time.monotonic()
        await change_all(author, asked)
        applied = time.monotonic()
        await fleet.all_at([RELEASED, SETTLED], number=asked.apps, what="all are Released", timeout=_PATIENCE)
        used, busy, own = cpu_seconds(), busy_seconds() - busy, time.process_time() - own
        until_released, callers = _calls(cluster, mark), cluster.audit.callers(mark)
        await fleet.all_at([SETTLED], number=asked.apps, what="the former releases are gone", timeout=_PATIENCE)
        after = await under_test.passes(author)
    return Costs(
        workload=asked.workload,
        apps=asked.apps,
        replicas=asked.replicas,
        bake=BAKE,
        latency=asked.latency,
        marks={name: {stage: at - began for stage, at in marks.items()} for name, marks in fleet.marks.items()},
        applied=applied - began,
        until_released=until_released,
        until_settled=_calls(cluster, mark),
        passes={word: number - passes.get(word, 0) for word, number in after.items()},
        callers=callers,
        cpu={"operator" if pid == under_test.pid else used[pid][0]: took for pid, took in spent(cpu, used).items()}
        | {"the bench": round(own, 2)},
        busy=busy,
        peak_mib=peak_memory_mib(under_test.pid),
    )  # fmt: skip


def _calls(cluster: FakeCluster, mark: int) -> list[Call]:
    return [call for call in cluster.audit.calls(mark) if call.namespace == APPS]


async def run(asked: Asked) -> Costs:
    """The floor, the releases, what they cost."""
    with fake_cluster(Lab.here()) as cluster:
        async with asyncio.timeout(_AT_MOST), read_access(cluster.kubeconfig("author")).client() as author:
            least = await floor(cluster, author, asked)
            print(f"{asked.apps} plain Deployments are available after {least:.1f} s", flush=True)
            with operator(cluster, latency=asked.latency) as under_test:
                await first_releases(cluster, author, asked)
                print(f"{asked.apps} apps run; now all of them get another image", flush=True)
                costs = await second_releases(cluster, author, under_test, asked)
    costs = replace(costs, floor=least)
    print("\n".join(words(costs)), flush=True)
    return costs


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--apps", type=int, default=200)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--workload", choices=list(FRAMEWORKS), help="only releases of this shape")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds of a stand-in's check, or look")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended in order
    shapes = [given.workload] if given.workload else list(FRAMEWORKS)
    runs = [asyncio.run(run(Asked(given.apps, given.replicas, given.latency, shape))) for shape in shapes]
    targets = [target for costs in runs for target in judge(costs)]
    return finish("releases", targets, {called(costs): details(costs) for costs in runs})


if __name__ == "__main__":
    sys.exit(main())
