"""Writes of builds: an attempt with its Secret, the status, and taking both away again.

What a call that broke off may have left, and what the API server refused, is kept here for the next decision. It may be
lost: a decision without it comes to the same end, with one attempt more.
"""

import secrets
from collections.abc import Callable, Iterable
from typing import Any

from dataapp_operator.api.appbuild import AppBuildStatus
from dataapp_operator.api.base import API_VERSION
from dataapp_operator.build import job as jobs
from dataapp_operator.build.push import push_configuration
from dataapp_operator.build.settings import BuildSettings
from dataapp_operator.control.build_work import BuildKey
from dataapp_operator.kube.errors import AlreadyExists, Missing, Rejected
from dataapp_operator.kube.kinds import APPBUILD, JOB, SECRET
from dataapp_operator.kube.port import Cluster
from dataapp_operator.kube.store import Change, Store
from dataapp_operator.plan.build_facts import JobFacts, ObservedBuild

Json = dict[str, Any]

_TOKEN_BYTES = 32


class BuildApplier:
    """Carries out what was decided about builds. The store, and ``on_change``, hear the answers at once."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        settings: BuildSettings,
        *,
        on_change: Callable[[Iterable[Change]], None],
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._on_change = on_change
        self._secrets: set[str] = set()
        """The uids of Jobs whose Secret is there."""
        self._unborn: dict[BuildKey, int] = {}
        """Attempts whose Job is about to be made, and is not known to be there."""
        self._refusals: dict[BuildKey, str] = {}

    def has_secret(self, job: JobFacts | None) -> bool:
        """Whether the Secret of a Job is known to be there."""
        return job is not None and job.uid in self._secrets

    def is_unborn(self, key: BuildKey, attempt: int, job: JobFacts | None) -> bool:
        """Whether the Job of this attempt was about to be made when a call broke off, and is not there."""
        return job is None and self._unborn.get(key) == attempt

    def about_to_begin(self, key: BuildKey, attempt: int) -> None:
        """An attempt is to be counted, and then its Job made. Any of the two calls may break off."""
        self._unborn[key] = attempt

    def heard_of_job(self, key: BuildKey) -> None:
        """A Job of the build was made or is gone: the call that seemed to break off did its work."""
        self._unborn.pop(key, None)

    def refusal(self, key: BuildKey) -> str:
        """What the API server has refused since this was asked last, in its words."""
        return self._refusals.pop(key, "")

    def forget(self, key: BuildKey) -> None:
        """The build is gone."""
        self._unborn.pop(key, None)
        self._refusals.pop(key, None)

    async def begin(self, key: BuildKey, seen: ObservedBuild, attempt: int) -> bool:
        """Make the Job of an attempt that is counted already, and its Secret. False: the API server refuses it."""
        manifest = jobs.job(self._settings, seen.spec, namespace=key[0], build=key[1], uid=seen.uid, attempt=attempt)
        try:
            made = await self._cluster.create(manifest)
        except AlreadyExists:
            found = await self._cluster.get(JOB, self._settings.namespace, manifest["metadata"]["name"])
            if found is None:
                raise
            made = found
        except (Rejected, Missing) as error:
            self._unborn.pop(key, None)
            where = "" if isinstance(error, Rejected) else f"namespace {self._settings.namespace}: "
            self._refusals[key] = where + error.message
            return False
        self._unborn.pop(key, None)
        self._learn(made)
        await self.ensure_secret(key, seen, jobs.facts(made))
        return True

    async def ensure_secret(self, key: BuildKey, seen: ObservedBuild, job: JobFacts) -> None:
        """Make the Secret of a Job, unless it is there."""
        manifest = jobs.secret(
            self._settings,
            job,
            jobs.labels(*key, seen.uid, job.attempt),
            token=secrets.token_hex(_TOKEN_BYTES),
            config=push_configuration(self._settings, seen.spec, key[0], now=seen.now),
        )
        try:
            await self._cluster.create(manifest)
        except AlreadyExists:
            pass
        except Rejected as error:
            self._refusals[key] = error.message
            return
        self._secrets.add(job.uid)

    async def remove(self, job: JobFacts) -> None:
        """Take away the Secret of a Job, then the Job with its pod."""
        namespace = self._settings.namespace
        found = await self._cluster.get(SECRET, namespace, job.name)
        if found is not None:
            await self._cluster.delete(SECRET, namespace, job.name, uid=found["metadata"]["uid"])
        self._secrets.discard(job.uid)
        if await self._cluster.delete(JOB, namespace, job.name, uid=job.uid, propagation="Background"):
            self._on_change(self._store.forget(JOB, namespace, job.name, uid=job.uid))

    async def status(self, key: BuildKey, status: AppBuildStatus) -> None:
        """Write AppBuild.status onto the version that was observed."""
        manifest = self._store.get(APPBUILD, *key)
        if manifest is None:
            raise Missing("the build was deleted")
        answer = await self._cluster.apply(
            {
                "apiVersion": API_VERSION,
                "kind": APPBUILD.kind,
                "metadata": {
                    "name": key[1],
                    "namespace": key[0],
                    "resourceVersion": manifest["metadata"]["resourceVersion"],
                },
                "status": status.wire(),
            },
            subresource="status",
        )
        self._learn(answer)

    def _learn(self, manifest: Json) -> None:
        self._on_change(self._store.put(manifest))
