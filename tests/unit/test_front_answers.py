"""What the front adds to an answer: the release, the pin where it is missing, and words when the app is silent."""

import asyncio
import hashlib
import json
import socket
import time

import aiohttp
import pytest

from dataapp_operator.front import settings
from tests.unit.front_rig import COOKIE, PIN, SET_PIN, front

pytestmark = [pytest.mark.asyncio, pytest.mark.must_run]

CARRIED = [
    [f"Cookie: {COOKIE}={PIN}"],
    [f"Cookie: a=1; {COOKIE}={PIN}; b=2"],
    [f"Cookie: a=1;{COOKIE}={PIN}"],
    ["Cookie: a=1", f"Cookie: {COOKIE}={PIN}"],
    [f"Cookie: {COOKIE}={PIN}", "Cookie: a=1"],
    [f'Cookie: note="x; y"; {COOKIE}={PIN}'],
    [f"cookie: {COOKIE}={PIN};"],
]
NOT_CARRIED = [
    [],
    ["Cookie: a=1"],
    [f"Cookie: x{COOKIE}={PIN}"],
    [f"Cookie: {COOKIE}x={PIN}"],
    [f"Cookie: {COOKIE.upper()}={PIN}"],
    [f"Cookie: {COOKIE}=1{PIN}"],
    [f"Cookie: {COOKIE}={PIN}0"],
    [f"Cookie: {COOKIE}=14x0"],
    [f"Cookie: {COOKIE}=13.0"],
    [f"Cookie: {COOKIE}=14.1"],
    [f"Cookie: {COOKIE}="],
    [f"Cookie: {COOKIE}"],
    [f'Cookie: {COOKIE}="{PIN}"'],
    [f'Cookie: note="{COOKIE}={PIN}"'],
    [f"Cookie: note={COOKIE}={PIN}"],
    [f"Cookie: {COOKIE}=13.0; {COOKIE}={PIN}"],
    [f"Cookie: {COOKIE}={PIN}; {COOKIE}=13.0"],
    [f"Cookie: {COOKIE}={PIN}", f"Cookie: {COOKIE}=13.0"],
    [f"X-Cookie: {COOKIE}={PIN}"],
]


async def test_the_pin_is_set_unless_the_request_carried_exactly_this_pin() -> None:
    async with front() as running:
        wrong = {}
        for lines, expected in [*((c, []) for c in CARRIED), *((c, [SET_PIN]) for c in NOT_CARRIED)]:
            answer = await running.get("/", lines=lines)
            assert answer.status == 200
            if answer.all("Set-Cookie") != expected:
                wrong[tuple(lines)] = answer.all("Set-Cookie")
        assert wrong == {}


async def test_the_app_s_own_cookies_survive_beside_the_pin() -> None:
    async with front() as running:
        answer = await running.get("/own-cookies")
        assert answer.all("Set-Cookie") == ["session=abc; Path=/", "theme=dark", SET_PIN]
        pinned = await running.get("/own-cookies", lines=[f"Cookie: {COOKIE}={PIN}"])
        assert pinned.all("Set-Cookie") == ["session=abc; Path=/", "theme=dark"]


async def test_every_answer_names_the_release_websockets_and_errors_of_the_app_included() -> None:
    async with front() as running, aiohttp.ClientSession() as client:
        for path, status in (("/", 200), ("/no-such-page", 404)):
            answer = await running.get(path)
            assert (answer.status, answer.all(settings.RELEASE_HEADER)) == (status, ["14"])
        async with client.ws_connect(f"http://127.0.0.1:{running.traffic}/websocket") as websocket:
            upgrade = websocket._response
            assert upgrade.status == 101
            assert upgrade.headers.getall(settings.RELEASE_HEADER) == ["14"]
            assert upgrade.headers.getall("Set-Cookie") == [SET_PIN]


async def test_probes_see_the_release_and_get_no_pin() -> None:
    async with front() as running:
        answer = await running.get("/", port=running.probe)
        assert answer.all(settings.RELEASE_HEADER) == ["14"]
        assert answer.all("Set-Cookie") == []


async def test_what_the_gateway_said_about_the_visitor_is_left_as_it_is() -> None:
    said = ["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: sales.example.test"]
    async with front() as running:
        answer = await running.get("/", lines=said)
        heard = [f"{name}: {value}" for name, value in json.loads(answer.body) if name.lower().startswith("x-")]
        assert heard == said


async def test_cookies_of_a_sign_on_proxy_fit() -> None:
    async with front() as running:
        answer = await running.get("/own-cookies", lines=[f"Cookie: t{n}={'x' * 6000}" for n in range(4)])
        assert answer.status == 200
        assert answer.all("Set-Cookie")[-1] == SET_PIN


async def test_a_silent_app_is_a_503_with_words_and_without_a_pin() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        async with front(app_port=nobody.getsockname()[1]) as running:
            started = time.monotonic()
            probe = await running.get("/", port=running.probe)
            assert probe.status == 503
            assert time.monotonic() - started < 2, "a probe wants the truth at once, not after retries"
            answer = await running.get("/")
            assert answer.status == 503
            assert answer.all("Content-Type") == ["text/html; charset=utf-8"]
            assert answer.all("Cache-Control") == ["no-store"]
            assert answer.all("Retry-After") == ["5"]
            assert answer.all(settings.RELEASE_HEADER) == ["14"]
            assert answer.all("Set-Cookie") == []
            assert b"This app is not answering at the moment" in answer.body
            for jargon in (b"503", b"HAProxy", b"haproxy", b"server", b"pod", b"upstream"):
                assert jargon not in answer.body


@pytest.mark.parametrize("path", ["/", "/static/app.js"])
async def test_where_there_is_no_app_everybody_gets_a_page_at_once_and_no_pin(path: str) -> None:
    async with front(page=True) as running:
        started = time.monotonic()
        answer = await running.get(path, lines=[f"Cookie: {SET_PIN.partition(';')[0]}"])
        assert time.monotonic() - started < 2, "nothing is tried that cannot succeed"
        assert (answer.status, answer.all("Retry-After")) == (503, ["5"])
        assert answer.all(settings.RELEASE_HEADER) == ["0"]
        assert answer.all("Set-Cookie") == []
        assert b"A new version of this app is on its way" in answer.body
        assert b"tries again every five seconds" in answer.body
        assert (await running.get(settings.HEALTH_PATH, port=running.agent)).status == 200


async def test_a_large_upload_arrives_whole_and_is_not_collected_first() -> None:
    half = bytes(range(256)) * 40_960  # 10 MiB
    async with front() as running, aiohttp.ClientSession() as client:

        async def body():
            yield half
            # The rest follows only when the app has seen the beginning: a front that collects all would wait for ever.
            await asyncio.wait_for(running.app.first_chunk.wait(), 10)
            yield half

        async with client.post(f"http://127.0.0.1:{running.traffic}/upload", data=body()) as answer:
            assert answer.status == 200
            assert await answer.text() == hashlib.sha256(half + half).hexdigest()


async def test_the_agent_answers_health_and_metrics_and_names_its_paths_otherwise() -> None:
    async with front() as running:
        await running.get("/")
        assert (await running.get(settings.HEALTH_PATH, port=running.agent)).status == 200
        metrics = (await running.get(settings.METRICS_PATH, port=running.agent)).body.decode()
        assert 'haproxy_backend_http_responses_total{proxy="app",code="2xx"} 1' in metrics
        assert 'haproxy_backend_current_sessions{proxy="app"} 0' in metrics
        unknown = await running.get("/", port=running.agent)
        assert unknown.status == 404
        for path in (settings.SESSIONS_PATH, settings.DRAIN_PATH, settings.METRICS_PATH, settings.HEALTH_PATH):
            assert path in unknown.body.decode()
