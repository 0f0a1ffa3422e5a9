"""Does a gateway share new visits out as it is told? Counted, at a step of a canary, by so many new visitors.

The band is wide: what is to be told apart is a gateway that takes no notice of weights, not one that throws dice. Where
an even split would look the same as the share that was asked for, a count tells nothing about the gateway, though the
share is right. What is outside the band is counted once more before it is believed.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from dataapp_operator.checks.abilities import ASIDE
from dataapp_operator.checks.gateway import Answer, visit

VISITS = 100
_ENOUGH = 0.9  # of the visits must have been answered by the plan
_AT_ONCE = 4
_WIDTH = 4.5  # standard deviations, and two visits more
_APART = 3.0  # standard deviations on either side between the share and an even split


@dataclass(frozen=True, slots=True)
class Expected:
    """The share of new visits that a release is to get, and over how many slots."""

    number: int
    weight: int
    slots: int


@dataclass(frozen=True, slots=True)
class SharesView:
    """Whether the shares were those that were asked for (None: too few answers), and whether that proves that weights count."""

    fits: bool | None
    weighs: bool | None
    detail: str


async def count_shares(
    expected: Sequence[Expected],
    *,
    door: str,
    host: str,
    plan: int,
    timeout: float,  # noqa: ASYNC109 - it ends in a view, not in an exception
    client: aiohttp.ClientSession,
) -> SharesView:
    """Be 100 new visitors of `host`, and as many again if the shares are wrong. The client must keep no cookies.

    `door` is the URL of the gateway's entry page.
    """
    view = SharesView(None, None, "no visit has come through")
    try:
        async with asyncio.timeout(timeout):
            for _ in range(2):
                view = judge(await _count(door + ASIDE, host, plan, client), expected)
                if view.fits is not False:
                    break
    except TimeoutError:
        return SharesView(None, None, f"{VISITS} new visitors of {host} were not answered within {timeout:g} s")
    return view


def judge(counts: Counter[int], expected: Sequence[Expected]) -> SharesView:
    """What the counts by release say."""
    total, scale, slots = sum(counts.values()), sum(e.weight for e in expected), sum(e.slots for e in expected)
    asked = " and ".join(f"{counts[e.number]} to r{e.number} ({e.weight * 100 / scale:g} %)" for e in expected)
    detail = f"of {total} new visits came {asked}"
    if total < VISITS * _ENOUGH:
        return SharesView(None, None, f"only {total} of {VISITS} new visits were answered by the plan")
    fits, tells = True, False
    for release in expected:
        share, even = release.weight / scale, release.slots / slots
        spread = math.sqrt(total * share * (1 - share))
        fits = fits and abs(counts[release.number] - total * share) <= _WIDTH * spread + 2
        tells = tells or abs(share - even) * total > _APART * (spread + math.sqrt(total * even * (1 - even)))
    return SharesView(fits, (True if tells else None) if fits else False, detail)


async def _count(url: str, host: str, plan: int, client: aiohttp.ClientSession) -> Counter[int]:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one() -> int | None:
        async with places:
            answer = await visit(url, host, headers={}, client=client)
        if not isinstance(answer, Answer) or not answer.reached or answer.plan != str(plan):
            return None
        return int(answer.release) if answer.release is not None and answer.release.isdigit() else None

    came = await asyncio.gather(*(one() for _ in range(VISITS)))
    return Counter(number for number in came if number is not None)
