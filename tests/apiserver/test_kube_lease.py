"""The Lease on a real API server: two candidates, one of them killed, and one that gives the Lease back."""

import asyncio
import os
import signal
import sys
import time
from datetime import datetime

import pytest
import pytest_asyncio

from dataapp_operator.kube.client import ApiCluster
from dataapp_operator.kube.kinds import LEASE
from dataapp_operator.kube.lease import LeaseHolder, Terms
from dataapp_operator.kube.transport import Transport

pytestmark = [pytest.mark.apiserver, pytest.mark.asyncio]

TERMS = Terms(duration=3, renew=0.5, retry=0.2, margin=1)

# What a process of the operator does with its Lease, and nothing else.
PROCESS = """
import asyncio, sys
from dataapp_operator.kube.client import ApiCluster
from dataapp_operator.kube.lease import LeaseHolder, Terms
from dataapp_operator.kube.transport import Transport

async def main(kubeconfig, namespace):
    async with await Transport.open(kubeconfig=kubeconfig) as transport:
        calls = ApiCluster(transport, guard=lambda: None, write_seconds=1)
        terms = Terms(duration=3, renew=0.5, retry=0.2, margin=1)
        holder = LeaseHolder(calls, name="op", namespace=namespace, identity="other", terms=terms)
        await holder.acquire()
        print("held", flush=True)
        await holder.keep()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest_asyncio.fixture
async def cluster(kubeconfig):
    async with await Transport.open(kubeconfig=str(kubeconfig)) as transport:
        yield ApiCluster(transport, guard=lambda: None, write_seconds=1)


def make(cluster, namespace, identity):
    return LeaseHolder(cluster, name="op", namespace=namespace, identity=identity, terms=TERMS)


async def test_of_many_at_once_one_holds_it_and_the_next_takes_over_what_is_given_back(cluster, namespace):
    holders = [make(cluster, namespace, f"pod-{number}") for number in range(4)]
    races = {asyncio.create_task(holder.acquire()): holder for holder in holders}
    done, waiting = await asyncio.wait(races, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(TERMS.duration / 2)
    assert len([holder for holder in holders if holder.held()]) == 1
    first = races[done.pop()]
    keeping = asyncio.create_task(first.keep())
    await asyncio.sleep(TERMS.duration + 1)
    assert first.held()
    assert not any(task.done() for task in waiting)
    began = time.monotonic()
    await first.release()
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert time.monotonic() - began < TERMS.duration, "it did not have to wait for the Lease to expire"
    assert [holder.held() for holder in holders].count(True) == 1
    await keeping
    assert not first.lost.is_set()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_after_a_kill_another_takes_over_once_the_lease_has_expired(cluster, kubeconfig, namespace):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, str(kubeconfig), namespace, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"held\n"
        mine = make(cluster, namespace, "mine")
        waiting = asyncio.create_task(mine.acquire())
        await asyncio.sleep(TERMS.duration + 1)
        assert not waiting.done(), "the other one renews"
        os.kill(process.pid, signal.SIGKILL)
        died = time.monotonic()
        await process.wait()
        await asyncio.wait_for(waiting, 30)
        waited = time.monotonic() - died
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    # The last renewal was up to `renew` before its death; we look every `retry`.
    assert TERMS.duration - TERMS.renew - 0.3 <= waited <= TERMS.duration + 2
    lease = await cluster.get(LEASE, namespace, "op")
    assert lease["spec"]["holderIdentity"] == "mine"
    assert lease["spec"]["leaseTransitions"] == 1


async def test_one_that_was_stopped_finds_that_it_has_lost(cluster, namespace):
    """As after a suspended machine: another leads by now, so the first renewal must end it."""
    first, second = make(cluster, namespace, "first"), make(cluster, namespace, "second")
    await first.acquire()
    await asyncio.wait_for(second.acquire(), 30)
    assert not first.held()
    await asyncio.wait_for(first.keep(), 10)
    assert first.lost.is_set()
    assert second.held()


async def test_the_lease_says_who_and_since_when_in_the_apis_own_format(cluster, namespace):
    holder = make(cluster, namespace, "pod-1")
    await holder.acquire()
    spec = (await cluster.get(LEASE, namespace, "op"))["spec"]
    assert spec["holderIdentity"] == "pod-1"
    assert spec["leaseDurationSeconds"] == TERMS.duration
    for moment in ("acquireTime", "renewTime"):
        assert abs(datetime.fromisoformat(spec[moment]).timestamp() - time.time()) < 60
    await holder.release()
    lease = await cluster.get(LEASE, namespace, "op")
    assert lease["spec"].get("holderIdentity", "") == ""
