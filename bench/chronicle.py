"""What an app's status said, and when: the clock by which visits are judged.

`DataApp.status` is written once something is so (a switch was seen at the gateway) or before it is begun (`intent`), so
a release that has no weight in it and to which no switch leads may not answer a visit that begins after that.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.harness.cluster import Json, environment
from tests.harness.returning import Load
from tests.harness.stages import manifests, stage


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of one app from a time on (seconds since the epoch, when the watch told it)."""

    at: float
    serving: frozenset[int]
    intent: int | None = None
    """Where a switch leads that is decided and not yet seen."""

    def may_answer(self, release: int | None) -> bool:
        """Whether a new visit may be answered by a release."""
        return release in self.serving or (self.intent is not None and release == self.intent)


def answered_by_a_release_that_left(moments: Sequence[Moment], loads: Sequence[Load]) -> list[Load]:
    """The page loads that a release answered which at that time no new visit could come to."""

    def wrong(load: Load) -> bool:
        before = [moment for moment in moments if moment.at <= load.began][-1:]
        during = [moment for moment in moments if load.began < moment.at <= load.ended]
        return bool(before) and not any(moment.may_answer(load.release) for moment in (*before, *during))

    return [load for load in loads if load.release is not None and wrong(load)]


@dataclass
class Chronicle:
    """Follows one DataApp: `async with Chronicle(…) as chronicle: await chronicle.until(…)`."""

    kubeconfig: Path
    namespace: str
    name: str
    app: Json = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    seen: set[tuple[int | None, str]] = field(default_factory=set)
    """Which release (the candidate, or else the stable one) was at which stage. A stage may be over in a moment: who only
    looks at the state of now could miss it."""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def memory(self) -> Json:
        """The memory of the environment, as it is now."""
        return environment(self.app)

    @property
    def last_number(self) -> int:
        """The highest release number given so far."""
        return int((self.app.get("status") or {}).get("lastNumber", 0))

    def bakes(self, number: int) -> bool:
        """Whether a release serves everybody and is still watched."""
        memory = self.memory
        return memory.get("candidate") == number and memory.get("phase") == "Baking" and not memory.get("intent")

    def holds(self, number: int) -> bool:
        """Whether a release has its share of a step and is watched."""
        memory = self.memory
        steps = memory.get("candidate") == number and memory.get("phase") == "Releasing" and not memory.get("intent")
        return bool(steps) and number in {entry["release"] for entry in memory.get("weights") or []}

    def lacks_room(self, number: int) -> bool:
        """Whether a release waits for a node that takes its pods, and says so."""
        memory = self.memory
        return memory.get("candidate") == number and (memory.get("waitingFor") or {}).get("reason") == "NoRoom"

    def serving(self) -> int | None:
        """How many replicas of the stable release get new visits; None while it is what it began with."""
        number = self.memory.get("stable")
        scale = next((one for one in self.memory.get("scales") or [] if one["release"] == number), None)
        return None if scale is None else len(scale["serving"])

    def rests(self) -> bool:
        """Whether nothing is under way, for the spec that is there now."""
        seen = (self.app.get("status") or {}).get("observedGeneration") == self.app["metadata"]["generation"]
        return bool(seen) and "candidate" not in self.memory and not self.memory.get("intent")

    async def until(self, holds: Callable[[Self], object], *, what: str, timeout: float) -> None:  # noqa: ASYNC109 - words
        """Wait until something is so; it is looked at with every state that the server tells."""
        assert self._task is not None
        task = self._task
        try:
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: task.done() or (self.app and holds(self)))
        except TimeoutError:
            status = json.dumps(self.memory, ensure_ascii=False)
            raise AssertionError(f"after {timeout:g} s {self.name} still is not so: {what}. It is: {status}") from None
        if task.done():
            await task  # the watch broke: say how

    async def _follow(self) -> None:
        try:
            async for app in manifests(self.kubeconfig, self.namespace, self.name):
                async with self._news:
                    self._learn(app)
                    self._news.notify_all()
        finally:
            async with self._news:
                self._news.notify_all()

    def _learn(self, app: Json) -> None:
        self.app = app
        memory = self.memory
        self.seen.add((memory.get("candidate", memory.get("stable")), stage(app)))
        serving = frozenset(entry["release"] for entry in memory.get("weights") or [] if entry.get("weight"))
        moment = Moment(time.time(), serving, (memory.get("intent") or {}).get("switchTo"))
        last = self.moments[-1] if self.moments else None
        if last is None or (last.serving, last.intent) != (moment.serving, moment.intent):
            self.moments.append(moment)
