"""The session probe of Shiny, R and Python: load the page, open its session, wait for the outputs' values.

Both speak one protocol: `GET /` declares outputs and inputs; over the websocket `/websocket/` the browser sends the
inputs' values and which outputs it shows, and the server answers with values and errors. An error from `req()` or
`validate()` ("shiny.silent.error"; py-shiny sends null instead) is "no value yet", not a failure. A session that
closes before its first values is broken: that is how an error in the server function or in an observer looks.
"""

import asyncio
import time
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

import aiohttp

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks.conversation import (
    CONNECT_WAIT,
    Finding,
    Refused,
    Target,
    converse,
    read_text,
    refusal,
    unreachable,
)
from dataapp_operator.checks.result import SessionResult, shorten
from dataapp_operator.checks.shiny_conversation import ShinyConversation
from dataapp_operator.checks.shiny_page import read_page

PATH = "/websocket/"
LARGEST_PAGE = 8 * 1024 * 1024  # bytes of HTML read
_MOST_REDIRECTS = 3


async def probe(target: Target, timeout: float) -> SessionResult:  # noqa: ASYNC109 - it ends in a verdict, not in an exception
    """Open one session and say what a user would have got, within `timeout` seconds."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            html = await _load_page(target)
    except Refused as refused:
        return refused.finding.timed(time.monotonic() - started)
    except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectionError, ConnectionError) as error:
        return unreachable(target, error).timed(time.monotonic() - started)
    except TimeoutError:
        # Shiny is single-threaded: while it computes for one user, nobody else's page loads. Busy is not broken.
        words = f"no value yet: GET / was not answered within {timeout:g} s; the app may be busy with another user"
        return Finding(Verdict.INCONCLUSIVE, "no page after {seconds} s", words).timed(time.monotonic() - started)
    except aiohttp.ClientError as error:
        words = f"GET / cannot be read: {error or type(error).__name__}"
        return Finding(Verdict.ERROR, "no page", words).timed(time.monotonic() - started)
    today = datetime.now(tz=UTC).date().isoformat()
    conversation = ShinyConversation(read_page(html, today=today), today=today)
    return await converse(conversation, target, path=PATH, protocols=(), started=started, timeout=timeout)


async def _load_page(target: Target) -> str:
    """The HTML of the entry page; follows redirects inside the app only: elsewhere is not ours to visit."""
    base = target.url("/")
    url = base
    for _ in range(_MOST_REDIRECTS + 1):
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_WAIT)
        headers = target.headers() | {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
        async with target.client.get(url, headers=headers, allow_redirects=False, timeout=limits) as answer:
            location = answer.headers.get("Location", "")
            if 300 <= answer.status < 400 and location:  # noqa: PLR2004 - redirects
                url = _inside(base, urljoin(url, location))
                continue
            text = await read_text(answer, LARGEST_PAGE)
            if answer.status != 200:  # noqa: PLR2004 - OK
                raise Refused(refusal(answer.status, "GET /", _words_of(text)))
            return text
    raise Refused(Finding(Verdict.INCONCLUSIVE, "redirects without end", "GET / redirects again and again"))


def _inside(base: str, url: str) -> str:
    ours, theirs = urlsplit(base), urlsplit(url)
    if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
        there = f"{theirs.scheme}://{theirs.hostname}"
        words = f"no value yet: the app sends every visitor to {there}, which a check does not follow"
        raise Refused(Finding(Verdict.INCONCLUSIVE, "a redirect to elsewhere", words))
    return url


def _words_of(html: str) -> str:
    """What an error page says: Shiny for R puts the error's message in the first paragraph."""
    _, found, rest = html.partition("<p>")
    return shorten(rest.partition("</p>")[0]) if found else ""
