"""A person's stays: what goes wrong belongs to the page on which it went wrong, and the person tries again."""

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest

from bench import people
from bench.people import Habits, Person
from tests.harness.failures import Failures, UserNoticed

pytestmark = pytest.mark.asyncio


class Tab:
    """A tab on an app that does what the test says: `script` holds the release of each page, or what its load fails with.

    On a page of release 2 nothing works.
    """

    def __init__(self, script: list[int | str], enough: asyncio.Event) -> None:
        self.script, self.enough = script, enough
        self.visits: list[Any] = []
        self.kept = Failures()
        self.is_live = False
        self.browser = SimpleNamespace(cookie=lambda _prefix: self.visits[-1].page.pin)

    @property
    def failures(self) -> list[Any]:
        return self.kept.seen

    async def open(self) -> None:
        page = self.script.pop(0) if self.script else self.visits[-1].page.release
        if isinstance(page, str):
            raise self.kept.noticed("page load", page)
        self.visits.append(SimpleNamespace(page=SimpleNamespace(release=page, pin=f"{page}.0"), versions={f"v{page}"}))
        self.is_live = True

    async def close(self) -> None:
        self.is_live = False

    async def set_input(self, _n: int) -> None:
        if self.visits[-1].page.release == 2:
            raise self.kept.noticed("setting n", "nothing within 20 s")
        if not self.script:
            self.enough.set()

    async def fetch_asset(self) -> None:
        await asyncio.sleep(0)

    async def upload(self, _data: bytes) -> None:
        await asyncio.sleep(0)

    async def download(self) -> None:
        await asyncio.sleep(0)


async def live(monkeypatch: pytest.MonkeyPatch, *script: int | str, habits: Habits = Habits()) -> Person:  # noqa: B008
    monkeypatch.setattr(people, "PACE", 0.0)
    enough = asyncio.Event()
    pages = list(script)
    somebody = Person("sales", lambda: Tab(pages, enough), habits, random.Random(1))  # type: ignore[arg-type, return-value]
    await asyncio.wait_for(somebody.live(enough), 5)
    return somebody


async def test_a_quiet_life_is_one_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = await live(monkeypatch, 1)
    (stay,) = somebody.stays()
    assert (stay.release, stay.versions, stay.failures) == (1, {"v1"}, ())
    assert somebody.arrived.is_set()
    assert not somebody.noticed.is_set()


async def test_a_failure_belongs_to_its_page_and_the_person_loads_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = await live(monkeypatch, 2, 1)
    broken, well = somebody.stays()
    assert [failure.what for failure in broken.failures] == ["setting n"]
    assert (well.release, well.failures) == (1, ())
    assert somebody.noticed.is_set()


async def test_a_page_that_does_not_come_is_a_stay_of_no_release(monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = await live(monkeypatch, "503", "502", 1)
    assert [stay.release for stay in somebody.stays()] == [None, None, 1]
    assert [failure.words for stay in somebody.stays() for failure in stay.failures] == ["503", "502"]


async def test_a_second_tab_is_a_stay_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = await live(monkeypatch, 1, 3, habits=Habits(second_tab=1))
    assert [(stay.release, stay.failures) for stay in somebody.stays()] == [(1, ()), (3, ())]
    assert somebody.done["second tabs"] == 1


async def test_a_reload_is_a_new_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = await live(monkeypatch, 1, 3, habits=Habits(reload=1))
    assert [stay.release for stay in somebody.stays()] == [1, 3, 3]
    assert somebody.done["reloads"] == 2


async def test_a_bug_of_the_bench_is_not_taken_for_a_failure_of_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    async def mistake(_tab: Tab, _n: int) -> None:
        raise AttributeError("a typo")

    monkeypatch.setattr(Tab, "set_input", mistake)
    with pytest.raises(AttributeError):
        await live(monkeypatch, 1)
    assert not issubclass(AttributeError, UserNoticed)
