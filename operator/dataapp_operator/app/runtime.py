"""One running operator: its store, queue, workbench and workers, put together around a cluster.

Events and listings change the store; each change puts the apps it concerns into the queue; workers take them out.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from random import random
from typing import Any

import aiohttp

from dataapp_operator.api.reasons import Phase
from dataapp_operator.app.settings import Settings
from dataapp_operator.control.apply import Applier
from dataapp_operator.control.background import AppKey, Workbench
from dataapp_operator.control.claims import HostClaims
from dataapp_operator.control.observe import Observer
from dataapp_operator.control.reconcile import Reconciler
from dataapp_operator.control.resync import Resync
from dataapp_operator.control.senses import ClusterSenses
from dataapp_operator.control.slim import SLIM
from dataapp_operator.kube.kinds import APPRELEASE, DATAAPP, ENVIRONMENTCLASS, GATEWAY, HTTPROUTE, Kind, kind_of
from dataapp_operator.kube.port import Cluster
from dataapp_operator.kube.queue import QueueShutDown, WorkQueue
from dataapp_operator.kube.store import Change, Store
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
        self.store = Store(SLIM)
        self.queue: WorkQueue[AppKey] = WorkQueue(jitter=random)
        self._claims = HostClaims()
        self.workbench = Workbench(ClusterSenses(cluster, client), wake=self.queue.add)
        self.observer = Observer(self.store, self.workbench, self._claims, front_image=settings.front_image)
        self._reconciler = Reconciler(
            store=self.store,
            observer=self.observer,
            applier=Applier(cluster, self.store, on_change=self._changed),
            workbench=self.workbench,
            on_pass=lambda word, seconds: metrics.reconciled(word, seconds=seconds),
        )
        self._resync = Resync(cluster, self.store, on_change=self._changed)
        self.restart_wanted = asyncio.Event()
        self._listed = set(SLIM)
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
        if kind in {GATEWAY, ENVIRONMENTCLASS} and before == self._kept(kind, manifest):
            return  # nothing changed that a decision reads: a thousand apps need not look
        self._changed(changes)

    def _kept(self, kind: Kind, manifest: dict[str, Any]) -> object:
        metadata = manifest["metadata"]
        kept = self.store.get(kind, metadata.get("namespace"), metadata["name"])
        return None if kept is None else (kept.get("spec"), kept.get("status"))

    def _changed(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.kind in {GATEWAY, ENVIRONMENTCLASS}:
                self._enqueue_all()
                continue
            if change.app is None:
                continue
            app = (change.namespace, change.app)
            if change.kind == DATAAPP:
                self._claims.update(app, self.store.get(DATAAPP, *app))
            self.queue.add(app)

    def _enqueue_all(self) -> None:
        for manifest in self.store.all(DATAAPP):
            self.queue.add((manifest["metadata"]["namespace"], manifest["metadata"]["name"]))

    async def fill(self) -> tuple[Kind, ...]:
        """List everything once. Returns the kinds to watch: those that the cluster serves."""
        absent = await self._resync.everything(SLIM)
        self._note_absent(absent)
        self._enqueue_all()
        return tuple(kind for kind in SLIM if kind not in absent)

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
            absent = await self._resync.later(tuple(SLIM), pause=pause)
            if absent is not None:
                self._note_absent(absent)

    async def work(self) -> None:
        """One worker: takes keys until the queue shuts down."""
        while True:
            try:
                app = await self.queue.get()
            except QueueShutDown:
                return
            self.queue.done(app, await self._reconciler.reconcile(app))

    def render_metrics(self) -> bytes:
        """All figures, those that are read from the store refreshed."""
        phases = [(m.get("status") or {}).get("phase") or str(Phase.PENDING) for m in self.store.all(APPRELEASE)]
        self._metrics.releases(Counter(phases))
        return self._metrics.render()

    def alive(self) -> Health:
        """A worker that is stuck, or work that nobody takes, means that this process is of no use any more."""
        stuck, oldest = self.queue.longest_seconds(), self.queue.oldest_seconds()
        words = f"longest piece of work {stuck:.0f} s, longest wait for a worker {oldest:.0f} s"
        return Health(ok=max(stuck, oldest) < STUCK_SECONDS, detail=words)

    async def close(self) -> None:
        """Stop giving out work and end slow work."""
        self.queue.shut_down()
        await self.workbench.close()
