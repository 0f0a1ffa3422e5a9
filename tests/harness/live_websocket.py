"""A live session of the plain websocket app (`examples/apps/scripted-websocket`): a few messages of JSON.

The page names the session that it had when it comes back, and the app goes on with it. Uploads and the report are plain
requests under the session's name: only the process that has the session can answer them.
"""

import json

import aiohttp

from tests.harness.browser import Browser, PageLoad
from tests.harness.sessions import Fresh, LiveSession


class LiveWebsocket(LiveSession):
    """One tab on the plain websocket app."""

    asset_path = "static/asset.txt"

    def __init__(self, browser: Browser, *, timeout: float = 20.0) -> None:
        super().__init__(browser, timeout=timeout)
        self._begin()

    def _begin(self) -> None:
        self._session = ""
        self._shown: dict[str, str] = {}
        self._answers = 0

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        self._begin()
        return await self.browser.websocket("ws")

    async def _start(self, page: PageLoad) -> None:
        await self._say({"session": None})

    async def _reconnect(self) -> aiohttp.ClientWebSocketResponse:
        return await self.browser.websocket("ws")

    async def _resume(self) -> Fresh:
        before, self._session = self._session, ""
        fresh = await self._say({"session": before})
        await self._until(lambda: self._session != "")
        if self._session != before:
            raise ConnectionError("the session is a new one: what the app kept for the old one is lost")
        return fresh

    async def _send_input(self, n: int) -> Fresh:
        return await self._say({"n": n})

    async def _send_file(self, data: bytes) -> Fresh:
        fresh = self._fresh()
        kind = {"Content-Type": "application/octet-stream"}
        await self.browser.send("POST", f"session/{self._session}/upload", data, kind)
        return fresh

    async def _say(self, message: dict[str, object]) -> Fresh:
        fresh = self._fresh()
        await self._send(json.dumps(message))
        return fresh

    def _fresh(self) -> Fresh:
        before = self._answers
        return lambda: self._answers > before

    def _hear(self, data: str | bytes) -> str | None:
        message: dict[str, str] = json.loads(data)
        if "session" in message:
            self._session = message["session"]
            return None
        self._shown = message
        self._answers += 1
        return message.get("error")

    def _texts(self) -> list[str]:
        return list(self._shown.values())

    def _report(self) -> str | None:
        return f"session/{self._session}/report" if self._session else None
