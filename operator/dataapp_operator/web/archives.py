"""The code of a build, for the pod of that build and for nobody else.

A build's pod asks for /builds/<namespace>/<build>/context.tar and shows the token of this one build. What is in the URL
is only ever compared with what the cluster knows; the file that is sent has a name of its own. Everybody who may not
have it hears the same, whether the build exists or not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from dataapp_operator.web.server import Server

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

log = logging.getLogger(__name__)

PORT = 8081
_CHUNK = 256 * 1024
_AT_ONCE = 4
"""How many downloads of one build may run at the same time: its pod needs one, and perhaps tries again."""
_BEARER = "bearer "
_LONGEST_TOKEN = 256

_NOT_YOURS = (
    "this is the code of one build, for that build's own pod: the token is missing, is not the build's, or the build has"
    " ended\n"
)


class NotNowError(Exception):
    """The code cannot be served at the moment; the same again, later. The message is for the build's log."""


class NoCodeError(Exception):
    """The code does not exist any more. The message is for the build's log."""


class Archives(Protocol):
    """Where the code of builds comes from."""

    async def admits(self, namespace: str, build: str, token: bytes) -> bool:
        """Whether this is the token of a build that runs. Raises NotNowError."""

    async def archive(self, namespace: str, build: str) -> Path:
        """A tar file of the build's code and recipe. Raises NotNowError and NoCodeError."""


class ArchiveServer(Server):
    """Serves the archives of builds until `stop`."""

    def __init__(self, archives: Archives, *, host: str | None = None, port: int = PORT) -> None:
        self._archives = archives
        self._downloads: Counter[tuple[str, str]] = Counter()
        app = web.Application()
        app.router.add_get("/builds/{namespace}/{build}/context.tar", self._answer, allow_head=False)
        super().__init__(app, host=host, port=port)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        namespace, build = request.match_info["namespace"], request.match_info["build"]
        try:
            token = _token(request.headers.get("Authorization", ""))
            if not token or not await self._archives.admits(namespace, build, token):
                return _words(HTTPStatus.FORBIDDEN, _NOT_YOURS)
            return await self._send(request, (namespace, build))
        except NoCodeError as error:
            return _words(HTTPStatus.NOT_FOUND, f"the code of this build is gone: {error}\n")
        except NotNowError as error:
            return _words(HTTPStatus.SERVICE_UNAVAILABLE, f"the code cannot be served now: {error}\n", retry=True)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("the code of build %s/%s cannot be served: a bug in the operator", namespace, build)
            return _words(HTTPStatus.SERVICE_UNAVAILABLE, "the operator has a bug; its log says which\n", retry=True)

    async def _send(self, request: web.Request, key: tuple[str, str]) -> web.StreamResponse:
        if self._downloads[key] >= _AT_ONCE:
            raise NotNowError("it is being downloaded several times already")
        self._downloads[key] += 1
        try:
            return await self._stream(request, await self._opened(key))
        finally:
            self._downloads[key] -= 1
            if not self._downloads[key]:
                del self._downloads[key]

    async def _opened(self, key: tuple[str, str]) -> BinaryIO:
        """The file, open: whoever deletes it from now on does not disturb. One that is gone is asked for once more."""
        for _ in range(2):
            path = await self._archives.archive(*key)
            try:
                return await asyncio.to_thread(path.open, "rb")
            except FileNotFoundError:
                continue
        raise NotNowError("it was made, and deleted again at once")

    async def _stream(self, request: web.Request, file: BinaryIO) -> web.StreamResponse:
        try:
            size = await asyncio.to_thread(file.seek, 0, 2)
            await asyncio.to_thread(file.seek, 0)
            headers = {"Content-Type": "application/x-tar", "Content-Length": str(size), "Cache-Control": "no-store"}
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                await response.write(chunk)
            await response.write_eof()
            return response
        finally:
            file.close()


def _token(header: str) -> bytes:
    """The token in an Authorization header; b'' where there is none."""
    if len(header) > _LONGEST_TOKEN or not header.lower().startswith(_BEARER):
        return b""
    return header[len(_BEARER) :].strip().encode("utf-8", errors="surrogateescape")


def _words(status: HTTPStatus, text: str, *, retry: bool = False) -> web.Response:
    return web.Response(status=status, text=text, headers={"Retry-After": "2"} if retry else {})
