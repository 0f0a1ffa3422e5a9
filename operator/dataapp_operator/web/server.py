"""The operator's own small web server: is it alive, is it ready, what has it counted.

A check is a function that answers with a `Health`: whether all is well, and a few words on what it looked at. The words
of a failing check are in the answer, because the kubelet puts them into the event that a person reads first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Self

PORT = 8080
STOP_SECONDS = 1.0  # nobody waits long for an answer of ours


@dataclass(frozen=True, slots=True)
class Health:
    """What a check found: `detail` is for people."""

    ok: bool
    detail: str


class Server:
    """Serves one web application on one port until `stop`; `host` None means every address."""

    def __init__(self, app: web.Application, *, host: str | None, port: int) -> None:
        self._host = host
        self._port = port
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)

    async def start(self) -> int:
        """Listen; answers the port (of use where 0 was asked for). `OSError` when the port is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class WebServer(Server):
    """Serves /healthz (`alive` checks), /readyz (`ready` checks) and /metrics until `stop`."""

    def __init__(
        self,
        *,
        alive: Mapping[str, Callable[[], Health]],
        ready: Mapping[str, Callable[[], Health]],
        metrics: Callable[[], bytes],
        host: str | None = None,
        port: int = PORT,
    ) -> None:
        app = web.Application()
        app.router.add_get("/healthz", _answering(alive))
        app.router.add_get("/readyz", _answering(ready))
        app.router.add_get("/metrics", _exposing(metrics))
        super().__init__(app, host=host, port=port)


def _answering(checks: Mapping[str, Callable[[], Health]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        found = {name: _examine(check) for name, check in checks.items()}
        lines = [f"{name}: {'ok' if health.ok else 'FAILED'}: {health.detail}" for name, health in found.items()]
        status = 200 if all(health.ok for health in found.values()) else 503
        return web.Response(status=status, text="\n".join(lines or ["ok"]) + "\n")

    return answer


def _exposing(metrics: Callable[[], bytes]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return answer


def _examine(check: Callable[[], Health]) -> Health:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever breaks in a check is what the check has to tell
        return Health(ok=False, detail=f"the check itself failed: {type(error).__name__}: {error}")
