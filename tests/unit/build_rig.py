"""Builds on a cluster in memory: Jobs end as a test says, calls break off as a test says, and a process may die.

It stands in for the API server only. That a real pod builds a real image is proved in `tests/e2e`.
"""

import asyncio
import copy
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from dataapp_operator.api.appbuild import AppBuildSpec
from dataapp_operator.api.reasons import Reason
from dataapp_operator.build.settings import Bases, BuildSettings
from dataapp_operator.control.build_work import BuildWork, Explain
from dataapp_operator.control.builds import BuildReconciler
from dataapp_operator.kube.errors import AlreadyExists, Conflict, Missing
from dataapp_operator.kube.kinds import APPBUILD, JOB, SECRET, Kind, kind_of
from dataapp_operator.kube.port import Listing
from dataapp_operator.kube.queue import Failed, RequeueAfter, Result
from dataapp_operator.kube.store import Change, Store

Json = dict[str, Any]
BUILDS = "dataapp-builds"
KEY = ("analytics", "sales-3f7a91c2")
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
DIGEST = "sha256:" + "7a" * 32
BASE = "registry.example.org/base/build-python@sha256:" + "0b" * 32
SETTINGS = BuildSettings(
    builder_image="registry.example.org/platform/builder:1",
    registry_host="registry.example.org",
    bases=Bases(python=BASE),
    sources_url="http://dataapp-operator-sources.dataapp-system.svc:8081",
    deadline_seconds=600,
)
SPEC: Json = {
    "app": "sales",
    "commit": "9f2c1d0" + "0" * 33,
    "tree": "41" * 20,
    "source": {
        "url": "https://git.example.org/analytics/apps.git",
        "path": "apps/sales",
        "manifest": "apps/sales/dataapp.yaml",
    },
    "framework": "streamlit",
    "entrypoint": "app.py",
    "recipe": "streamlit/1",
    "base": BASE,
    "detectedBy": {"rule": "streamlit.import", "file": "app.py"},
    "dependencies": {"trust": "pinned", "from": "requirements.txt", "count": 3},
}


def spec(**changes: Any) -> AppBuildSpec:
    return AppBuildSpec.model_validate(SPEC | changes)


def appbuild(key: tuple[str, str] = KEY, *, uid: str = "", created: datetime = START, **changes: Any) -> Json:
    """An AppBuild as the API server stores it."""
    return {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "AppBuild",
        "metadata": {
            "name": key[1],
            "namespace": key[0],
            "uid": uid or f"uid-{key[0]}-{key[1]}",
            "generation": 1,
            "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "spec": SPEC | changes,
    }


class Died(BaseException):
    """The process was killed."""


class BuildCluster:
    """Keeps what it is told. `fault(verb, kind, name, when)` may raise, before or after a write took place."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, str, str], Json] = {}
        self.calls: list[str] = []
        self.logs: dict[tuple[str, str], str] = {}
        self.fault: Callable[[str, str, str, str], None] = lambda *_: None
        self.watch: Callable[[str, Json], None] = lambda *_: None
        self._versions = itertools.count(1)

    def put(self, manifest: Json) -> Json:
        kept = copy.deepcopy(manifest)
        version = next(self._versions)
        kept["metadata"]["resourceVersion"] = str(version)
        kept["metadata"].setdefault("uid", f"uid-{version}")
        self.objects[_place(kept)] = kept
        self.watch("MODIFIED", copy.deepcopy(kept))
        return copy.deepcopy(kept)

    def pop(self, kind: Kind, namespace: str, name: str) -> None:
        gone = self.objects.pop((kind, namespace, name), None)
        if gone is None:
            return
        gone["metadata"]["resourceVersion"] = str(next(self._versions))
        self.watch("DELETED", gone)
        owned = [
            place
            for place, other in self.objects.items()
            if gone["metadata"]["uid"] in {o["uid"] for o in other["metadata"].get("ownerReferences", ())}
        ]
        for place in owned:  # what the garbage collector does
            self.pop(*place)

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Json | None:
        self.calls.append(f"get {kind.kind} {name}")
        await asyncio.sleep(0)
        self.fault("get", kind.kind, name, "before")
        return copy.deepcopy(self.objects.get((kind, namespace or "", name)))

    async def list(self, kind: Kind, *, label_selector: str | None = None) -> Listing:
        self.fault("list", kind.kind, "", "before")
        wanted = dict(pair.split("=") for pair in label_selector.split(",")) if label_selector else {}
        found = [
            copy.deepcopy(o)
            for (k, _, _), o in self.objects.items()
            if k == kind and wanted.items() <= (o["metadata"].get("labels") or {}).items()
        ]
        return Listing(tuple(found), next(self._versions))

    async def create(self, manifest: Json) -> Json:
        self._note("create", manifest, "before")
        await asyncio.sleep(0)  # as any call, it lets others go on
        if _place(manifest) in self.objects:
            raise AlreadyExists("it exists", code=409)
        made = self.put(manifest)
        self._note("create", manifest, "after")
        return made

    async def apply(self, manifest: Json, *, subresource: str | None = None) -> Json:
        assert subresource == "status"
        self._note("status", manifest, "before")
        await asyncio.sleep(0)  # as any call, it lets others go on
        known = self.objects.get(_place(manifest))
        if known is None:
            raise Missing("it is gone", code=404)
        if manifest["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", code=409)
        made = self.put(known | {"status": manifest["status"]})
        self._note("status", manifest, "after")
        return made

    async def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str, **_: object) -> bool:
        self._note("delete", {"kind": kind.kind, "metadata": {"name": name}}, "before")
        await asyncio.sleep(0)  # as any call, it lets others go on
        known = self.objects.get((kind, namespace or "", name))
        if known is not None and known["metadata"]["uid"] != uid:
            raise Conflict("another incarnation", code=409)
        self.pop(kind, namespace or "", name)
        self._note("delete", {"kind": kind.kind, "metadata": {"name": name}}, "after")
        return True

    async def log(self, namespace: str, pod: str, container: str, *, tail_lines: int, previous: bool = False) -> str:
        return self.logs.get((pod, container), "")

    def _note(self, verb: str, manifest: Json, when: str) -> None:
        if when == "before":
            self.calls.append(f"{verb} {manifest['kind']} {manifest['metadata']['name']}")
        self.fault(verb, manifest["kind"], manifest["metadata"]["name"], when)


def _place(manifest: Json) -> tuple[Kind, str, str]:
    return kind_of(manifest), manifest["metadata"].get("namespace") or "", manifest["metadata"]["name"]


def explain(**said: Any) -> tuple[Reason, str, tuple[str, ...]]:
    """In the place of `build.failures.explain`: the log's first line is the reason."""
    lines = tuple(said["log"].splitlines())
    reason = Reason(lines[0]) if lines else Reason.BUILD_FAILED
    return reason, f"it failed: {reason}", lines[1:]


class Builds:
    """Store, work and reconciler around a `BuildCluster`; `restart` begins with nothing but what is in the cluster."""

    def __init__(self, *manifests: Json, settings: BuildSettings = SETTINGS, explain: Explain = explain) -> None:
        self.cluster = BuildCluster()
        self.settings = settings
        self.explain = explain
        self.now = START
        self.woken: set[tuple[str, str]] = set()
        self.again: set[tuple[str, str]] = set()
        self.ended: list[tuple[str, str]] = []
        for manifest in manifests:
            self.cluster.put(manifest)
        self.restart()

    def restart(self) -> None:
        self.store = Store({APPBUILD: dict, JOB: dict})
        for kind in (APPBUILD, JOB):
            found = [copy.deepcopy(o) for (k, _, _), o in self.cluster.objects.items() if k == kind]
            self.store.replace(kind, found, 0)
        self.cluster.watch = self._seen
        self.words: list[str] = []
        self.work = BuildWork(
            self.cluster, namespace=self.settings.namespace, explain=self.explain, wake=self.woken.add
        )
        self.reconciler = BuildReconciler(
            cluster=self.cluster,
            store=self.store,
            settings=self.settings,
            work=self.work,
            wake=self.woken.add,
            on_change=self._changed,
            on_end=self.ended.append,
            on_pass=lambda word, _: self.words.append(word),
            now=lambda: self.now,
        )
        self.woken |= {k for o in [*self.store.all(APPBUILD), *self.store.all(JOB)] for k in self._concerns(o)}

    def _concerns(self, manifest: Json) -> tuple[tuple[str, str], ...]:
        metadata = manifest["metadata"]
        return self.reconciler.concerns(Change(kind_of(manifest), metadata["namespace"], metadata["name"], None))

    def _seen(self, event: str, manifest: Json) -> None:
        if kind_of(manifest) in {APPBUILD, JOB}:
            self._changed(self.store.observe(event, manifest))

    def _changed(self, changes: Any) -> None:
        for change in changes:
            self.woken.update(self.reconciler.concerns(change))

    async def step(self, key: tuple[str, str] = KEY) -> Result:
        """One pass, and the slow work that it began."""
        result = await self.reconciler.reconcile(key)
        self.again.discard(key)
        if isinstance(result, Failed | RequeueAfter):
            self.again.add(key)
        desk = self.work._desks.get(key)
        for task in list(desk.tasks.values()) if desk else ():
            await task
        return result

    async def settle(self, passes: int = 60) -> None:
        """Work off the queue as it fills."""
        for _ in range(passes):
            if not self.woken:
                return
            await self.step(self.woken.pop())
        raise AssertionError("it never comes to rest")

    def later(self, seconds: float) -> None:
        """Time passes, and what was to be looked at again is."""
        self.now += timedelta(seconds=seconds)
        self.woken |= self.again

    def get(self, kind: Kind, name: str, namespace: str = BUILDS) -> Json | None:
        return self.cluster.objects.get((kind, namespace, name))

    def status(self, key: tuple[str, str] = KEY) -> Json:
        return (self.get(APPBUILD, key[1], key[0]) or {}).get("status", {})

    def condition(self, kind: str, key: tuple[str, str] = KEY) -> Json:
        return next((c for c in self.status(key).get("conditions", ()) if c["type"] == kind), {})

    def jobs(self) -> list[Json]:
        return [o for (k, _, _), o in self.cluster.objects.items() if k == JOB]

    def secrets(self) -> list[Json]:
        return [o for (k, _, _), o in self.cluster.objects.items() if k == SECRET]

    def pod(self, job: Json, **status: Any) -> Json:
        """The Job's pod, as it is now."""
        name = f"{job['metadata']['name']}-x"
        return self.cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": BUILDS,
                    "labels": job["metadata"]["labels"],
                    "ownerReferences": [{"uid": job["metadata"]["uid"]}],
                },
                "status": status,
            }
        )

    def succeed(self, job: Json, message: str = DIGEST) -> None:
        ended = {"terminated": {"exitCode": 0, "reason": "Completed", "message": message, "startedAt": "x"}}
        self.pod(job, phase="Succeeded", containerStatuses=[{"name": "build", "state": ended}])
        self.end(job, "Complete")

    def fail(self, job: Json, log: str, **pod: Any) -> None:
        ended = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": "x"}}
        made = self.pod(job, **({"phase": "Failed", "containerStatuses": [{"name": "build", "state": ended}]} | pod))
        self.cluster.logs[made["metadata"]["name"], "build"] = log
        self.end(job, "Failed")

    def end(self, job: Json, condition: str) -> None:
        known = self.cluster.objects[JOB, BUILDS, job["metadata"]["name"]]
        self.cluster.put(known | {"status": {"conditions": [{"type": condition, "status": "True"}]}})
