"""What the probe of FastAPI concludes from what real apps answered, and from a server that goes wrong on order.

`fixtures/answers/*.json` are the answers that FastAPI 0.165.0 under uvicorn 0.54.0 gave behind the front's probe port,
one small app each (a body of null: the front's own page); `fixtures/logs/fa-*.txt` is what those apps wrote. The
servers here send the same bytes again, or inject a fault.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks.cause import find_cause, join_reason
from dataapp_operator.checks.result import SessionResult
from dataapp_operator.checks.session import probe_session
from dataapp_operator.front.settings import directory

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FIXTURES = Path(__file__).parent / "fixtures"
RECORDINGS = sorted((FIXTURES / "answers").glob("*.json"))


@pytest.fixture(autouse=True)
def _no_waiting_for_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataapp_operator.checks.fastapi.LOG_WAIT", 0.0)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server on a free loopback port that gives every request to the handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def probe(base_url: str, *, timeout: float = 5.0, host: str | None = None) -> SessionResult:  # noqa: ASYNC109
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        return await probe_session("fastapi", base_url, host=host, timeout=timeout, client=client)


async def asked(handler: Handler, **options: Any) -> SessionResult:
    async with serving(handler) as url:
        return await probe(url, **options)


def answering(**paths: tuple[int, str, str]) -> Handler:
    """Status, media type and body by path: "openapi", "root"; 404 elsewhere, as Starlette answers it."""

    async def handler(request: web.Request) -> web.Response:
        name = {"/openapi.json": "openapi", "/": "root"}.get(request.path, "")
        status, kind, body = paths.get(name, (404, "application/json", '{"detail":"Not Found"}'))
        return web.Response(status=status, content_type=kind, text=body)

    return handler


def playing(recording: dict[str, Any]) -> Handler:
    """A server that answers as was recorded, and only what was asked then."""
    answers = {answer["path"]: answer for answer in recording["answers"]}

    async def handler(request: web.Request) -> web.Response:
        answer = answers[request.path]
        body = answer["body"]
        if body is None:
            body = (directory() / "unavailable.html").read_text()
        headers = {"Retry-After": answer["retry_after"]} if answer["retry_after"] else {}
        return web.Response(status=answer["status"], content_type=answer["media_type"], text=body, headers=headers)

    return handler


@pytest.mark.asyncio
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_a_recorded_app_gets_its_verdict_and_its_words(path: Path) -> None:
    recording = json.loads(path.read_text())
    result = await asked(playing(recording))
    assert result.verdict == recording["verdict"]
    assert result.message == recording["message"]
    assert re.sub(r"\d+\.\d+ s", "… s", result.measured) == recording["measured"]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("fa-import", "ModuleNotFoundError: No module named 'jinja3'"),
        ("fa-lifespan", "ConnectionError: no warehouse at db:5432"),
        ("fa-middleware", "KeyError: 'TENANT'"),
        ("fa-nodocs-broken", "KeyError: 'price'"),
        (
            "fa-schema",
            "pydantic.errors.PydanticInvalidForJsonSchema: Cannot generate a JsonSchema for core_schema.CallableSchema",
        ),
    ],
)
def test_the_cause_is_in_the_log_of_uvicorn(name: str, cause: str) -> None:
    found = find_cause((FIXTURES / "logs" / f"{name}.txt").read_text())
    assert found is not None
    assert found.startswith(cause)


def test_a_failure_joins_the_status_with_the_exception_of_the_log() -> None:
    message = json.loads((FIXTURES / "answers" / "fa-middleware.json").read_text())["message"]
    cause = find_cause((FIXTURES / "logs" / "fa-middleware.txt").read_text())
    assert join_reason(message, cause) == "GET /openapi.json answered 500; the log says: KeyError: 'TENANT'"


@pytest.mark.asyncio
async def test_a_description_counts_its_paths_and_says_how_long_it_took() -> None:
    one = answering(openapi=(200, "application/json", '{"openapi":"3.1.0","paths":{"/total":{}}}'))
    result = await asked(one)
    assert result.verdict is Verdict.PASS
    assert re.fullmatch(r"openapi\.json names 1 path, answered after \d+\.\d\d s", result.measured)
    none = answering(openapi=(200, "application/json", '{"paths":{}}'))
    assert (await asked(none)).measured.startswith("openapi.json names 0 paths, ")


@pytest.mark.asyncio
@pytest.mark.parametrize("body", ["[]", "null", "nonsense", "", "{}", '{"paths":3}', "[" * 100_000])
async def test_something_else_than_a_description_is_a_failure(body: str) -> None:
    result = await asked(answering(openapi=(200, "application/json", body)))
    assert result.verdict is Verdict.FAIL
    assert result.message.endswith("is not the description of an API: is it a FastAPI app?")


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 429])
async def test_an_app_that_hides_its_description_is_asked_at_the_root_and_the_words_say_so(status: int) -> None:
    handler = answering(openapi=(status, "text/plain", "no"), root=(401, "application/json", '{"detail":"log in"}'))
    result = await asked(handler)
    assert (result.verdict, result.message) == (Verdict.PASS, "")
    words = rf"GET / answered 401 after \d\.\d\d s; no more was checked, since /openapi.json answered {status}"
    assert re.fullmatch(words, result.measured)


@pytest.mark.asyncio
async def test_where_a_redirect_leads_is_not_visited() -> None:
    visited: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        visited.append(request.path)
        return web.Response(text='{"paths":{}}', content_type="application/json")

    async with serving(elsewhere) as other:

        async def moved(_: web.Request) -> web.Response:
            return web.Response(status=302, headers={"Location": other})

        result = await asked(moved)
    assert result.verdict is Verdict.PASS
    assert visited == []


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [500, 501, 502, 503, 504])
async def test_a_server_error_of_the_app_itself_is_a_failure_in_its_own_words(status: int) -> None:
    result = await asked(answering(openapi=(status, "application/json", '{"detail":"no warehouse"}')))
    assert result.verdict is Verdict.FAIL
    assert result.message == f"GET /openapi.json answered {status}: no warehouse"


@pytest.mark.asyncio
async def test_an_error_page_in_html_is_not_quoted() -> None:
    result = await asked(answering(openapi=(500, "text/html", "<h1>Oops</h1>")))
    assert (result.verdict, result.message) == (Verdict.FAIL, "GET /openapi.json answered 500")


@pytest.mark.asyncio
async def test_a_closed_connection_is_a_failure() -> None:
    async def closing(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    result = await asked(closing)
    assert result.verdict is Verdict.FAIL
    assert result.message == "the app closed the connection without an answer to GET /openapi.json"


@pytest.mark.asyncio
async def test_an_answer_that_breaks_off_is_a_failure() -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
        await answer.prepare(request)
        await answer.write(b'{"paths":')
        assert request.transport is not None
        request.transport.close()
        return answer

    result = await asked(half)
    assert result.verdict is Verdict.FAIL
    assert "closed the connection" in result.message


@pytest.mark.asyncio
@pytest.mark.parametrize("slow", ["/openapi.json", "/"])
async def test_no_answer_in_time_is_a_busy_app_and_not_a_broken_one(slow: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.path == slow:
            await asyncio.sleep(3600)  # never answers; the probe's time-out ends it
        return web.Response(status=404)

    result = await asked(handler, timeout=0.3)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.message.startswith(f"no value yet: GET {slow} was not answered within 0.3 s")
    assert 0.3 <= result.seconds < 3


@pytest.mark.asyncio
async def test_an_answer_without_end_is_inconclusive_and_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataapp_operator.checks.fastapi.LARGEST_ANSWER", 100_000)
    result = await asked(answering(openapi=(200, "application/json", " " * 200_000)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "is larger than" in result.message


@pytest.mark.asyncio
async def test_something_that_is_not_http_is_an_error() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        await writer.drain()
        await reader.read(65536)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        result = await probe(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert result.verdict is Verdict.ERROR
    assert "is not HTTP" in result.message


@pytest.mark.asyncio
async def test_the_host_header_is_the_one_asked_for() -> None:
    hosts: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        hosts.append(request.host)
        return web.Response(status=404)

    await asked(handler, host="prices.localhost")
    assert hosts == ["prices.localhost", "prices.localhost"]


@pytest.mark.asyncio
async def test_secrets_in_what_an_app_says_do_not_reach_the_result() -> None:
    long = "x" * 290 + " cannot open postgres://joe:hunter2@db/x"
    result = await asked(answering(openapi=(500, "application/json", json.dumps({"detail": long}))))
    assert "hunter2" not in result.measured + result.message
    assert "joe" not in result.measured + result.message


@pytest.mark.asyncio
async def test_after_a_failure_the_app_gets_a_moment_to_write_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataapp_operator.checks.fastapi.LOG_WAIT", 0.4)
    began = time.monotonic()
    result = await asked(answering(openapi=(500, "text/plain", "Internal Server Error")))
    assert time.monotonic() - began >= 0.4
    assert result.seconds < 0.4
