"""How new visitors are shared out: so many of them, each with a browser of their own, and the release that each came to."""

import asyncio
import math
from collections import Counter

import aiohttp

from dataapp_operator.front.settings import RELEASE_HEADER


async def arrive(host: str, count: int, *, at_once: int = 16, port: int = 8088, path: str = "/") -> Counter[int]:
    """By release, how many of ``count`` new visitors it got. An answer that is no page (or not what ``path`` is) is an error.

    They come to the gateway on this machine's loopback address, and to no other.
    """
    places = asyncio.Semaphore(at_once)
    headers = {"Host": f"{host}:{port}", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}

    async def one(client: aiohttp.ClientSession) -> int:
        async with places, client.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer:
            assert answer.status == 200, f"a new visitor got status {answer.status}"
            return int(answer.headers[RELEASE_HEADER])

    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=connector) as client:
        return Counter(await asyncio.gather(*(one(client) for _ in range(count))))


def band(count: int, share: float) -> tuple[float, float]:
    """Between which numbers 99.9 % of all tries lie where each of ``count`` visitors comes with this probability."""
    middle, width = count * share, 3.29 * math.sqrt(count * share * (1 - share))
    return middle - width, middle + width
