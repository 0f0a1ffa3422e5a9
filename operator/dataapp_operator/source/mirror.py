"""A bare copy of a few commits of one repository, as one credential sees it. It is a cache: whatever is odd about it is
mended by deleting it and fetching again.

One writes at a time, and any number read; nobody deletes under a reader. A mirror that has grown, or has been fetched into
often, is deleted and begun again.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.bare import NEAR, Bare, FullError, measure
from dataapp_operator.source.errors import SourceError

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from dataapp_operator.source.limits import Limits
    from dataapp_operator.source.process import Runner
    from dataapp_operator.source.remote import Remote
    from dataapp_operator.source.threads import Threads

    Admit = Callable[[Remote], Awaitable[tuple[str, ...]]]

_SMALL = 64 << 20  # bytes below which growth is no reason to begin again


@dataclass(slots=True)
class Counts:
    """What was done, for metrics: only ever growing, but for `bytes` (on disk now)."""

    lookups: int = 0  # asked a server where a ref is
    shared: int = 0  # asks that were answered by somebody else's look-up
    fetches: int = 0
    failures: int = 0  # look-ups and fetches that ended in an error
    renewed: int = 0  # mirrors deleted and begun again
    evicted: int = 0  # mirrors deleted for want of room
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Tools:
    """What a mirror is worked with."""

    runner: Runner
    threads: Threads
    admit: Admit
    counts: Counts
    clock: Callable[[], float] = time.monotonic

    @property
    def limits(self) -> Limits:
        """What the processes may cost."""
        return self.runner.limits


class Mirror:
    """The mirror at `path`, which need not exist. `readers` hold it; `used` is when it last was of use."""

    def __init__(self, path: Path, remote: Remote, tools: Tools) -> None:
        self.path = path
        self.remote = remote
        self.readers = 0
        self.used = tools.clock()
        self.bytes = 0
        self._tools = tools
        self._bare = Bare(path, remote, tools.runner)
        self._lock = asyncio.Lock()
        self._unread = asyncio.Event()
        self._commits: set[str] = set()
        self._opened = False
        self._broken = False
        self._first_bytes = 0
        self._packs = 0
        self._failed: dict[str, tuple[float, SourceError]] = {}

    @property
    def busy(self) -> bool:
        """Whether somebody reads or writes it."""
        return self.readers > 0 or self._lock.locked()

    @asynccontextmanager
    async def holding(self, commit: str, near: str | None) -> AsyncIterator[Path]:
        """The mirror's directory, with the commit in it for as long as it is held; fetched if need be."""
        asked = self._tools.clock()
        while commit not in self._commits:
            await self._obtain(commit, near, asked)
        self.readers += 1
        self._unread.clear()
        self.used = self._tools.clock()
        try:
            yield self.path
        finally:
            self.readers -= 1
            if not self.readers:
                self._unread.set()

    def discard(self) -> None:
        """It turned out to be damaged: it is begun again before anybody reads it."""
        self._broken = True
        self._commits.clear()

    async def delete(self) -> None:
        """Remove it from disk, once nobody reads it."""
        async with self._lock:
            await self._alone()
            self._opened = False
            await self._tools.threads.work(lambda _stop: shutil.rmtree(self.path, ignore_errors=True))
            self.bytes = 0

    async def _alone(self) -> None:
        """Wait until nobody reads; new readers need the lock, which we hold, for their commit."""
        self._commits.clear()
        while self.readers:
            await self._unread.wait()

    async def _obtain(self, commit: str, near: str | None, asked: float) -> None:
        tools = self._tools
        async with self._lock:
            if commit in self._commits:
                return
            if not self._opened and self.path.is_dir():
                await self._open()
                if commit in self._commits:
                    return
            self._tell_failure_again(commit, asked)
            began = tools.clock()
            try:
                addresses = await tools.admit(self.remote)
                if not self._opened:
                    await self._open()
                if self._broken or self._is_overgrown() or not self.path.is_dir():
                    await self._renew()
                try:
                    await self._fetch(commit, near, addresses)
                except FullError:
                    # What is there already may be what is in the way.
                    await self._renew()
                    await self._fetch(commit, near, addresses)
            except SourceError as error:
                tools.counts.failures += 1
                self._failed[commit] = (began, error.again())
                raise

    def _tell_failure_again(self, commit: str, asked: float) -> None:
        """Those who waited while a fetch failed do not each try the same."""
        patience = self._tools.limits.failure_seconds
        for known in [c for c, (when, _) in self._failed.items() if when < asked - patience]:
            del self._failed[known]
        if found := self._failed.get(commit):
            raise found[1].again()

    def _is_overgrown(self) -> bool:
        limits = self._tools.limits
        grown = self.bytes > max(_SMALL, limits.growth * self._first_bytes)
        return grown or self.bytes > limits.mirror_bytes or self._packs > limits.packs

    async def _open(self) -> None:
        """First use since the start: what an earlier process left, without what it was in the middle of."""
        if self.path.is_dir():
            await self._take_stock(None)
            self._first_bytes = self.bytes
        else:
            await self._tools.threads.work(self._bare.begin_again)
        self._opened = True

    async def _renew(self) -> None:
        await self._alone()
        await self._tools.threads.work(self._bare.begin_again)
        self._tools.counts.renewed += 1
        self._first_bytes = self.bytes = self._packs = 0
        self._broken = False

    async def _fetch(self, commit: str, near: str | None, addresses: tuple[str, ...]) -> None:
        """Fetch the commit, by its id or, where a server does not allow that, with the ref that it is at the tip of."""
        ask, host, counts = self._tools.threads.ask, self.remote.host, self._tools.counts
        try:
            for refspec in (f"{commit}:refs/src/{commit}", *([f"{near}:{NEAR}"] if near else [])):
                counts.fetches += 1
                if await ask(
                    host, partial(self._bare.fetch, refspec=refspec, addresses=addresses, fresh=not self.bytes)
                ):
                    break
        finally:
            # Also after a failure: what was broken off is swept.
            await asyncio.shield(self._take_stock(commit))
        if commit not in self._commits:
            raise SourceError(
                Reason.COMMIT_MISSING,
                f"commit {commit[:12]} is not in the repository at {self.remote.url} any more, or the server does not hand it "
                "out: its history may have been rewritten (a force-push); name a commit, branch or tag that it has",
            )

    async def _take_stock(self, commit: str | None) -> None:
        """Sweep what was left unfinished, and see what is here; a commit that came with another ref gets one of its own."""

        def job(stop: threading.Event) -> tuple[set[str], tuple[int, int]]:
            self._bare.tidy(stop)
            return self._bare.commits(stop, commit), measure(self.path)

        self._commits, (self.bytes, self._packs) = await self._tools.threads.work(job)
        self._first_bytes = self._first_bytes or self.bytes
