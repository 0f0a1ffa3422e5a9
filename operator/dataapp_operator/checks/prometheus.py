"""One question to Prometheus: a number, or in words why there is none.

It must give exactly one number. No series is no data (the release has had no visitor, or nothing is scraped); several
would have to be summed up by whoever asks, since nobody else knows how; and what is not a number says nothing.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

import aiohttp

_LARGEST_ANSWER = 256 * 1024  # bytes
_LONGEST_WORDS = 300  # characters of what Prometheus says


@dataclass(frozen=True, slots=True)
class Answer:
    """A number, or why there is none."""

    value: float | None = None
    trouble: str = ""


async def ask(address: str, query: str, *, client: aiohttp.ClientSession, timeout: float = 5.0) -> Answer:  # noqa: ASYNC109 - it ends in an answer
    """Ask the Prometheus at ``address`` (like http://prometheus.monitoring:9090), within ``timeout`` seconds."""
    limits = aiohttp.ClientTimeout(total=timeout)
    url = f"{address.rstrip('/')}/api/v1/query"
    try:
        async with client.post(url, data={"query": query}, allow_redirects=False, timeout=limits) as answer:
            return read(answer.status, await answer.content.read(_LARGEST_ANSWER))
    except (aiohttp.ClientError, ConnectionError, TimeoutError, ValueError) as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return Answer(trouble=f"Prometheus cannot be asked: {why}"[:_LONGEST_WORDS])


def read(status: int, body: bytes) -> Answer:
    """What an answer of Prometheus's HTTP API says. Documented at prometheus.io/docs, "HTTP API: instant queries"."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Answer(trouble=f"Prometheus answered {status}, and not in its own words")
    if not isinstance(said, dict) or said.get("status") != "success":
        error = said.get("error") if isinstance(said, dict) else None
        return Answer(trouble=f"Prometheus does not answer the query: {error or status}"[:_LONGEST_WORDS])
    data = said.get("data")
    found = data.get("result") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(found, list):
        return Answer(trouble="Prometheus answered without a result")
    if data.get("resultType") == "scalar":
        return _number(found)
    if data.get("resultType") != "vector":
        return Answer(trouble=f"the query gives a {data.get('resultType')}: it must give one number")
    if not found:
        return Answer(trouble="the query finds nothing")
    if len(found) > 1:
        return Answer(trouble=f"the query gives {len(found)} numbers: it must give one, as sum(…) does")
    return _number(found[0].get("value") if isinstance(found[0], dict) else None)


def _number(pair: Any) -> Answer:
    """From [moment, "1.5"]."""
    try:
        value = float(pair[1])
    except (TypeError, ValueError, IndexError, KeyError):
        return Answer(trouble="Prometheus answered without a number")
    return Answer(value) if math.isfinite(value) else Answer(trouble=f"the query gives {pair[1]}, which is no number")
