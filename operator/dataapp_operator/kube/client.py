"""The port `Cluster` on a real API server.

Two rules hold for every write. Before it, `guard` is asked: it raises when this process does not hold the operator's
Lease, so a second instance never writes. And there is one field manager: what a manifest of ours stops saying, the
server takes back, and what others own is left alone. The time limit of a write is told to the server too, which then
gives up by itself: a write that we have stopped waiting for does not land later, when another instance may be leading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataapp_operator.kube.errors import Missing, Rejected, Transient
from dataapp_operator.kube.kinds import POD, kind_of
from dataapp_operator.kube.port import Listing
from dataapp_operator.kube.transport import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dataapp_operator.kube.kinds import Kind
    from dataapp_operator.kube.port import Manifest
    from dataapp_operator.kube.transport import Transport

FIELD_MANAGER = "dataapp-operator"
PAGE = 500  # objects in one answer of a list
READ_SECONDS = 20.0
LIST_SECONDS = 60.0  # for one page
WRITE_SECONDS = 5.0  # not above the safety margin of the Lease, see kube.lease
LOG_BYTES = 1 << 20  # of a log at most: a line may be as long as an app likes
LIST_ATTEMPTS = 3
EXPIRED = 410
BAD_REQUEST = 400


class ApiCluster:
    """`Cluster` over a `Transport`; `guard` raises `LeaseLost` when this process may not write."""

    def __init__(
        self, transport: Transport, *, guard: Callable[[], None], write_seconds: float = WRITE_SECONDS
    ) -> None:
        self._transport = transport
        self._guard = guard
        self._write_seconds = write_seconds

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        request = Request("get", kind, "GET", kind.path(namespace, name), READ_SECONDS, {})
        try:
            return await self._transport.json(request)
        except Missing:
            return None

    async def list(self, kind: Kind, *, label_selector: str | None = None) -> Listing:
        for _ in range(LIST_ATTEMPTS):
            try:
                return await self._pages(kind, label_selector)
            except Transient as error:
                # The next page of a list that took too long is gone: only a list from the start is consistent.
                if error.code != EXPIRED:
                    raise
                expired = error
        raise expired

    async def _pages(self, kind: Kind, label_selector: str | None) -> Listing:
        query = {"limit": str(PAGE)} | ({"labelSelector": label_selector} if label_selector else {})
        items: list[Manifest] = []
        while True:
            page = await self._transport.json(Request("list", kind, "GET", kind.path(), LIST_SECONDS, query))
            # The items of a list of a built-in kind do not say what they are.
            items += [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page["items"]]
            if not (token := page["metadata"].get("continue")):
                return Listing(tuple(items), int(page["metadata"]["resourceVersion"]))
            query["continue"] = token

    async def create(self, manifest: Manifest) -> Manifest:
        # What is only asked, and not kept, has no name (SubjectAccessReview).
        kind, namespace = kind_of(manifest), manifest["metadata"].get("namespace")
        return await self._write("create", kind, "POST", kind.path(namespace), manifest)

    async def replace(self, manifest: Manifest) -> Manifest:
        """PUT: the object becomes this manifest, if its resourceVersion is still the manifest's (else `Conflict`)."""
        kind, namespace, name = _address(manifest)
        return await self._write("update", kind, "PUT", kind.path(namespace, name), manifest)

    async def apply(self, manifest: Manifest, *, subresource: str | None = None, part: str | None = None) -> Manifest:
        kind, namespace, name = _address(manifest)
        # `managedFields` may not be sent in an apply; everything else travels as it is.
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
        return await self._write(
            "apply", kind, "PATCH", kind.path(namespace, name, subresource), manifest | {"metadata": metadata}, part
        )

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
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {key: value for key, value in preconditions.items() if value is not None},
            "propagationPolicy": propagation,
            "gracePeriodSeconds": grace_seconds,
        }
        body = {key: value for key, value in options.items() if value is not None}
        try:
            answer = await self._write("delete", kind, "DELETE", kind.path(namespace, name), body)
        except Missing:
            return True
        # What is gone at once is answered with a Status, what still has to end with the object itself.
        return answer.get("kind") == "Status"

    async def log(self, namespace: str, pod: str, container: str, *, tail_lines: int, previous: bool = False) -> str:
        query = {"container": container, "tailLines": str(tail_lines), "limitBytes": str(LOG_BYTES)}
        if previous:
            query["previous"] = "true"
        try:
            return await self._transport.text(
                Request("log", POD, "GET", POD.path(namespace, pod, "log"), READ_SECONDS, query)
            )
        except Missing:
            return ""
        except Rejected as error:
            # 400: the container waits to start, or there was no run before this one. 403 is a right that we lack.
            if error.code != BAD_REQUEST:
                raise
            return ""

    async def _write(
        self, verb: str, kind: Kind, method: str, path: str, body: Manifest, part: str | None = None
    ) -> Manifest:
        query = {"timeout": f"{self._write_seconds:g}s"}
        if method != "DELETE":
            manager = FIELD_MANAGER if part is None else f"{FIELD_MANAGER}-{part}"
            query |= {"fieldManager": manager, "fieldValidation": "Strict"}
        if method == "PATCH":
            query["force"] = "true"
        content_type = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        self._guard()
        return await self._transport.json(
            Request(verb, kind, method, path, self._write_seconds, query, body, content_type)
        )


def _address(manifest: Manifest) -> tuple[Kind, str | None, Any]:
    """Where a manifest belongs: its kind, its namespace (None for a kind without), its name."""
    return kind_of(manifest), manifest["metadata"].get("namespace"), manifest["metadata"]["name"]
