"""The workload of a session app: one slot = one ReplicaSet of one pod + one Service.

A ReplicaSet of one, and not a Deployment: its template never rolls and ``kubectl rollout restart`` cannot end anybody's
session. Both objects are immutable once created; a change of anything in them is a new release with new names. (An app
without sessions has one Deployment instead, with the same pods: ``deployment``.)
Every pod has the front (HAProxy, a native sidecar) between gateway and app: it counts the open sessions, sets the pin
cookie and names the release; ``preStop`` of the app asks it to answer only once nothing is open.
"""

from typing import Any

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.base import API_VERSION, seconds
from dataapp_operator.front import settings as front
from dataapp_operator.plan import names

Json = dict[str, Any]

MAX_GRACE = 3600
"""Seconds a pod evicted by others may take to drain. We never rely on it: we end pods only once they are empty."""
PORT_VARIABLE = "DATAAPP_PORT"
"""Tells an app that was built by our recipes where to listen."""
RESTART_GRACE = 30
"""Seconds an app that does not listen may take to end. The pod's grace is for sessions; here there are none to save."""

_LOCKED_DOWN: Json = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def owner(app: str, uid: str) -> Json:
    """The owner reference to the DataApp, so that nothing of an app outlives it."""
    return {"apiVersion": API_VERSION, "kind": "DataApp", "name": app, "uid": uid, "controller": True}


def service(spec: AppReleaseSpec, *, index: int, namespace: str, owned_by: Json) -> Json:
    """The Service of one slot."""
    labels = names.labels(spec.app, spec.environment, spec.number, names.slot_label(index))
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(spec, index=index, namespace=namespace, owned_by=owned_by),
        "spec": {
            "selector": labels,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": front.TRAFFIC_PORT}],
        },
    }


def budget(*, app: str, environment: str, namespace: str, owned_by: Json, may_go: int = 0) -> Json:
    """The disruption budget of an environment: evictions by others are refused, but those of pods that do not work.

    ``may_go``: how many of those that work may be evicted at a time, where none of them has sessions.
    """
    labels = names.labels(app, environment)
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": names.budget(app, environment),
            "namespace": namespace,
            "labels": labels,
            "ownerReferences": [owned_by],
        },
        "spec": {
            "maxUnavailable": may_go,
            "selector": {"matchLabels": labels},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def replicaset(
    spec: AppReleaseSpec, *, index: int, namespace: str, owned_by: Json, front_image: str, nudge: str = ""
) -> Json:
    """The ReplicaSet of one slot. A new ``nudge`` changes nothing but makes its controller try again."""
    about = metadata(spec, index=index, namespace=namespace, owned_by=owned_by)
    if nudge:
        about["annotations"] = {names.ANNOTATION_NUDGE: nudge}
    labels = names.labels(spec.app, spec.environment, spec.number, names.slot_label(index))
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": about,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": template(spec, index=index, front_image=front_image),
        },
    }


def template(spec: AppReleaseSpec, *, index: int, front_image: str) -> Json:
    """The pods of a slot."""
    return {
        "metadata": {
            "labels": names.labels(spec.app, spec.environment, spec.number, names.slot_label(index)),
            "annotations": {"kubectl.kubernetes.io/default-container": "app"},
        },
        "spec": _pod(spec, index=index, front_image=front_image),
    }


def metadata(spec: AppReleaseSpec, *, index: int, namespace: str, owned_by: Json) -> Json:
    """Name, labels and owner of what a slot consists of."""
    return {
        "name": names.slot(spec.app, spec.environment, spec.number, index),
        "namespace": namespace,
        "labels": names.labels(spec.app, spec.environment, spec.number, names.slot_label(index)),
        "ownerReferences": [owned_by],
    }


def _pod(spec: AppReleaseSpec, *, index: int, front_image: str) -> Json:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": min(seconds(spec.plan.drain.max), MAX_GRACE),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.labels(spec.app, spec.environment, spec.number)},
            }
        ],
        "initContainers": [_front(spec, index=index, image=front_image)],
        "containers": [_app(spec)],
    }


def _front(spec: AppReleaseSpec, *, index: int, image: str) -> Json:
    env = front.environment(
        app_port=spec.run.port,
        cookie=names.cookie(spec.app, spec.environment, spec.plan.cookie),
        kind=spec.plan.cookie,
        other=names.other_cookie(spec.app, spec.environment, spec.plan.cookie),
        pin=names.pin(spec.number, index),
        release=spec.number,
        sessions=spec.plan.sessions_per_replica,
    )
    return {
        "name": "front",
        "image": image,
        "command": list(front.COMMAND),
        "restartPolicy": "Always",
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [
            {"name": "traffic", "containerPort": front.TRAFFIC_PORT},
            {"name": "probe", "containerPort": front.PROBE_PORT},
            {"name": "agent", "containerPort": front.AGENT_PORT},
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": _LOCKED_DOWN | {"readOnlyRootFilesystem": True},
        "startupProbe": {
            "httpGet": {"port": front.AGENT_PORT, "path": front.HEALTH_PATH},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        "livenessProbe": {
            "httpGet": {"port": front.AGENT_PORT, "path": front.HEALTH_PATH},
            "periodSeconds": 20,
            "failureThreshold": 6,
        },
    }


def _app(spec: AppReleaseSpec) -> Json:
    """The app's container, with TCP probes only.

    A busy R or Python process answers HTTP late: an HTTP liveness probe restarts a healthy app at about 16 users.
    """
    listening: Json = {"tcpSocket": {"port": spec.run.port}, "timeoutSeconds": 3}
    resources = spec.run.resources
    given = [v.wire() for v in spec.run.env]
    defaults = [] if any(v["name"] == "HOME" for v in given) else [{"name": "HOME", "value": "/tmp"}]  # noqa: S108 - in the pod
    return {
        "name": "app",
        "image": spec.image,
        "env": [*defaults, {"name": PORT_VARIABLE, "value": str(spec.run.port)}, *given],
        "ports": [{"name": "app", "containerPort": spec.run.port}],
        "resources": {
            "requests": {"cpu": resources.cpu, "memory": resources.memory},
            "limits": {"memory": resources.memory},
        },
        "securityContext": _LOCKED_DOWN,
        "startupProbe": listening
        | {
            "periodSeconds": 1,
            "failureThreshold": max(seconds(spec.plan.probe.startup), 1),
            "terminationGracePeriodSeconds": RESTART_GRACE,
        },
        "readinessProbe": listening | {"periodSeconds": 1, "failureThreshold": 2},
        "livenessProbe": listening
        | {"periodSeconds": 20, "failureThreshold": 6, "terminationGracePeriodSeconds": RESTART_GRACE},
        "lifecycle": {"preStop": {"httpGet": {"port": front.AGENT_PORT, "path": front.DRAIN_PATH}}},
    }
