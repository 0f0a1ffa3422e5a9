"""The loop body of an AppSource: look when it is time, decide what the namespace lacks, write it, status last.

Nothing of an earlier pass is trusted but what was written. After its writes a pass decides once more over what the API
server answered: that decision has nothing left to write, and is the status. A source in step costs no call at all.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from dataapp_operator.api.appsource import AppSourceSpec, AppSourceStatus
from dataapp_operator.api.base import API_VERSION, seconds
from dataapp_operator.control.access import DENIED_SECONDS, AccessReviews
from dataapp_operator.control.reading import (
    LEAST_INTERVAL,
    MOST_PHASE,
    Desk,
    Order,
    Reader,
    Repositories,
    SourceKey,
)
from dataapp_operator.kube.errors import Conflict, KubeError, LeaseLost, Missing, Rejected, Transient
from dataapp_operator.kube.kinds import APPSOURCE, DATAAPP
from dataapp_operator.kube.port import Cluster
from dataapp_operator.kube.queue import Failed, Ok, RequeueAfter, Result
from dataapp_operator.kube.store import Change, Store
from dataapp_operator.plan import source_status
from dataapp_operator.plan.names import LABEL_SOURCE, REQUESTED_AT
from dataapp_operator.plan.source_facts import LiveApp, Reading, SourceFacts
from dataapp_operator.plan.syncing import ALLOW_PRUNE, Sync, Write, decide

log = logging.getLogger(__name__)

Json = dict[str, Any]

FRESH = 0.8
"""Of an interval: a look that somebody else had within this time is as good as one of our own."""
LOOK_AGAIN = 60.0
MAX_REQUEST = 256


@dataclass(slots=True)
class _Memory:
    """What is kept about a source between its passes; losing it costs a repetition."""

    uid: str
    refused: dict[str, tuple[object, str]] = field(default_factory=dict)
    """App -> (what was tried onto what, what the API server said)."""
    beyond: dict[str, object] = field(default_factory=dict)
    """App -> how it was when an apply left it different from git."""
    steady: object = None
    """What a pass saw that found nothing to do."""
    parsed: tuple[str, AppSourceSpec, AppSourceStatus] | None = None


class SourceReconciler:
    """Brings one AppSource a step further. Safe to run for different ones at once, for one once at a time.

    ``wake`` is called with a source's key when slow work for it is done, ``on_change`` with what its own writes changed.
    ``jitter`` answers a number in [0, 1), new at each call. ``edit_role``: the ClusterRole that lets people write apps.
    """

    def __init__(
        self,
        *,
        store: Store,
        cluster: Cluster,
        hub: Repositories,
        wake: Callable[[SourceKey], None],
        on_change: Callable[[Iterable[Change]], None],
        jitter: Callable[[], float],
        now: Callable[[], datetime],
        edit_role: str,
        on_pass: Callable[[str, float], None] = lambda _word, _seconds: None,
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._reader = Reader(cluster, hub, wake=wake, jitter=jitter, now=now)
        self._access = AccessReviews(cluster, now=now)
        self._on_change = on_change
        self._now = now
        self._edit_role = edit_role
        self._on_pass = on_pass
        self._memories: dict[SourceKey, _Memory] = {}

    async def reconcile(self, key: SourceKey) -> Result:
        """One pass over one source. Raises only LeaseLost: everything else is an outcome."""
        began = time.monotonic()
        result: Result
        try:
            word, result = await self._pass(key)
        except LeaseLost:
            raise
        except (Conflict, Missing) as error:
            log.debug("%s/%s: observing again: %s", *key, error)
            word, result = "conflict", Failed()
        except Rejected as error:
            log.error("%s/%s: the API server refuses: %s", *key, error)  # noqa: TRY400 - it is a sentence
            word, result = "refused", RequeueAfter(LOOK_AGAIN)
        except KubeError as error:
            log.warning("%s/%s: trying again: %s", *key, error)
            at_least = error.retry_after if isinstance(error, Transient) else 0.0
            word, result = "transient", Failed(at_least=at_least)
        except Exception:
            log.exception("%s/%s: a bug in the operator; other sources go on", *key)
            word, result = "bug", Failed()
        self._on_pass(word, time.monotonic() - began)
        return result

    async def close(self) -> None:
        """End slow work."""
        await self._reader.close()

    async def _pass(self, key: SourceKey) -> tuple[str, Result]:
        manifest = self._store.get(APPSOURCE, *key)
        if manifest is None or "deletionTimestamp" in manifest["metadata"]:
            self._reader.drop(key)
            self._memories.pop(key, None)
            return "gone", Ok()
        memory = self._memory(key, manifest["metadata"]["uid"])
        try:
            facts = self._facts(key, manifest, memory)
        except ValidationError as error:
            self._reader.stop(key)
            await self._say_invalid(key, manifest, error)
            return "invalid", Ok()
        desk = self._reader.desk(key, uid=memory.uid, phase=self._phase(facts, memory.uid))
        if facts.spec.suspend:
            self._reader.stop(key)
            await self._write_status(facts, manifest, source_status.suspended(facts))
            return "suspended", Ok()
        self._look(key, facts, manifest, desk)
        if desk.generation == facts.generation and desk.failure is not None:
            since = source_status.failing_since(facts, desk.failure) or desk.failing_since or facts.now
            status = source_status.failed(facts, desk.failure, since=since, request=desk.answered)
            await self._write_status(facts, manifest, status)
            return "failed", self._later(desk)
        if desk.generation == facts.generation and desk.reading is not None:
            return await self._sync(facts, manifest, memory, desk, desk.reading)
        if not facts.status.conditions:
            await self._write_status(facts, manifest, source_status.starting(facts))
        return "waiting", self._later(desk)

    def _memory(self, key: SourceKey, uid: str) -> _Memory:
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid:
            memory = self._memories[key] = _Memory(uid)
        return memory

    def _phase(self, facts: SourceFacts, uid: str) -> float:
        """Seconds until a source that was in step is looked at after a start: spread, and the same each time."""
        if facts.status.observed_generation != facts.generation:
            return 0.0
        share = int(hashlib.sha1(uid.encode(), usedforsecurity=False).hexdigest()[:8], 16) / 2**32
        return share * min(_interval(facts.spec), MOST_PHASE)

    def _look(self, key: SourceKey, facts: SourceFacts, manifest: Json, desk: Desk) -> None:
        """Begin a look if it is time, if somebody asks for one, or if the spec is another one."""
        request = requested(manifest["metadata"].get("annotations") or {})
        seen = desk.generation if desk.generation is not None else facts.status.observed_generation
        asked = request is not None and request not in {facts.status.last_handled_reconcile_at, desk.request}
        fresh = asked or seen != facts.generation
        if desk.task is None and (fresh or facts.now >= desk.due):
            age = 0.0 if fresh else _interval(facts.spec) * FRESH
            self._reader.start(
                Order(key=key, generation=facts.generation, spec=facts.spec, request=request, max_age=age)
            )

    def _later(self, desk: Desk, most: float | None = None) -> Result:
        """When to come back. A look that is under way wakes us itself."""
        if desk.task is not None:
            return Ok() if most is None else RequeueAfter(most)
        pause = max((desk.due - self._now()).total_seconds(), 0.05)
        return RequeueAfter(pause if most is None else min(pause, most))

    async def _sync(
        self, facts: SourceFacts, manifest: Json, memory: _Memory, desk: Desk, reading: Reading
    ) -> tuple[str, Result]:
        facts = self._with_apps(facts, reading, memory, desk)
        versions = frozenset((app.name, app.resource_version) for app in facts.apps.values())
        signature = (manifest["metadata"]["resourceVersion"], desk.answered, versions, reading)
        if memory.steady == signature:
            return "ok", self._later(desk)
        sync = decide(facts, reading)
        if sync.halt is not None:
            status = source_status.halted(facts, reading, sync, sync.halt, request=desk.answered)
            await self._write_status(facts, manifest, status)
            return "held", self._later(desk)
        if sync.writes:
            lacking = await self._access.lacking(facts.namespace, facts.spec.service_account_name)
            if lacking:
                status = source_status.denied(
                    facts, reading, verbs=lacking, role=self._edit_role, request=desk.answered
                )
                await self._write_status(facts, manifest, status)
                return "denied", self._later(desk, most=DENIED_SECONDS)
            done = await self._act(facts, memory, desk, sync.writes)
            facts, sync = self._after(facts, reading, memory, desk) if done else (facts, sync)
            if sync.writes:
                return "conflict", Failed()
        status = source_status.synced(facts, reading, sync, request=desk.answered)
        written = await self._write_status(facts, manifest, status)
        memory.steady = None if written or memory.refused else signature
        return ("refused" if sync.troubles else "ok"), self._later(desk)

    def _after(self, facts: SourceFacts, reading: Reading, memory: _Memory, desk: Desk) -> tuple[SourceFacts, Sync]:
        """Decide again over what was answered. What an apply could not bring into step is left as it is."""
        facts = self._with_apps(facts, reading, memory, desk)
        sync = decide(facts, reading)
        for name in (write.name for write in sync.writes if write.name in facts.apps):
            log.warning("%s/%s: %s differs from git in a field that somebody else sets", *facts.key, name)
            memory.beyond[name] = _likeness(name, facts, reading)
        if sync.writes:
            facts = self._with_apps(facts, reading, memory, desk)
            sync = decide(facts, reading)
        return facts, sync

    async def _act(self, facts: SourceFacts, memory: _Memory, desk: Desk, writes: Iterable[Write]) -> bool:
        """Carry the writes out, each whatever became of the others. False: something had moved on; observe again."""
        good = True
        for write in writes:
            place = (facts.namespace, write.name)
            try:
                # An apply would take over an app that somebody has just created; what is seen here decides anew.
                found = await self._cluster.get(DATAAPP, *place) if write.new else None
                if found is None:
                    self._on_change(self._store.put(await self._cluster.apply(write.manifest)))
                    log.info("%s/%s: applied %s", *facts.key, write.name)
                    continue
            except Rejected as error:
                memory.refused[write.name] = (_attempt(write.name, facts, desk), error.message)
                continue
            except (Conflict, Missing):
                found = await self._cluster.get(DATAAPP, *place)
            good = False
            if found is not None:
                self._on_change(self._store.put(found))
        return good

    def _facts(self, key: SourceKey, manifest: Json, memory: _Memory) -> SourceFacts:
        """What is known without the apps. Raises ValidationError."""
        metadata = manifest["metadata"]
        if memory.parsed is None or memory.parsed[0] != metadata["resourceVersion"]:
            spec = AppSourceSpec.model_validate(manifest["spec"])
            memory.parsed = (metadata["resourceVersion"], spec, source_status.read(manifest.get("status")))
        _, spec, status = memory.parsed
        return SourceFacts(
            namespace=key[0],
            name=key[1],
            now=self._now(),
            generation=metadata["generation"],
            spec=spec,
            status=status,
            allow_prune=(metadata.get("annotations") or {}).get(ALLOW_PRUNE),
        )

    def _with_apps(self, facts: SourceFacts, reading: Reading, memory: _Memory, desk: Desk) -> SourceFacts:
        """With the apps as they are now, and what was found out about writing them."""
        names = {app.name for app in reading.apps} | {entry.name for entry in facts.status.inventory}
        apps = {}
        for manifest in self._store.all(DATAAPP):
            metadata = manifest["metadata"]
            if metadata["namespace"] != facts.namespace:
                continue
            ours = (metadata.get("labels") or {}).get(LABEL_SOURCE) == facts.name
            if ours or metadata["name"] in names:
                apps[metadata["name"]] = _live(manifest)
        facts = replace(facts, apps=apps)
        # What was refused is tried again after each look, and when the app is another one than was tried.
        memory.refused = {
            name: known for name, known in memory.refused.items() if known[0] == _attempt(name, facts, desk)
        }
        memory.beyond = {
            name: known
            for name, known in memory.beyond.items()
            if name in apps and known == _likeness(name, facts, reading)
        }
        refused = {name: words for name, (_, words) in memory.refused.items()}
        return replace(facts, refused=refused, beyond=frozenset(memory.beyond))

    async def _say_invalid(self, key: SourceKey, manifest: Json, error: ValidationError) -> None:
        metadata = manifest["metadata"]
        facts = SourceFacts(
            namespace=key[0],
            name=key[1],
            now=self._now(),
            generation=metadata["generation"],
            spec=AppSourceSpec.model_construct(),
            status=source_status.read(manifest.get("status")),
        )
        first = error.errors()[0]
        words = f"{'.'.join(['spec', *(str(part) for part in first['loc'])])}: {first['msg']}"
        await self._write_status(facts, manifest, source_status.invalid(facts, words))

    async def _write_status(self, facts: SourceFacts, manifest: Json, status: AppSourceStatus) -> bool:
        """Write it if it says something new, onto the version that was observed."""
        if status == facts.status:
            return False
        metadata = {key: manifest["metadata"][key] for key in ("name", "namespace", "resourceVersion")}
        wanted = {"apiVersion": API_VERSION, "kind": APPSOURCE.kind, "metadata": metadata, "status": status.wire()}
        self._on_change(self._store.put(await self._cluster.apply(wanted, subresource="status")))
        return True


def requested(annotations: Mapping[str, str]) -> str | None:
    """The request to look now that stands on an object. Two different ones are one request of both."""
    found = dict.fromkeys(value for key in REQUESTED_AT if (value := annotations.get(key)))
    return " ".join(found)[:MAX_REQUEST] or None


def _interval(spec: AppSourceSpec) -> float:
    return max(float(seconds(spec.interval)), LEAST_INTERVAL)


def _live(manifest: Json) -> LiveApp:
    metadata = manifest["metadata"]
    labels = metadata.get("labels") or {}
    return LiveApp(
        name=metadata["name"],
        resource_version=metadata["resourceVersion"],
        source=labels.get(LABEL_SOURCE),
        deleting="deletionTimestamp" in metadata,
        spec=manifest.get("spec") or {},
        labels=labels,
        annotations=metadata.get("annotations") or {},
    )


def _attempt(name: str, facts: SourceFacts, desk: Desk) -> object:
    live = facts.apps.get(name)
    return desk.looks, live.resource_version if live is not None else None


def _likeness(name: str, facts: SourceFacts, reading: Reading) -> object:
    """What git says of an app and how it is: as long as both are the same, another apply changes nothing."""
    live = facts.apps[name]
    wanted = next((app.digest for app in reading.apps if app.name == name), None)
    said = json.dumps([live.spec, dict(live.labels), dict(live.annotations)], sort_keys=True)
    return wanted, hashlib.sha1(said.encode(), usedforsecurity=False).hexdigest()
