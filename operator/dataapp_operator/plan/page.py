"""The page that new visitors get while an app that cannot run twice is renewed: a front without an app.

It is a slot like any other, of a release with the number 0, which no release has. So all that is kept true of routes
(somebody answers before visitors are sent there, the gateway is seen to do it, weights sum up) is true of it too.
"""

from typing import Any

from dataapp_operator.front import settings as front
from dataapp_operator.plan import names, routes, workload
from dataapp_operator.plan.actions import Ensure
from dataapp_operator.plan.scene import Draft, Scene

Json = dict[str, Any]

_LOCKED_DOWN: Json = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def ensure(scene: Scene, draft: Draft) -> None:
    """Keep the page's slot as it should be."""
    where = {"app": scene.app, "environment": scene.env, "namespace": scene.observed.namespace}
    owned_by, slot = workload.owner(scene.app, scene.observed.uid), scene.slot(names.PAGE, 0)
    if slot.service is None:
        draft.actions.append(Ensure(service(**where, owned_by=owned_by)))
    if slot.replicaset is None or slot.replicaset.replicas != 1:
        draft.actions.append(Ensure(replicaset(**where, owned_by=owned_by, front_image=scene.observed.front_image)))


def has_visitors(scene: Scene) -> bool:
    """Whether the weights route, as far as it was observed, leads anybody to the page."""
    known = scene.observed.routes.get(names.weights_route(scene.app, scene.env))
    return known is not None and names.slot(scene.app, scene.env, names.PAGE, 0) in routes.backends_of(known.spec)


def service(*, app: str, environment: str, namespace: str, owned_by: Json) -> Json:
    """The page's Service."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(app, environment, namespace, owned_by),
        "spec": {
            "selector": _labels(app, environment),
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": front.TRAFFIC_PORT}],
        },
    }


def replicaset(*, app: str, environment: str, namespace: str, owned_by: Json, front_image: str) -> Json:
    """The page's ReplicaSet of one."""
    labels = _labels(app, environment)
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": _metadata(app, environment, namespace, owned_by),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod(front_image)},
        },
    }


def _labels(app: str, environment: str) -> dict[str, str]:
    return names.labels(app, environment, names.PAGE, names.slot_label(0))


def _metadata(app: str, environment: str, namespace: str, owned_by: Json) -> Json:
    return {
        "name": names.slot(app, environment, names.PAGE, 0),
        "namespace": namespace,
        "labels": _labels(app, environment),
        "ownerReferences": [owned_by],
    }


def _pod(front_image: str) -> Json:
    healthy: Json = {"httpGet": {"port": front.AGENT_PORT, "path": front.HEALTH_PATH}}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "page",
                "image": front_image,
                "command": list(front.COMMAND),
                "env": [{"name": name, "value": value} for name, value in front.page_environment().items()],
                "ports": [{"name": "traffic", "containerPort": front.TRAFFIC_PORT}],
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
                "securityContext": _LOCKED_DOWN,
                "readinessProbe": healthy | {"periodSeconds": 1},
                "livenessProbe": healthy | {"periodSeconds": 20, "failureThreshold": 6},
            }
        ],
    }
