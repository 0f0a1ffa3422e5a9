"""What a slot is made of: one pod that may do little, keeps its sessions, and carries no secret's value."""

import re
from typing import Any

import pytest

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.plan import desired, workload
from dataapp_operator.plan.wishes import Wish
from tests.property.world import image
from tests.property.world import spec as app_spec

SECRET = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}


def frozen(**app: Any) -> AppReleaseSpec:
    """The frozen spec of release 14 of an app."""
    base = app_spec(image("good", 14), slots=2)
    wished = base.model_validate({**base.wire(), "app": {**base.app.wire(), **app}})
    return desired.release_spec("sales", Wish(wished.image or "", wished.app), wished.environments[0], number=14)


def replicaset(spec: AppReleaseSpec | None = None, **more: Any) -> dict[str, Any]:
    return workload.replicaset(
        spec or frozen(),
        index=1,
        namespace="team",
        owned_by=workload.owner("sales", "u"),
        front_image="front@sha256:1",
        **more,
    )


def pod(spec: AppReleaseSpec | None = None) -> dict[str, Any]:
    found: dict[str, Any] = replicaset(spec)["spec"]["template"]["spec"]
    return found


def containers(spec: AppReleaseSpec | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    found = pod(spec)
    (front,), (app,) = found["initContainers"], found["containers"]
    return front, app


def test_a_slot_is_a_replicaset_of_one_and_a_service_that_selects_it() -> None:
    rs = replicaset()
    service = workload.service(frozen(), index=1, namespace="team", owned_by=workload.owner("sales", "u"))
    labels = {
        "dataapps.dev/app": "sales",
        "dataapps.dev/environment": "env0",
        "dataapps.dev/release": "14",
        "dataapps.dev/slot": "s1",
    }
    assert rs["spec"]["replicas"] == 1
    assert rs["spec"]["selector"] == {"matchLabels": labels}
    assert rs["spec"]["template"]["metadata"]["labels"] == labels
    assert service["spec"]["selector"] == labels
    assert service["spec"]["ports"][0]["targetPort"] == 18080, "traffic passes the front, which counts it"
    for child in (rs, service):
        assert child["metadata"]["name"] == "sales-env0-14-s1"
        assert child["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert "annotations" not in rs["metadata"]
    assert replicaset(nudge="5")["metadata"]["annotations"] == {"dataapps.dev/nudge": "5"}


def test_a_pod_passes_the_restricted_pod_security_standard() -> None:
    found = pod()
    security = found["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["automountServiceAccountToken"] is False
    assert found["enableServiceLinks"] is False
    assert not found.keys() & {"hostNetwork", "hostPID", "hostIPC", "volumes", "serviceAccountName"}
    for container in containers():
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in container["securityContext"]
        assert not any("hostPort" in port for port in container["ports"])
    assert containers()[0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_front_is_a_native_sidecar_that_knows_its_slot() -> None:
    front, _ = containers()
    assert front["restartPolicy"] == "Always", "else the app would wait for its end"
    env = {e["name"]: e["value"] for e in front["env"]}
    assert env["DATAAPP_PIN"] == "14.1"
    assert env["DATAAPP_RELEASE"] == "14"
    assert env["DATAAPP_COOKIE"] == "dataapp-sales-env0"
    assert env["DATAAPP_APP_PORT"] == "8501"
    assert front["image"] == "front@sha256:1"


def test_the_app_is_probed_by_connecting_only() -> None:
    """A busy R or Python process answers HTTP late: an HTTP probe would restart it because it is used."""
    _, app = containers(frozen(probe={"startup": "3m"}, port=9000))
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert app[name]["tcpSocket"] == {"port": 9000}
        assert not app[name].keys() & {"httpGet", "exec", "grpc"}
    assert app["startupProbe"]["periodSeconds"] * app["startupProbe"]["failureThreshold"] == 180
    assert app["startupProbe"]["terminationGracePeriodSeconds"] == 30, "no session to save in one that never listened"
    assert app["livenessProbe"]["periodSeconds"] * app["livenessProbe"]["failureThreshold"] >= 60


def test_before_the_app_is_told_to_end_the_front_waits_until_nothing_is_open() -> None:
    _, app = containers()
    assert app["lifecycle"] == {"preStop": {"httpGet": {"port": 18082, "path": "/drain"}}}
    assert pod()["terminationGracePeriodSeconds"] == 600, "as long as the drain may take"


@pytest.mark.parametrize(("limit", "grace"), [("10m", 600), ("1h", 3600), ("4h", 3600), ("0s", 0)])
def test_the_grace_serves_evictions_by_others_and_has_a_limit(limit: str, grace: int) -> None:
    spec = frozen()
    plan = spec.plan.model_copy(update={"drain": spec.plan.drain.model_copy(update={"max": limit})})
    assert pod(spec.model_copy(update={"plan": plan}))["terminationGracePeriodSeconds"] == grace


def test_a_secret_is_named_and_never_copied() -> None:
    spec = frozen(env=[SECRET, {"name": "REGION", "value": "emea"}])
    _, app = containers(spec)
    assert app["env"] == [
        {"name": "HOME", "value": "/tmp"},
        {"name": "DATAAPP_PORT", "value": "8501"},
        {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
        {"name": "REGION", "value": "emea"},
    ]
    assert not re.search(r"envFrom|secretName", str(replicaset(spec)))


def test_home_is_a_place_to_write_unless_the_author_says_otherwise() -> None:
    _, app = containers(frozen(env=[{"name": "HOME", "value": "/home/app"}]))
    assert app["env"] == [{"name": "DATAAPP_PORT", "value": "8501"}, {"name": "HOME", "value": "/home/app"}]


def test_memory_is_limited_and_cpu_is_not() -> None:
    """A throttled session is slow for everybody; memory that is not there ends all of them at once."""
    _, app = containers(frozen(resources={"cpu": "2", "memory": "1Gi"}))
    assert app["resources"] == {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
