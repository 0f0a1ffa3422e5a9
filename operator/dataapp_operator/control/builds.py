"""The loop body for builds: observe, decide, tidy up, status, and then, if the plan says so, begin.

The Jobs of all namespaces' builds live in one namespace, in which nobody but the operator writes. A Job elsewhere that
carries our labels is somebody else's and is not looked at.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from dataapp_operator.api.appbuild import AppBuildSpec, AppBuildStatus
from dataapp_operator.api.base import instant
from dataapp_operator.build import job as jobs
from dataapp_operator.build.settings import BuildSettings
from dataapp_operator.control.build_apply import BuildApplier
from dataapp_operator.control.build_queue import Places
from dataapp_operator.control.build_work import BuildKey, BuildWork
from dataapp_operator.kube.errors import AlreadyExists, Conflict, KubeError, LeaseLost, Missing, Transient
from dataapp_operator.kube.kinds import APPBUILD, JOB
from dataapp_operator.kube.port import Cluster
from dataapp_operator.kube.queue import Failed, Ok, RequeueAfter, Result
from dataapp_operator.kube.store import Change, Store
from dataapp_operator.plan.build_facts import BuildPlan, EnsureSecret, JobFacts, ObservedBuild
from dataapp_operator.plan.building import LOOK_AGAIN, decide_build

log = logging.getLogger(__name__)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a pass ended: for the queue, and as a word for metrics."""

    result: Result
    word: str


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class BuildReconciler:
    """Brings one build a step further. Safe to run for different builds at once, for one build once at a time.

    ``wake`` puts a build's key into the queue; ``on_change`` hears what our own writes changed; ``on_end`` is told of
    each build that needs no code any more.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        store: Store,
        settings: BuildSettings,
        work: BuildWork,
        wake: Callable[[BuildKey], None],
        on_change: Callable[[Iterable[Change]], None],
        on_end: Callable[[BuildKey], None] = lambda _key: None,
        on_pass: Callable[[str, float], None] = lambda _word, _seconds: None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._work = work
        self._wake = wake
        self._on_change = on_change
        self._on_end = on_end
        self._on_pass = on_pass
        self._now = now
        self._places = Places(store, settings.concurrent)
        self._applier = BuildApplier(cluster, store, settings, on_change=on_change)
        self._owners: dict[str, BuildKey] = {}
        """Whose a Job is, by its name: of one that is gone the store only says the name."""

    def concerns(self, change: Change) -> tuple[BuildKey, ...]:
        """The builds that a change of an AppBuild or a Job is news for."""
        if change.kind == APPBUILD:
            return ((change.namespace, change.name),)
        if change.kind != JOB or change.namespace != self._settings.namespace:
            return ()
        found = self._store.get(JOB, change.namespace, change.name)
        key = jobs.key_of(found) if found is not None else self._owners.pop(change.name, None)
        if key is None:
            return ()
        if found is not None:
            self._owners[change.name] = key
        self._applier.heard_of_job(key)
        return (key,)

    async def reconcile(self, key: BuildKey) -> Result:
        """One pass over one build. Raises only LeaseLost: everything else is an outcome."""
        began = time.monotonic()
        try:
            outcome = await self._pass(key)
        except LeaseLost:
            raise
        except (Conflict, Missing, AlreadyExists) as error:
            log.debug("build %s/%s: observing again: %s", *key, error)
            outcome = _Outcome(Failed(), "conflict")
        except Transient as error:
            log.warning("build %s/%s: trying again: %s", *key, error)
            outcome = _Outcome(Failed(at_least=error.retry_after), "transient")
        except KubeError as error:
            log.error("build %s/%s: the API server refuses: %s", *key, error)  # noqa: TRY400 - no bug of ours
            outcome = _Outcome(RequeueAfter(LOOK_AGAIN), "refused")
        except Exception:
            log.exception("build %s/%s: a bug in the operator; other builds go on", *key)
            outcome = _Outcome(Failed(), "bug")
        finally:
            self._places.leave(key)  # a build that runs now has its place by its status
        self._on_pass(outcome.word, time.monotonic() - began)
        return outcome.result

    async def _pass(self, key: BuildKey) -> _Outcome:
        manifest = self._store.get(APPBUILD, *key)
        if manifest is None:
            return await self._gone(key)
        try:
            spec = AppBuildSpec.model_validate(manifest["spec"])
            status = AppBuildStatus.model_validate(manifest.get("status") or {})
        except ValidationError as error:
            log.error("build %s/%s cannot be read by this version: %s", *key, error)  # noqa: TRY400 - told whole
            return _Outcome(Ok(), "invalid")
        if status.phase == "Running":
            await self._verify(key, manifest["metadata"]["uid"], status.attempts)
        seen = self._observe(key, manifest, spec, status)
        plan = decide_build(seen)
        if plan.begin is not None:
            self._places.take(key)  # before anything is awaited, so that no other build takes the same one
            self._applier.about_to_begin(key, plan.begin)
        await self._carry_out(key, seen, plan)
        after = plan.requeue_after
        return _Outcome(Ok() if after is None else RequeueAfter(max(after, 0.05)), "ok")

    async def _gone(self, key: BuildKey) -> _Outcome:
        """The AppBuild does not exist (any more): neither does anything that worked for it."""
        self._work.drop(key)
        self._on_end(key)
        self._applier.forget(key)
        left = self._jobs(key)
        for one in left:
            await self._applier.remove(one)
        self._wake_waiting()
        return _Outcome(RequeueAfter(LOOK_AGAIN) if left else Ok(), "gone")

    # observe

    def _jobs(self, key: BuildKey) -> list[JobFacts]:
        found = []
        for manifest in self._store.all(JOB):
            if manifest["metadata"].get("namespace") == self._settings.namespace and jobs.key_of(manifest) == key:
                self._owners[manifest["metadata"]["name"]] = key
                found.append(jobs.facts(manifest))
        return sorted(found, key=lambda job: (job.build_uid, job.attempt))

    async def _verify(self, key: BuildKey, uid: str, attempt: int) -> None:
        """Ask the API server for the Job of a running build that the store lacks: it may only be behind."""
        named = jobs.name(*key, uid, attempt)
        if self._store.get(JOB, self._settings.namespace, named) is None:
            found = await self._cluster.get(JOB, self._settings.namespace, named)
            if found is not None:
                self._on_change(self._store.put(found))

    def _observe(self, key: BuildKey, manifest: Json, spec: AppBuildSpec, status: AppBuildStatus) -> ObservedBuild:
        metadata = manifest["metadata"]
        known = tuple(self._jobs(key))
        current = next((j for j in known if j.build_uid == metadata["uid"] and j.attempt == status.attempts), None)
        running, ahead = self._places.ahead_of(key, self._now()) if status.phase in {None, "Pending"} else (0, 0)
        return ObservedBuild(
            now=self._now(),
            namespace=key[0],
            name=key[1],
            uid=metadata["uid"],
            generation=metadata.get("generation", 1),
            created_at=instant(metadata["creationTimestamp"]),
            spec=spec,
            status=status,
            deleting="deletionTimestamp" in metadata,
            registry=self._settings.registry_host,
            deadline_seconds=self._settings.deadline_seconds,
            concurrent=self._settings.concurrent,
            running=running,
            ahead=ahead,
            jobs=known,
            secret_known=self._applier.has_secret(current),
            result=self._work.result(key, current),
            words=self._work.words(key, current),
            refused=self._applier.refusal(key),
            unborn=self._applier.is_unborn(key, status.attempts, current),
        )

    # apply

    async def _carry_out(self, key: BuildKey, seen: ObservedBuild, plan: BuildPlan) -> None:
        for action in plan.actions:
            if isinstance(action, EnsureSecret):
                await self._applier.ensure_secret(key, seen, action.job)
            else:
                await self._applier.remove(action.job)
        if plan.status != seen.status:
            await self._applier.status(key, plan.status)
        if seen.status.phase == "Running" and plan.status.phase != "Running":
            self._wake_waiting()
        if plan.status.phase in {"Succeeded", "Failed"}:
            self._work.drop(key)
            self._on_end(key)
        if plan.begin is not None and not await self._applier.begin(key, seen, plan.begin):
            self._wake(key)
        if plan.read is not None:
            self._work.read(key, plan.read)
        if plan.look is not None:
            self._work.look(key, plan.look)

    def _wake_waiting(self) -> None:
        for key in self._places.waiting():
            self._wake(key)
