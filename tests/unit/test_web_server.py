"""The probes say what is wrong in words, and /metrics is Prometheus' text."""

import asyncio

import aiohttp
import pytest
import pytest_asyncio

from dataapp_operator.web.metrics import Metrics
from dataapp_operator.web.server import Health, WebServer

pytestmark = pytest.mark.asyncio


def good():
    return Health(ok=True, detail="last event 3 s ago")


def bad():
    return Health(ok=False, detail="no event for 700 s")


def broken():
    raise KeyError("queue")


@pytest_asyncio.fixture
async def fetch():
    servers = []

    async def fetch(path, *, alive=None, ready=None):
        server = WebServer(alive=alive or {}, ready=ready or {}, metrics=Metrics().render, host="127.0.0.1", port=0)
        servers.append(server)
        port = await server.start()
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status, await response.text(), response.headers

    yield fetch
    await asyncio.gather(*(server.stop() for server in servers))


async def test_all_well_is_200_and_says_what_was_looked_at(fetch):
    status, text, _ = await fetch("/healthz", alive={"watch": good})
    assert (status, text) == (200, "watch: ok: last event 3 s ago\n")


async def test_one_failing_check_is_503_with_the_words_of_all(fetch):
    status, text, _ = await fetch("/healthz", alive={"queue": good, "watch": bad})
    assert status == 503
    assert text == "queue: ok: last event 3 s ago\nwatch: FAILED: no event for 700 s\n"


async def test_a_check_that_breaks_fails_with_its_error(fetch):
    status, text, _ = await fetch("/readyz", ready={"store": broken})
    assert (status, text) == (503, "store: FAILED: the check itself failed: KeyError: 'queue'\n")


async def test_alive_and_ready_are_apart(fetch):
    checks = {"alive": {"watch": good}, "ready": {"store": bad}}
    assert (await fetch("/healthz", **checks))[0] == 200
    assert (await fetch("/readyz", **checks))[0] == 503


async def test_without_checks_it_is_well(fetch):
    assert (await fetch("/readyz"))[:2] == (200, "ok\n")


async def test_metrics_are_text_for_prometheus(fetch):
    status, text, headers = await fetch("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert "dataapp_resyncs_total 0.0" in text


async def test_nothing_else_is_served(fetch):
    assert (await fetch("/"))[0] == 404


async def test_a_taken_port_is_told_at_once():
    async with WebServer(alive={}, ready={}, metrics=bytes, host="127.0.0.1", port=0) as first:
        port = first._runner.addresses[0][1]
        second = WebServer(alive={}, ready={}, metrics=bytes, host="127.0.0.1", port=port)
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
        await second.stop()
