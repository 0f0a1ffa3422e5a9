"""The few verbs through which the operator touches a cluster.

A port and not a library: everything above sees plain manifests (JSON as dicts) and the errors of `kube.errors`; how a
call travels is known in `kube.client` only, and a test may put a cluster of its own behind the same verbs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dataapp_operator.kube.kinds import Kind

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a kind as they were together at `resource_version`."""

    items: tuple[Manifest, ...]
    resource_version: int


class Cluster(Protocol):
    """What the operator asks of the API server. Every verb raises the errors of `kube.errors` and no others."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """The object as it is now, or None when it does not exist."""

    async def list(self, kind: Kind, *, label_selector: str | None = None) -> Listing:
        """All objects of all namespaces, consistent with each other; each carries its apiVersion and kind."""

    async def create(self, manifest: Manifest) -> Manifest:
        """Create by POST: `AlreadyExists` tells that it was there before us. Answers the object as stored."""

    async def apply(self, manifest: Manifest, *, subresource: str | None = None, part: str | None = None) -> Manifest:
        """Server-side apply with our one field manager; answers the object as stored.

        ``part`` names a part of an object that is written by itself: what other applies of ours say about the object, or
        no longer say, leaves it alone.

        With `metadata.resourceVersion` in the manifest, only onto exactly that version of the object (else `Conflict`).
        An apply that changes nothing writes nothing: the resourceVersion stays.
        """

    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str,
        resource_version: str | None = None,
        propagation: str | None = None,
        grace_seconds: int | None = None,
    ) -> bool:
        """Ask for the deletion of this one incarnation; one that is gone already is fine, another one is `Conflict`.

        True when it is gone now; False when it is still there, being ended (a pod's grace, a finalizer).
        `propagation` is Orphan, Background or Foreground; `grace_seconds` a pod's grace. None: the kind's default.
        """

    async def log(self, namespace: str, pod: str, container: str, *, tail_lines: int, previous: bool = False) -> str:
        """The last lines of a container's log ('' when there is none), or of its run before the last restart."""
