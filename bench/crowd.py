"""Everybody on the apps at once: people with open tabs, new visitors without a cookie, and one who comes back."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bench.judge import Visits
from bench.people import Habits, Person
from bench.scripted import App
from tests.harness.browser import Browser
from tests.harness.live import session_of
from tests.harness.prober import Prober
from tests.harness.returning import Load, ReturningVisitor

_PATIENCE = 30.0
"""Seconds a person waits for an answer. Longer than any that two busy cores give."""
NEW_VISITORS = 3.0
"""A second. Four apps with more would be a load test of this machine: each page of Shiny for R is computed anew."""
_LONGEST = 1500.0
"""Seconds after which a prober ends by itself."""


@dataclass(frozen=True)
class Crowd:
    """Who is there."""

    people: list[Person] = field(default_factory=list)
    probers: dict[str, Prober] = field(default_factory=dict)
    returning: dict[str, ReturningVisitor] = field(default_factory=dict)

    def visits(self) -> list[Visits]:
        """What those saw who keep no session open."""
        new = [
            Visits(
                app,
                [Load(one.at, one.at + prober.report.longest, one.release) for one in prober.report.seen],
                prober.report.failures.seen,
                prober.report.late,
            )
            for app, prober in self.probers.items()
        ]
        return new + [Visits(app, one.loads, one.failures) for app, one in self.returning.items()]


@asynccontextmanager
async def crowd(
    hosts: Mapping[App, str], who: Sequence[tuple[App, Habits]], *, seed: int, new_visitors: float = NEW_VISITORS
) -> AsyncIterator[Crowd]:
    """Inside the block all people have arrived and use the apps, and new visitors come; at its end they leave."""
    here = Crowd()
    enough = asyncio.Event()
    async with AsyncExitStack() as stack:
        for number, (app, habits) in enumerate(who):
            browser = await stack.enter_async_context(Browser(hosts[app], timeout=_PATIENCE))
            here.people.append(_person(app, browser, habits, random.Random(seed + number)))  # noqa: S311 - no secret
        for app, host in hosts.items():
            visits = int(new_visitors * _LONGEST)
            prober = Prober(host, rate=new_visitors, seconds=_LONGEST, visits=visits, timeout=_PATIENCE)
            here.probers[app.name] = await stack.enter_async_context(prober)
            here.returning[app.name] = await stack.enter_async_context(ReturningVisitor(host, timeout=_PATIENCE))
        async with asyncio.TaskGroup() as living:
            for one in here.people:
                living.create_task(one.live(enough))
            try:
                await asyncio.gather(*(one.arrived.wait() for one in here.people))
                yield here
            finally:
                enough.set()


def _person(app: App, browser: Browser, habits: Habits, dice: random.Random) -> Person:
    tab = session_of(app.image)
    return Person(app.name, lambda: tab(browser, timeout=_PATIENCE), habits, dice)
