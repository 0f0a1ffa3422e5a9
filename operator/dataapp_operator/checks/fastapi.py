"""The probe of FastAPI: an API without sessions, asked what any client may ask, for its description of itself.

`GET /openapi.json` makes the app import, start, pass its middleware and build the schema of every route, and harms
nothing; a route of the author's own may cost money or time, so none is called. Where the app keeps its description to
itself (a 404, a login), any answer of `/` below 500 is an app that works, and the words say that no more was seen. A
timeout is inconclusive: busy is not broken. What a route does when it is called, this check does not see.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import aiohttp

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks.cause import find_cause
from dataapp_operator.checks.conversation import CONNECT_WAIT, Finding, Target, read_text, unreachable
from dataapp_operator.checks.redaction import redact
from dataapp_operator.checks.result import SessionResult, shorten
from dataapp_operator.front.settings import directory

PATH = "/openapi.json"
ROOT = "/"
LARGEST_ANSWER = 8 * 1024 * 1024  # bytes of JSON read
LOG_WAIT = 0.25  # s that an app gets to write down why it failed: Starlette answers 500 first and logs the cause then
_LONGEST_LOOKED_AT = 8_000  # characters of an error
_LONGEST_SAID = 300  # characters of it that are quoted
_TRACEBACK = "Traceback (most recent call last)"
_SAYS_NOTHING = "Internal Server Error"  # what Starlette answers: the cause is in the log only


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer: what was asked, the status, the media type ("application/json"), the body, and how long it took."""

    path: str
    status: int
    media_type: str
    body: str
    seconds: float
    retry_after: str = ""


async def probe(target: Target, timeout: float) -> SessionResult:  # noqa: ASYNC109 - it ends in a verdict, not in an exception
    """Ask the app for its description and say what a client would have got, within `timeout` seconds."""
    started = time.monotonic()
    asked = PATH
    try:
        async with asyncio.timeout(timeout):
            description = await _get(target, PATH)
            finding = judge_description(description)
            if finding is None:
                asked = ROOT
                finding = judge_root(await _get(target, ROOT), instead_of=description)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        finding = unreachable(target, error)
    except TimeoutError:
        words = (
            f"no value yet: GET {asked} was not answered within {timeout:g} s; the app may be busy with other requests"
        )
        finding = Finding(Verdict.INCONCLUSIVE, "no answer after {seconds} s", words)
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError):
        finding = _broken_off(asked)
    except aiohttp.ClientError as error:
        words = (
            f"GET {asked} was answered with something that is not HTTP: {shorten(redact(str(error)), _LONGEST_SAID)}"
        )
        finding = Finding(Verdict.ERROR, "an answer that cannot be read", words)
    seconds = time.monotonic() - started
    if finding.verdict is Verdict.FAIL:
        await asyncio.sleep(LOG_WAIT)
    return finding.timed(seconds)


def judge_description(heard: Heard) -> Finding | None:
    """What the answer at `/openapi.json` means; None where the app keeps it to itself, so that `/` must be asked."""
    if (finding := _failure(heard)) is not None:
        return finding
    if heard.status != 200:  # noqa: PLR2004 - OK
        return None
    if len(heard.body.encode()) >= LARGEST_ANSWER:
        words = f"no value yet: {PATH} is larger than the {LARGEST_ANSWER // 1024**2} MiB that a check reads"
        return Finding(Verdict.INCONCLUSIVE, "a description that is too large", words)
    paths = _paths(heard.body)
    if paths is not None:
        number = f"{len(paths)} path{'' if len(paths) == 1 else 's'}"
        return Finding(Verdict.PASS, f"openapi.json names {number}, answered {_after(heard)}")
    if "html" in heard.media_type:
        words = (
            f"GET {PATH} was answered with an HTML page instead of JSON: is it a FastAPI app, or does one of its routes"
            " answer every path with a page?"
        )
        return Finding(Verdict.FAIL, f"an HTML page at {PATH} {_after(heard)}", words)
    words = f"GET {PATH} was answered with something that is not the description of an API: is it a FastAPI app?"
    return Finding(Verdict.FAIL, f"no description of an API at {PATH} {_after(heard)}", words)


def judge_root(heard: Heard, *, instead_of: Heard) -> Finding:
    """What the answer at `/` means for an app that does not show its description."""
    why = f"{instead_of.path} answered {instead_of.status}"
    return _failure(heard) or Finding(
        Verdict.PASS, f"GET {heard.path} answered {heard.status} {_after(heard)}; no more was checked, since {why}"
    )


def _failure(heard: Heard) -> Finding | None:
    """An answer of 500 or more: of the front, which found nobody or was cut off, or of the app itself."""
    measured = f"GET {heard.path} answered {heard.status} {_after(heard)}"
    if heard.status in (502, 503, 504) and heard.body.strip() == _page_of_the_front():
        if heard.status == 502:  # noqa: PLR2004 - Bad Gateway: connected, and no answer came
            return _broken_off(heard.path)
        words = f"nobody answers behind {heard.path} ({heard.status}): the app is not listening on its port (yet)"
        return Finding(Verdict.ERROR, measured, words)
    if heard.status == 503 and heard.retry_after:  # noqa: PLR2004 - Service Unavailable
        words = f"no value yet: the app answers GET {heard.path} with 503 and asks to come back later (Retry-After)"
        return Finding(Verdict.INCONCLUSIVE, measured, words)
    if heard.status >= 500:  # noqa: PLR2004 - server errors
        said = _said(heard)
        words = f"GET {heard.path} answered {heard.status}" + (f": {said}" if said else "")
        return Finding(Verdict.FAIL, measured, words)
    return None


def _broken_off(path: str) -> Finding:
    words = f"the app closed the connection without an answer to GET {path}"
    return Finding(Verdict.FAIL, "the connection broke off after {seconds} s", words)


def _said(heard: Heard) -> str:
    """What an error says of itself: FastAPI's `detail`, a traceback's end, or the text; often it says nothing."""
    if "html" in heard.media_type:
        return ""
    try:
        answer: Any = json.loads(heard.body)
    except (ValueError, RecursionError):
        answer = heard.body
    if isinstance(answer, dict):
        answer = answer.get("detail", answer)
    text = answer if isinstance(answer, str) else json.dumps(answer)
    if _TRACEBACK in text:  # with debug=True
        return find_cause(text) or ""
    said = shorten(redact(text[:_LONGEST_LOOKED_AT]), _LONGEST_SAID)
    return "" if said == _SAYS_NOTHING else said


def _paths(body: str) -> dict[str, Any] | None:
    """`paths` of a description in JSON; None where it is not one."""
    try:
        description = json.loads(body)
    except (ValueError, RecursionError):
        return None
    paths = description.get("paths") if isinstance(description, dict) else None
    return paths if isinstance(paths, dict) else None


def _after(heard: Heard) -> str:
    return f"after {heard.seconds:.2f} s"


@cache
def _page_of_the_front() -> str:
    """What the front's probe port answers itself, when the app does not."""
    return (directory() / "unavailable.html").read_text(encoding="utf-8").strip()


async def _get(target: Target, path: str) -> Heard:
    """One question. Redirects are answers like others: where they lead is not ours to visit."""
    started = time.monotonic()
    limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_WAIT)
    headers = target.headers() | {"Accept": "application/json"}
    async with target.client.get(target.url(path), headers=headers, allow_redirects=False, timeout=limits) as answer:
        body = await read_text(answer, LARGEST_ANSWER)
    return Heard(
        path,
        answer.status,
        answer.content_type,
        body,
        time.monotonic() - started,
        answer.headers.get("Retry-After", ""),
    )
