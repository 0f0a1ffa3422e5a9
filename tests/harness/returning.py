"""A visitor who comes back: the cookie of an earlier visit, page loads only, and never an open session.

Such a visitor is not bound to the release of the cookie: a page load goes to what visitors get now. So a load that is
answered by a release that left is a failure, and so is one that is not answered at all.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

from tests.harness.browser import Browser
from tests.harness.failures import Failure, Failures


@dataclass(frozen=True, slots=True)
class Load:
    """One page load: when it began and ended (seconds since the epoch), and who answered (None: no release said so)."""

    began: float
    ended: float
    release: int | None


class ReturningVisitor:
    """Loads the page every `every` seconds: `async with ReturningVisitor(host, …) as visitor: …; visitor.failures`.

    `gone()` says which releases have left. It is asked before each load and again before the next one, so it may be late
    by less than `every` (`cluster_view.releases_that_left` of a watcher's snapshot is): what it names both times may not
    have answered. Where nobody knows it at that time, judge `loads` afterwards.
    """

    def __init__(
        self,
        host: str,
        *,
        gone: Callable[[], Collection[int]] = tuple,
        every: float = 5.0,
        address: str = "127.0.0.1",
        port: int = 8088,
        timeout: float = 20.0,
    ) -> None:
        assert every >= 0.1, "a visitor who comes back is not a load test"
        self.loads: list[Load] = []
        self._failures = Failures()
        self._gone, self._every = gone, every
        self._browser = Browser(host, address=address, port=port, timeout=timeout)
        self._open: tuple[Load, set[int]] | None = None  # the last load, not judged yet, and what had left before it
        self._enough = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def failures(self) -> list[Failure]:
        """Everything that went wrong so far, in order."""
        return self._failures.seen

    def releases(self) -> list[int | None]:
        """The releases that answered, each stretch of loads once."""
        seen = [load.release for load in self.loads]
        return [release for index, release in enumerate(seen) if index == 0 or release != seen[index - 1]]

    async def __aenter__(self) -> Self:
        await self._load()  # the earlier visit
        self._task = asyncio.create_task(self._keep_coming())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._enough.set()
        assert self._task is not None
        await self._task
        self._judge()
        await self._browser.close()

    async def _keep_coming(self) -> None:
        while not self._enough.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), self._every)
            await self._load()  # once more at the end: it is then that everything has left

    async def _load(self) -> None:
        self._judge()
        began, gone = time.time(), set(self._gone())
        try:
            page = await self._browser.load_page()
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            self._failures.record("page load", str(error) or type(error).__name__)
            return
        load = Load(began, time.time(), page.release)
        self.loads.append(load)
        self._open = load, gone

    def _judge(self) -> None:
        if self._open is None:
            return
        (load, gone), self._open = self._open, None
        if load.release in gone & set(self._gone()):
            self._failures.record("a release that left", f"it answered a page load: release {load.release}")
