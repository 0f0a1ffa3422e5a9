"""The Lease in virtual time: who holds it when."""

import asyncio
import contextlib

import pytest

from dataapp_operator.kube.errors import LeaseLost
from dataapp_operator.kube.lease import boot_clock
from tests.unit.lease_rig import Line, Server, make, now

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


@contextlib.asynccontextmanager
async def kept(holder):
    task = asyncio.create_task(holder.keep())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_first_one_creates_it_and_holds_it_as_long_as_it_renews():
    server = Server()
    holder = make(Line(server), "a")
    with pytest.raises(LeaseLost, match="a does not hold the Lease ns/op"):
        holder.check()
    await holder.acquire()
    async with kept(holder):
        for _ in range(100):
            holder.check()
            await asyncio.sleep(1)
    assert server.lease["spec"]["leaseTransitions"] == 0
    assert server.lease["spec"]["leaseDurationSeconds"] == 15
    await asyncio.sleep(10)
    assert not holder.held(), "nobody renews any more"


async def test_a_second_one_waits_until_it_has_seen_the_lease_unchanged_for_its_duration():
    server = Server()
    first, second = make(Line(server), "a"), make(Line(server), "b")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    async with kept(first):
        await asyncio.sleep(60)
        assert not waiting.done()
        died = now()
    await waiting
    assert second.held()
    assert not first.held()
    # 15 s after it saw the last renewal, looking every 2 s
    assert 10 <= now() - died <= 17
    assert server.lease["spec"]["leaseTransitions"] == 1


async def test_a_lease_given_back_is_taken_at_the_next_look():
    server = Server()
    first, second = make(Line(server), "a"), make(Line(server), "b")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    async with kept(first) as task:
        await asyncio.sleep(7)
        await first.release()
        assert not first.held()
        assert server.holder == ""
        released = now()
        await waiting
        assert now() - released <= 2
        await asyncio.wait_for(task, 10)
    assert not first.lost.is_set(), "given back is not lost"


async def test_a_restart_under_the_same_identity_waits_for_nothing():
    server = Server()
    await make(Line(server), "pod-1").acquire()
    again = make(Line(server), "pod-1")
    await again.acquire()
    assert again.held()
    assert now() == 0


async def test_one_that_cannot_renew_stops_before_another_may_begin_and_tells():
    server = Server()
    line = Line(server)
    holder = make(line, "a")
    await holder.acquire()
    async with kept(holder) as task:
        line.fault = "down"
        await asyncio.wait_for(holder.lost.wait(), 60)
        await task
    assert now() <= 15
    assert not holder.held()


async def test_a_short_outage_costs_nothing():
    server = Server()
    line = Line(server)
    holder = make(line, "a")
    await holder.acquire()
    async with kept(holder):
        line.fault = "down"
        await asyncio.sleep(8)
        line.fault = None
        await asyncio.sleep(60)
        assert holder.held()
        assert not holder.lost.is_set()


async def test_a_renewal_whose_answer_was_lost_is_recognised_as_our_own():
    server = Server()
    line = Line(server)
    holder = make(line, "a")
    await holder.acquire()
    async with kept(holder):
        line.fault = "deaf"
        await asyncio.sleep(6)
        line.fault = None
        await asyncio.sleep(60)
        assert holder.held()


async def test_a_label_put_on_the_lease_is_no_reason_to_lose_it():
    server = Server()
    holder = make(Line(server), "a")
    await holder.acquire()
    async with kept(holder):
        server.lease["metadata"]["labels"] = {"seen": "yes"}
        server.store(server.lease)
        await asyncio.sleep(60)
        assert holder.held()
    assert server.lease["metadata"]["labels"] == {"seen": "yes"}


@pytest.mark.parametrize("what", ["another took it", "it was deleted"])
async def test_a_lease_that_is_anothers_or_gone_is_lost_at_the_next_renewal(what):
    server = Server()
    holder = make(Line(server), "a")
    await holder.acquire()
    async with kept(holder) as task:
        if what == "it was deleted":
            server.lease = None
        else:
            server.lease["spec"]["holderIdentity"] = "b"
            server.store(server.lease)
        await asyncio.wait_for(task, 6)
        assert holder.lost.is_set()
        assert not holder.held()


async def test_a_lease_made_by_hand_without_a_spec_is_free():
    server = Server()
    server.store({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "op"}})
    holder = make(Line(server), "a")
    await holder.acquire()
    assert server.holder == "a"


async def test_giving_back_what_is_not_held_writes_nothing():
    server = Server()
    holder = make(Line(server), "a")
    await holder.release()
    assert server.lease is None
    await holder.acquire()
    await asyncio.sleep(20)
    await holder.release()
    assert server.holder == "a"


async def test_giving_back_over_a_broken_line_only_stops():
    server = Server()
    line = Line(server)
    holder = make(line, "a")
    await holder.acquire()
    line.fault = "down"
    await holder.release()
    assert not holder.held()


async def test_the_clock_of_a_lease_runs_forward():
    first = boot_clock()
    assert boot_clock() >= first
