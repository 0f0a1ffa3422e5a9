"""A browser as far as a gateway can tell: a cookie jar, page loads marked as such, and everything else not.

It connects to a loopback port and names the app in the Host header, because no resolver knows `*.localhost`. Two
sessions that share a Browser are two tabs: they share the pin cookie, as tabs do.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp

_ASSET = re.compile(r"""<(?:script|link)\b[^>]*?\b(?:src|href)=["']([^"'#]+\.(?:js|css)(?:\?[^"']*)?)["']""")
_RELEASE, _PLAN = "X-DataApp-Release", "X-DataApp-Plan"


def assert_loopback(address: str) -> None:
    """The harness makes load, and makes it nowhere but here."""
    assert ipaddress.ip_address(address).is_loopback, f"{address} is not a loopback address: no load on other machines"


def fail_on_first_reset(client: aiohttp.ClientSession) -> None:
    """Switch off that aiohttp sends a GET a second time, unasked, when its connection was cut.

    A visitor's request that was cut is what we are here to see. There is no public name for it in aiohttp 3.14.
    """
    assert client._retry_connection is True, "aiohttp has changed: look for its new way to switch retries off"
    client._retry_connection = False


@dataclass(frozen=True, slots=True)
class PageLoad:
    """What came back for a page: the HTML, the addresses of its scripts and styles, and who answered (None: no header)."""

    html: str
    assets: tuple[str, ...]
    release: int | None
    plan: int | None
    pin: str | None


class Browser:
    """One visitor. `host` is the app's host name ("sales.localhost"); close it, or use it as a context manager.

    `always`: headers that it sends with everything, as an add-on of a browser can.
    """

    def __init__(
        self,
        host: str,
        *,
        address: str = "127.0.0.1",
        port: int = 8088,
        timeout: float = 20.0,
        always: Mapping[str, str] | None = None,
    ) -> None:
        assert_loopback(address)
        self.host = f"{host}:{port}"  # with the port, as browsers send it: frameworks compare it with the Origin
        self._base = f"http://{address}:{port}/"
        self._client = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # "unsafe": keep cookies of IP addresses
            timeout=aiohttp.ClientTimeout(total=timeout),
            headers={"Host": self.host, "User-Agent": "dataapp-harness", **(always or {})},
        )
        fail_on_first_reset(self._client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the browser, with its cookies and idle connections."""
        await self._client.close()

    def cookie(self, prefix: str) -> str | None:
        """The value of the first cookie whose name starts so, with the prefix of HTTPS or without; None if there is none."""
        named = ((cookie.key.removeprefix("__Host-"), cookie.value) for cookie in self._client.cookie_jar)
        return next((value for name, value in named if name.startswith(prefix)), None)

    async def load_page(self, path: str = "/") -> PageLoad:
        """Load a page the way an address bar does. Raises `aiohttp.ClientError` (a status of 400 or more included)."""
        headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}
        async with self._client.get(self.url(path), headers=headers, raise_for_status=True) as answer:
            html = await answer.text()
            release, plan = answer.headers.get(_RELEASE), answer.headers.get(_PLAN)
        return PageLoad(
            html,
            tuple(dict.fromkeys(_ASSET.findall(html))),
            int(release) if release else None,
            int(plan) if plan else None,
            self.cookie("dataapp-"),
        )

    async def fetch(self, path: str) -> bytes:
        """Fetch a script, a style or another file of a page that is open. Raises `aiohttp.ClientError`."""
        headers = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}
        async with self._client.get(self.url(path), headers=headers, raise_for_status=True) as answer:
            return await answer.read()

    async def save(self, path: str) -> bytes:
        """Click a link that has the attribute `download`. Raises `aiohttp.ClientError`.

        Chromium (156) says "navigate" there as for a page load, and that it is for no document; Firefox says "no-cors".
        """
        headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "empty"}
        async with self._client.get(self.url(path), headers=headers, raise_for_status=True) as answer:
            return await answer.read()

    async def send(self, method: str, path: str, data: object, headers: dict[str, str] | None = None) -> bytes:
        """Send data from an open page, as an upload does. Raises `aiohttp.ClientError`."""
        marked = {"Sec-Fetch-Mode": "cors", "Origin": f"http://{self.host}"} | (headers or {})
        async with self._client.request(
            method, self.url(path), data=data, headers=marked, raise_for_status=True
        ) as answer:
            return await answer.read()

    async def websocket(self, path: str, protocols: tuple[str, ...] = ()) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket of an open page. Raises `aiohttp.ClientError`."""
        return await self._client.ws_connect(
            self.url(path),
            protocols=protocols,
            headers={"Origin": f"http://{self.host}", "Sec-Fetch-Mode": "websocket"},
            max_msg_size=64 * 1024 * 1024,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
        )

    def url(self, path: str) -> str:
        """The address of a path, relative ones from the root page."""
        return urljoin(self._base, path)
