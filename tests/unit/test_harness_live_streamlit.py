"""A Streamlit tab that loses its network comes back to the session it had, or that is a failure.

A small server plays what Streamlit does at a reconnect. That it does so is proved against the real one, in the lab.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from dataapp_operator.checks import protobuf
from dataapp_operator.checks.protobuf import encode_bytes, encode_integer, encode_text
from tests.harness.failures import UserNoticed
from tests.harness.live_streamlit import LiveStreamlit
from tests.unit.harness_rig import saying, tab_on

pytestmark = pytest.mark.asyncio


@dataclass
class Act:
    """What the app does, and what it saw."""

    version: str = "v1"
    forgets: bool = False
    report: str = "report of total = 21 (v1)"
    protocols: list[list[str]] = field(default_factory=list)

    async def session(self, request: web.Request) -> web.WebSocketResponse:
        wanted = request.headers["Sec-WebSocket-Protocol"].replace(" ", "").split(",")
        self.protocols.append(wanted)
        kept = wanted[2:] if not self.forgets else []
        name = kept[0] if kept else f"session-{len(self.protocols)}"
        websocket = web.WebSocketResponse(protocols=("streamlit",))
        await websocket.prepare(request)
        async for frame in websocket:
            assert protobuf.decode(frame.data).has(11)  # a run is asked for
            for message in self.run(name):
                await websocket.send_bytes(message)
        return websocket

    def run(self, name: str) -> list[bytes]:
        text = encode_bytes(1, encode_text(1, f"total = 21 ({self.version})"))
        button = encode_bytes(43, encode_text(6, "/media/report.txt"))
        elements = [encode_bytes(5, encode_bytes(3, element)) for element in (text, button)]
        return [encode_bytes(4, encode_bytes(1, encode_text(6, name))), *elements, encode_integer(6, 0)]


def playing(act: Act) -> AbstractAsyncContextManager[LiveStreamlit]:
    """An app that plays the act, and a session on it that is not open yet."""
    return tab_on(
        LiveStreamlit,
        web.get("/_stcore/stream", act.session),
        web.get("/media/report.txt", saying(act.report)),
        web.get("/{any:.*}", saying("<p>", "text/html")),
    )


async def test_a_tab_comes_back_under_the_name_of_its_session() -> None:
    act = Act()
    async with playing(act) as session:
        await session.open()
        assert (await session.offline(0.01)).total == 21
        assert (await session.download()).version == "v1"
        assert session.failures == []
    assert [wanted[2:] for wanted in act.protocols] == [[], ["session-1"]]


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


async def test_a_wrong_report_is_a_failure() -> None:
    async with playing(Act(report="report of total = 3 (v1)")) as session:
        await session.open()
        with pytest.raises(UserNoticed, match="wrong download"):
            await session.download()
