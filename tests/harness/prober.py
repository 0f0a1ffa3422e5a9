"""A prober: new visitors at a steady rate, counting what they get.

The rate is kept whatever the answers do (an open loop): a stalled gateway shows as late and failed visits, not as
fewer visits. It ends by itself after `seconds` or `visits`, and it goes to loopback only.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp

from tests.harness.browser import assert_loopback, fail_on_first_reset
from tests.harness.failures import Failures

_RELEASE = "X-DataApp-Release"


@dataclass(frozen=True, slots=True)
class Seen:
    """A release number that a visit saw, and when the visit began (seconds since the epoch)."""

    at: float
    release: int | None


@dataclass(slots=True)
class Report:
    """What all visits saw. `statuses` counts answers, `failures` holds visits without a proper one (≥ 400 or none)."""

    sent: int = 0
    late: int = 0  # visits that could not start within a second of their time: the machine is too busy to judge
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Failures = field(default_factory=Failures)
    seen: list[Seen] = field(default_factory=list)
    longest: float = 0.0  # s that the slowest answer took

    @property
    def failed(self) -> int:
        """How many visits failed."""
        return len(self.failures.seen)

    def changes(self) -> list[Seen]:
        """The first visit of every stretch that saw one release, by the time the visits began."""
        ordered = sorted(self.seen, key=lambda entry: entry.at)
        return [
            entry for index, entry in enumerate(ordered) if index == 0 or entry.release != ordered[index - 1].release
        ]

    def last(self, release: int) -> float | None:
        """When the last visit began that this release answered; None if it never did."""
        return max((entry.at for entry in self.seen if entry.release == release), default=None)

    def __str__(self) -> str:
        """One line of figures, and the first failures."""
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        releases = " → ".join(str(entry.release) for entry in self.changes())
        first = "".join(f"\n  {failure}" for failure in self.failures.seen[:5])
        return f"{self.sent} visits, {self.failed} failed ({statuses}); releases {releases}{first}"


class Prober:
    """Visits `path` of `host` `rate` times a second: `async with Prober(…) as prober: …; print(prober.report)`.

    `fresh`: every visit on a connection of its own, as a new visitor comes; otherwise over kept connections.
    """

    def __init__(
        self,
        host: str,
        *,
        rate: float = 20.0,
        address: str = "127.0.0.1",
        port: int = 8088,
        path: str = "/",
        fresh: bool = True,
        seconds: float = 300.0,
        visits: int = 10_000,
        timeout: float = 10.0,
    ) -> None:
        assert_loopback(address)
        assert 0 < rate <= 200, "a prober watches, it is not a load test"
        self.report = Report()
        self._url = f"http://{address}:{port}{path}"
        self._headers = {"Host": f"{host}:{port}", "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
        self._rate, self._fresh = rate, fresh
        self._seconds, self._visits, self._timeout = seconds, visits, timeout
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def start(self) -> None:
        """Begin to visit."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> Report:
        """End, and wait for the visits under way."""
        self._stopping.set()
        return await self.finished()

    async def finished(self) -> Report:
        """Wait until it has ended by itself (or by `stop`)."""
        if self._task is not None:
            await self._task
        return self.report

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(force_close=self._fresh, limit=0)
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        began = time.monotonic()
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), headers=self._headers
            ) as client,
            asyncio.TaskGroup() as visits,
        ):
            fail_on_first_reset(client)
            for number in range(self._visits):
                due = began + number / self._rate
                if number / self._rate > self._seconds or await self._stopped_before(due):
                    return
                self.report.late += time.monotonic() - due > 1.0
                self.report.sent += 1
                visits.create_task(self._visit(client))

    async def _stopped_before(self, due: float) -> bool:
        try:
            async with asyncio.timeout(max(0.0, due - time.monotonic())):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _visit(self, client: aiohttp.ClientSession) -> None:
        at, began = time.time(), time.monotonic()
        try:
            async with client.get(self._url, allow_redirects=False) as answer:
                await answer.read()
                release = answer.headers.get(_RELEASE)
                self.report.statuses[answer.status] += 1
                self.report.seen.append(Seen(at, int(release) if release else None))
                if answer.status >= 400:
                    self.report.failures.record("visit", f"status {answer.status}")
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            self.report.failures.record("visit", f"no answer ({str(error) or type(error).__name__})")
        self.report.longest = max(self.report.longest, time.monotonic() - began)
