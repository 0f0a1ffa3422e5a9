"""`probe_session` against servers that go wrong in ways that are hard to order from a real framework.

Verdicts on real frameworks are proved by their recorded frames (test_session_conversations.py) and against pods
(tests/e2e/test_session_probes.py); the servers here only inject the fault: refusals, silence, redirects, closes.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks.result import SessionResult
from dataapp_operator.checks.session import FRAMEWORKS, probe_session

pytestmark = pytest.mark.asyncio

SESSIONS = sorted(FRAMEWORKS - {"fastapi"})  # an API has no sessions: test_api_probe.py
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAGE = '<body><input id="n" type="number" value="3"><div id="total" class="shiny-text-output"></div></body>'


@asynccontextmanager
async def serving(**paths: Handler) -> AsyncIterator[str]:
    """A server on a free loopback port; keyword = path, "root" for "/"."""
    app = web.Application()
    for path, handler in paths.items():
        app.router.add_get("/" if path == "root" else f"/{path.replace('__', '/')}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def probe(framework: str, base_url: str, *, timeout: float = 5.0, host: str | None = None) -> SessionResult:  # noqa: ASYNC109
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        return await probe_session(framework, base_url, host=host, timeout=timeout, client=client)


def answering(status: int = 200, text: str = PAGE, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, content_type="text/html", headers=headers)

    return handler


def session(*frames: object, close: bool = True) -> Handler:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(protocols=["streamlit"])
        await websocket.prepare(request)
        await websocket.receive()
        for frame in frames:
            await (websocket.send_bytes(frame) if isinstance(frame, bytes) else websocket.send_str(json.dumps(frame)))
        if not close:
            await websocket.receive()
        await websocket.close()
        return websocket

    return handler


async def silent(_: web.Request) -> web.Response:
    await asyncio.sleep(3600)  # never answers; the probe's time-out ends it
    return web.Response()


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
async def test_nobody_listening_is_an_error_in_words(framework: str) -> None:
    result = await probe(framework, "http://127.0.0.1:9")
    assert result.verdict is Verdict.ERROR
    assert result.message == "could not connect to http://127.0.0.1:9: the connection was refused, nobody listens there"


async def test_a_framework_without_a_probe_is_an_error_that_names_those_with_one() -> None:
    result = await probe("cobol", "http://127.0.0.1:9")
    assert result.verdict is Verdict.ERROR
    assert "streamlit" in result.message


@pytest.mark.parametrize("framework", SESSIONS)
@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        (503, Verdict.ERROR, "not listening on its port"),
        (500, Verdict.FAIL, "500"),
        (404, Verdict.ERROR, "answered 404"),
    ],
)
async def test_a_status_that_is_no_session(framework: str, status: int, verdict: Verdict, words: str) -> None:
    handler = answering(status, "nothing")
    async with serving(root=handler, _stcore__stream=handler) as url:
        result = await probe(framework, url)
    assert result.verdict is verdict
    assert words in result.message


async def test_a_shiny_page_that_does_not_come_is_a_busy_app_and_not_a_broken_one() -> None:
    async with serving(root=silent) as url:
        result = await probe("shiny-r", url, timeout=0.3)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.message.startswith("no value yet")
    assert 0.3 <= result.seconds < 3


async def test_a_streamlit_session_that_is_never_opened_is_an_error() -> None:
    async with serving(_stcore__stream=silent) as url:
        result = await probe("streamlit", url, timeout=0.3)
    assert result.verdict is Verdict.ERROR
    assert "did not open a session" in result.message


@pytest.mark.parametrize(("framework", "path"), [("streamlit", "_stcore__stream"), ("shiny-r", "websocket__")])
async def test_a_session_that_closes_before_it_said_anything_is_a_failure(framework: str, path: str) -> None:
    async with serving(root=answering(), **{path: session()}) as url:
        result = await probe(framework, url)
    assert result.verdict is Verdict.FAIL
    assert "closed the session" in result.message
    assert "code 1000" in result.message


@pytest.mark.parametrize(("framework", "path"), [("streamlit", "_stcore__stream"), ("shiny-r", "websocket__")])
async def test_a_session_that_says_nothing_is_no_value_yet(framework: str, path: str) -> None:
    async with serving(root=answering(), **{path: session(close=False)}) as url:
        result = await probe(framework, url, timeout=0.3)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.seconds < 3


async def test_an_output_that_the_server_never_fills_is_not_waited_for_until_the_time_out() -> None:
    page = PAGE + '<div id="forgotten" class="shiny-text-output"></div>'
    frames = [{"config": {}}, {"values": {"total": "9"}, "errors": {}}]
    async with serving(root=answering(text=page), websocket__=session(*frames, close=False)) as url:
        began = time.monotonic()
        result = await probe("shiny-r", url, timeout=30)
    assert result.verdict is Verdict.PASS
    assert result.measured.startswith("output total = 9 after 1.")
    assert time.monotonic() - began < 10


async def test_a_redirect_inside_the_app_is_followed() -> None:
    moved = answering(302, "", Location="/app/")
    frames = [{"config": {}}, {"values": {"total": "9"}, "errors": {}}]
    async with serving(root=moved, app__=answering(), websocket__=session(*frames)) as url:
        assert (await probe("shiny-r", url)).verdict is Verdict.PASS


async def test_a_redirect_to_elsewhere_is_not_visited() -> None:
    visited: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        visited.append(request.path)
        return web.Response(text=PAGE, content_type="text/html")

    async with serving(root=elsewhere) as other, serving(root=answering(302, "", Location=other)) as url:
        result = await probe("shiny-r", url)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "which a check does not follow" in result.message
    assert visited == []


async def test_redirects_without_end_end() -> None:
    async with serving(root=answering(302, "", Location="/")) as url:
        assert (await probe("shiny-r", url)).verdict is Verdict.INCONCLUSIVE


async def test_the_host_header_is_the_one_asked_for() -> None:
    hosts: list[str] = []

    async def page(request: web.Request) -> web.Response:
        hosts.append(request.host)
        return web.Response(text="<body></body>", content_type="text/html")

    async with serving(root=page, websocket__=session({"config": {}}, {"values": {}})) as url:
        result = await probe("shiny-r", url, host="sales.localhost")
    assert hosts == ["sales.localhost"]
    assert (result.verdict, result.measured) == (Verdict.PASS, "session opened; the page declares no outputs")


async def test_a_message_larger_than_we_hold_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataapp_operator.checks.conversation.LARGEST_FRAME", 1000)
    async with serving(_stcore__stream=session(b"\x12" + b"\x00" * 5000, close=False)) as url:
        result = await probe("streamlit", url)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "cannot be read" in result.message
