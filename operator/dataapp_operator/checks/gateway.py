"""Does the gateway already send new visitors where the plan says? Asked by being a new visitor.

A route's status says that a controller accepted it, not that every proxy serves it. So a switch counts as done only
when several visits in a row, each on a connection of its own and without a cookie, carry the header of the plan and
of the release.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

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
    door: str,
    host: str,
    plan: int,
    releases: Collection[int],
    needed: int = 3,
    timeout: float,  # noqa: ASYNC109 - it ends in a view, not in an exception
    client: aiohttp.ClientSession,
) -> GatewayView:
    """Visit until `needed` answers in a row are of this plan and of one of these releases, or `timeout` seconds have passed.

    `door` is the URL of the gateway's entry page, `host` the app's. An answer counts if its status is below 500. The client
    must keep no cookies.
    """
    started = time.monotonic()
    in_a_row = 0
    detail = "nothing was seen yet"
    try:
        async with asyncio.timeout(timeout):
            while in_a_row < needed:
                fits, detail = await _visit(door, host, plan, releases, client)
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
    headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = await visit(url, host, headers=headers, client=client)
    if isinstance(answer, str):
        return False, answer
    return answer.reached and answer.plan == str(plan) and answer.release in {str(n) for n in releases}, str(answer)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: who gave it, by which plan, and which cookies came with it ("name=value")."""

    status: int
    plan: str | None
    release: str | None
    cookies: tuple[str, ...]
    full: bool = False
    """A slot has no place for another visitor, and says so itself."""

    def __str__(self) -> str:
        """For people."""
        return f"status {self.status}, plan {self.plan or 'none'}, release {self.release or 'none'}"

    @property
    def by_app(self) -> bool:
        """Whether an app gave it, and nobody in the place of one that does not answer."""
        return self.status < 500 and self.release is not None  # noqa: PLR2004

    @property
    def reached(self) -> bool:
        """Whether a slot was reached, be it that it has no place, or a page instead of an app."""
        return self.by_app or (self.full and self.release is not None) or self.release == str(PAGE)


async def visit(url: str, host: str, *, headers: Mapping[str, str], client: aiohttp.ClientSession) -> Answer | str:
    """One visit on a connection of its own, so that the next may meet another proxy of the gateway; or why there was none.

    The client must keep no cookies.
    """
    asked = {"Host": host, "Connection": "close", **headers}
    limits = aiohttp.ClientTimeout(total=_ONE_VISIT)
    # Whose certificate it is does not matter: nothing is told, and what is believed is only where visitors are sent.
    safely: dict[str, Any] = {"ssl": False, "server_hostname": host} if url.startswith("https://") else {}
    try:
        async with client.get(url, headers=asked, allow_redirects=False, timeout=limits, **safely) as answer:
            found = answer.headers
            cookies = tuple(line.partition(";")[0] for line in found.getall("Set-Cookie", []))
            full = FULL_HEADER in found
            return Answer(answer.status, found.get(HEADER_PLAN), found.get(RELEASE_HEADER), cookies, full=full)
    except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
        return f"no answer from the gateway ({str(error) or type(error).__name__})"


def bracketed(address: str) -> str:
    """An IP address as a URL wants it."""
    return f"[{address}]" if ":" in address else address
