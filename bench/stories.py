"""One app that is released again and again as its plan says, and the deaths of the operator in between."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from bench.chronicle import Chronicle
from bench.judge import Broken, Outcome
from bench.plan import Step
from bench.scripted import App, Place
from tests.harness.cluster import Json, Kube
from tests.harness.operator_pod import NothingToKill, OperatorPod

GIVE_UP = 240.0
"""Seconds after which a step is called stuck. A healthy one takes 10 to 60, with the operator's death in it."""
_GOOD_BAKE, _BROKEN_BAKE = "5s", "20s"
"""A release that is to be broken bakes for long enough that this can be done while it bakes; it never gets to its end."""
STEPS: tuple[Json, ...] = ({"weight": 20, "hold": "4s", "replicas": 1}, {"weight": 60, "hold": "4s"})
"""The steps of a canary here."""
_WAS_RELEASED = frozenset({"Released", "Draining", "Warm", "Retired"})


@dataclass
class Deaths:
    """What happens to the whole cluster, one at a time: the operator's process or pod is killed, or nodes are cordoned."""

    operator: OperatorPod
    seen: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    cordoned: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def cordoned_nodes(self, kube: Kube) -> AsyncIterator[None]:
        """Inside the block no node takes new pods; nor does the operator die, whose successor would have no place."""
        async with self._turn:
            nodes = [node["metadata"]["name"] for node in await asyncio.to_thread(kube.list, "nodes", "default")]
            await asyncio.to_thread(kube.run, "cordon", *nodes)
            try:
                yield
                self.cordoned += 1
            finally:
                await asyncio.to_thread(kube.run, "uncordon", *nodes)

    async def kill(self, boundary: str) -> str:
        """Kill it now, and wait until a successor works; in words."""
        async with self._turn:
            # In turn, because the kubelet starts a container again at once only the first time.
            in_place = self.seen.total() % 2 == 0
            way = "process" if in_place else "pod"
            self.seen[f"{way} at {boundary}"] += 1
            try:
                death = await asyncio.to_thread(self.operator.kill, in_place=in_place)
            except NothingToKill:
                await asyncio.to_thread(self.operator.wait_ready)
                death = await asyncio.to_thread(self.operator.kill, in_place=in_place)
            away = await asyncio.to_thread(self.operator.wait_back, death)
            self.longest = max(self.longest, away)
            return f"operator's {way} killed at {boundary}, the next one works after {away:.1f} s"


@dataclass
class Stream:
    """One app and its plan."""

    place: Place
    app: App
    steps: list[Step]
    chronicle: Chronicle
    deaths: Deaths
    outcomes: list[Outcome] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    _version: int = 0
    _replicas: int = 0

    def __post_init__(self) -> None:
        self._replicas = self.app.slots

    async def first(self) -> None:
        """The first release: nobody can come before it."""
        await self._step(self.steps[0])

    async def rest(self) -> None:
        """All others. A step that gets stuck ends the stream: its releases are missing from the sum."""
        try:
            for step in self.steps[1:]:
                await self._step(step)
        except AssertionError as error:
            self.troubles.append(f"{self.app.name}: {error}")
            print(f"  {self.troubles[-1]}", flush=True)

    async def emptied(self) -> None:
        """Wait until no old release is left; where one stays, it is told."""
        try:
            await self._until(
                lambda c: not c.memory.get("draining") and not c.memory.get("removing"), "old ones are gone"
            )
        except AssertionError as error:
            self.troubles.append(f"{self.app.name}: {error}")

    async def _step(self, step: Step) -> None:
        began = time.monotonic()
        number = self.chronicle.last_number + 1
        bake = _BROKEN_BAKE if step.breaks else _GOOD_BAKE
        async with self.deaths.cordoned_nodes(self.place.kube) if step.cordon else nullcontext():
            await self._wish(failing=step.failing, bake=bake, steps=STEPS if step.canary else ())
            if step.cordon:
                await self._until(lambda c: c.lacks_room(number), f"r{number} waits for room")
                print(f"  {self.app.name} r{number}: waits for room, as nodes are cordoned", flush=True)
        version = self._version
        if step.burst:
            await self._two_more(number, bake)
        if step.breaks:
            await self._until(lambda c: c.bakes(number) or c.holds(number), f"r{number} has visitors")
            at = await asyncio.to_thread(self.place.break_pods, self.app, number, step.breaks)
        if step.kill:
            await self._until(lambda c: (number, step.kill) in c.seen, f"r{number} is {step.kill}")
            print(f"  {self.app.name} r{number}: {await self.deaths.kill(step.kill)}", flush=True)
        last = number + step.releases - 1
        await self._ended(last, step)
        if step.breaks:
            self.broken.append(Broken(self.app.name, number, step.breaks, at, time.time()))
        for outcome in await asyncio.to_thread(self._outcomes, step, number, version, time.monotonic() - began):
            self.outcomes.append(outcome)
            print(f"  {outcome}", flush=True)
        if step.resize:
            await self._resize()

    async def _ended(self, last: int, step: Step) -> None:
        """Wait until a step's releases have come to their end. What made room for a newer wish is not the last of them."""
        while True:
            await self._until(
                lambda c, least=last: c.rests() and c.last_number >= least, f"r{last} ({step}) has come to its end"
            )
            record = await asyncio.to_thread(self.place.record, self.app, self.chronicle.last_number)
            if (record.get("status") or {}).get("phase") != "Superseded":
                return
            last = self.chronicle.last_number + 1

    async def _resize(self) -> None:
        """Another replica, or one less: no release, and nobody who has it open may notice."""
        self._replicas = 1 if self._replicas == 2 else 2  # noqa: PLR2004 - two sizes
        await self._wish(failing=False, bake=_GOOD_BAKE, again=True)
        await self._until(lambda c: c.serving() == self._replicas, f"{self._replicas} replicas serve")
        print(f"  {self.app.name}: {self._replicas} replica(s) serve", flush=True)

    async def _two_more(self, number: int, bake: str) -> None:
        """Two more wishes, each as soon as the one before it was seen: the first is on its way, the second waits."""
        await self._until(lambda c: c.memory.get("candidate") == number, f"r{number} has begun")
        for _ in range(2):
            await self._wish(failing=False, bake=bake)
            wished = self.chronicle.app["metadata"]["generation"]
            await self._until(
                lambda c, least=wished: (c.app["status"].get("observedGeneration") or 0) >= least, "the wish was seen"
            )

    async def _wish(self, *, failing: bool, bake: str, steps: Sequence[Json] = (), again: bool = False) -> None:
        self._version += 0 if again else 1
        before = self.chronicle.app.get("metadata", {}).get("generation", 0)
        how = {"bake": bake, "steps": steps, "replicas": self._replicas}
        await asyncio.to_thread(self.place.release, self.app, self._version, failing=failing, **how)
        await self._until(lambda c: c.app["metadata"]["generation"] > before, "the wish is in the cluster")

    async def _until(self, holds: Callable[[Chronicle], object], what: str) -> None:
        await self.chronicle.until(holds, what=what, timeout=GIVE_UP)

    def _outcomes(self, step: Step, first: int, version: int, seconds: float) -> Iterator[Outcome]:
        """What became of it, by its records. Of a burst the last wish must be there in the end, and the first or the
        second may never have come to anybody: a wish that cannot start yet makes room for the next one.
        """
        last = self.chronicle.last_number
        for number in range(first, last + 1):
            record = self.place.record(self.app, number)
            status = record.get("status") or {}
            early = step.burst and number < last
            wanted = {f"v{n}" for n in range(version, self._version)} if early else {f"v{self._version}"}
            planned = _version(record) in wanted and (step.burst or number == first)
            yield Outcome(
                app=self.app.name,
                number=number,
                version=_version(record),
                step=step,
                phases=_WAS_RELEASED | {"Superseded"} if early else frozenset({step.end}),
                phase=status.get("phase") or "missing" if planned else "not planned",
                reason=status.get("reason") or "",
                message=status.get("message") or "",
                seconds=seconds,
            )


def _version(record: Json) -> str:
    variables = ((record.get("spec") or {}).get("run") or {}).get("env") or []
    return next((one.get("value", "") for one in variables if one["name"] == "APP_VERSION"), "")
