"""A slot that is full: who is there stays, who comes gets a page that tries again, and no pin."""

import aiohttp
import pytest

from dataapp_operator.front import settings
from tests.unit.front_rig import COOKIE, PIN, eventually, front

pytestmark = [pytest.mark.asyncio, pytest.mark.must_run]

MINE = f"Cookie: {COOKIE}={PIN}"


async def test_a_new_visitor_to_a_full_slot_is_told_kindly_and_comes_in_once_there_is_a_place() -> None:
    async with front(sessions=2) as running, aiohttp.ClientSession() as client:
        address = f"http://127.0.0.1:{running.traffic}/websocket"
        sockets = [await client.ws_connect(address, headers={"Cookie": f"{COOKIE}={PIN}"}) for _ in range(2)]
        full = await running.get("/")
        assert full.status == 503
        assert full.all(settings.FULL_HEADER) == ["1"]
        assert full.all("Retry-After") == ["3"]
        assert full.all("Set-Cookie") == [], "a pin would lead them here again"
        assert full.all(settings.RELEASE_HEADER) == ["14"]
        assert b"places of this app are taken" in full.body
        assert (await running.get("/", lines=[MINE])).status == 200, "whoever is here already is let in"
        await sockets[0].close()

        async def let_in() -> bool:
            return (await running.get("/")).status == 200

        await eventually("there is a place", let_in)
        await sockets[1].close()


async def test_our_own_probes_are_let_in_and_whoever_was_turned_away_is_no_failure_of_the_app() -> None:
    async with front(sessions=1) as running, aiohttp.ClientSession() as client:
        socket = await client.ws_connect(f"http://127.0.0.1:{running.traffic}/websocket")
        assert (await running.get("/")).status == 503
        assert (await running.get("/", port=running.probe)).status == 200
        assert (await running.counts()).errors == 0
        await socket.close()


async def test_without_a_limit_nobody_is_turned_away() -> None:
    async with front() as running, aiohttp.ClientSession() as client:
        address = f"http://127.0.0.1:{running.traffic}/websocket"
        sockets = [await client.ws_connect(address) for _ in range(30)]
        assert (await running.get("/")).status == 200
        for socket in sockets:
            await socket.close()
