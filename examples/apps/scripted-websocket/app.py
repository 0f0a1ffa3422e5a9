"""Three times a number over a plain websocket: a FastAPI app that breaks when it is told to (breaks.py says how).

Over `/ws` the page says `{"session": null}` first, or the name of the session that it had before its connection was
lost, and then `{"n": 5}` for each number. The server answers `{"session": …}`, `{"total": …}`, `{"upload": …}`,
`{"error": …}`. The upload and the report are plain requests that name the session: they find it in this process only.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import breaks
from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

HERE = Path(__file__).parent
MOST_SESSIONS = 1000  # the oldest are forgotten first


@dataclass
class Session:
    """What one page has done so far, and its websocket while it is connected."""

    name: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    n: int = 7
    upload: int | None = None
    websocket: WebSocket | None = None

    async def show(self) -> None:
        """Send what the page is to show now, or the error that stands in the way."""
        if self.websocket is None:
            return
        try:
            await asyncio.to_thread(breaks.read_prices)
            shown = {"total": breaks.total(self.n)}
        except (ValueError, ConnectionError) as error:
            log.exception("the total of %s", self.n)
            shown = {"error": f"{type(error).__name__}: {error}"}
        if self.upload is not None:
            shown["upload"] = f"upload = {self.upload} bytes"
        await self.websocket.send_json(shown)


log = logging.getLogger("triple")
sessions: OrderedDict[str, Session] = OrderedDict()
app = FastAPI(title="Triple", version=breaks.VERSION, openapi_url=None)
app.mount("/static", StaticFiles(directory=HERE / "static"))


@app.get("/openapi.json", include_in_schema=False)
def description() -> dict[str, Any]:
    """The description of this API. It cannot be had while no total can be computed: whoever checks the app asks for it."""
    breaks.read_prices()
    breaks.total(0)
    return app.openapi()


@app.get("/")
def page() -> FileResponse:
    """The page. It asks for everything else itself."""
    breaks.page()
    return FileResponse(HERE / "page.html")


@app.websocket("/ws")
async def talk(websocket: WebSocket) -> None:
    """One page, for as long as it is connected."""
    await websocket.accept()
    session: Session | None = None
    with suppress(WebSocketDisconnect):
        hello = await websocket.receive_json()
        session = sessions.get(hello["session"]) or begin()
        session.websocket = websocket
        await websocket.send_json({"session": session.name})
        await session.show()
        async for message in websocket.iter_json():
            session.n = int(message["n"])
            await session.show()
    if session is not None and session.websocket is websocket:
        session.websocket = None


@app.post("/session/{name}/upload")
async def upload(name: str, request: Request) -> None:
    """Take a file, as the body of the request."""
    session = known(name)
    session.upload = len(await request.body())
    await session.show()


@app.get("/session/{name}/report", response_class=PlainTextResponse)
def report(name: str) -> str:
    """What the page shows, as a file."""
    return f"report of {breaks.total(known(name).n)}"


def begin() -> Session:
    """A new session."""
    session = Session()
    sessions[session.name] = session
    while len(sessions) > MOST_SESSIONS:
        sessions.popitem(last=False)
    return session


def known(name: str) -> Session:
    """The session of a name."""
    if name not in sessions:
        raise HTTPException(404, "this process has no such session")
    return sessions[name]
