"""The websocket of an open tab: somebody always listens to it, and a drop is recorded the moment it happens."""

import asyncio
from collections.abc import Callable

import aiohttp

from tests.harness.failures import Failures


class Wire:
    """One websocket after the other. `hear` takes in a message and returns an error that the user would see, if any."""

    def __init__(self, failures: Failures, hear: Callable[[str | bytes], str | None]) -> None:
        self._failures, self._hear = failures, hear
        self._websocket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._leaving = False
        self._heard, self._last = 0, "none"

    @property
    def is_live(self) -> bool:
        """Whether the websocket is open."""
        return self._websocket is not None and not self._websocket.closed

    @property
    def so_far(self) -> str:
        """What came over it, in words."""
        return f"{self._heard} messages came, the last: {self._last}"

    def begin(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        """Listen to a websocket that was just opened."""
        assert not self.is_live, "the session is open already"
        self._leaving = False
        self._heard, self._last = 0, "none"
        self._websocket = websocket
        self._reader = asyncio.create_task(self._read(websocket))

    async def send(self, data: str | bytes) -> None:
        """Send one message."""
        websocket = self._websocket
        assert websocket is not None, "the session is not open"
        await (websocket.send_bytes(data) if isinstance(data, bytes) else websocket.send_str(data))

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until something that is told by messages is so. Raises `ConnectionResetError` after a drop."""
        async with self._changed:
            await self._changed.wait_for(lambda: predicate() or not self.is_live)
        if not predicate():
            raise ConnectionResetError("the session was dropped")

    async def leave(self) -> None:
        """Close it as a browser does whose tab is closed."""
        self._leaving = True
        if self._websocket is not None:
            await self._websocket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        await self._ended()

    async def cut(self) -> None:
        """Lose the network: the connection is gone, and nobody has said a word."""
        assert self._websocket is not None, "the session is not open"
        self._leaving = True
        # aiohttp has no public way to leave without a closing frame.
        connection = self._websocket._conn
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        await self._ended()

    async def _ended(self) -> None:
        if self._reader is not None:
            await self._reader
        self._websocket = self._reader = None

    async def _read(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in websocket:
            if frame.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                async with self._changed:
                    self._heard, self._last = self._heard + 1, repr(frame.data[:120])
                    if error := self._hear(frame.data):
                        self._failures.record("an error on the page", error)
                    self._changed.notify_all()
        if not self._leaving:
            self._failures.record("dropped session", f"the websocket was closed (code {websocket.close_code})")
        async with self._changed:
            self._changed.notify_all()
