"""What `python -m tests.harness` does: use an app, or watch a namespace, and tell what is wrong while it happens."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.browser import Browser
from tests.harness.failures import UserNoticed
from tests.harness.prober import Prober
from tests.harness.returning import ReturningVisitor
from tests.harness.sessions import LiveSession
from tests.harness.watcher import Watcher

_PACE = 1.0  # s between two things that a person does
_EVERY = 5  # how many turns from one upload, and from one download, to the next


@dataclass(frozen=True, slots=True)
class Place:
    """Where the app is: its host, and the loopback port that leads to its gateway."""

    host: str
    address: str = "127.0.0.1"
    port: int = 8088


@dataclass
class Told:
    """Lines that were told already, by who they are about."""

    lines: Counter[str] = field(default_factory=Counter)

    def tell(self, who: str, lines: Iterable[object]) -> None:
        """Print those that are new."""
        for line in list(lines)[self.lines[who] :]:
            self.lines[who] += 1
            print(f"{who}: {line}", flush=True)


async def visit(
    place: Place,
    kind: type[LiveSession],
    *,
    count: int,
    seconds: float,
    rate: float,
    without_network: float = 0.0,
) -> int:
    """Use an app for so long; returns 1 if anything happened that a user would notice, else 0."""
    end = time.monotonic() + seconds
    where = {"address": place.address, "port": place.port}
    told, done = Told(), Counter[str]()
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(Browser(place.host, **where)) for _ in range(count)]
        sessions = [kind(browser) for browser in browsers]
        back = await stack.enter_async_context(ReturningVisitor(place.host, **where))
        prober = Prober(place.host, rate=rate, seconds=seconds, visits=int(rate * seconds) + 1, **where)
        await stack.enter_async_context(prober)

        def tell() -> None:
            for number, session in enumerate(sessions, 1):
                told.tell(f"session {number}", session.failures)
            told.tell("new visitor", prober.report.failures.seen)
            told.tell("returning visitor", back.failures)

        async with asyncio.TaskGroup() as people:
            people.create_task(_repeat(tell, end))
            for session in sessions:
                people.create_task(_use(session, end, done, without_network))
    tell()
    versions = sorted({version for session in sessions for one in session.visits for version in one.versions})
    print(
        f"{count} sessions of {', '.join(versions) or 'no version'}:"
        f" {', '.join(f'{number} {what}' for what, number in done.items()) or 'nothing could be done'}"
    )
    print(f"new visitors: {str(prober.report).partition(chr(10))[0]}")
    if prober.report.late:
        print(f"{prober.report.late} of them came late: this machine was too busy for a judgement")
    print(f"a returning visitor: {len(back.loads)} page loads, releases {' → '.join(map(str, back.releases()))}")
    print(f"noticed: {told.lines.total() or 'nothing'}")
    return 1 if told.lines else 0


async def watch(kubeconfig: Path, namespace: str, *, seconds: float, settle: float = 1.5) -> int:
    """Check the invariants for so long; returns 1 if one was broken, else 0."""
    told = Told()
    async with Watcher(kubeconfig, namespace, settle=settle) as watcher:

        def tell() -> None:
            told.tell("broken", watcher.found)
            told.tell("not seen", watcher.gaps)

        await _repeat(tell, time.monotonic() + seconds)
    tell()
    print(f"{watcher.events} events, {len(watcher.found)} broken invariants, {len(watcher.gaps)} gaps in what was seen")
    return 1 if watcher.found else 0


async def _repeat(tell: Callable[[], None], end: float) -> None:
    while (left := end - time.monotonic()) > 0:
        tell()
        await asyncio.sleep(min(_PACE, left))


async def _use(session: LiveSession, end: float, done: Counter[str], without_network: float) -> None:
    """Work with the app like a person: after a failure, which is recorded, the page is loaded anew."""
    half = (time.monotonic() + end) / 2
    was_away = not without_network
    turn = 0
    while time.monotonic() < end:
        turn += 1
        try:
            await _turn(session, turn, done)
            if not was_away and time.monotonic() > half:
                was_away = True
                await session.offline(without_network)
                done["reconnects"] += 1
        except UserNoticed:
            await session.close()
        await asyncio.sleep(_PACE)
    await session.close()


async def _turn(session: LiveSession, turn: int, done: Counter[str]) -> None:
    if not session.is_live:
        await session.reload()
        done["page loads"] += 1
    await session.set_input(turn % 1000)
    done["inputs"] += 1
    await session.fetch_asset()
    done["assets"] += 1
    if turn % _EVERY == 1:
        await session.upload(b"x" * 50_000)
        done["uploads"] += 1
    if turn % _EVERY == 2 and session.offers_report:
        await session.download()
        done["downloads"] += 1
