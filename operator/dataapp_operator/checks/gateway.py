"""Does the gateway already send new visitors where the plan says? Asked by being a new visitor.

A route's status says that a controller accepted it, not that every proxy serves it. So a switch counts as done only
when several visits in a row, each on a connection of its own and without a cookie, carry the header of the plan and
of the release.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass

import aiohttp

from dataapp_operator.front.settings import FULL_HEADER, RELEASE_HEADER
from dataapp_operator.plan.names import HEADER_PLAN, PAGE

_PAUSE = 0.1  # s between two visits
_ONE_VISIT = 5.0  # s: Shiny answers a page load only when it is not computing


@dataclass(frozen=True, slots=True)
class GatewayView:
    """What new visitors saw: whether it is the plan, and the last thing seen in words; `seconds` spent looking."""

    seen: bool
    detail: str
    seconds: float


async def observe_plan(
    *,
    address: str,
    port: int,
    host: str,
    plan: int,
    releases: Collection[int],
    needed: int = 3,
    timeout: float,  # noqa: ASYNC109 - it ends in a view, not in an exception
    client: aiohttp.ClientSession,
) -> GatewayView:
    """Visit until `needed` answers in a row are of this plan and of one of these releases, or `timeout` seconds have passed.

    `address` and `port` are the gateway's, `host` the app's. An answer counts if its status is below 500. The client
    must keep no cookies.
    """
    started = time.monotonic()
    in_a_row = 0
    detail = "nothing was seen yet"
    try:
        async with asyncio.timeout(timeout):
            while in_a_row < needed:
                fits, detail = await _visit(f"http://{bracketed(address)}:{port}/", host, plan, releases, client)
                in_a_row = in_a_row + 1 if fits else 0
                if in_a_row < needed:
                    await asyncio.sleep(_PAUSE)  # the gateway has no event to wait for
    except TimeoutError:
        which = " or ".join(str(number) for number in sorted(releases))
        wanted = f"new visitors of {host} to release {which} (plan {plan})"
        words = f"after {timeout:g} s the gateway still does not send {wanted}; last seen: {detail}"
        return GatewayView(seen=False, detail=words, seconds=time.monotonic() - started)
    seconds = time.monotonic() - started
    return GatewayView(seen=True, detail=f"{needed} new visits in a row saw {detail}", seconds=seconds)


async def _visit(
    url: str, host: str, plan: int, releases: Collection[int], client: aiohttp.ClientSession
) -> tuple[bool, str]:
    # Connection: close, so that the next visit may meet another proxy of the gateway.
    headers = {"Host": host, "Connection": "close", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    limits = aiohttp.ClientTimeout(total=_ONE_VISIT)
    try:
        async with client.get(url, headers=headers, allow_redirects=False, timeout=limits) as answer:
            seen_plan, seen_release = (
                answer.headers.get(HEADER_PLAN, "none"),
                answer.headers.get(RELEASE_HEADER, "none"),
            )
            detail = f"status {answer.status}, plan {seen_plan}, release {seen_release}"
            # A slot that has no place for another visitor says so itself, and so does a page instead of the app.
            said = FULL_HEADER in answer.headers or seen_release == str(PAGE)
            reached = said or answer.status < 500  # noqa: PLR2004
            return reached and seen_plan == str(plan) and seen_release in {str(n) for n in releases}, detail
    except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
        return False, f"no answer from the gateway ({str(error) or type(error).__name__})"


def bracketed(address: str) -> str:
    """An IP address as a URL wants it."""
    return f"[{address}]" if ":" in address else address
