"""Which build may have which code, and the archive of it: what the web server of archives asks for.

A token is compared with the one in the Secret of the build's Job. The Secret is the only place where it is kept, so the
answer is the same after a restart. It is read at most once in a few seconds, and only for builds that run: nothing that a
stranger asks for costs a call. Archives are made when they are asked for, and again when they are lost: the code of a
commit never changes. Where they are kept, how many and for how long is the business of who makes them.
"""

import asyncio
import hmac
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from dataapp_operator.api.appbuild import AppBuildSpec
from dataapp_operator.api.code import GitRef
from dataapp_operator.build import job as jobs
from dataapp_operator.build.settings import BuildSettings
from dataapp_operator.control.build_work import BuildKey
from dataapp_operator.kube.errors import KubeError
from dataapp_operator.kube.kinds import APPBUILD, JOB, SECRET
from dataapp_operator.kube.port import Cluster
from dataapp_operator.kube.store import Store
from dataapp_operator.plan.build_facts import JobFacts
from dataapp_operator.source.remote import Credential, Remote, SourceError
from dataapp_operator.web.archives import NoCodeError, NotNowError

log = logging.getLogger(__name__)

Json = dict[str, Any]

_TOKEN_SECONDS = 5.0
_MAX_TOKENS = 64


class Packer(Protocol):
    """The part of ``source.hub.Hub`` that makes archives."""

    async def archive(
        self,
        remote: Remote,
        commit: str,
        path: str,
        include: Sequence[str],
        *,
        manifest: str | None,
        extra: Mapping[str, bytes],
        near: GitRef | None,
    ) -> Path:
        """A tar file of an app's code with further members."""


@dataclass(frozen=True, slots=True)
class _Token:
    key: BuildKey
    value: bytes
    until: float


class BuildArchives:
    """The code of running builds.

    ``credential`` reads the Secret (namespace, name) of a repository, if one is named. ``near`` may know a ref that the
    commit of a build is at, for servers that give out nothing by its id alone.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        store: Store,
        settings: BuildSettings,
        packer: Packer,
        credential: Callable[[str, str | None], Awaitable[Credential | None]],
        render: Callable[[AppBuildSpec], Mapping[str, bytes]],
        near: Callable[[str, AppBuildSpec], GitRef | None] = lambda _namespace, _spec: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._packer = packer
        self._credential = credential
        self._render = render
        self._near = near
        self._clock = clock
        self._tokens: OrderedDict[str, _Token] = OrderedDict()  # by the name of a Secret, the oldest first
        self._reading: dict[str, asyncio.Task[bytes]] = {}
        self._packing: dict[tuple[BuildKey, str], asyncio.Task[Path]] = {}

    async def admits(self, namespace: str, build: str, token: bytes) -> bool:
        """Whether this is the token of a build that runs, and whose Job has not ended. Raises NotNowError."""
        if not self._store.synced(APPBUILD, JOB):
            raise NotNowError("the operator has just started")
        job = self._job((namespace, build))
        if job is None:
            return False
        known = await self._token_of((namespace, build), job)
        return bool(known) and hmac.compare_digest(known, token)

    async def archive(self, namespace: str, build: str) -> Path:
        """The archive of a build's code and recipe. Raises NotNowError and NoCodeError."""
        key = (namespace, build)
        manifest = self._store.get(APPBUILD, *key)
        if manifest is None:
            raise NoCodeError("the build was deleted")
        place = (key, manifest["metadata"]["uid"])
        task = self._packing.get(place)
        if task is None:
            task = self._packing[place] = asyncio.ensure_future(self._pack(namespace, manifest))
            task.add_done_callback(lambda _: self._packing.pop(place, None))
        # Whoever hangs up must not take the archive away from the others who wait for it.
        return await asyncio.shield(task)

    def drop(self, key: BuildKey) -> None:
        """The build has ended: its token is not remembered."""
        for name in [name for name, token in self._tokens.items() if token.key == key]:
            del self._tokens[name]

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = [*self._packing.values(), *self._reading.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _job(self, key: BuildKey) -> JobFacts | None:
        """The Job of a running build, while it may need code."""
        manifest = self._store.get(APPBUILD, *key)
        status = (manifest or {}).get("status") or {}
        if manifest is None or status.get("phase") != "Running" or "deletionTimestamp" in manifest["metadata"]:
            return None
        named = jobs.name(*key, manifest["metadata"]["uid"], int(status.get("attempts") or 0))
        found = self._store.get(JOB, self._settings.namespace, named)
        job = jobs.facts(found) if found is not None else None
        return None if job is None or job.ended or job.deleting else job

    async def _token_of(self, key: BuildKey, job: JobFacts) -> bytes:
        """The token of a Job; b'' where its Secret is not there. That is not remembered: it may be about to be made."""
        known = self._tokens.get(job.name)
        if known is not None and known.until > self._clock():
            return known.value
        task = self._reading.get(job.name)
        if task is None:
            task = self._reading[job.name] = asyncio.ensure_future(self._read_token(key, job))
            task.add_done_callback(lambda _: self._reading.pop(job.name, None))
        try:
            return await asyncio.shield(task)
        except KubeError as error:
            raise NotNowError("the cluster does not answer the operator") from error

    async def _read_token(self, key: BuildKey, job: JobFacts) -> bytes:
        self._tokens.pop(job.name, None)
        found = await self._cluster.get(SECRET, self._settings.namespace, job.name)
        owners = [owner.get("uid") for owner in found["metadata"].get("ownerReferences") or []] if found else []
        if found is None or job.uid not in owners:
            return b""
        value = jobs.token_of(found)
        self._tokens[job.name] = _Token(key, value, self._clock() + _TOKEN_SECONDS)
        while len(self._tokens) > _MAX_TOKENS:
            self._tokens.popitem(last=False)
        return value

    async def _pack(self, namespace: str, manifest: Json) -> Path:
        """Make an archive, or say in the build's words why that cannot be."""
        try:
            return await self._made(namespace, AppBuildSpec.model_validate(manifest["spec"]))
        except SourceError as error:
            raise (NotNowError if error.transient else NoCodeError)(error.message) from error
        except KubeError as error:
            raise NotNowError("the cluster does not answer the operator") from error
        except ValueError as error:  # pydantic's ValidationError is one
            raise NoCodeError(f"this version of the operator cannot build it: {error}") from error

    async def _made(self, namespace: str, spec: AppBuildSpec) -> Path:
        source = spec.source
        held = await self._credential(namespace, source.secret_ref.name if source.secret_ref else None)
        return await self._packer.archive(
            Remote(source.url, held),
            spec.commit,
            source.path,
            source.include,
            manifest=source.manifest,
            extra=self._render(spec),
            near=self._near(namespace, spec),
        )
