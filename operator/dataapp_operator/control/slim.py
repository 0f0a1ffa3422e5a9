"""What the store keeps of each kind: only the fields that decisions read.

A pod is 8 KiB on the wire and about 1 KiB here; a thousand apps then fit into the memory the operator may use.
"""

from collections.abc import Callable
from typing import Any

from dataapp_operator.kube.kinds import (
    APPBUILD,
    APPRELEASE,
    APPSOURCE,
    AUTOSCALER,
    BUDGET,
    DATAAPP,
    DEPLOYMENT,
    ENVIRONMENTCLASS,
    GATEWAY,
    HTTPROUTE,
    JOB,
    NODE,
    POD,
    REPLICASET,
    SERVICE,
    Kind,
)
from dataapp_operator.plan.names import ANNOTATION_NUDGE, ANNOTATION_REPLICAS

Json = dict[str, Any]

_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
    "finalizers",
)


_KUBECTL = "kubectl.kubernetes.io/last-applied-configuration"


def _base(manifest: Json) -> Json:
    metadata = manifest["metadata"]
    kept = {key: metadata[key] for key in _METADATA if key in metadata}
    if metadata.get("ownerReferences"):
        kept["ownerReferences"] = [{"uid": owner["uid"]} for owner in metadata["ownerReferences"]]
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": kept}


def _whole(manifest: Json) -> Json:
    return _base(manifest) | {key: manifest[key] for key in ("spec", "status") if key in manifest}


def _annotated(manifest: Json) -> Json:
    """Whole, with annotations: people and AppSources say things by them. Not what kubectl keeps there for itself."""
    kept = _whole(manifest)
    annotations = manifest["metadata"].get("annotations") or {}
    kept["metadata"]["annotations"] = {key: value for key, value in annotations.items() if key != _KUBECTL}
    return kept


def _only_metadata(manifest: Json) -> Json:
    return _base(manifest)


def _workload(manifest: Json) -> Json:
    """A ReplicaSet or a Deployment: its size, our own annotations, and why it cannot make a pod."""
    conditions = (manifest.get("status") or {}).get("conditions") or []
    kept = _base(manifest)
    annotations = manifest["metadata"].get("annotations") or {}
    ours = {key: annotations[key] for key in (ANNOTATION_NUDGE, ANNOTATION_REPLICAS) if key in annotations}
    if ours:
        kept["metadata"]["annotations"] = ours
    return kept | {
        "spec": {"replicas": manifest["spec"].get("replicas", 1)},
        "status": {"conditions": [c for c in conditions if c.get("type") == "ReplicaFailure"]},
    }


def _autoscaler(manifest: Json) -> Json:
    """What it is told. What it does is seen in what it scales, and it reports every quarter of a minute."""
    spec = manifest["spec"]
    return _base(manifest) | {"spec": {key: spec.get(key) for key in ("minReplicas", "maxReplicas", "metrics")}}


def _budget(manifest: Json) -> Json:
    return _base(manifest) | {"spec": {"maxUnavailable": (manifest.get("spec") or {}).get("maxUnavailable")}}


def _pod(manifest: Json) -> Json:
    status = manifest.get("status") or {}
    keep = ("podIP", "conditions", "containerStatuses", "initContainerStatuses", "phase")
    node = (manifest.get("spec") or {}).get("nodeName")
    return _base(manifest) | {"spec": {"nodeName": node}, "status": {key: status[key] for key in keep if key in status}}


def _job(manifest: Json) -> Json:
    kept = _base(manifest)
    kept["metadata"]["annotations"] = manifest["metadata"].get("annotations") or {}
    return kept | {"status": manifest.get("status") or {}}


def _node(manifest: Json) -> Json:
    """Whether it takes new pods. A node tells about itself all the time; nothing else of it is of interest."""
    return _base(manifest) | {"spec": {"unschedulable": bool((manifest.get("spec") or {}).get("unschedulable"))}}


def _gateway(manifest: Json) -> Json:
    """Without ``attachedRoutes`` and conditions: they change whenever any app's route does."""
    listeners = [
        {key: listener.get(key) for key in ("name", "port", "hostname", "protocol")}
        for listener in manifest["spec"].get("listeners") or []
    ]
    addresses = (manifest.get("status") or {}).get("addresses") or []
    return _base(manifest) | {"spec": {"listeners": listeners}, "status": {"addresses": addresses}}


SLIM: dict[Kind, Callable[[Json], Json]] = {
    APPSOURCE: _annotated,
    DATAAPP: _annotated,
    APPBUILD: _whole,
    APPRELEASE: _whole,
    ENVIRONMENTCLASS: _whole,
    REPLICASET: _workload,
    DEPLOYMENT: _workload,
    AUTOSCALER: _autoscaler,
    POD: _pod,
    SERVICE: _only_metadata,
    HTTPROUTE: _whole,
    GATEWAY: _gateway,
    JOB: _job,
    BUDGET: _budget,
    NODE: _node,
}
