"""The kinds of objects the operator reads and writes, and where the API server keeps them.

The path of every call follows from five words (group, version, plural, kind, namespaced), so no discovery is needed at
start-up and a cluster that lacks one kind (Gateway API not installed, say) troubles only the calls for that kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object; `group` is '' for the core API."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of one object, or without `name` of all objects of a namespace, or without both of all."""
        if namespace and not self.namespaced:
            message = f"{self.kind} has no namespace, but the namespace {namespace!r} was given"
            raise ValueError(message)
        if name and self.namespaced and not namespace:
            message = f"{self.kind} {name!r} lives in a namespace, but none was given"
            raise ValueError(message)
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


DATAAPP = Kind("dataapps.dev", "v1alpha1", "dataapps", "DataApp")
APPRELEASE = Kind("dataapps.dev", "v1alpha1", "appreleases", "AppRelease")
ENVIRONMENTCLASS = Kind("dataapps.dev", "v1alpha1", "environmentclasses", "EnvironmentClass", namespaced=False)
APPSOURCE = Kind("dataapps.dev", "v1alpha1", "appsources", "AppSource")
APPBUILD = Kind("dataapps.dev", "v1alpha1", "appbuilds", "AppBuild")
REPLICASET = Kind("apps", "v1", "replicasets", "ReplicaSet")
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
AUTOSCALER = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
POD = Kind("", "v1", "pods", "Pod")
SERVICE = Kind("", "v1", "services", "Service")
HTTPROUTE = Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
GATEWAY = Kind("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
JOB = Kind("batch", "v1", "jobs", "Job")
BUDGET = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
NODE = Kind("", "v1", "nodes", "Node", namespaced=False)
EVENT = Kind("events.k8s.io", "v1", "events", "Event")
SECRET = Kind("", "v1", "secrets", "Secret")
SUBJECTACCESSREVIEW = Kind(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")

ALL = (
    *(APPSOURCE, DATAAPP, APPBUILD, APPRELEASE, ENVIRONMENTCLASS),
    *(REPLICASET, DEPLOYMENT, AUTOSCALER, POD, SERVICE, HTTPROUTE, GATEWAY, JOB, BUDGET, NODE, EVENT, SECRET),
    *(SUBJECTACCESSREVIEW, LEASE),
)
_BY_NAME = {(kind.api_version, kind.kind): kind for kind in ALL}


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind a manifest declares; `ValueError` for one that this operator does not handle."""
    declared = (manifest.get("apiVersion"), manifest.get("kind"))
    try:
        return _BY_NAME[declared]  # type: ignore[index]  # a missing word simply is not found
    except KeyError:
        message = f"no kind of ours: apiVersion {declared[0]!r}, kind {declared[1]!r}"
        raise ValueError(message) from None
