"""A small server for one test of the harness: it plays an app, and goes wrong where the test says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.harness.browser import Browser
from tests.harness.sessions import LiveSession

S = TypeVar("S", bound=LiveSession)


@asynccontextmanager
async def serving(*routes: web.RouteDef) -> AsyncIterator[int]:
    """A server on loopback inside the block; yields its port."""
    app = web.Application()
    app.router.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def tab_on(kind: type[S], *routes: web.RouteDef, patience: float = 2.0) -> AsyncIterator[S]:
    """A tab of a new browser that is not open yet, on a server of its own. `patience` bounds what it does, in seconds."""
    async with serving(*routes) as port, Browser("sales.localhost", port=port) as browser:
        session = kind(browser, timeout=patience)
        try:
            yield session
        finally:
            await session.close()


def saying(text: str, kind: str = "text/plain") -> Handler:
    """A handler that always answers so."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=kind)

    return handler
