"""What turns commits into images, put together: repositories, AppSources, AppBuilds, and the server of their code.

It is there as far as the platform wants it: without sources nothing of it runs, without builds no AppBuild is worked on.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from random import random

from dataapp_operator.app.lines import Key, Line
from dataapp_operator.app.settings import Settings
from dataapp_operator.build.failures import explain
from dataapp_operator.build.recipes import RECIPES, render
from dataapp_operator.build.settings import BuildSettings
from dataapp_operator.control.build_archives import BuildArchives
from dataapp_operator.control.build_work import BuildWork
from dataapp_operator.control.builds import BuildReconciler
from dataapp_operator.control.code_reading import CodeReader
from dataapp_operator.control.credentials import credential
from dataapp_operator.control.sources import SourceReconciler
from dataapp_operator.kube.kinds import APPBUILD, APPSOURCE, DATAAPP, JOB
from dataapp_operator.kube.port import Cluster
from dataapp_operator.kube.queue import Result
from dataapp_operator.kube.store import Change, Store
from dataapp_operator.plan.facts import Platform
from dataapp_operator.plan.names import LABEL_SOURCE
from dataapp_operator.source.hosts import HostPolicy
from dataapp_operator.source.hub import Hub
from dataapp_operator.source.limits import Limits
from dataapp_operator.web.archives import ArchiveServer

log = logging.getLogger(__name__)

SOURCE_WORKERS = 4
BUILD_WORKERS = 2


class Workshop:
    """Repositories and builds of one running operator."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        settings: Settings,
        *,
        on_change: Callable[[Iterable[Change]], None],
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._on_change = on_change
        self.platform = _platform(settings.builds)
        self.lines: tuple[Line, ...] = ()
        self.reader: CodeReader | None = None
        self.archives: ArchiveServer | None = None
        self._hub: Hub | None = None
        self._sources: SourceReconciler | None = None
        self._builds: BuildReconciler | None = None
        self._work: BuildWork | None = None
        self._codes: BuildArchives | None = None
        self._written: dict[Key, object] = {}
        if settings.sources.enabled:
            self._hub = self._open_sources(settings)
            if settings.builds is not None:
                self._open_builds(settings, settings.builds, self._hub)

    def _open_sources(self, settings: Settings) -> Hub:
        asked = settings.sources
        hub = Hub(
            asked.cache,
            policy=HostPolicy(allowed=asked.allowed_hosts),
            limits=_limits(asked.cache_bytes),
        )
        self.reader = CodeReader(self._cluster, hub)
        line = Line("sources", self._reconcile_source, SOURCE_WORKERS)
        self._sources = SourceReconciler(
            store=self._store,
            cluster=self._cluster,
            hub=hub,
            wake=line.queue.add,
            on_change=self._on_change,
            jitter=random,
            now=lambda: datetime.now(UTC).replace(microsecond=0),
            edit_role=asked.edit_role,
        )
        self._source_line = line
        self.lines = (line,)
        return hub

    def _open_builds(self, settings: Settings, builds: BuildSettings, hub: Hub) -> None:
        line = Line("builds", self._reconcile_build, BUILD_WORKERS)
        self._work = BuildWork(self._cluster, namespace=builds.namespace, explain=explain, wake=line.queue.add)
        self._codes = BuildArchives(
            cluster=self._cluster,
            store=self._store,
            settings=builds,
            packer=hub,
            credential=lambda namespace, name: credential(self._cluster, namespace, name),
            render=render,
        )
        self._builds = BuildReconciler(
            cluster=self._cluster,
            store=self._store,
            settings=builds,
            work=self._work,
            wake=line.queue.add,
            on_change=self._on_change,
            on_end=self._codes.drop,
        )
        self.archives = ArchiveServer(self._codes, port=settings.sources_port)
        self._build_line = line
        self.lines = (*self.lines, line)

    def changed(self, change: Change) -> None:
        """Something changed: tell the lines that it concerns."""
        if self._sources is not None:
            if change.kind == APPSOURCE:
                self._source_line.queue.add((change.namespace, change.name))
            elif change.kind == DATAAPP:
                self._wake_source_of(change)
        if self._builds is not None and change.kind in {APPBUILD, JOB}:
            for key in self._builds.concerns(change):
                self._build_line.queue.add(key)

    def _wake_source_of(self, change: Change) -> None:
        """A source looks at its apps when what it writes of them changed, not at each of their steps."""
        found = self._store.get(DATAAPP, change.namespace, change.name)
        metadata = found["metadata"] if found else {}
        written = (metadata.get("generation"), metadata.get("labels"), metadata.get("annotations"))
        place = (change.namespace, change.name)
        if found is None:
            self._written.pop(place, None)
        elif self._written.get(place) == written:
            return
        else:
            self._written[place] = written
        source = (metadata.get("labels") or {}).get(LABEL_SOURCE)
        if source:
            self._source_line.queue.add((change.namespace, source))
        elif found is None:
            # Whose it was is not known any more: the sources of its namespace look for what they miss.
            for manifest in self._store.all(APPSOURCE):
                if manifest["metadata"]["namespace"] == change.namespace:
                    self._source_line.queue.add((change.namespace, manifest["metadata"]["name"]))

    def enqueue_all(self) -> None:
        """Everything is looked at once: at the start, and after each listing."""
        for kind, line in ((APPSOURCE, "sources"), (APPBUILD, "builds")):
            queue = next((each.queue for each in self.lines if each.name == line), None)
            if queue is not None:
                for manifest in self._store.all(kind):
                    queue.add((manifest["metadata"]["namespace"], manifest["metadata"]["name"]))

    async def _reconcile_source(self, key: Key) -> Result:
        assert self._sources is not None  # noqa: S101 - the line exists with it
        return await self._sources.reconcile(key)

    async def _reconcile_build(self, key: Key) -> Result:
        assert self._builds is not None  # noqa: S101 - the line exists with it
        return await self._builds.reconcile(key)

    async def close(self) -> None:
        """End slow work."""
        for part in (self._sources, self._work, self._codes, self._hub):
            if part is not None:
                await part.close()


def _limits(volume: int) -> Limits:
    """What repositories may cost on a volume of so many bytes: half of it for copies, a quarter for archives."""
    usual = Limits()
    return replace(
        usual,
        mirror_bytes=min(usual.mirror_bytes, volume // 2),
        total_bytes=min(usual.total_bytes, volume // 2),
        archives_bytes=min(usual.archives_bytes, volume // 4),
    )


def _platform(builds: BuildSettings | None) -> Platform:
    """What builds start from, as decisions see it."""
    if builds is None:
        return Platform()
    bases = {"python": builds.bases.python, "r": builds.bases.r}
    return Platform(
        bases={name: ref for name, ref in bases.items() if ref},
        recipes={name: str(version) for name, version in RECIPES.items()},
        builds=True,
    )
