"""A live session notices what a user would notice. A small server plays a Shiny app that goes wrong in stated ways.

That the sessions speak the real protocols is proved against the real apps, in the lab.
"""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from tests.harness.browser import Browser
from tests.harness.failures import UserNoticed
from tests.harness.live_shiny import LiveShiny
from tests.unit.harness_rig import tab_on

pytestmark = pytest.mark.asyncio

PAGE = (
    '<script src="lib/shiny.js"></script><input id="n" type="number" value="7"><p id="total" class="shiny-text-output">'
    '<a id="report" class="shiny-download-link">'
)


@dataclass
class Act:
    """What the app does, and what it saw."""

    version: str = "v1"
    factor: int = 3
    script: int = 200
    error: str = ""
    report: str = "report of total = {total} ({version})"
    refused: bool = False
    inits: list[int] = field(default_factory=list)
    total: int = 0
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

    async def download(self, request: web.Request) -> web.Response:
        self.assets.append(dict(request.headers))
        if request.match_info["token"] != str(len(self.sockets)):
            raise web.HTTPNotFound
        return web.Response(text=self.report.format(total=self.total, version=self.version))

    async def session(self, request: web.Request) -> web.StreamResponse:
        if self.refused:
            raise web.HTTPServiceUnavailable
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        self.sockets.append(websocket)
        async for frame in websocket:
            message = json.loads(frame.data)
            n = message["data"]["n:shiny.number"]
            if message["method"] == "init":
                self.inits.append(n)
            self.total = n * self.factor
            errors = {"total": {"message": self.error}} if self.error else {}
            values = {"total": f"total = {self.total} ({self.version})"}
            values["report"] = f"session/{len(self.sockets)}/download/report?w="
            await websocket.send_str(json.dumps({"values": {} if errors else values, "errors": errors}))
        return websocket


def playing(act: Act, *, patience: float = 2.0) -> AbstractAsyncContextManager[LiveShiny]:
    """An app that plays the act, and a session on it that is not open yet."""
    return tab_on(
        LiveShiny,
        web.get("/", act.page),
        web.get("/lib/shiny.js", act.asset),
        web.get("/asset.txt", act.asset),
        web.get("/websocket/", act.session),
        web.get("/session/{token}/download/report", act.download),
        patience=patience,
    )


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
    async with playing(Act(factor=4), patience=0.3) as session:
        await session.open()
        with pytest.raises(UserNoticed, match="3 × 5 was answered as 20"):
            await session.set_input(5)


async def test_an_error_on_the_page_and_no_answer_are_failures() -> None:
    act = Act()
    async with playing(act, patience=0.3) as session:
        await session.open()
        act.error = "no warehouse"
        with pytest.raises(UserNoticed, match=r"the total of 5: nothing within 0.3 s"):
            await session.set_input(5)
        assert session.failures[0].words == "output total: no warehouse"


async def test_an_asset_that_is_missing_is_a_failure() -> None:
    async with playing(Act(script=404)) as session:
        with pytest.raises(UserNoticed, match=r"asset lib/shiny.js: 404"):
            await session.open()


async def test_a_second_tab_shares_the_pin_and_has_a_session_of_its_own() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        second = await session.second_tab()
        assert len(act.sockets) == 2
        await second.close()
        assert session.is_live
        assert second.failures == session.failures == []
    assert act.pages[1]["Cookie"] == "dataapp-sales-production=13.0"


async def test_a_second_tab_that_does_not_open_is_a_failure_of_the_first() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        act.script = 503
        with pytest.raises(UserNoticed):
            await session.second_tab()
        assert [failure.what for failure in session.failures] == ["asset lib/shiny.js"]


async def test_a_report_is_downloaded_from_the_session() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        await session.set_input(5)
        assert session.offers_report
        assert (await session.download()).total == 15
        assert session.failures == []
    assert act.assets[-1]["Cookie"] == "dataapp-sales-production=13.0"


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ("report of total = 99 (v1)", "wrong download: 'report of total = 99 .v1.', where the page shows 21"),
        ("<html>", "wrong download: '<html>'"),
        ("report of total = 21 (v2)", "mixed versions: one open session saw v1, v2"),
    ],
)
async def test_a_report_of_something_else_is_a_failure(report: str, words: str) -> None:
    async with playing(Act(report=report)) as session:
        await session.open()
        with pytest.raises(UserNoticed, match=words):
            await session.download()


async def test_a_report_that_another_process_should_have_is_a_failure() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        act.sockets.append(act.sockets[0])  # the token is no longer that of the session
        with pytest.raises(UserNoticed, match="download: 404"):
            await session.download()


async def test_a_tab_comes_back_without_a_page_load_and_with_its_inputs() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        await session.set_input(5)
        answer = await session.offline(0.05)
        assert (answer.total, answer.version) == (15, "v1")
        assert session.is_live
        assert session.failures == []
        assert (await session.download()).total == 15
    assert act.inits == [7, 5]
    assert len(act.pages) == 1
    assert act.sockets[0].close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_another_version_after_the_way_back_is_a_failure() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        act.version = "v2"
        with pytest.raises(UserNoticed, match="mixed versions: one open session saw v1, v2"):
            await session.offline(0.01)
        assert [failure.what for failure in session.failures] == ["mixed versions"]


async def test_another_total_after_the_way_back_is_a_failure() -> None:
    act = Act()
    async with playing(act, patience=0.3) as session:
        await session.open()
        act.factor = 4
        with pytest.raises(UserNoticed, match="wrong answer: what was 21 was answered as 28"):
            await session.offline(0.01)


async def test_no_way_back_is_a_failure() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        act.refused = True
        with pytest.raises(UserNoticed, match="reconnecting: 503"):
            await session.offline(0.01)
        assert not session.is_live


async def test_nobody_listening_is_a_failure() -> None:
    async with Browser("sales.localhost", port=9) as browser:
        session = LiveShiny(browser)
        with pytest.raises(UserNoticed, match="page load"):
            await session.open()
        assert len(session.failures) == 1
        with pytest.raises(aiohttp.ClientError):
            await browser.load_page()
