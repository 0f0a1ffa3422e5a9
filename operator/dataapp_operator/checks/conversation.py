"""How a probe talks to a framework: a conversation that is told what was heard and says when it has its verdict.

The conversation is pure (no socket, no clock of its own), so recorded frames of real frameworks test it in
milliseconds; `converse` is the one loop that connects it to a real websocket and turns silence, closing and refusal
into words.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks.redaction import redact
from dataapp_operator.checks.result import SessionResult, shorten

LARGEST_FRAME = 32 * 1024 * 1024  # bytes of one websocket message that we are willing to hold
_LONGEST_SAID = 8_000  # characters of an error that are looked at
_CLOSE_WAIT = 1.0  # s to wait for the answer to our close frame: a busy single-threaded app answers much later
CONNECT_WAIT = 5.0  # s to establish a TCP connection inside a cluster
_ANSWERS_OF_PROXIES = {502, 503, 504}


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with its words, before the time is filled in: `measured` may hold "{seconds}"."""

    verdict: Verdict
    measured: str
    message: str = ""

    def timed(self, seconds: float) -> SessionResult:
        """The result, with the seconds that it took, and without what looks like a secret."""
        measured = self.measured.replace("{seconds}", f"{seconds:.1f}")
        return SessionResult(
            self.verdict, redact(measured), shorten(redact(self.message[:_LONGEST_SAID])), round(seconds, 3)
        )


@dataclass(frozen=True, slots=True)
class Target:
    """Where to open a session: base URL ("http://10.244.0.7:18081"), and the Host header where it is another one."""

    base_url: str
    host: str | None
    client: aiohttp.ClientSession

    def headers(self) -> dict[str, str]:
        """Headers of every request of the probe."""
        return {"Host": self.host} if self.host else {}

    def url(self, path: str) -> str:
        """The URL of a path that starts with a slash."""
        return self.base_url.rstrip("/") + path


class Conversation(Protocol):
    """One framework's protocol, seen from the browser's side."""

    def opening(self) -> Sequence[str | bytes]:
        """What to send first."""

    def hear(self, frame: str | bytes) -> Sequence[str | bytes]:
        """Take in one message; returns what to answer."""

    def finding(self) -> Finding | None:
        """The verdict, as soon as there is one."""

    def patience(self) -> float | None:
        """Seconds of silence after which nothing more is expected; None while something is still to come."""

    def quiet(self) -> None:
        """Nothing was heard for `patience()` seconds."""

    def closed(self, why: str) -> Finding:
        """The app ended the session before a verdict."""

    def time_up(self) -> Finding:
        """The time-out came before a verdict."""


class Refused(Exception):  # noqa: N818 - an outcome, not a mistake
    """No session could be opened; carries what that means."""

    def __init__(self, finding: Finding) -> None:
        """Keep the finding."""
        super().__init__(finding.message)
        self.finding = finding


def refusal(status: int, where: str, body: str = "") -> Finding:
    """What an HTTP status other than the expected one means for a session, in words."""
    if status in _ANSWERS_OF_PROXIES:
        return Finding(
            Verdict.ERROR,
            f"{where} answered {status}",
            f"nobody answers behind {where} ({status}): the app is not listening on its port (yet)",
        )
    if status >= 500:  # noqa: PLR2004 - server errors
        return Finding(Verdict.FAIL, f"{where} answered {status}", body or f"{where} answered {status}")
    words = f"{where} answered {status}, so no session could be opened: does the framework serve at the root path?"
    return Finding(Verdict.ERROR, f"{where} answered {status}", words)


def unreachable(target: Target, error: Exception) -> Finding:
    """No connection at all, in words."""
    if _is_refusal(error):
        what = "the connection was refused, nobody listens there"
    elif isinstance(error, aiohttp.ConnectionTimeoutError):
        what = f"no answer within {CONNECT_WAIT:g} s"
    else:
        what = str(error) or type(error).__name__
    return Finding(Verdict.ERROR, "no connection", f"could not connect to {target.base_url}: {what}")


async def read_text(answer: aiohttp.ClientResponse, longest: int) -> str:
    """The body of an answer, at most `longest` bytes of it; what is not UTF-8 is replaced."""
    body = bytearray()
    while len(body) < longest and (more := await answer.content.read(longest - len(body))):
        body += more
    return body.decode("utf-8", errors="replace")


def _is_refusal(error: Exception) -> bool:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return isinstance(cause, ConnectionRefusedError)


async def converse(
    conversation: Conversation,
    target: Target,
    *,
    path: str,
    protocols: Sequence[str],
    started: float,
    timeout: float,  # noqa: ASYNC109 - it ends in a verdict, not in an exception
) -> SessionResult:
    """Open the websocket at `path` and let the conversation come to its verdict.

    `started` is a `time.monotonic()` reading; `timeout` is in seconds from then.
    """
    websocket: aiohttp.ClientWebSocketResponse | None = None
    try:
        async with asyncio.timeout(max(0.0, started + timeout - time.monotonic())):
            websocket = await _open(target, path, protocols)
            for frame in conversation.opening():
                await _send(websocket, frame)
            finding = await _listen(conversation, websocket)
    except Refused as refused:
        finding = refused.finding
    except TimeoutError:
        words = f"the app did not open a session at {path} within {timeout:g} s"
        silence = Finding(Verdict.ERROR, "no session after {seconds} s", words)
        finding = conversation.time_up() if websocket else silence
    except (aiohttp.ClientError, ConnectionError) as error:
        why = shorten(str(error) or type(error).__name__)
        finding = conversation.closed(why) if websocket else unreachable(target, error)
    seconds = time.monotonic() - started
    if websocket is not None:
        await websocket.close()
    return finding.timed(seconds)


async def _open(target: Target, path: str, protocols: Sequence[str]) -> aiohttp.ClientWebSocketResponse:
    try:
        return await target.client.ws_connect(
            target.url(path),
            protocols=protocols,
            headers=target.headers(),
            max_msg_size=LARGEST_FRAME,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_WAIT),
        )
    except aiohttp.WSServerHandshakeError as error:
        raise Refused(refusal(error.status, path)) from error


async def _send(websocket: aiohttp.ClientWebSocketResponse, frame: str | bytes) -> None:
    if isinstance(frame, bytes):
        await websocket.send_bytes(frame)
    else:
        await websocket.send_str(frame)


async def _listen(conversation: Conversation, websocket: aiohttp.ClientWebSocketResponse) -> Finding:
    while (finding := conversation.finding()) is None:
        patience = conversation.patience()
        try:
            async with asyncio.timeout(patience):
                frame = await websocket.receive()
        except TimeoutError:
            if patience is None:
                raise
            conversation.quiet()
            continue
        if frame.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            for answer in conversation.hear(frame.data):
                await _send(websocket, answer)
        elif frame.type is aiohttp.WSMsgType.ERROR:
            return Finding(
                Verdict.INCONCLUSIVE,
                "a message that cannot be read",
                f"the session sent something that cannot be read: {frame.data}",
            )
        else:
            return conversation.closed(_reason(websocket, frame))
    return finding


def _reason(websocket: aiohttp.ClientWebSocketResponse, frame: aiohttp.WSMessage) -> str:
    words = str(frame.extra or "") if frame.type is aiohttp.WSMsgType.CLOSE else ""
    if websocket.close_code in (None, aiohttp.WSCloseCode.ABNORMAL_CLOSURE):
        return "the connection broke off"
    return f"code {websocket.close_code}" + (f", {words}" if words else "")
