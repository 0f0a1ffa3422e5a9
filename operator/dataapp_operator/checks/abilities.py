"""What does a gateway do with cookies and headers? Found out by visits to a release's preview host that nobody else makes.

There the same two kinds of routes stand beside each other as on the app's own host: one for everybody, whose answers carry
the header of the plan, and one that a cookie leads past it. The front behind them sets the pin cookie of its slot unless a
visit brings exactly that one, so every answer says which slot gave it, and whether the visit's cookies have arrived there.

A route takes its time to every proxy of a gateway. So what works once, works; what does not is tried until the time is up.
"""

import asyncio
import time
from dataclasses import dataclass

import aiohttp

from dataapp_operator.checks.gateway import Answer, visit
from dataapp_operator.plan.names import NO_PLAN, PROOF_COOKIE

ASIDE = "_dataapp"
"""A path where no app has anything: an answer of 404 says as well who gave it, and costs the app no page."""
_PAUSE = 0.5  # s between two rounds
_TIMES = 3  # visits with the cookie of each slot, in one round


@dataclass(frozen=True, slots=True)
class AbilityView:
    """What was seen, and in words how. None: nothing could be seen."""

    marks: bool | None = None
    """A route's response header reaches the visitor."""
    pins: bool | None = None
    """A cookie reaches the visitor and the app, and leads to the slot that set it."""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """Whom to visit: the release and its slots that are told apart, of which the preview host leads to the first.

    ``cookie``: the name of its pin cookie.
    """

    number: int
    slots: tuple[int, ...]
    host: str
    cookie: str


async def prove_abilities(
    release: Release,
    *,
    door: str,
    refused: str = "",
    timeout: float,  # noqa: ASYNC109 - it ends in a view, not in an exception
    client: aiohttp.ClientSession,
) -> AbilityView:
    """Visit until everything works, or for `timeout` seconds; then what the last round saw.

    `door` is the URL of the gateway's entry page. `refused`: it does not accept the route with the cookies, and says why. The
    client must keep no cookies.
    """
    until = time.monotonic() + timeout
    view = AbilityView(words="nothing was seen yet")
    try:
        async with asyncio.timeout(timeout):
            while True:
                view = await _round(door, release, refused, client)
                if view.marks and (view.pins or refused):
                    return view
                if time.monotonic() + _PAUSE >= until:
                    return view
                await asyncio.sleep(_PAUSE)  # the gateway has no event to wait for
    except TimeoutError:
        return view


async def _round(url: str, release: Release, refused: str, client: aiohttp.ClientSession) -> AbilityView:
    new = await _see(url, release, "", client)
    if not isinstance(new, Answer):
        return AbilityView(words=new)
    if new.plan != str(NO_PLAN):
        return AbilityView(marks=False, words=f"an answer came with {str(new).partition(', ')[2]}")
    if refused:
        return AbilityView(marks=True, pins=False, words=f"it refuses a route that looks at cookies: {refused}")
    trouble = await _cookies(url, release, new, client)
    if trouble is None:
        return AbilityView(
            marks=True, pins=True, words="a cookie is set, sent back, and leads to its replica; the plan is told"
        )
    known, words = trouble
    return AbilityView(marks=True if known else None, pins=False if known else None, words=words)


async def _cookies(url: str, release: Release, new: Answer, client: aiohttp.ClientSession) -> tuple[bool, str] | None:
    """What is wrong with cookies, and whether that is known or only could not be seen; None where all is right."""
    first = _pin(release, release.slots[0])
    if first not in new.cookies:
        return True, f"the cookie {release.cookie} does not arrive at the visitor"
    back = await _see(url + ASIDE, release, f"a=b; {first}", client)
    if not isinstance(back, Answer):
        return False, back
    if any(cookie.startswith(f"{release.cookie}=") for cookie in back.cookies):
        return True, "a cookie that the visitor sends back does not arrive at the app"
    alike = f"x{PROOF_COOKIE}={release.number}.{release.slots[0]}; {PROOF_COOKIE}=1{release.number}.{release.slots[0]}"
    other = await _see(url + ASIDE, release, alike, client)
    if not isinstance(other, Answer):
        return False, other
    if other.plan != str(NO_PLAN):
        return True, "a cookie that only looks alike leads past the route for everybody"
    for index in release.slots * _TIMES:
        led = await _see(url + ASIDE, release, f"a=b; {PROOF_COOKIE}={release.number}.{index}; c=d", client)
        if not isinstance(led, Answer):
            return False, led
        if led.plan is not None or _pin(release, index) not in led.cookies:
            where = "the route for everybody" if led.plan is not None else ", ".join(led.cookies) or "nobody"
            return True, f"the cookie of replica {index} does not lead there, but to {where}"
    return None


async def _see(url: str, release: Release, cookie: str, client: aiohttp.ClientSession) -> Answer | str:
    """One answer of the release; or in words what came instead."""
    answer = await visit(url, release.host, headers={"Cookie": cookie} if cookie else {}, client=client)
    if isinstance(answer, Answer) and (not answer.by_app or answer.release != str(release.number)):
        return f"{release.host} answers with {answer}"
    return answer


def _pin(release: Release, index: int) -> str:
    return f"{release.cookie}={release.number}.{index}"
