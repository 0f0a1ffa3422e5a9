"""What the front counts of its visitors' answers: all, failures, and how long the app took to begin."""

import asyncio
import socket

import aiohttp
import pytest

from dataapp_operator.front import settings
from tests.unit.front_rig import front

pytestmark = [pytest.mark.asyncio, pytest.mark.must_run]


async def test_answers_and_failures_are_counted_and_our_own_probes_are_not() -> None:
    async with front() as running:
        before = await running.counts()
        assert (before.answers, before.errors, before.timed) == (0, 0, 0)
        for _ in range(3):
            await running.get("/")
        for _ in range(2):
            assert (await running.get("/fails")).status == 500
        await running.get("/fails", port=running.probe)
        counts = await running.counts()
        assert (counts.answers, counts.errors, counts.timed) == (5, 2, 5)
        assert counts.within[-1] == 5


async def test_an_answer_counts_where_its_time_belongs() -> None:
    async with front() as running:
        slow = asyncio.create_task(running.get("/slow"))
        await asyncio.sleep(0.6)  # what is measured is time: it has to pass
        running.app.hold.set()
        await slow
        await running.get("/")
        counts = await running.counts()
        assert dict(zip(settings.WITHIN, counts.within, strict=True))[0.5] == 1
        assert counts.within[-1] == counts.timed == 2


async def test_an_app_that_does_not_answer_is_a_failure_of_no_duration() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with front(app_port=nobody.getsockname()[1]) as running:
            assert (await running.get("/")).status == 503
            counts = await running.counts()
            assert (counts.answers, counts.errors, counts.timed) == (1, 1, 0)


async def test_a_websocket_counts_once_it_is_closed_and_took_as_long_as_its_greeting() -> None:
    async with front() as running, aiohttp.ClientSession() as client:
        async with client.ws_connect(f"http://127.0.0.1:{running.traffic}/websocket") as websocket:
            await websocket.send_str("hello")
            await websocket.receive_str()
            open_ = await running.counts()
            assert (open_.answers, open_.timed) == (0, 1)
        for _ in range(50):
            counts = await running.counts()
            if counts.answers:
                break
            await asyncio.sleep(0.1)  # until the front has heard of its end
        assert (counts.answers, counts.errors) == (1, 0)
