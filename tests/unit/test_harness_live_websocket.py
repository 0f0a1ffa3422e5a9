"""The session of the plain websocket app notices what its user would: a small server plays the app and goes wrong."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from tests.harness.failures import UserNoticed
from tests.harness.live_websocket import LiveWebsocket
from tests.unit.harness_rig import saying, tab_on

pytestmark = pytest.mark.asyncio


@dataclass
class Act:
    """What the app does, and what it saw."""

    version: str = "v1"
    error: str = ""
    forgets: bool = False
    hellos: list[str | None] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    uploads: dict[str, int] = field(default_factory=dict)
    sockets: dict[str, web.WebSocketResponse] = field(default_factory=dict)

    def shown(self, name: str) -> dict[str, Any]:
        if self.error:
            return {"error": self.error}
        shown = {"total": f"total = {3 * self.numbers[name]} ({self.version})"}
        return shown | ({"upload": f"upload = {self.uploads[name]} bytes"} if name in self.uploads else {})

    async def session(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        asked = (await websocket.receive_json())["session"]
        self.hellos.append(asked)
        name = asked if asked and not self.forgets else f"s{len(self.numbers)}"
        self.numbers.setdefault(name, 7)
        self.sockets[name] = websocket
        await websocket.send_json({"session": name})
        await websocket.send_json(self.shown(name))
        async for frame in websocket:
            self.numbers[name] = frame.json()["n"]
            await websocket.send_json(self.shown(name))
        return websocket

    async def upload(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.uploads[name] = len(await request.read())
        await self.sockets[name].send_json(self.shown(name))
        return web.Response()

    async def report(self, request: web.Request) -> web.Response:
        return web.Response(text=f"report of {self.shown(request.match_info['name'])['total']}")


def routes(act: Act) -> list[web.RouteDef]:
    """An app that plays the act."""
    return [
        web.get("/", saying("<p>", "text/html")),
        web.get("/static/asset.txt", saying("asset")),
        web.get("/ws", act.session),
        web.post("/session/{name}/upload", act.upload),
        web.get("/session/{name}/report", act.report),
    ]


def playing(act: Act, *, patience: float = 2.0) -> AbstractAsyncContextManager[LiveWebsocket]:
    """An app that plays the act, and a session on it that is not open yet."""
    return tab_on(LiveWebsocket, *routes(act), patience=patience)


async def test_everything_a_user_does_works_and_a_second_tab_is_another_session() -> None:
    act = Act()
    async with playing(act) as session:
        assert (await session.open()).total == 21
        assert (await session.set_input(5)).total == 15
        assert await session.fetch_asset() == "asset"
        assert await session.upload(b"x" * 700) == 700
        second = await session.second_tab()
        assert (await second.set_input(6)).total == 18
        assert (await session.download()).total == 15
        await second.close()
        assert (await session.offline(0.01)).total == 15
        assert (await session.reload()).total == 21
        assert session.failures == second.failures == []
    assert act.hellos == [None, None, "s0", None]


async def test_a_session_that_the_app_has_forgotten_is_a_failure() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        act.forgets = True
        with pytest.raises(UserNoticed, match="resuming the session: the session is a new one"):
            await session.offline(0.01)


async def test_another_version_after_the_way_back_is_a_failure() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        act.version = "v2"
        with pytest.raises(UserNoticed, match="mixed versions: one open session saw v1, v2"):
            await session.offline(0.01)


async def test_an_error_on_the_page_is_a_failure() -> None:
    act = Act()
    async with playing(act, patience=0.3) as session:
        await session.open()
        act.error = "ValueError: no warehouse"
        with pytest.raises(UserNoticed, match="the total of 5: nothing within"):
            await session.set_input(5)
        assert session.failures[0].words == "ValueError: no warehouse"
