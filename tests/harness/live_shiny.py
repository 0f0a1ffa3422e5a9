"""A live Shiny session: inputs go up by name, values of outputs come down.

R and Python speak the same protocol, uploads included; of what is "no value yet" R says an error of the silent type,
Python a value of null.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp

from dataapp_operator.checks.shiny_conversation import ShinyConversation
from dataapp_operator.checks.shiny_page import read_page
from tests.harness.browser import Browser, PageLoad
from tests.harness.sessions import LiveSession

_SILENT = "shiny.silent.error"


class LiveShiny(LiveSession):
    """One tab on a Shiny app."""

    asset_path = "asset.txt"

    def __init__(self, browser: Browser, *, timeout: float = 20.0) -> None:
        super().__init__(browser, timeout=timeout)
        self._begin()

    def _begin(self) -> None:
        self._values: dict[str, Any] = {}
        self._updates: dict[str, int] = {}
        self._responses: dict[int, dict[str, Any]] = {}
        self._tag = 0

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        self._begin()
        return await self.browser.websocket("websocket/")

    async def _start(self, page: PageLoad) -> None:
        today = datetime.now(tz=UTC).date().isoformat()
        for frame in ShinyConversation(read_page(page.html, today=today), today=today).opening():
            await self._send(frame)

    async def _send_input(self, n: int) -> Callable[[], bool]:
        fresh = self._fresh("total")
        await self._send(json.dumps({"method": "update", "data": {"n:shiny.number": n}}))
        return fresh

    async def _send_file(self, data: bytes) -> Callable[[], bool]:
        fresh = self._fresh("upload")
        about = {"name": "file.bin", "size": len(data), "type": "application/octet-stream"}
        job = await self._request("uploadInit", [[about]])
        await self.browser.send("POST", job["uploadUrl"], data, {"Content-Type": "application/octet-stream"})
        await self._request("uploadEnd", [job["jobId"], "file"])
        return fresh

    async def _request(self, method: str, args: list[Any]) -> dict[str, Any]:
        """Call the server; returns its value."""
        tag = self._tag
        self._tag += 1
        await self._send(json.dumps({"method": method, "args": args, "tag": tag}))
        await self._until(lambda: tag in self._responses)
        response = self._responses[tag]
        if "error" in response:
            raise ConnectionError(f"{method} was answered with: {response['error']}")
        value = response.get("value")
        return value if isinstance(value, dict) else {}

    def _fresh(self, output: str) -> Callable[[], bool]:
        before = self._updates.get(output, 0)
        return lambda: self._updates.get(output, 0) > before

    def _hear(self, data: str | bytes) -> str | None:
        message = json.loads(data)
        if response := message.get("response"):
            self._responses[response["tag"]] = response
        values, errors = message.get("values") or {}, message.get("errors") or {}
        for name, value in values.items():
            self._values[name] = value
            self._updates[name] = self._updates.get(name, 0) + 1
        for name, error in errors.items():
            kinds = error.get("type")
            if _SILENT not in (kinds if isinstance(kinds, list) else [kinds]):
                return f"output {name}: {error.get('message')}"
        return None

    def _texts(self) -> list[str]:
        return [value for value in self._values.values() if isinstance(value, str)]
