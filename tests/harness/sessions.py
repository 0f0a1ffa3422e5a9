"""A live session: one open tab with its websocket, which uses the app and notices everything that a user would notice.

`LiveSession` holds what all frameworks share: the page load that takes the pin cookie, the assets, the reader that
sees a drop the moment it happens, and the bookkeeping. `LiveStreamlit` and `LiveShiny` speak the protocols. The apps
are those of `examples/apps`: a number input `n`, a text "total = 21 (v1)", an asset, an upload that is measured.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp

from tests.harness.browser import Browser, PageLoad
from tests.harness.failures import Failure, Failures, UserNoticed

T = TypeVar("T")

_TOTAL = re.compile(r"total = (-?\d+) \((v\d+)\)")
_UPLOAD = re.compile(r"upload = (\d+) bytes")
_ASSETS_PER_PAGE = 3  # of a page's scripts and styles that are really fetched


@dataclass(frozen=True, slots=True)
class Answer:
    """What the app showed: the total and the version that computed it."""

    total: int
    version: str


@dataclass(slots=True)
class Visit:
    """One page load and the session that followed: an open session must see one version only."""

    page: PageLoad
    versions: set[str] = field(default_factory=set)


class LiveSession(ABC):
    """One tab. `timeout` bounds every operation, in seconds. Failures are recorded first and raised then."""

    asset_path: str

    def __init__(self, browser: Browser, *, timeout: float = 20.0) -> None:
        self.browser = browser
        self.visits: list[Visit] = []
        self._failures = Failures()
        self._timeout = timeout
        self._websocket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._leaving = False
        self._heard, self._last = 0, "none"

    @property
    def failures(self) -> list[Failure]:
        """Everything that went wrong so far, in order."""
        return self._failures.seen

    @property
    def is_live(self) -> bool:
        """Whether the websocket is open."""
        return self._websocket is not None and not self._websocket.closed

    async def open(self) -> Answer:
        """Load the page, some of its assets and the session; returns the first answer."""
        self._leaving = False
        self._heard, self._last = 0, "none"
        page = await self._doing("page load", self.browser.load_page())
        self.visits.append(Visit(page))
        for asset in page.assets[:_ASSETS_PER_PAGE]:
            await self._doing(f"asset {asset}", self.browser.fetch(asset))
        self._websocket = await self._doing("opening the session", self._connect())
        self._reader = asyncio.create_task(self._read(self._websocket))
        await self._doing("starting the session", self._start(page))
        return await self._answer("the first answer", lambda: True)

    async def set_input(self, n: int) -> Answer:
        """Type a number; returns what the app then shows. A total that stays wrong is a failure.

        The right total is waited for: an earlier run of the script may end, with its own total, after we have typed.
        """
        fresh = await self._doing(f"setting n = {n}", self._send_input(n))
        try:
            return await self._answer(f"the total of {n}", lambda: fresh() and self._shown_total() == 3 * n)
        except UserNoticed:
            shown = self._shown_total()
            if not fresh() or shown in {None, 3 * n}:
                raise
            raise self._failures.noticed("wrong answer", f"3 × {n} was answered as {shown}") from None

    def _shown_total(self) -> int | None:
        """The total on the page now."""
        return next((int(found[1]) for text in self._texts() if (found := _TOTAL.search(text))), None)

    async def fetch_asset(self) -> str:
        """Fetch the app's static file, as the open page would."""
        return (await self._doing("asset of the app", self.browser.fetch(self.asset_path))).decode().strip()

    async def upload(self, data: bytes) -> int:
        """Upload a file; returns the size that the app shows. A wrong size is a failure."""
        fresh = await self._doing("upload", self._send_file(data))
        shown = await self._text("the size of the upload", _UPLOAD, fresh)
        if int(shown[1]) != len(data):
            raise self._failures.noticed("wrong answer", f"{len(data)} bytes were shown as {shown[1]}")
        return int(shown[1])

    async def reload(self) -> Answer:
        """Press the reload button: leave this session, load the page anew."""
        await self.close()
        return await self.open()

    async def close(self) -> None:
        """Close the tab."""
        self._leaving = True
        if self._websocket is not None:
            await self._websocket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        if self._reader is not None:
            await self._reader
        self._websocket = self._reader = None

    @abstractmethod
    async def _connect(self) -> aiohttp.ClientWebSocketResponse: ...

    @abstractmethod
    async def _start(self, page: PageLoad) -> None: ...

    @abstractmethod
    async def _send_input(self, n: int) -> Callable[[], bool]:
        """Send the number; returns what tells whether the app has answered since."""

    @abstractmethod
    async def _send_file(self, data: bytes) -> Callable[[], bool]:
        """Upload; returns what tells whether the app has answered since."""

    @abstractmethod
    def _hear(self, data: str | bytes) -> str | None:
        """Take in one message; returns an error that the user would see, if it holds one."""

    @abstractmethod
    def _texts(self) -> list[str]:
        """The texts that the page shows now."""

    async def _send(self, data: str | bytes) -> None:
        websocket = self._websocket
        assert websocket is not None, "the session is not open"
        await (websocket.send_bytes(data) if isinstance(data, bytes) else websocket.send_str(data))

    async def _until(self, predicate: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: predicate() or not self.is_live)
        if not predicate():
            raise ConnectionResetError("the session was dropped")

    async def _doing(self, what: str, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await work
        except TimeoutError:
            words = f"nothing within {self._timeout:g} s; {self._heard} messages came, the last: {self._last}"
        except (aiohttp.ClientError, ConnectionError) as error:
            words = str(error) or type(error).__name__
        raise self._failures.noticed(what, words)

    async def _text(self, what: str, pattern: re.Pattern[str], fresh: Callable[[], bool]) -> re.Match[str]:
        """Wait until the app has answered and a text of the page fits."""

        def match() -> re.Match[str] | None:
            return next((found for text in self._texts() if (found := pattern.search(text))), None)

        await self._doing(what, self._until(lambda: fresh() and match() is not None))
        found = match()
        assert found is not None
        return found

    async def _answer(self, what: str, fresh: Callable[[], bool]) -> Answer:
        found = await self._text(what, _TOTAL, fresh)
        answer = Answer(int(found[1]), found[2])
        versions = self.visits[-1].versions
        versions.add(answer.version)
        if len(versions) > 1:
            raise self._failures.noticed("mixed versions", f"one open session saw {', '.join(sorted(versions))}")
        return answer

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
