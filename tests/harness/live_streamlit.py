"""A live Streamlit session: the script is rerun with the widgets' values, and the elements of a run are the page.

Field numbers as in Streamlit 1.67 (`streamlit/proto/*.proto`); the few that the session probe needs too are in
`dataapp_operator.checks.streamlit_messages`.
"""

from http.cookies import SimpleCookie

import aiohttp

from dataapp_operator.checks import protobuf
from dataapp_operator.checks.protobuf import Message, encode_bytes, encode_double, encode_integer, encode_text
from tests.harness.browser import Browser, PageLoad
from tests.harness.sessions import Fresh, LiveSession

_NEW_SESSION, _DELTA, _SCRIPT_FINISHED, _FILE_URLS_RESPONSE = 4, 5, 6, 19  # ForwardMsg
_RERUN_SCRIPT, _FILE_URLS_REQUEST = 11, 16  # BackMsg
_TEXT, _EXCEPTION, _MARKDOWN, _NUMBER_INPUT, _FILE_UPLOADER, _DOWNLOAD = 1, 8, 29, 32, 33, 43  # Element
_FINISHED = 0
_INTEGER = 0  # NumberInput.DataType
_PROTOCOLS = ("streamlit", "PLACEHOLDER_AUTH_TOKEN")  # what the browser sends where nobody is logged in


class LiveStreamlit(LiveSession):
    """One tab on a Streamlit app."""

    asset_path = "app/static/asset.txt"

    def __init__(self, browser: Browser, *, timeout: float = 20.0) -> None:
        super().__init__(browser, timeout=timeout)
        self._begin()

    def _begin(self) -> None:
        self._runs = self._finished = 0
        self._session_id = self._page_hash = ""
        self._elements: list[str] = []
        self._number: Message | None = None
        self._uploader: Message | None = None
        self._download: str | None = None
        self._widgets: dict[str, bytes] = {}
        self._upload_urls: dict[str, Message] = {}

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        self._begin()
        return await self._dial(_PROTOCOLS)

    async def _start(self, page: PageLoad) -> None:
        await self._rerun()

    async def _reconnect(self) -> aiohttp.ClientWebSocketResponse:
        return await self._dial((*_PROTOCOLS, self._session_id))  # by which the server finds what it has kept

    async def _resume(self) -> Fresh:
        """A page that comes back asks for nothing by itself; its user goes on, which is a run of the script."""
        before = self._session_id
        fresh = await self._rerun()
        await self._until(fresh)
        if self._session_id != before:
            raise ConnectionError("the session is a new one: what the app kept for the old one is lost")
        return fresh

    async def _dial(self, protocols: tuple[str, ...]) -> aiohttp.ClientWebSocketResponse:
        await self.browser.fetch("_stcore/health")  # sets the cookie that uploads must repeat
        await self.browser.fetch("_stcore/host-config")
        return await self.browser.websocket("_stcore/stream", protocols)

    async def _send_input(self, n: int) -> Fresh:
        await self._until(lambda: self._number is not None)
        assert self._number is not None
        identifier = self._number.text(1)
        whole = self._number.integer(13) == _INTEGER
        value = encode_integer(5, n << 1 ^ n >> 63) if whole else encode_double(4, n)  # sint64 is written zigzag
        self._widgets[identifier] = encode_text(1, identifier) + value
        return await self._rerun()

    async def _send_file(self, data: bytes) -> Fresh:
        await self._until(lambda: self._uploader is not None)
        assert self._uploader is not None
        request = f"request-{len(self._upload_urls)}"
        name = "file.bin"
        body = encode_text(1, request) + encode_text(2, name) + encode_text(3, self._session_id)
        await self._send(encode_bytes(_FILE_URLS_REQUEST, body))
        await self._until(lambda: request in self._upload_urls)
        urls = self._upload_urls[request]
        form = aiohttp.FormData()
        form.add_field("file", data, filename=name, content_type="application/octet-stream")
        token = SimpleCookie({"t": self.browser.cookie("_streamlit_xsrf") or ""})["t"].value
        await self.browser.send("PUT", urls.text(2), form, {"X-Xsrftoken": token})
        addresses = b"".join(encode_text(number, urls.text(number)) for number in (1, 2, 3))
        info = (
            encode_text(2, name)
            + encode_integer(3, len(data))
            + encode_text(4, urls.text(1))
            + encode_bytes(5, addresses)
        )
        identifier = self._uploader.text(1)
        self._widgets[identifier] = encode_text(1, identifier) + encode_bytes(13, encode_bytes(2, info))
        return await self._rerun()

    async def _rerun(self) -> Fresh:
        before = self._runs
        widgets = b"".join(encode_bytes(1, widget) for widget in self._widgets.values())
        state = encode_text(1, "") + encode_bytes(2, widgets) + encode_text(3, self._page_hash)
        await self._send(encode_bytes(_RERUN_SCRIPT, state))
        return lambda: self._runs > before and self._finished == self._runs

    def _hear(self, data: str | bytes) -> str | None:
        message = protobuf.decode(data if isinstance(data, bytes) else data.encode())
        if message.has(_NEW_SESSION):
            session = message.message(_NEW_SESSION)
            self._runs += 1
            self._elements, self._download = [], None
            self._session_id = session.message(1).text(6) or self._session_id
            self._page_hash = session.text(9)
        elif message.has(_SCRIPT_FINISHED) and message.integer(_SCRIPT_FINISHED) == _FINISHED:
            self._finished = self._runs
        elif message.has(_FILE_URLS_RESPONSE):
            response = message.message(_FILE_URLS_RESPONSE)
            self._upload_urls[response.text(1)] = response.message(2)
        elif message.has(_DELTA):
            return self._hear_element(message.message(_DELTA).message(3))
        return None

    def _hear_element(self, element: Message) -> str | None:
        if element.has(_TEXT) or element.has(_MARKDOWN):
            self._elements.append(element.message(_TEXT if element.has(_TEXT) else _MARKDOWN).text(1))
        elif element.has(_NUMBER_INPUT) and element.message(_NUMBER_INPUT).text(2) == "n":
            self._number = element.message(_NUMBER_INPUT)
        elif element.has(_FILE_UPLOADER):
            self._uploader = element.message(_FILE_UPLOADER)
        elif element.has(_DOWNLOAD):
            self._download = element.message(_DOWNLOAD).text(6)
        elif element.has(_EXCEPTION):
            exception = element.message(_EXCEPTION)
            return f"{exception.text(1)}: {exception.text(2)}"
        return None

    def _texts(self) -> list[str]:
        return self._elements

    def _report(self) -> str | None:
        return self._download
