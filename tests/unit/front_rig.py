"""A real HAProxy on loopback with the product's configuration, and a small real app behind it.

The front's claims are about how HAProxy counts, so nothing here stands in for it. Ports are sockets that this process
binds and hands down (`fd@n`): no port can be taken between choosing and using it. Waiting is always for a condition.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from dataapp_operator.checks.fronts import parse_sessions
from dataapp_operator.front import settings
from dataapp_operator.plan.facts import Counts

COOKIE = "dataapp-sales-production"
PIN = "14.0"
SET_PIN = f"{COOKIE}={PIN}; Path=/; HttpOnly; SameSite=Lax"


def program(name: str) -> str:
    """Where a Debian program is; a missing one fails the test, since without it nothing here would be proved."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"`{name}` is not installed. `make lab-up` installs it (a Debian package); then run this again.")
    return path


@dataclass
class App:
    """The app behind the front: an echo, a websocket, a stream, an upload, and what it saw of them."""

    port: int = 0
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    first_chunk: asyncio.Event = field(default_factory=asyncio.Event)
    stream_ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def _headers(self, request: web.Request) -> web.Response:
        return web.json_response([[name, value] for name, value in request.headers.items()])

    async def _own_cookies(self, _: web.Request) -> web.Response:
        answer = web.Response(text="ok")
        answer.headers.add("Set-Cookie", "session=abc; Path=/")
        answer.headers.add("Set-Cookie", "theme=dark")
        return answer

    async def _slow(self, _: web.Request) -> web.Response:
        await self.hold.wait()
        return web.Response(text="done")

    async def _fails(self, _: web.Request) -> web.Response:
        return web.Response(status=500, text="it fails")

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        async for message in answer:
            await answer.send_str(message.data)
        return answer

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """One event and then silence, until the other side is gone."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: first\n\n")
        try:
            await self.hold.wait()
        finally:
            self.stream_ended.set()
        return answer

    async def _upload(self, request: web.Request) -> web.Response:
        digest = hashlib.sha256()
        async for chunk in request.content.iter_any():
            digest.update(chunk)
            self.first_chunk.set()
        return web.Response(text=digest.hexdigest())

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self._headers),
                web.get("/own-cookies", self._own_cookies),
                web.get("/slow", self._slow),
                web.get("/fails", self._fails),
                web.get("/websocket", self._websocket),
                web.get("/stream", self._stream),
                web.post("/upload", self._upload),
            ],
        )
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            yield
        finally:
            self.hold.set()
            await runner.cleanup()


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer as it came over the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass(frozen=True)
class Sessions:
    """What the front said: how many are live, and for how many seconds nothing was."""

    live: int
    quiet_for: int


@dataclass(frozen=True)
class Front:
    """A running front and its three ports on loopback."""

    app: App
    traffic: int
    probe: int
    agent: int

    async def get(self, path: str = "/", *, port: int | None = None, lines: Iterable[str] = ()) -> Answer:
        """One request on a connection of its own, header lines exactly as given."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.traffic)
        try:
            head = [f"GET {path} HTTP/1.1", "Host: sales.example.test", "Connection: close", *lines]
            writer.write("\r\n".join([*head, "", ""]).encode())
            return answer_of(await asyncio.wait_for(reader.read(-1), 30))
        finally:
            await close(writer)

    async def sessions(self) -> Sessions:
        answer = await self.get(settings.SESSIONS_PATH, port=self.agent)
        assert answer.all("Content-Type") == ["application/json"]
        said = json.loads(answer.body)
        assert set(said) == {"live", "quietFor", "answers", "errors", "timed", "within"}
        return Sessions(said["live"], said["quietFor"])

    async def counts(self) -> Counts:
        """What visitors got so far, read as the operator does."""
        read = parse_sessions((await self.get(settings.SESSIONS_PATH, port=self.agent)).body)
        assert read is not None
        assert read.counts is not None
        return read.counts

    async def live(self) -> int:
        return (await self.sessions()).live


def answer_of(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    pairs = (line.partition(":") for line in rest)
    return Answer(
        status=int(first.split()[1]),
        headers=tuple((name, value.strip()) for name, _, value in pairs),
        body=body,
    )


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def eventually(what: str, condition: Callable[[], Awaitable[bool]], *, within: float = 5.0) -> None:
    """Wait until the condition holds; fail with `what` after `within` seconds."""
    end = time.monotonic() + within
    while not await condition():
        if time.monotonic() > end:
            pytest.fail(f"not seen within {within} s: {what}")
        await asyncio.sleep(0.02)


def environment(app_port: int, *, cookie: str = COOKIE, **optional: Any) -> dict[str, str]:
    """The environment of a front in a test: the slot's four variables, and the files where they are in the checkout."""
    slot = settings.environment(app_port=app_port, cookie=cookie, pin=PIN, release=14, **optional)
    return {"PATH": os.environ["PATH"], "DATAAPP_FRONT_HOME": str(settings.directory()), **slot}


_PAGE = settings.page_environment()


def configuration() -> str:
    return str(settings.directory() / "haproxy.cfg")


@contextlib.asynccontextmanager
async def front(*, app_port: int | None = None, page: bool = False, **optional: Any) -> AsyncIterator[Front]:
    """Run app and front; `app_port` names another port in place of the app's own (to point the front at nothing).

    `page`: it has no app but a page that says so; `optional`: what else a slot may be told, as `settings.environment` takes it.
    """
    haproxy = program("haproxy")
    app = App()
    async with app.serving():
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            binds = {
                f"DATAAPP_FRONT_{name}": f"fd@{listening.fileno()}"
                for name, listening in zip(("TRAFFIC", "PROBE", "AGENT"), sockets, strict=True)
            }
            process = await asyncio.create_subprocess_exec(
                haproxy,
                "-f",
                configuration(),
                env={**environment(app_port or app.port, **optional), **binds, **(_PAGE if page else {})},
                pass_fds=[listening.fileno() for listening in sockets],
            )
            ports = [listening.getsockname()[1] for listening in sockets]
        running = Front(app, *ports)
        try:
            health = await running.get(settings.HEALTH_PATH, port=running.agent)
            assert health.body == b"ok\n"
            yield running
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def check_configuration(**optional: Any) -> subprocess.CompletedProcess[str]:
    """What HAProxy says of the configuration of such a slot."""
    env = environment(8501, **optional)
    argv = [program("haproxy"), "-c", "-f", configuration()]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
