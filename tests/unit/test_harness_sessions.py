"""A live session notices what a user would notice. A small server plays a Shiny app that goes wrong in stated ways.

That the sessions speak the real protocols is proved against the real apps, in the lab.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from tests.harness.browser import Browser
from tests.harness.failures import UserNoticed
from tests.harness.live_shiny import LiveShiny

pytestmark = pytest.mark.asyncio

PAGE = (
    '<script src="lib/shiny.js"></script><input id="n" type="number" value="7"><p id="total" class="shiny-text-output">'
)


@dataclass
class Act:
    """What the app does, and what it saw."""

    version: str = "v1"
    factor: int = 3
    script: int = 200
    error: str = ""
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    pages: list[dict[str, str]] = field(default_factory=list)
    assets: list[dict[str, str]] = field(default_factory=list)

    async def page(self, request: web.Request) -> web.Response:
        self.pages.append(dict(request.headers))
        headers = {"Set-Cookie": "dataapp-sales-production=13.0; Path=/; HttpOnly", "X-DataApp-Release": "13"}
        return web.Response(text=PAGE, content_type="text/html", headers=headers)

    async def asset(self, request: web.Request) -> web.Response:
        self.assets.append(dict(request.headers))
        return web.Response(status=self.script, text="asset")

    async def session(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        self.sockets.append(websocket)
        async for frame in websocket:
            n = json.loads(frame.data)["data"]["n:shiny.number"]
            errors = {"total": {"message": self.error}} if self.error else {}
            values = {"total": f"total = {n * self.factor} ({self.version})"}
            await websocket.send_str(json.dumps({"values": {} if errors else values, "errors": errors}))
        return websocket


@asynccontextmanager
async def playing(act: Act) -> AsyncIterator[LiveShiny]:
    """An app that plays the act, and a session on it that is not open yet."""
    app = web.Application()
    app.router.add_get("/", act.page)
    app.router.add_get("/lib/shiny.js", act.asset)
    app.router.add_get("/asset.txt", act.asset)
    app.router.add_get("/websocket/", act.session)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    browser = Browser("sales.localhost", port=runner.addresses[0][1])
    session = LiveShiny(browser, timeout=2.0)
    try:
        yield session
    finally:
        await session.close()
        await browser.close()
        await runner.cleanup()


async def test_a_good_session_has_no_failures_and_carries_its_pin() -> None:
    act = Act()
    async with playing(act) as session:
        first = await session.open()
        assert (first.total, first.version) == (21, "v1")
        assert (await session.set_input(5)).total == 15
        assert await session.fetch_asset() == "asset"
        await session.reload()
        assert session.failures == []
        assert session.visits[0].page.release == 13
        assert session.visits[0].page.pin == "13.0"
    assert [page.get("Cookie") for page in act.pages] == [None, "dataapp-sales-production=13.0"]
    assert {page["Sec-Fetch-Mode"] for page in act.pages} == {"navigate"}
    assert {asset["Cookie"] for asset in act.assets} == {"dataapp-sales-production=13.0"}
    assert "navigate" not in {asset["Sec-Fetch-Mode"] for asset in act.assets}


async def test_a_drop_is_noticed_though_nobody_is_typing() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        await act.sockets[0].close(code=1012)
        async with asyncio.timeout(5):
            while session.is_live or not session.failures:
                await asyncio.sleep(0.01)
        assert [failure.what for failure in session.failures] == ["dropped session"]
        assert "1012" in session.failures[0].words
        with pytest.raises(UserNoticed):
            await session.set_input(5)


async def test_a_new_version_in_an_open_session_is_a_failure_and_after_a_reload_is_not() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        act.version = "v2"
        with pytest.raises(UserNoticed, match="one open session saw v1, v2"):
            await session.set_input(5)
        assert (await session.reload()).version == "v2"
        assert len(session.failures) == 1


async def test_a_wrong_answer_is_a_failure() -> None:
    async with playing(Act(factor=4)) as session:
        await session.open()
        with pytest.raises(UserNoticed, match="3 × 5 was answered as 20"):
            await session.set_input(5)


async def test_an_error_on_the_page_and_no_answer_are_failures() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        act.error = "no warehouse"
        with pytest.raises(UserNoticed, match="the total of 5: nothing within 2 s"):
            await session.set_input(5)
        assert session.failures[0].words == "output total: no warehouse"


async def test_an_asset_that_is_missing_is_a_failure() -> None:
    async with playing(Act(script=404)) as session:
        with pytest.raises(UserNoticed, match=r"asset lib/shiny.js: 404"):
            await session.open()


async def test_two_tabs_share_the_pin() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        second = LiveShiny(session.browser, timeout=2.0)
        await second.open()
        await second.close()
        assert session.is_live
    assert act.pages[1]["Cookie"] == "dataapp-sales-production=13.0"


async def test_nobody_listening_is_a_failure() -> None:
    async with Browser("sales.localhost", port=9) as browser:
        session = LiveShiny(browser)
        with pytest.raises(UserNoticed, match="page load"):
            await session.open()
        assert len(session.failures) == 1
        with pytest.raises(aiohttp.ClientError):
            await browser.load_page()
