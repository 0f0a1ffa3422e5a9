"""Many objects of one kind, told by one watch: when each of them came to which stage of its way."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.harness.cluster import Json, environment

RELEASED, SETTLED = "Released", "Settled"
STAGES = ("Deploying", "Checking", "Switching", "Baking", RELEASED, SETTLED)
"""The way of a release, in its order. Switching: the switch is decided and not yet seen. Settled: released, and nothing is
left of the former one."""
AVAILABLE = "Available"


def of_release(app: Json, number: int) -> str:
    """The stage of a DataApp on its way to release `number`; "" before it has begun."""
    memory = environment(app)
    if memory.get("candidate") == number:
        return "Switching" if "intent" in memory else str(memory.get("phase"))
    if memory.get("stable") != number or "candidate" in memory:
        return ""
    return RELEASED if memory.get("draining") or memory.get("removing") else SETTLED


def of_deployment(deployment: Json) -> str:
    """Whether all replicas of a Deployment are available."""
    status = deployment.get("status") or {}
    known = status.get("observedGeneration") == deployment["metadata"]["generation"]
    wanted = deployment["spec"]["replicas"]
    return AVAILABLE if known and status.get("availableReplicas", 0) == wanted else ""


def reached(marks: dict[str, float], stage: str) -> float | None:
    """When this stage, or a later one, was first seen; None if never."""
    later = STAGES[STAGES.index(stage) :]
    return min((at for seen, at in marks.items() if seen in later), default=None)


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """The first, the middle and the last of them, for a reader."""
    ordered = sorted(values)
    return {"first": ordered[0], "p50": ordered[(len(ordered) - 1) // 2], "last": ordered[-1]} if ordered else {}


@dataclass
class Fleet:
    """What the watch has told. Times are of the monotonic clock."""

    stage: Callable[[Json], str]
    marks: dict[str, dict[str, float]] = field(default_factory=dict)
    """Name -> stage -> when it was first seen."""
    now: dict[str, str] = field(default_factory=dict)
    """Name -> the stage at present."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _over: asyncio.Task[None] | None = None

    def learn(self, event: Json) -> None:
        """Take in one event of the watch."""
        name = event["object"]["metadata"]["name"]
        if event["type"] == "DELETED":
            self.now.pop(name, None)
        else:
            self.now[name] = stage = self.stage(event["object"])
            self.marks.setdefault(name, {}).setdefault(stage, time.monotonic())
        self._news.set()

    def broke(self, task: asyncio.Task[None]) -> None:
        """The watch is over; whoever waits is told why."""
        self._over = task
        self._news.set()

    async def all_at(self, stages: Sequence[str], *, number: int, what: str, timeout: float) -> float:  # noqa: ASYNC109
        """Wait until so many are at one of these stages; when the last of them came there."""
        try:
            async with asyncio.timeout(timeout):
                while sum(stage in stages for stage in self.now.values()) < number:
                    if self._over is not None:
                        await self._over
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            there = {stage: list(self.now.values()).count(stage) for stage in sorted({*self.now.values()})}
            raise AssertionError(f"after {timeout:g} s still not so: {what}. There are: {there}") from None
        return time.monotonic()


@asynccontextmanager
async def followed(client: aiohttp.ClientSession, path: str, stage: Callable[[Json], str]) -> Any:
    """A `Fleet` of all objects at a path, inside the block."""
    fleet = Fleet(stage)
    task = asyncio.create_task(_follow(client, path, fleet))
    task.add_done_callback(fleet.broke)
    try:
        yield fleet
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(client: aiohttp.ClientSession, path: str, fleet: Fleet) -> None:
    """Watch, again and again: the API server drops a watch that does not keep up, and the next begins with all there is."""
    while True:
        async with client.get(path, params={"watch": "true", "timeoutSeconds": "3000"}) as answer:
            answer.raise_for_status()
            rest = b""
            async for piece in answer.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                for event in map(json.loads, filter(None, lines)):
                    if event["type"] != "ERROR":
                        fleet.learn(event)
