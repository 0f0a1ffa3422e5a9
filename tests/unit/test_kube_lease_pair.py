"""Never two hold the Lease, whatever the network does to them and however they are ended."""

import asyncio

import looptime
from hypothesis import given, settings
from hypothesis import strategies as st

from dataapp_operator.kube.lease import Terms
from tests.unit.lease_rig import Line, Server, make, now

faults = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, "down", "deaf", 1.0, 4.0, 30.0, "release", "kill"]),
        st.sampled_from([0.3, 1.0, 2.5, 6.0, 11.0, 16.0]),  # seconds until the next event
    ),
    max_size=25,
)


@given(faults)
@settings(max_examples=30, deadline=None)
def test_never_two_hold_it(events):
    loop = looptime.new_event_loop(start=0, noop_cycles=1)  # no threads, no sockets: nothing else can happen
    try:
        loop.run_until_complete(play(events))
    finally:
        loop.close()


async def play(events):
    """Two places, each with a process that is started again whenever it ends; writes take up to the margin."""
    server = Server()
    lines = {"a": Line(server), "b": Line(server)}
    holders = {}

    async def process(place):
        while True:
            holders[place] = make(lines[place], place)
            await holders[place].acquire()
            await holders[place].keep()
            await asyncio.sleep(0.1)

    async def watch():
        while True:
            # A write begun at the last moment of holding may be under way for the margin.
            writing = [place for place, holder in holders.items() if now() < holder._valid_until + Terms().margin]
            held = [place for place, holder in holders.items() if holder.held()]
            assert not held or writing == held, f"{held} holds it at {now()}, and {writing} may be writing"
            await asyncio.sleep(0.3)

    async def stop(task):
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(outcome, asyncio.CancelledError):
            raise outcome

    tasks = {place: asyncio.create_task(process(place)) for place in lines}
    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0.1)
    try:
        for place, what, seconds in events:
            if what == "release":
                await holders[place].release()
            elif what == "kill":
                await stop(tasks[place])
                tasks[place] = asyncio.create_task(process(place))
            else:
                lines[place].fault = what
            await asyncio.sleep(seconds)
        for line in lines.values():
            line.fault = None
        await asyncio.sleep(90)
        assert any(holder.held() for holder in holders.values()), "nobody leads though all is well"
    finally:
        for task in (*tasks.values(), watcher):
            await stop(task)
