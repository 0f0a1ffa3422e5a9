"""Who may build now: a limited number of places in the whole cluster, and an order among those who wait.

Who runs is known from persisted status; a place that is just being taken, before that is written, from memory. Of those
who wait the namespace with the fewest running builds comes first, then the oldest build: no team can fill the queue.
"""

from collections import Counter
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from dataapp_operator.api.appbuild import AppBuildStatus
from dataapp_operator.control.build_work import BuildKey
from dataapp_operator.kube.kinds import APPBUILD
from dataapp_operator.kube.store import Store
from dataapp_operator.plan.building import begins_at

Json = dict[str, Any]


class Places:
    """The places, and who has them."""

    def __init__(self, store: Store, concurrent: int) -> None:
        self._store = store
        self._concurrent = concurrent
        self._taken: set[BuildKey] = set()

    def take(self, key: BuildKey) -> None:
        """A build is about to begin."""
        self._taken.add(key)

    def leave(self, key: BuildKey) -> None:
        """Its status tells from now on whether it has a place."""
        self._taken.discard(key)

    def ahead_of(self, key: BuildKey, now: datetime) -> tuple[int, int]:
        """How many others run, and how many who could begin now come before this one (no more than places are free)."""
        running = self._running() - {key}
        load = Counter(namespace for namespace, _ in running)
        ready = {other: born for other, born in self._ready(now).items() if other not in running}
        free = max(self._concurrent - len(running), 0)
        for place in range(free):
            first = min(ready, key=lambda other: (load[other[0]], ready[other], other), default=key)
            if first == key:
                return len(running), place
            load[first[0]] += 1
            del ready[first]
        return len(running), free

    def waiting(self) -> list[BuildKey]:
        """Every build that wants a place."""
        return [_key(m) for m in self._store.all(APPBUILD) if _phase(m) == "Pending"]

    def _running(self) -> set[BuildKey]:
        return {_key(m) for m in self._store.all(APPBUILD) if _phase(m) == "Running"} | self._taken

    def _ready(self, now: datetime) -> dict[BuildKey, str]:
        """Who could begin now, and since when each exists."""
        found = {}
        for manifest in self._store.all(APPBUILD):
            if _phase(manifest) != "Pending" or "deletionTimestamp" in manifest["metadata"]:
                continue
            if _may_begin(manifest.get("status") or {}, now):
                found[_key(manifest)] = manifest["metadata"].get("creationTimestamp", "")
        return found


def _may_begin(status: Json, now: datetime) -> bool:
    """Whether it does not pause between two attempts. Few do, so few are read whole."""
    if "finishedAt" not in status:
        return True
    try:
        return begins_at(AppBuildStatus.model_validate(status)) <= now
    except ValidationError:
        return False


def _key(manifest: Json) -> BuildKey:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _phase(manifest: Json) -> str:
    return (manifest.get("status") or {}).get("phase") or "Pending"
