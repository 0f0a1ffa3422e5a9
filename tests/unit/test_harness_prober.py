"""The prober sees what visitors see: each failure once, releases in their order; and it ends by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.harness.browser import Browser
from tests.harness.prober import Prober

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def visited(answer: Callable[[int, web.Request], web.Response]) -> AsyncIterator[int]:
    """A server whose answer depends on the number of the visit (from 0); yields its port."""
    numbers = iter(range(100_000))

    async def handler(request: web.Request) -> web.Response:
        return answer(next(numbers), request)

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_a_switch_is_seen_as_one_change_without_failures() -> None:
    def answer(number: int, _: web.Request) -> web.Response:
        return web.Response(headers={"X-DataApp-Release": "13" if number < 10 else "14", "Set-Cookie": "a=b"})

    async with visited(answer) as port:
        prober = Prober("sales.localhost", rate=100, port=port, visits=20)
        prober.start()
        report = await prober.finished()
    assert (report.sent, report.failed, dict(report.statuses)) == (20, 0, {200: 20})
    assert [seen.release for seen in report.changes()] == [13, 14]
    assert str(report) == "20 visits, 0 failed (200: 20); releases 13 → 14"
    last = report.last(13)
    assert last is not None
    assert last < report.changes()[1].at


async def test_every_visit_is_a_new_visitor() -> None:
    requests: list[tuple[str, bool, object]] = []

    def answer(_: int, request: web.Request) -> web.Response:
        assert request.transport is not None
        requests.append((request.host, "Cookie" in request.headers, request.transport.get_extra_info("peername")))
        return web.Response(headers={"Set-Cookie": "dataapp-sales-production=13.0; Path=/"})

    async with visited(answer) as port:
        prober = Prober("sales.localhost", rate=100, port=port, visits=10)
        prober.start()
        await prober.finished()
    assert {host for host, _, _ in requests} == {f"sales.localhost:{port}"}
    assert not any(cookie for _, cookie, _ in requests)
    assert len({peer for _, _, peer in requests}) == 10


async def test_failures_are_counted_with_their_words() -> None:
    def answer(number: int, request: web.Request) -> web.Response:
        if number == 3:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=503 if number == 2 else 200)

    async with visited(answer) as port:
        prober = Prober("sales.localhost", rate=50, port=port, visits=6)
        prober.start()
        report = await prober.finished()
    assert report.failed == 2
    assert report.failures.seen[0].words == "status 503"
    assert report.failures.seen[1].words.startswith("no answer")


async def test_it_stops_when_told_and_by_itself() -> None:
    async with visited(lambda *_: web.Response()) as port:
        async with Prober("sales.localhost", rate=20, port=port) as prober:
            await asyncio.sleep(0.2)
        assert 1 <= prober.report.sent <= 10
        timed = Prober("sales.localhost", rate=20, port=port, seconds=0.2)
        timed.start()
        assert (await timed.finished()).sent == 5


@pytest.mark.parametrize("address", ["10.0.0.1", "192.0.2.7"])
async def test_the_harness_makes_load_on_loopback_only(address: str) -> None:
    with pytest.raises(AssertionError, match="not a loopback address"):
        Prober("sales.localhost", address=address)
    with pytest.raises(AssertionError, match="not a loopback address"):
        Browser("sales.localhost", address=address)
