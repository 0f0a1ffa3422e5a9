"""The workload of an app without sessions: one Deployment and one Service for a release, and perhaps an autoscaler.

It is made once and never applied again as a whole. How many pods it has is the business of whoever scales it
(``kubectl scale``, an autoscaler) from then on; the author's own number is written only when the author changes it, by a
manager of its own for exactly that field. Its template is the release's and never changes: what rolls it is a person's
``kubectl rollout restart``, one more pod at a time, which costs nobody anything.
"""

from typing import Any

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.base import seconds
from dataapp_operator.api.dataapp import Replicas
from dataapp_operator.plan import names, workload
from dataapp_operator.plan.facts import AutoscalerFacts, DeploymentFacts

Json = dict[str, Any]

SLOT = 0
"""A Deployment is the only slot of its release: one pin, one Service."""
APART = 300
"""Seconds beyond steps and bake for which a release keeps the pods that it had visitors for: it may get them back."""
LONGEST = 3600
"""Seconds of such a window at the most; the API server has no longer one."""


def manifest(
    spec: AppReleaseSpec, *, namespace: str, owned_by: Json, front_image: str, replicas: int, asked: int
) -> Json:
    """The Deployment. ``asked``: the author's number, where it begins with another one."""
    about = workload.metadata(spec, index=SLOT, namespace=namespace, owned_by=owned_by)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": about | {"annotations": {names.ANNOTATION_REPLICAS: str(asked)}},
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": about["labels"]},
            "template": workload.template(spec, index=SLOT, front_image=front_image),
        },
    }


def size(known: DeploymentFacts, *, namespace: str, replicas: int) -> Json:
    """The author's new number, for exactly this Deployment, and nothing else of it."""
    annotations = {names.ANNOTATION_REPLICAS: str(replicas)}
    return _part(known, namespace, annotations) | {"spec": {"replicas": replicas}}


def nudge(known: DeploymentFacts, *, namespace: str, value: str) -> Json:
    """A new annotation, which its controller hands on: its ReplicaSet tries again to make a pod that was refused."""
    return _part(known, namespace, {names.ANNOTATION_NUDGE: value})


def _part(known: DeploymentFacts, namespace: str, annotations: Json) -> Json:
    """With the uid: one that is gone meanwhile is not made anew from a part of it."""
    about = {"name": known.name, "namespace": namespace, "uid": known.uid, "annotations": annotations}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about}


def autoscaler(spec: AppReleaseSpec, own: Replicas, *, namespace: str, owned_by: Json) -> Json:
    """The HorizontalPodAutoscaler, by the CPU of the app's container.

    It takes nothing away while a successor is on its way: visitors may all come back.
    """
    about = workload.metadata(spec, index=SLOT, namespace=namespace, owned_by=owned_by)
    target = {"type": "Utilization", "averageUtilization": own.cpu}
    held = [spec.plan.hold, *(step.hold for step in spec.plan.steps)]
    way = seconds(spec.plan.bake) + sum(seconds(hold) for hold in held)
    window = min(way + APART, LONGEST)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": about,
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": about["name"]},
            "minReplicas": own.min,
            "maxReplicas": own.most,
            "metrics": [
                {
                    "type": "ContainerResource",
                    "containerResource": {"name": "cpu", "container": "app", "target": target},
                }
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": window}},
        },
    }


def fits(known: AutoscalerFacts | None, own: Replicas) -> bool:
    """Whether there is an autoscaler exactly where the author wants one, and as they want it."""
    if known is None or not own.by_cpu:
        return known is None and not own.by_cpu
    return (known.least, known.most, known.cpu) == (own.min, own.most, own.cpu)
