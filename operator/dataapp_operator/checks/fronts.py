"""How many sessions live in a pod, as its front counts them. Unreachable is unknown, never empty."""

import json
import math
from dataclasses import dataclass

import aiohttp

from dataapp_operator.checks.gateway import bracketed
from dataapp_operator.front.settings import AGENT_PORT, SESSIONS_PATH, WITHIN
from dataapp_operator.plan.facts import Counts

_LARGEST_ANSWER = 4096  # bytes


@dataclass(frozen=True, slots=True)
class FrontSessions:
    """`live`: open requests and websockets right now; `quiet_for`: seconds since something was last live.

    `counts`: what visitors got so far; None from a front that does not count it.
    """

    live: int
    quiet_for: float
    counts: Counts | None = None


async def read_sessions(pod_ip: str, *, client: aiohttp.ClientSession, timeout: float = 2.0) -> FrontSessions | None:  # noqa: ASYNC109 - it ends in None
    """Ask the front of one pod; None where it does not answer properly within `timeout` seconds: unknown."""
    limits = aiohttp.ClientTimeout(total=timeout)
    try:
        async with client.get(
            f"http://{bracketed(pod_ip)}:{AGENT_PORT}{SESSIONS_PATH}", allow_redirects=False, timeout=limits
        ) as answer:
            if answer.status != 200:  # noqa: PLR2004 - OK
                return None
            return parse_sessions(await answer.content.read(_LARGEST_ANSWER))
    except (aiohttp.ClientError, ConnectionError, TimeoutError):
        return None


def parse_sessions(body: bytes) -> FrontSessions | None:
    """Read `{"live": 3, "quietFor": 0}`; None for anything else."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    live, quiet_for = _number(answer.get("live")), _number(answer.get("quietFor"))
    if live is None or quiet_for is None or not live.is_integer():
        return None
    return FrontSessions(int(live), quiet_for, _counts(answer))


def _counts(answer: dict[str, object]) -> Counts | None:
    within = answer.get("within")
    if not isinstance(within, list) or len(within) != len(WITHIN):
        return None
    numbers = [_number(answer.get(name)) for name in ("answers", "errors", "timed")] + [_number(n) for n in within]
    whole = [int(number) for number in numbers if number is not None]
    if len(whole) != len(numbers):
        return None
    return Counts(answers=whole[0], errors=whole[1], timed=whole[2], within=tuple(whole[3:]))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
