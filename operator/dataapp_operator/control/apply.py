"""Writes: one action, one API call. The store is told the answer at once, so that the next pass sees its own writes.

What a write changed is news like any other and is told to ``on_change``: the watch brings the same version later, and
the store then has nothing new to tell.
"""

from collections.abc import Callable, Iterable
from typing import Any

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.base import API_VERSION
from dataapp_operator.control.parse import belongs_to
from dataapp_operator.kube.errors import AlreadyExists, Conflict
from dataapp_operator.kube.kinds import (
    APPBUILD,
    APPRELEASE,
    AUTOSCALER,
    BUDGET,
    DATAAPP,
    DEPLOYMENT,
    HTTPROUTE,
    POD,
    REPLICASET,
    SERVICE,
    Kind,
    kind_of,
)
from dataapp_operator.kube.port import Cluster
from dataapp_operator.kube.store import Change, Store
from dataapp_operator.plan.actions import Action, Create, CreateBuild, CreateRelease, Delete, Ensure, Hold, Record
from dataapp_operator.plan.names import FINALIZER

Json = dict[str, Any]

_KINDS: dict[str, Kind] = {
    kind.kind: kind
    for kind in (
        *(REPLICASET, DEPLOYMENT, AUTOSCALER, SERVICE, POD, HTTPROUTE, BUDGET),
        *(APPRELEASE, APPBUILD, DATAAPP),
    )
}


def _held(namespace: str, action: Hold) -> Json:
    """The DataApp with our finalizer, or without it. The uid: never would it bring a deleted app back."""
    metadata: Json = {
        "name": action.name,
        "namespace": namespace,
        "uid": action.uid,
        "resourceVersion": action.resource_version,
    }
    if action.keep:
        metadata["finalizers"] = [FINALIZER]
    return {"apiVersion": API_VERSION, "kind": "DataApp", "metadata": metadata}


class Applier:
    """Carries out actions against a cluster."""

    def __init__(self, cluster: Cluster, store: Store, *, on_change: Callable[[Iterable[Change]], None]) -> None:
        self._cluster = cluster
        self._store = store
        self._on_change = on_change

    async def act(self, namespace: str, action: Action) -> None:
        """Carry out one action. Raises the errors of ``kube.errors``."""
        match action:
            case CreateRelease(manifest):
                self._learn(await self._create(manifest))
            case CreateBuild(manifest):
                self._learn(await self._create_build(manifest))
            case Hold():
                self._learn(await self._cluster.apply(_held(namespace, action), part="drain"))
            case Create(manifest):
                self._learn(await self._create_child(manifest))
            case Ensure(manifest, part):
                self._learn(await self._cluster.apply(manifest, part=part))
            case Delete():
                kind = _KINDS[action.kind]
                gone = await self._cluster.delete(
                    kind,
                    namespace,
                    action.name,
                    uid=action.uid,
                    resource_version=action.resource_version,
                    propagation=action.propagation,
                    grace_seconds=action.grace_seconds,
                )
                if gone:
                    self._on_change(self._store.forget(kind, namespace, action.name, uid=action.uid))

    def _learn(self, manifest: Json) -> None:
        self._on_change(self._store.put(manifest))

    async def _create(self, manifest: Json) -> Json:
        """POST; one with the same content is adopted, one with another content is somebody's mistake."""
        try:
            return await self._cluster.create(manifest)
        except AlreadyExists:
            metadata = manifest["metadata"]
            known = await self._cluster.get(APPRELEASE, metadata["namespace"], metadata["name"])
            if known is None:
                raise
            self._learn(known)
            if AppReleaseSpec.model_validate(known["spec"]) != AppReleaseSpec.model_validate(manifest["spec"]):
                raise Conflict(f"{metadata['name']} exists with another content; observing again") from None
            return known

    async def _create_build(self, manifest: Json) -> Json:
        """POST; the name says what goes into the image, so one that is there is the same build.

        One that belongs to a deleted app of this name is about to be collected with it: it is waited for.
        """
        try:
            return await self._cluster.create(manifest)
        except AlreadyExists:
            metadata = manifest["metadata"]
            known = await self._cluster.get(APPBUILD, metadata["namespace"], metadata["name"])
            if known is None or not belongs_to(known, metadata["ownerReferences"][0]["uid"]):
                raise Conflict(
                    f"{metadata['name']} is left from an earlier app of this name; observing again"
                ) from None
            return known

    async def _create_child(self, manifest: Json) -> Json:
        """POST; one of ours that is there already is the one that was meant. An earlier app's is waited for."""
        try:
            return await self._cluster.create(manifest)
        except AlreadyExists:
            metadata, kind = manifest["metadata"], kind_of(manifest)
            known = await self._cluster.get(kind, metadata["namespace"], metadata["name"])
            if known is None or not belongs_to(known, metadata["ownerReferences"][0]["uid"]):
                raise Conflict(
                    f"{kind.kind} {metadata['name']} is left from an earlier app of this name; observing again"
                ) from None
            return known

    async def record(self, namespace: str, record: Record) -> None:
        """Write AppRelease.status onto the version that was observed."""
        await self._status("AppRelease", namespace, record.name, record.resource_version, record.status.wire())

    async def status(self, namespace: str, name: str, resource_version: str, status: Json) -> None:
        """Write DataApp.status onto the version that was observed."""
        await self._status("DataApp", namespace, name, resource_version, status)

    async def _status(self, kind: str, namespace: str, name: str, resource_version: str, status: Json) -> None:
        manifest = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "resourceVersion": resource_version},
            "status": status,
        }
        self._learn(await self._cluster.apply(manifest, subresource="status"))
