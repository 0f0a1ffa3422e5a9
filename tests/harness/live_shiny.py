"""A live Shiny session: inputs go up by name, values of outputs come down.

R and Python speak the same protocol, uploads and downloads included; of what is "no value yet" R says an error of the
silent type, Python a value of null. Neither keeps a session whose connection is lost: a page that may come back begins a
new one with the inputs as they are, and is not loaded again.
"""

import json
from datetime import UTC, datetime
from typing import Any

import aiohttp

from dataapp_operator.checks.shiny_conversation import ShinyConversation
from dataapp_operator.checks.shiny_page import read_page
from tests.harness.browser import Browser, PageLoad
from tests.harness.sessions import Fresh, LiveSession

_REPORT = "report"
_SILENT = "shiny.silent.error"


class LiveShiny(LiveSession):
    """One tab on a Shiny app."""

    asset_path = "asset.txt"

    def __init__(self, browser: Browser, *, timeout: float = 20.0) -> None:
        super().__init__(browser, timeout=timeout)
        self._begin()

    def _begin(self) -> None:
        self._inputs: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._updates: dict[str, int] = {}
        self._responses: dict[int, dict[str, Any]] = {}
        self._tag = 0

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        self._begin()
        return await self.browser.websocket("websocket/")

    async def _start(self, page: PageLoad) -> None:
        today = datetime.now(tz=UTC).date().isoformat()
        (frame,) = ShinyConversation(read_page(page.html, today=today), today=today).opening()
        self._inputs = json.loads(frame)["data"]
        await self._send(frame)

    async def _reconnect(self) -> aiohttp.ClientWebSocketResponse:
        return await self.browser.websocket("websocket/")

    async def _resume(self) -> Fresh:
        self._values.pop(_REPORT, None)  # its address names the session that is gone
        fresh = self._fresh("total")
        await self._send(json.dumps({"method": "init", "data": self._inputs}))
        return fresh

    async def _send_input(self, n: int) -> Fresh:
        fresh = self._fresh("total")
        data = {"n:shiny.number": n}
        self._inputs |= data
        await self._send(json.dumps({"method": "update", "data": data}))
        return fresh

    async def _send_file(self, data: bytes) -> Fresh:
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

    def _fresh(self, output: str) -> Fresh:
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

    def _report(self) -> str | None:
        address = self._values.get(_REPORT)
        return address if isinstance(address, str) and address else None
