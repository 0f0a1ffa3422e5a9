"""From manifests as clusters really write them to facts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dataapp_operator.api.environmentclass import GatewayRef
from dataapp_operator.control import parse
from dataapp_operator.control.slim import SLIM
from dataapp_operator.kube.kinds import GATEWAY, POD, REPLICASET
from dataapp_operator.plan.facts import Exit

LABELS = {
    "dataapps.dev/app": "sales",
    "dataapps.dev/environment": "production",
    "dataapps.dev/release": "14",
    "dataapps.dev/slot": "s0",
}


def meta(**more: Any) -> dict[str, Any]:
    return {"name": "x", "namespace": "team", "uid": "u", "resourceVersion": "7", "generation": 3} | more


def parent(*conditions: tuple[str, str, int | None], reason: str = "Why", message: str = "words") -> dict[str, Any]:
    return {
        "parentRef": {"name": "public"},
        "controllerName": "traefik.io/gateway-controller",
        "conditions": [
            {"type": kind, "status": status, "reason": reason, "message": message}
            | ({} if generation is None else {"observedGeneration": generation})
            for kind, status, generation in conditions
        ],
    }


YES = parent(("Accepted", "True", 3), ("ResolvedRefs", "True", 3))
STALE = parent(("Accepted", "True", 2), ("ResolvedRefs", "True", 2))
NO = parent(("Accepted", "False", 3), ("ResolvedRefs", "True", 3), reason="NotAllowedByListeners", message="no")
STALE_NO = parent(("Accepted", "False", 2), ("ResolvedRefs", "True", 2))


@pytest.mark.parametrize(
    ("parents", "accepted", "words", "why"),
    [
        (None, None, "", "no gateway has answered"),
        ([], None, "", "no gateway has answered"),
        ([YES], True, "", "both conditions, this generation"),
        ([STALE], None, "", "what was said of an older version does not count"),
        ([STALE_NO], None, "", "neither does a refusal of it"),
        ([parent(("Accepted", "True", 3))], None, "", "backends not resolved yet"),
        ([parent(("Accepted", "True", 3), ("ResolvedRefs", "True", 2))], None, "", "half of it is old"),
        (
            [parent(("Accepted", "True", None), ("ResolvedRefs", "True", None))],
            True,
            "",
            "one that counts no generations",
        ),
        ([NO], False, "NotAllowedByListeners: no", "in the gateway's words"),
        (
            [parent(("Accepted", "True", 3), ("ResolvedRefs", "False", 3), reason="BackendNotFound", message="")],
            False,
            "BackendNotFound",
            "a reason without a message",
        ),
        ([NO, YES], True, "", "another gateway that also saw it takes nothing away"),
        ([STALE, NO], False, "NotAllowedByListeners: no", "the current answer counts"),
        ([{"parentRef": {"name": "public"}}], None, "", "a parent without conditions"),
    ],
)
def test_what_a_gateway_says_of_a_route(*, parents: Any, accepted: bool | None, words: str, why: str) -> None:
    manifest = {"metadata": meta(), "spec": {"rules": []}} | (
        {} if parents is None else {"status": {"parents": parents}}
    )
    facts = parse.route(manifest)
    assert (facts.accepted, facts.words) == (accepted, words), why
    assert (facts.name, facts.uid, facts.resource_version, facts.deleting) == ("x", "u", "7", False)


def pod(status: dict[str, Any], **metadata: Any) -> Any:
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(labels=LABELS, **metadata),
        "status": status,
        "spec": {},
    }
    return parse.pod(SLIM[POD](manifest))


READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T10:00:00Z"}
UNREADY = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-22T10:00:05Z"}
ENDED = {
    "exitCode": 137,
    "reason": "OOMKilled",
    "startedAt": "2026-11-22T10:00:00Z",
    "finishedAt": "2026-11-22T10:00:09Z",
}
OOM = Exit(137, "OOMKilled", 9.0, datetime(2026, 11, 22, 10, 0, 9, tzinfo=UTC))


def test_a_pod_that_runs() -> None:
    facts = pod(
        {
            "phase": "Running",
            "podIP": "10.244.0.7",
            "conditions": [{"type": "PodScheduled", "status": "True"}, READY],
            "containerStatuses": [{"name": "app", "state": {"running": {}}, "started": True, "restartCount": 0}],
            "initContainerStatuses": [{"name": "front", "state": {"running": {}}, "started": True, "restartCount": 1}],
        }
    )
    assert (facts.ready, facts.unready_since, facts.ip, facts.slot, facts.over) == (
        True,
        None,
        "10.244.0.7",
        "s0",
        False,
    )
    assert (facts.app.running, facts.app.started, facts.front.restarts) == (True, True, 1)
    assert facts.unschedulable is None


def test_a_pod_that_nobody_has_looked_at_yet() -> None:
    facts = pod({}, creationTimestamp="2026-11-22T10:00:00Z")
    assert (facts.ready, facts.ip) == (False, None)
    assert facts.unready_since == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert facts.app.waiting is None


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_over_whatever_its_conditions_say(phase: str) -> None:
    facts = pod({"phase": phase, "reason": "Evicted", "conditions": [READY]})
    assert (facts.over, facts.ready) == (True, False)


def test_a_pod_without_room() -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert pod({"conditions": [scheduled]}).unschedulable == "0/1 nodes"
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "held"}
    assert pod({"conditions": [gated]}).unschedulable is None


@pytest.mark.parametrize(
    ("status", "expected", "why"),
    [
        ({"state": {"terminated": ENDED}, "restartCount": 0}, OOM, "it has just ended"),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": ENDED},
                "restartCount": 3,
            },
            OOM,
            "between two tries",
        ),
        (
            {"state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}, "restartCount": 1},
            Exit(1, "", 0.0),
            "a runtime that kept no times",
        ),
        ({"state": {"running": {}}, "restartCount": 0}, None, "it never ended"),
    ],
)
def test_how_a_container_ended(status: dict[str, Any], expected: Exit | None, why: str) -> None:
    facts = pod({"containerStatuses": [{"name": "other"}, {"name": "app"} | status]})
    assert facts.app.last_exit == expected, why
    assert facts.app.restarts == status["restartCount"]


def test_a_container_that_waits_says_for_what() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "not found"}
    facts = pod({"containerStatuses": [{"name": "app", "state": {"waiting": waiting}}]})
    assert (facts.app.waiting, facts.app.waiting_message) == ("ImagePullBackOff", "not found")


@pytest.mark.parametrize(
    ("condition", "failure"),
    [
        ({"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}, "exceeded quota"),
        ({"type": "ReplicaFailure", "status": "False", "message": "exceeded quota"}, None),
        ({"type": "Other", "status": "True", "message": "x"}, None),
    ],
)
def test_why_a_pod_cannot_be_created(condition: dict[str, Any], failure: str | None) -> None:
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": meta(labels=LABELS, annotations={"dataapps.dev/nudge": "5", "other": "x"}),
        "spec": {"replicas": 0, "template": {}},
        "status": {"conditions": [condition]},
    }
    facts = parse.replicaset(SLIM[REPLICASET](manifest))
    assert (facts.create_failure, facts.replicas, facts.nudge) == (failure, 0, "5")


def test_slots_are_put_together_from_their_labels() -> None:
    thing = {"metadata": meta(labels=LABELS), "spec": {}}
    found = parse.slots(
        [thing],
        [thing],
        [thing, {"metadata": meta(labels={**LABELS, "dataapps.dev/slot": "s1"})}, {"metadata": meta()}],
    )
    assert set(found) == {("production", 14)}
    assert set(found["production", 14]) == {"s0", "s1"}
    assert found["production", 14]["s1"].replicaset is None
    assert len(found["production", 14]["s0"].pods) == 1


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        (LABELS, ("production", 14)),
        ({**LABELS, "dataapps.dev/release": "latest"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_release_of_a_child(labels: dict[str, str] | None, key: object) -> None:
    assert parse.release_key({"metadata": {"labels": labels} if labels is not None else {}}) == key


def gateway(addresses: list[dict[str, str]], **ref: Any) -> Any:
    listeners = [{"name": "http", "port": 8000, "protocol": "HTTP"}, {"name": "inner", "port": 9000}]
    listeners.append({"name": "tls", "port": 8443, "protocol": "HTTPS"})
    manifest = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": meta(),
        "spec": {"listeners": listeners},
        "status": {"addresses": addresses, "listeners": [{"attachedRoutes": 99}]},
    }
    return parse.gateway(SLIM[GATEWAY](manifest), GatewayRef(namespace="gateways", name="public", **ref))


def test_where_a_gateway_is_reached() -> None:
    assert gateway([{"value": "10.96.0.9"}]).address == "10.96.0.9:8000"
    assert gateway([{"value": "10.96.0.9"}], section_name="inner").address == "10.96.0.9:9000"
    assert gateway([{"value": "10.96.0.9"}], section_name="tls").address == "https://10.96.0.9:8443"
    assert gateway([], address="gw.example:80").address == "gw.example:80"
    assert gateway([]).words == "the Gateway has no address yet"
    assert gateway([{"value": "10.96.0.9"}], section_name="https").words == "the Gateway has no listener 'https'"
    assert parse.gateway(None, GatewayRef(namespace="a", name="b")).exists is False


@pytest.mark.parametrize(
    ("owners", "ours", "orphan"),
    [([{"uid": "new"}], True, False), ([{"uid": "old"}], False, False), ([], False, True), (None, False, True)],
)
def test_whose_an_object_is(*, owners: Any, ours: bool, orphan: bool) -> None:
    manifest = SLIM[POD]({"apiVersion": "v1", "kind": "Pod", "metadata": meta(ownerReferences=owners), "status": {}})
    assert parse.belongs_to(manifest, "new") is ours
    assert parse.is_orphan(manifest) is orphan
