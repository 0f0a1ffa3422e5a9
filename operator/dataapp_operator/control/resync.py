"""LISTs: the store filled before the first decision, and corrected every ten minutes.

A watch may break and come back without the deletions that happened meanwhile; a LIST shows them. Until every kind has
been listed once, nobody decides anything: an empty store looks like a first install.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from dataapp_operator.kube.errors import KubeError, NotServed
from dataapp_operator.kube.kinds import (
    AUTOSCALER,
    BUDGET,
    DEPLOYMENT,
    GATEWAY,
    HTTPROUTE,
    JOB,
    POD,
    REPLICASET,
    SERVICE,
    Kind,
)
from dataapp_operator.kube.port import Cluster
from dataapp_operator.kube.store import Change, Store
from dataapp_operator.plan.names import LABEL_APP, LABEL_BUILD

log = logging.getLogger(__name__)

CHILDREN = (REPLICASET, DEPLOYMENT, AUTOSCALER, POD, SERVICE, HTTPROUTE, BUDGET)
"""Kinds of which only ours are read: selected by label on the server."""


def selector(kind: Kind) -> str | None:
    """The label selector under which a kind is listed and watched."""
    if kind == JOB:
        return LABEL_BUILD
    return LABEL_APP if kind in CHILDREN else None


class Resync:
    """Lists kinds into the store and tells what that corrected."""

    def __init__(self, cluster: Cluster, store: Store, *, on_change: Callable[[Iterable[Change]], None]) -> None:
        self._cluster = cluster
        self._store = store
        self._on_change = on_change
        self.count = 0

    async def everything(self, kinds: Iterable[Kind]) -> set[Kind]:
        """List all these kinds. Returns those the cluster does not serve (Gateway API not installed)."""
        absent = set()
        for kind in kinds:
            try:
                listing = await self._cluster.list(kind, label_selector=selector(kind))
            except NotServed:
                if kind not in {HTTPROUTE, GATEWAY}:
                    raise
                absent.add(kind)
                self._on_change(self._store.replace(kind, (), 0))
                continue
            self._on_change(self._store.replace(kind, listing.items, listing.resource_version))
        self.count += 1
        return absent

    async def later(self, kinds: Iterable[Kind], *, pause: float) -> set[Kind] | None:
        """After so many seconds list everything again. None when that failed: it is told, and the next round tries."""
        await asyncio.sleep(pause)
        try:
            return await self.everything(kinds)
        except KubeError as error:
            log.warning("the objects cannot be listed; trying again in %.0f s: %s", pause, error)
            return None
