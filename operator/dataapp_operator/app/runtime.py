"""One running operator: its store, queue, workbench and workers, put together around a cluster.

Events and listings change the store; each change puts what it concerns into the queues of the lines that decide about
it; workers take it out.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from random import random
from typing import Any

import aiohttp

from dataapp_operator.api.reasons import Phase
from dataapp_operator.app.lines import Line
from dataapp_operator.app.settings import Settings
from dataapp_operator.app.workshop import Workshop
from dataapp_operator.control.apply import Applier
from dataapp_operator.control.background import AppKey, Workbench
from dataapp_operator.control.claims import HostClaims
from dataapp_operator.control.observe import Observer
from dataapp_operator.control.reconcile import Reconciler
from dataapp_operator.control.resync import Resync
from dataapp_operator.control.senses import ClusterSenses
from dataapp_operator.control.slim import SLIM
from dataapp_operator.control.telling import Teller
from dataapp_operator.kube.kinds import (
    APPBUILD,
    APPRELEASE,
    APPSOURCE,
    DATAAPP,
    ENVIRONMENTCLASS,
    GATEWAY,
    HTTPROUTE,
    JOB,
    NODE,
    Kind,
    kind_of,
)
from dataapp_operator.kube.port import Cluster
from dataapp_operator.kube.queue import Result
from dataapp_operator.kube.store import Change, Store
from dataapp_operator.plan.names import LABEL_SOURCE
from dataapp_operator.web.metrics import Metrics
from dataapp_operator.web.server import Health

log = logging.getLogger(__name__)

GATEWAY_API = {HTTPROUTE, GATEWAY}
STUCK_SECONDS = 300.0
"""A reconcile waits for nothing slow: one that takes this long never ends."""
CATCH_UP_SECONDS = 1.0
"""From the first object of a watch's listing until we list too: by then the listing is through."""
API_APPEARED_EVERY = 15.0
"""Seconds between two looks for a Gateway API that was not there at start-up."""


class Runtime:
    """Everything that lives as long as the process holds the Lease."""

    def __init__(self, cluster: Cluster, client: aiohttp.ClientSession, settings: Settings, metrics: Metrics) -> None:
        self._cluster = cluster
        self._settings = settings
        self._metrics = metrics
        self.kinds = tuple(kind for kind in SLIM if kind not in _left_out(settings))
        self.store = Store(SLIM)  # of what is neither listed nor watched it has none, and a decision may ask
        self._claims = HostClaims()
        self._apps = Line("apps", self._reconcile_app, settings.workers)
        self.queue = self._apps.queue
        self._workshop = Workshop(cluster, self.store, settings, on_change=self._changed)
        self.lines = (self._apps, *self._workshop.lines)
        self.archives = self._workshop.archives
        senses = ClusterSenses(cluster, client, self._workshop.reader)
        self.workbench = Workbench(senses, wake=self.queue.add, jitter=lambda: 0.9 + 0.2 * random())  # noqa: S311 - spreading
        self.observer = Observer(
            self.store,
            self.workbench,
            self._claims,
            front_image=settings.front_image,
            platform=self._workshop.platform,
        )
        self._reconciler = Reconciler(
            store=self.store,
            observer=self.observer,
            applier=Applier(cluster, self.store, on_change=self._changed),
            workbench=self.workbench,
            teller=Teller(cluster, instance=settings.identity),
            on_pass=lambda word, seconds: metrics.reconciled(word, seconds=seconds),
        )
        self._resync = Resync(cluster, self.store, on_change=self._changed)
        self._sources: dict[AppKey, Any] = {}
        self.restart_wanted = asyncio.Event()
        self._listed = set(self.kinds)
        self._listed_anew = asyncio.Event()
        metrics.watch_queue(depth=lambda: self.queue.depth, oldest_seconds=self.queue.oldest_seconds)

    def on_event(self, event_type: str | None, manifest: dict[str, Any]) -> None:
        """A watch event."""
        kind = kind_of(manifest)
        self._metrics.event_seen(kind.plural)
        if event_type is None:
            self._listed.add(kind)
            self._listed_anew.set()
        before = self._kept(kind, manifest)
        changes = self.store.observe(event_type, manifest)
        if kind in {GATEWAY, ENVIRONMENTCLASS, NODE} and before == self._kept(kind, manifest):
            return  # nothing changed that a decision reads: a thousand apps need not look
        self._changed(changes)

    def _kept(self, kind: Kind, manifest: dict[str, Any]) -> object:
        metadata = manifest["metadata"]
        kept = self.store.get(kind, metadata.get("namespace"), metadata["name"])
        return None if kept is None else (kept.get("spec"), kept.get("status"))

    async def _reconcile_app(self, app: AppKey) -> Result:
        return await self._reconciler.reconcile(app)

    def _changed(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._workshop.changed(change)
            if change.kind in {GATEWAY, ENVIRONMENTCLASS, NODE}:
                self._enqueue_all()
            elif change.kind == APPSOURCE:
                self._enqueue_brought_by(change.namespace, change.name)
            elif change.app is not None and change.kind != JOB:
                app = (change.namespace, change.app)
                if change.kind == DATAAPP:
                    self._claims.update(app, self.store.get(DATAAPP, *app))
                self.queue.add(app)

    def _enqueue_all(self) -> None:
        for manifest in self.store.all(DATAAPP):
            self.queue.add((manifest["metadata"]["namespace"], manifest["metadata"]["name"]))

    def _enqueue_brought_by(self, namespace: str, source: str) -> None:
        """Where a source is, is where the code of its apps is."""
        spec = (self.store.get(APPSOURCE, namespace, source) or {}).get("spec")
        if self._sources.get((namespace, source)) == spec:
            return
        self._sources[namespace, source] = spec
        for manifest in self.store.all(DATAAPP):
            metadata = manifest["metadata"]
            if metadata["namespace"] == namespace and (metadata.get("labels") or {}).get(LABEL_SOURCE) == source:
                self.queue.add((namespace, metadata["name"]))

    async def fill(self) -> tuple[Kind, ...]:
        """List everything once. Returns the kinds to watch: those that the cluster serves."""
        absent = await self._resync.everything(self.kinds)
        self._note_absent(absent)
        self._enqueue_all()
        self._workshop.enqueue_all()
        return tuple(kind for kind in self.kinds if kind not in absent)

    def _note_absent(self, absent: set[Kind]) -> None:
        had = self.observer.gateway_api
        self.observer.gateway_api = not absent & GATEWAY_API
        self._metrics.resynced()
        if absent and had:
            log.warning("the cluster has no Gateway API; apps wait until it is installed")
        if not had and not absent:
            log.warning("the Gateway API is there now: starting again to watch it")
            self.restart_wanted.set()
        self._enqueue_all()

    async def catch_up_forever(self) -> None:
        """After each listing of the watches, list the same kinds once more; at start-up all of them.

        A watch begins (and begins anew after it broke) with a listing of its own: what was deleted after our last
        one and before that is never reported, and its ghost would hold up whoever waits for its end.
        """
        while True:
            await self._listed_anew.wait()
            await asyncio.sleep(CATCH_UP_SECONDS)
            self._listed_anew.clear()
            kinds, self._listed = self._listed, set()
            if await self._resync.later(kinds, pause=0) is None:
                self._listed |= kinds
                self._listed_anew.set()

    async def resync_forever(self) -> None:
        """Correct the store again and again; each round makes every app look once."""
        while True:
            pause = self._settings.resync_seconds if self.observer.gateway_api else API_APPEARED_EVERY
            absent = await self._resync.later(self.kinds, pause=pause)
            if absent is not None:
                self._note_absent(absent)

    def render_metrics(self) -> bytes:
        """All figures, those that are read from the store refreshed."""
        phases = [(m.get("status") or {}).get("phase") or str(Phase.PENDING) for m in self.store.all(APPRELEASE)]
        self._metrics.releases(Counter(phases))
        return self._metrics.render()

    def alive(self) -> Health:
        """A worker that is stuck, or work that nobody takes, means that this process is of no use any more."""
        stuck = max(line.queue.longest_seconds() for line in self.lines)
        oldest = max(line.queue.oldest_seconds() for line in self.lines)
        words = f"longest piece of work {stuck:.0f} s, longest wait for a worker {oldest:.0f} s"
        return Health(ok=max(stuck, oldest) < STUCK_SECONDS, detail=words)

    def shut_down(self) -> None:
        """Give out no more work."""
        for line in self.lines:
            line.queue.shut_down()

    async def close(self) -> None:
        """Stop giving out work and end slow work."""
        self.shut_down()
        await self.workbench.close()
        await self._workshop.close()


def _left_out(settings: Settings) -> set[Kind]:
    """What this process neither watches nor may read, as it is set."""
    out = set() if settings.builds else {JOB}
    return out if settings.sources.enabled else {JOB, APPSOURCE, APPBUILD}
