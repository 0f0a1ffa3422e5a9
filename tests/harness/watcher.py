"""The watcher: sees every event of a namespace, in the order in which it happened, and checks the invariants at each.

Every kind has a watch of its own, and watches do not wait for each other. As all objects live in one etcd, their
resourceVersions have one order: events are held for `settle` seconds and then taken by it. A watch that breaks is
opened again from a new list; what may have been missed in between is noted in `gaps`, so a blind watcher shows.
"""

import asyncio
import heapq
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.harness.cluster_view import Event, Json, Key, Snapshot, after
from tests.harness.kubeconfig import following, read_access
from tests.harness.violations import Violation, Violations

KINDS = {
    "DataApp": "apis/dataapps.dev/v1alpha1/namespaces/{}/dataapps",
    "AppRelease": "apis/dataapps.dev/v1alpha1/namespaces/{}/appreleases",
    "HTTPRoute": "apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes",
    "Service": "api/v1/namespaces/{}/services",
    "EndpointSlice": "apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "ReplicaSet": "apis/apps/v1/namespaces/{}/replicasets",
    "Pod": "api/v1/namespaces/{}/pods",
}
_WATCH_SECONDS = 300  # the server ends a watch after that; it goes on from where it was


class InOrder:
    """Holds events until no earlier one can be expected any more, and gives them by resourceVersion. Pure."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._heap: list[tuple[int, int, float, Event]] = []
        self._numbers = count()

    def put(self, event: Event, *, now: float) -> None:
        """Take in an event; `now` is a clock in seconds."""
        version = int(event.object["metadata"]["resourceVersion"])
        heapq.heappush(self._heap, (version, next(self._numbers), now, event))

    def take(self, *, now: float) -> list[Event]:
        """The events that are due, in order: up to the latest one that has been held for long enough."""
        due = [entry[0] for entry in self._heap if entry[2] <= now - self._settle]
        taken: list[Event] = []
        while self._heap and due and self._heap[0][0] <= max(due):
            taken.append(heapq.heappop(self._heap)[3])
        return taken


class Watcher:
    """`async with Watcher(kubeconfig, namespace) as watcher: …` and then `assert watcher.found == []`.

    Leaving the block waits until everything that happened inside it has been checked.
    """

    def __init__(
        self,
        kubeconfig: Path,
        namespace: str,
        *,
        ours: Callable[[Event], bool] = lambda _: True,
        settle: float = 1.5,
    ) -> None:
        self._access = read_access(kubeconfig)
        self._namespace = namespace
        self._violations = Violations(ours=ours)
        self._settle = settle
        self._order = InOrder(settle)
        self._tasks: list[asyncio.Task[None]] = []
        self._client: aiohttp.ClientSession | None = None
        self._arrived: dict[Key, Json] = {}  # newest by arrival: what a new list is compared with
        self.snapshot: Snapshot = {}
        self.events = 0
        self.gaps: list[str] = []

    @property
    def found(self) -> list[Violation]:
        """The violations found so far."""
        return self._violations.found

    async def __aenter__(self) -> Self:
        self._client = self._access.client()
        try:
            versions = {kind: await self._list(kind, first=True) for kind in KINDS}
        except BaseException:
            await self._client.close()
            raise
        self._tasks = [asyncio.create_task(self._follow(kind, version)) for kind, version in versions.items()]
        self._tasks.append(asyncio.create_task(self._check_for_ever()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.sleep(self._settle)  # what happened up to now may still be on its way to us
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._client is not None
        await self._client.close()
        self._check(now=float("inf"))
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _list(self, kind: str, *, first: bool = False) -> str:
        """List a kind; returns the resourceVersion to watch from. Later lists become events of what has changed."""
        assert self._client is not None
        async with self._client.get(KINDS[kind].format(self._namespace)) as answer:
            assert answer.status == 200, f"cannot list {kind}: {answer.status} {await answer.text()}"
            listing = await answer.json()
        items = {(kind, item["metadata"]["name"]): item | {"kind": kind} for item in listing["items"]}
        version: str = listing["metadata"]["resourceVersion"]
        if first:
            self._arrived |= items
            self.snapshot = dict(self._arrived)
            return version
        for key in [key for key in self._arrived if key[0] == kind and key not in items]:
            gone = self._arrived[key]
            self._arrive("DELETED", gone | {"metadata": gone["metadata"] | {"resourceVersion": version}})
        for key, item in items.items():
            known = self._arrived.get(key)
            if known is None or known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._arrive("MODIFIED" if known else "ADDED", item)
        return version

    async def _follow(self, kind: str, version: str) -> None:
        while True:
            try:
                version = await self._watch(kind, version)
            except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                self.gaps.append(f"{_now()} watch of {kind} broke: {str(error) or type(error).__name__}")
                await asyncio.sleep(0.5)  # the server may be restarting
            else:
                continue
            try:
                version = await self._list(kind)
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                version = "0"  # any version: the next watch brings everything as ADDED

    async def _watch(self, kind: str, version: str) -> str:
        """One watch to its end; returns the version to go on from."""
        assert self._client is not None
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        async with following(self._client, KINDS[kind].format(self._namespace), query) as answer:
            answer.raise_for_status()
            rest = b""
            async for piece in answer.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                for line in filter(None, lines):
                    version = self._line(kind, json.loads(line))
        return version

    def _line(self, kind: str, entry: dict[str, Any]) -> str:
        thing = entry["object"]
        if entry["type"] == "ERROR":
            raise aiohttp.ClientPayloadError(f"{thing.get('code')}: {thing.get('message')}")
        if entry["type"] != "BOOKMARK":
            self._arrive(entry["type"], thing | {"kind": kind})
        version: str = thing["metadata"]["resourceVersion"]
        return version

    def _arrive(self, what: Any, thing: Json) -> None:
        event = Event(what, thing, _now())
        if what == "DELETED":
            self._arrived.pop(event.key, None)
        else:
            self._arrived[event.key] = thing
        self._order.put(event, now=time.monotonic())

    async def _check_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._settle / 4)
            self._check(now=time.monotonic())

    def _check(self, *, now: float) -> None:
        for event in self._order.take(now=now):
            self.events += 1
            self._violations.check(self.snapshot, event)
            self.snapshot = after(self.snapshot, event)


def _now() -> str:
    return f"{datetime.now(tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
