"""The people of `bench-sessions`: each has a tab open and uses it in their own way while releases come and go.

What a person did and saw is kept as *stays*: a stay begins with a page load and ends with the next one. A failure ends
nothing but the stay it happened in: the person notes it and loads the page again, as people do.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bench.plan import NO_NETWORK
from tests.harness.failures import Failure, UserNoticed
from tests.harness.sessions import LiveSession

PACE = 1.5
"""Seconds between two things a person does."""
THINGS = frozenset({"inputs", "assets", "uploads", "downloads", "reloads", "second tabs", "times without network"})
"""All that people do."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What a person does now and then: every so many turns; 0 is never."""

    reload: int = 0
    second_tab: int = 0
    no_network: int = 0


HABITS = (Habits(), Habits(reload=12), Habits(second_tab=17), Habits(reload=30), Habits(no_network=25))
"""Shared out in turn. The first kind of person never loads a page again."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One page load and the session that followed. `release` is None where the page did not even come."""

    app: str
    began: float
    loaded: float
    release: int | None
    versions: frozenset[str]
    failures: tuple[Failure, ...]

    @property
    def was_dropped(self) -> bool:
        """Whether its session ended without the person's doing."""
        return any(failure.what == "dropped session" for failure in self.failures)


@dataclass
class _Open:
    """A stay that is not over. Its failures are those of its session from `first` on."""

    session: LiveSession
    began: float
    first: int
    loaded: float = 0.0
    visit: int | None = None
    last: int | None = None

    def told(self, app: str) -> Stay:
        """What it was, up to now or to its end."""
        visit = None if self.visit is None else self.session.visits[self.visit]
        return Stay(
            app,
            self.began,
            self.loaded,
            visit.page.release if visit else None,
            frozenset(visit.versions) if visit else frozenset(),
            tuple(self.session.failures[self.first : self.last]),
        )


@dataclass
class Person:
    """Somebody with an app open. `open_tab` makes a tab; all tabs of one person share a browser."""

    app: str
    open_tab: Callable[[], LiveSession]
    habits: Habits
    dice: random.Random
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first page load is over, well or not."""
    noticed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something that this person did has failed."""
    done: Counter[str] = field(default_factory=Counter)
    """How often each thing went well."""
    _tabs: list[_Open] = field(default_factory=list)

    def stays(self) -> list[Stay]:
        """All of them, in the order in which they began."""
        return [tab.told(self.app) for tab in self._tabs]

    async def live(self, enough: asyncio.Event) -> None:
        """Come, and use the app until it is enough."""
        tab = self.open_tab()
        await self._load(tab)
        self.arrived.set()
        # Habits of people are not in step: else thirty reloads would come at once, and then none.
        turn = self.dice.randrange(50)
        while not enough.is_set():
            turn += 1
            # A session that was dropped, or never began, is noted already; the person loads the page again.
            if not (tab.is_live and await self._turn(tab, turn)):
                self.noticed.set()
                await self._load(tab)
            with suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), PACE * self.dice.uniform(0.7, 1.3))
        await tab.close()

    async def _turn(self, tab: LiveSession, turn: int) -> bool:
        """Do what is due; whether all of it went well."""
        try:
            await self._use(tab, turn)
        except UserNoticed:
            return False
        return True

    async def _use(self, tab: LiveSession, turn: int) -> None:
        await self._do("inputs", tab.set_input(turn % 1000))
        if _follows_its_own_pin(tab):
            await self._do("assets", tab.fetch_asset())
            if turn % 5 == 0:
                await self._do("uploads", tab.upload(b"x" * self.dice.randrange(1, 50_000)))
            if turn % 5 == 2:  # noqa: PLR2004 - as often, at another turn
                await self._do("downloads", tab.download())
        if _due(turn, self.habits.no_network):
            await self._do("times without network", tab.offline(NO_NETWORK))
        elif _due(turn, self.habits.second_tab):
            await self._second_tab()
        elif _due(turn, self.habits.reload) and await self._load(tab):
            self.done["reloads"] += 1

    async def _second_tab(self) -> None:
        """Open the app once more beside the first tab, use it for a moment, close it."""
        tab = self.open_tab()
        try:
            if await self._load(tab):
                await tab.set_input(self.dice.randrange(1000))
                self.done["second tabs"] += 1
        except UserNoticed:
            return  # it is noted in the stay
        finally:
            await tab.close()

    async def _load(self, tab: LiveSession) -> bool:
        """Load the page, whatever was there before; whether it came and its session began."""
        await tab.close()
        before = next((one for one in reversed(self._tabs) if one.session is tab), None)
        if before is not None:
            before.last = len(tab.failures)
        stay = _Open(tab, time.time(), len(tab.failures))
        self._tabs.append(stay)
        visits = len(tab.visits)
        with suppress(UserNoticed):
            await tab.open()
        stay.loaded = time.time()
        if len(tab.visits) > visits:
            stay.visit = visits
        return tab.is_live

    async def _do(self, what: str, work: Awaitable[object]) -> None:
        await work
        self.done[what] += 1


def _due(turn: int, every: int) -> bool:
    return every > 0 and turn % every == 0


def _follows_its_own_pin(tab: LiveSession) -> bool:
    """Whether the browser's cookie leads where this tab was opened.

    An older tab's requests beside its session follow the newest cookie of the browser, so of two tabs on two releases
    one gets the other's files: a known limit, which says nothing about releases.
    """
    return bool(tab.visits) and tab.browser.cookie("dataapp-") == tab.visits[-1].page.pin


def share_out(people: int, apps: Sequence[str]) -> list[tuple[str, Habits]]:
    """The app and the habits of each person: every app has people of every kind, as far as there are enough."""
    return [(apps[number % len(apps)], HABITS[number // len(apps) % len(HABITS)]) for number in range(people)]
