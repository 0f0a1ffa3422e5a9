"""The front counts exactly what is live, and knows for how long nothing was."""

import asyncio
import time

import aiohttp
import pytest

from dataapp_operator.front import settings
from tests.unit.front_rig import Front, Sessions, close, eventually, front

pytestmark = [pytest.mark.asyncio, pytest.mark.must_run]


async def _live_is(running: Front, count: int) -> None:
    async def seen() -> bool:
        return await running.live() == count

    await eventually(f"{count} live", seen)


async def test_an_idle_keep_alive_connection_is_not_live() -> None:
    async with front() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.traffic)
        request = b"GET / HTTP/1.1\r\nHost: sales.example.test\r\n\r\n"
        for _ in range(2):  # the second request proves that the connection stayed open between
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
            await _live_is(running, 0)
        await close(writer)


async def test_a_request_in_flight_is_live() -> None:
    async with front() as running:
        request = asyncio.create_task(running.get("/slow"))
        await _live_is(running, 1)
        running.app.hold.set()
        assert (await request).body == b"done"
        await _live_is(running, 0)


async def test_five_websockets_are_five_and_two_when_three_have_closed() -> None:
    async with front() as running, aiohttp.ClientSession() as client:
        sockets = [await client.ws_connect(f"http://127.0.0.1:{running.traffic}/websocket") for _ in range(5)]
        for number, websocket in enumerate(sockets):
            await websocket.send_str(f"message {number}")
            assert await websocket.receive_str() == f"message {number}"
        assert await running.live() == 5
        for websocket in sockets[:3]:
            await websocket.close()
        await _live_is(running, 2)
        for websocket in sockets[3:]:
            await websocket.close()
        await _live_is(running, 0)


async def test_a_visitor_who_vanishes_without_a_word_does_not_stay_live() -> None:
    async with front() as running, aiohttp.ClientSession() as client:
        websocket = await client.ws_connect(f"http://127.0.0.1:{running.traffic}/websocket")
        assert await running.live() == 1
        transport = websocket.get_extra_info("socket")
        assert transport is not None
        await client.close()  # the connection goes, no closing frame is sent
        await _live_is(running, 0)


async def test_a_quiet_stream_is_live_until_its_reader_leaves_and_the_app_hears_of_it() -> None:
    async with front() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.traffic)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: sales.example.test\r\n\r\n")
        # It arrives although nothing follows it: the front holds no chunk back.
        await asyncio.wait_for(reader.readuntil(b"data: first\n\n"), 5)
        assert await running.live() == 1
        await close(writer)
        await _live_is(running, 0)
        await asyncio.wait_for(running.app.stream_ended.wait(), 5)


async def test_a_request_whose_visitor_left_is_not_live_although_the_app_still_works_on_it() -> None:
    async with front() as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.traffic)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: sales.example.test\r\n\r\n")
        await _live_is(running, 1)
        await close(writer)
        await _live_is(running, 0)


async def test_quiet_and_drain_in_real_seconds() -> None:
    # Three stories that take their time, told side by side, each with a front of its own.
    async with asyncio.TaskGroup() as stories:
        stories.create_task(_quiet_grows_and_is_reset_by_the_shortest_request_but_not_by_a_probe())
        stories.create_task(_drain_waits_for_the_last_websocket_and_then_for_three_quiet_seconds())
        stories.create_task(_drain_of_an_empty_slot_waits_three_seconds_and_starts_again_after_a_late_request())


async def _quiet_reaches(running: Front, seconds: int, *, last_live: float) -> None:
    """Wait for `seconds` of quiet, and see that the front never claims more than there was since `last_live`."""

    async def reached() -> bool:
        asked = time.monotonic()
        answer = await running.sessions()
        assert answer.quiet_for <= time.monotonic() - last_live, f"{answer} claims more quiet than there was"
        assert answer.quiet_for >= asked - last_live - 2.5, f"{answer} forgets quiet that there was"
        return answer.quiet_for >= seconds

    await eventually(f"{seconds} s of quiet", reached)


async def _quiet_grows_and_is_reset_by_the_shortest_request_but_not_by_a_probe() -> None:
    async with front() as running, aiohttp.ClientSession() as client:
        last_live = time.monotonic()
        assert (await running.get("/")).status == 200
        assert (await running.sessions()).quiet_for == 0
        await _quiet_reaches(running, 2, last_live=last_live)

        async with client.ws_connect(f"http://127.0.0.1:{running.probe}/websocket") as probe:
            await probe.send_str("from us")
            assert await probe.receive_str() == "from us"
            answer = await running.sessions()
            assert answer.live == 0
            assert answer.quiet_for >= 2

        # Between two looks of a second each, and over before the next one.
        last_live = time.monotonic()
        assert (await running.get("/")).status == 200
        assert await running.sessions() == Sessions(live=0, quiet_for=0)
        await _quiet_reaches(running, 2, last_live=last_live)

        # Live at one look and gone at the next: the quiet began in between.
        async with client.ws_connect(f"http://127.0.0.1:{running.traffic}/websocket"):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_quiet_reaches(running, 1, last_live=time.monotonic()), 1.5)
        await _quiet_reaches(running, 1, last_live=time.monotonic())


async def _drain_waits_for_the_last_websocket_and_then_for_three_quiet_seconds() -> None:
    async with front() as running, aiohttp.ClientSession() as client:
        websocket = await client.ws_connect(f"http://127.0.0.1:{running.traffic}/websocket")
        drained = asyncio.create_task(running.get(settings.DRAIN_PATH, port=running.agent))
        with pytest.raises(TimeoutError):  # longer than the quiet it wants, so that an early answer would be seen
            await asyncio.wait_for(asyncio.shield(drained), 4.5)
        await websocket.send_str("still here")
        assert await websocket.receive_str() == "still here"
        await websocket.close()
        closed = time.monotonic()
        assert (await drained).body == b"drained\n"
        assert 2.9 <= time.monotonic() - closed <= 5.5


async def _drain_of_an_empty_slot_waits_three_seconds_and_starts_again_after_a_late_request() -> None:
    async with front() as running:
        started = time.monotonic()
        await _quiet_reaches(running, 1, last_live=started - 1)  # quiet before the question is not what is asked for
        drained = asyncio.create_task(running.get(settings.DRAIN_PATH, port=running.agent))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(drained), 2.5)
        assert (await running.get("/")).status == 200  # the gateway has not heard yet that this pod leaves
        late = time.monotonic()
        assert (await drained).body == b"drained\n"
        assert 2.9 <= time.monotonic() - late <= 5.5
