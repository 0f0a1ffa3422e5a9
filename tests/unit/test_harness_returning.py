"""A visitor who comes back notices a release that should have left, and nothing where all is well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.harness.cluster_view import releases_that_left
from tests.harness.returning import ReturningVisitor
from tests.unit.harness_rig import serving

pytestmark = pytest.mark.asyncio


@dataclass
class Act:
    """Which release answers, and what it was asked."""

    release: int = 1
    status: int = 200
    requests: list[dict[str, str]] = field(default_factory=list)
    asked: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def page(self, request: web.Request) -> web.Response:
        async with self.asked:
            self.requests.append(dict(request.headers))
            self.asked.notify_all()
        headers = {
            "X-DataApp-Release": str(self.release),
            "Set-Cookie": f"dataapp-sales-sandbox={self.release}.0; Path=/",
        }
        return web.Response(status=self.status, headers=headers)

    async def until_asked(self, times: int) -> None:
        """Wait for so many more page loads, each begun after now."""
        begun = len(self.requests)
        async with asyncio.timeout(5), self.asked:
            await self.asked.wait_for(lambda: len(self.requests) >= begun + times)


@asynccontextmanager
async def visited(act: Act, gone: set[int]) -> AsyncIterator[ReturningVisitor]:
    """A server that plays the act, and somebody who comes back to it ten times a second."""
    async with (
        serving(web.get("/", act.page)) as port,
        ReturningVisitor("sales.localhost", gone=lambda: gone, every=0.1, port=port) as visitor,
    ):
        yield visitor


async def test_a_switch_is_seen_and_the_cookie_of_the_first_visit_is_carried() -> None:
    act, gone = Act(), set[int]()
    async with visited(act, gone) as visitor:
        await act.until_asked(2)
        act.release = 2
        gone.add(1)
        await act.until_asked(2)
    assert visitor.failures == []
    assert visitor.releases() == [1, 2]
    assert visitor.loads[0].began <= visitor.loads[0].ended
    assert act.requests[1]["Cookie"] == "dataapp-sales-sandbox=1.0"
    assert {request["Sec-Fetch-Mode"] for request in act.requests} == {"navigate"}


async def test_a_load_that_a_release_answers_which_left_is_a_failure() -> None:
    act, gone = Act(), set[int]()
    async with visited(act, gone) as visitor:
        await act.until_asked(1)
        gone.add(1)
        await act.until_asked(3)
    assert visitor.failures
    assert {failure.what for failure in visitor.failures} == {"a release that left"}
    assert "release 1" in visitor.failures[0].words


async def test_a_release_that_was_called_back_meanwhile_may_answer() -> None:
    act, gone = Act(), {1}

    async def page(request: web.Request) -> web.Response:
        gone.clear()  # what is known of releases may be late
        return await Act.page(act, request)

    act.page = page  # type: ignore[method-assign]
    async with visited(act, gone) as visitor:
        await act.until_asked(1)
    assert visitor.failures == []


async def test_no_answer_is_a_failure() -> None:
    act = Act(status=503)
    async with visited(act, set()) as visitor:
        await act.until_asked(1)
    assert "503" in visitor.failures[0].words
    assert visitor.loads == []


async def test_who_has_left_is_read_from_the_status() -> None:
    memory = {
        "name": "sandbox",
        "weights": [{"release": 2, "weight": 1000}, {"release": 1, "weight": 0}],
        "intent": {"switchTo": 3},
    }
    app = {"kind": "DataApp", "metadata": {"name": "sales"}, "status": {"environments": [memory]}}
    names = {"app": "sales", "environment": "sandbox"}
    records = {
        ("AppRelease", f"sales-sandbox-{number}"): {
            "kind": "AppRelease",
            "metadata": {
                "labels": {f"dataapps.dev/{key}": value for key, value in (names | {"release": str(number)}).items()}
            },
        }
        for number in (1, 2, 3, 4)
    }
    snapshot = {("DataApp", "sales"): app, **records}
    assert releases_that_left(snapshot, "sales", "sandbox") == {1, 4}
    assert releases_that_left(snapshot, "sales", "production") == set()
