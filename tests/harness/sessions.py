"""A live session: one open tab with its websocket, which uses the app and notices everything that a user would notice.

`LiveSession` holds what all frameworks share; the module `live` says which of its kinds speaks to which app. The apps are
those of `examples/apps`: a number input `n`, a text "total = 21 (v1)", an asset, an upload that is measured, and in the
scripted ones a report to download.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

import aiohttp

from tests.harness.browser import Browser, PageLoad
from tests.harness.failures import Failure, Failures, UserNoticed
from tests.harness.wire import Wire

T = TypeVar("T")
Fresh = Callable[[], bool]
"""Tells whether the app has answered since something was sent."""

_TOTAL = re.compile(r"total = (-?\d+) \((v\d+)\)")
_UPLOAD = re.compile(r"upload = (\d+) bytes")
_REPORT = re.compile(r"report of total = (-?\d+) \((v\d+)\)")
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
        # One person does one thing at a time: Streamlit throws away its answer to an upload when a run begins just then.
        self._hands = asyncio.Lock()
        self._wire = Wire(self._failures, self._hear)
        self._send, self._until = self._wire.send, self._wire.until

    @property
    def failures(self) -> list[Failure]:
        """Everything that went wrong so far, in order."""
        return self._failures.seen

    @property
    def is_live(self) -> bool:
        """Whether the websocket is open."""
        return self._wire.is_live

    @property
    def offers_report(self) -> bool:
        """Whether the page has a report to download."""
        return self._report() is not None

    async def open(self) -> Answer:
        """Load the page, some of its assets and the session; returns the first answer."""
        page = await self._doing("page load", self.browser.load_page())
        self.visits.append(Visit(page))
        for asset in page.assets[:_ASSETS_PER_PAGE]:
            await self._doing(f"asset {asset}", self.browser.fetch(asset))
        self._wire.begin(await self._doing("opening the session", self._connect()))
        await self._doing("starting the session", self._start(page))
        return await self._answer("the first answer", lambda: True)

    async def second_tab(self) -> Self:
        """Open the app once more in the same browser: the tabs share the pin. Close it like the first one."""
        tab = type(self)(self.browser, timeout=self._timeout)
        try:
            await tab.open()
        except UserNoticed:
            self._failures.seen.extend(tab.failures)  # the tab is not there to be asked for them
            await tab.close()
            raise
        return tab

    async def set_input(self, n: int) -> Answer:
        """Type a number; returns what the app then shows. A total that stays wrong is a failure."""
        async with self._hands:
            fresh = await self._doing(f"setting n = {n}", self._send_input(n))
            return await self._computed(3 * n, f"the total of {n}", fresh, asked=f"3 × {n}")

    async def fetch_asset(self) -> str:
        """Fetch the app's static file, as the open page would."""
        return (await self._doing("asset of the app", self.browser.fetch(self.asset_path))).decode().strip()

    async def upload(self, data: bytes) -> int:
        """Upload a file; returns the size that the app shows. A wrong size is a failure."""
        async with self._hands:
            fresh = await self._doing("upload", self._send_file(data))
            shown = await self._text("the size of the upload", _UPLOAD, fresh)
        if int(shown[1]) != len(data):
            raise self._failures.noticed("wrong answer", f"{len(data)} bytes were shown as {shown[1]}")
        return int(shown[1])

    async def download(self) -> Answer:
        """Download the report of what the page shows; returns what it says. Anything else in it is a failure."""
        async with self._hands:
            await self._doing("the link of the download", self._until(lambda: self.offers_report))
            shown = await self._answer("the total", lambda: True)
            words = (await self._doing("download", self.browser.save(self._report() or ""))).decode(errors="replace")
        found = _REPORT.fullmatch(words.strip())
        if found is None or int(found[1]) != shown.total:
            raise self._failures.noticed("wrong download", f"{words[:80]!r}, where the page shows {shown.total}")
        return self._seen(Answer(int(found[1]), found[2]))

    async def offline(self, seconds: float) -> Answer:
        """Be without network for a while, and come back as the framework's page does; returns what it then shows.

        The session was not dropped by anybody. But all that goes wrong on the way back is a failure: nobody who answers,
        another version, another total, and where the framework keeps sessions, a new one instead of the old one.
        """
        async with self._hands:
            before = (await self._answer("the total", lambda: True)).total
            await self._wire.cut()
            await asyncio.sleep(seconds)  # not a wait for anything: the absence is what is tried
            self._wire.begin(await self._doing("reconnecting", self._reconnect()))
            fresh = await self._doing("resuming the session", self._resume())
            return await self._computed(before, "the answer after the reconnect", fresh, asked=f"what was {before}")

    async def reload(self) -> Answer:
        """Press the reload button: leave this session, load the page anew."""
        await self.close()
        return await self.open()

    async def close(self) -> None:
        """Close the tab."""
        await self._wire.leave()

    @abstractmethod
    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        """Open the websocket of a page that was just loaded."""

    @abstractmethod
    async def _start(self, page: PageLoad) -> None: ...

    @abstractmethod
    async def _reconnect(self) -> aiohttp.ClientWebSocketResponse:
        """Open the websocket of a page that had one before."""

    @abstractmethod
    async def _resume(self) -> Fresh:
        """Go on where the page was. Raises `ConnectionError` where the app does not know it any more but should."""

    @abstractmethod
    async def _send_input(self, n: int) -> Fresh: ...

    @abstractmethod
    async def _send_file(self, data: bytes) -> Fresh: ...

    @abstractmethod
    def _hear(self, data: str | bytes) -> str | None:
        """Take in one message; returns an error that the user would see, if it holds one."""

    @abstractmethod
    def _texts(self) -> list[str]:
        """The texts that the page shows now."""

    @abstractmethod
    def _report(self) -> str | None:
        """The address of the download that the page offers now."""

    def _shown_total(self) -> int | None:
        return next((int(found[1]) for text in self._texts() if (found := _TOTAL.search(text))), None)

    async def _doing(self, what: str, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await work
        except TimeoutError:
            words = f"nothing within {self._timeout:g} s; {self._wire.so_far}"
        except (aiohttp.ClientError, ConnectionError) as error:
            words = str(error) or type(error).__name__
        raise self._failures.noticed(what, words)

    async def _text(self, what: str, pattern: re.Pattern[str], fresh: Fresh) -> re.Match[str]:
        """Wait until the app has answered and a text of the page fits."""

        def match() -> re.Match[str] | None:
            return next((found for text in self._texts() if (found := pattern.search(text))), None)

        await self._doing(what, self._until(lambda: fresh() and match() is not None))
        found = match()
        assert found is not None
        return found

    async def _answer(self, what: str, fresh: Fresh) -> Answer:
        found = await self._text(what, _TOTAL, fresh)
        return self._seen(Answer(int(found[1]), found[2]))

    async def _computed(self, total: int, what: str, fresh: Fresh, *, asked: str) -> Answer:
        """The right total is waited for: an earlier run of the script may end, with its own total, after we have asked."""
        try:
            return await self._answer(what, lambda: fresh() and self._shown_total() == total)
        except UserNoticed:
            shown = self._shown_total()
            if not fresh() or shown in {None, total}:
                raise
            raise self._failures.noticed("wrong answer", f"{asked} was answered as {shown}") from None

    def _seen(self, answer: Answer) -> Answer:
        versions = self.visits[-1].versions
        versions.add(answer.version)
        if len(versions) > 1:
            raise self._failures.noticed("mixed versions", f"one open session saw {', '.join(sorted(versions))}")
        return answer
