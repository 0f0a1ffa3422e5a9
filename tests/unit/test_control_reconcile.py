"""A pass and its errors: which words reach the app, which retry the queue is told, and that others go on."""

import logging

import pytest

from dataapp_operator.kube.errors import Conflict, LeaseLost, Missing, NotServed, Rejected, Transient
from dataapp_operator.kube.kinds import APPRELEASE, BUDGET, DATAAPP, GATEWAY, HTTPROUTE, REPLICASET, SERVICE
from dataapp_operator.kube.queue import Failed, Ok, RequeueAfter
from tests.unit.control_rig import APP, CLASS, Control, dataapp

pytestmark = pytest.mark.asyncio


def fails(error: Exception, *, verb: str, kind: str):
    return lambda v, k, _name: error if (v, k) == (verb, kind) else None


async def test_a_new_app_is_deployed_record_before_number_and_status_before_workload() -> None:
    control = Control(dataapp())
    for _ in range(3):
        assert isinstance(await control.reconciler.reconcile(APP), RequeueAfter)
    assert control.cluster.calls[:3] == [
        "create AppRelease sales-sandbox-1",
        "status DataApp sales",
        "apply PodDisruptionBudget sales-sandbox",
    ]
    assert "apply ReplicaSet sales-sandbox-1-s0" in control.cluster.calls
    assert control.words == ["ok"] * 3
    assert control.status()["environments"][0]["phase"] == "Deploying"


async def test_an_app_that_is_gone_is_forgotten() -> None:
    control = Control()
    assert await control.reconciler.reconcile(APP) == Ok()
    assert control.words == ["gone"]


@pytest.mark.parametrize(
    ("error", "word", "why"),
    [
        (Conflict("modified", code=409), "conflict", "observe again"),
        (Missing("the namespace is gone", code=404), "conflict", "observe again"),
        (Transient("busy", code=429, retry_after=7), "transient", "the same again, not before the server says"),
        (ValueError("a bug"), "bug", "this app only"),
    ],
)
async def test_what_each_error_means_for_the_queue(
    error: Exception, word: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    control = Control(dataapp(), dataapp("other", uid="uid-other"))
    control.cluster.fault = lambda _v, _k, name: error if name.startswith("sales") else None  # type: ignore[return-value]
    with caplog.at_level(logging.CRITICAL):
        result = await control.reconciler.reconcile(APP)
    assert isinstance(result, Failed), why
    assert result.at_least == getattr(error, "retry_after", 0.0)
    assert control.words == [word]
    assert control.status() == {}
    assert isinstance(await control.reconciler.reconcile(("team", "other")), RequeueAfter)
    assert control.status("other")["lastNumber"] == 1


async def test_without_the_lease_nobody_goes_on() -> None:
    control = Control(dataapp())
    control.cluster.fault = lambda *_: LeaseLost("another instance")
    with pytest.raises(LeaseLost):
        await control.reconciler.reconcile(APP)


async def test_a_conflict_of_status_loses_nothing() -> None:
    """The number was created, the status was not: the next pass adopts it."""
    control = Control(dataapp())
    control.cluster.fault = fails(Conflict("modified", code=409), verb="status", kind="DataApp")
    await control.reconciler.reconcile(APP)
    control.cluster.fault = lambda *_: None
    await control.reconciler.reconcile(APP)
    assert control.status()["lastNumber"] == 1
    assert [place[2] for place in control.cluster.objects if place[0] == APPRELEASE] == ["sales-sandbox-1"]


async def test_what_the_server_refuses_is_said_on_the_app_and_no_status_claims_it() -> None:
    control = Control(dataapp())
    control.cluster.fault = fails(Rejected("spec.image: is not allowed here"), verb="create", kind="AppRelease")
    assert isinstance(await control.reconciler.reconcile(APP), RequeueAfter)
    assert control.words == ["refused"]
    stalled = control.condition("Stalled")
    assert stalled["reason"] == "Refused"
    assert "AppRelease sales-sandbox-1" in stalled["message"]
    assert "is not allowed here" in stalled["message"]
    assert "candidate" not in control.status()["environments"][0]
    control.cluster.fault = lambda *_: None
    await control.reconciler.reconcile(APP)
    assert control.status()["environments"][0]["candidate"] == 1
    assert control.condition("Stalled") == {}


async def test_a_refused_deletion_names_the_object_in_words() -> None:
    control = Control(dataapp())
    await control.reconciler.reconcile(APP)
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": "sales-sandbox",
            "namespace": "team",
            "labels": {"dataapps.dev/app": "sales", "dataapps.dev/environment": "sandbox"},
            "ownerReferences": [{"uid": "uid-sales"}],
        },
        "spec": {},
    }
    control.add(route)
    control.cluster.fault = fails(Rejected("you may not"), verb="delete", kind="HTTPRoute")
    await control.reconciler.reconcile(APP)
    assert (
        control.condition("Stalled")["message"] == "sandbox: the cluster refuses HTTPRoute sales-sandbox: you may not"
    )


async def test_a_record_that_cannot_be_written_does_not_hold_up_its_release(caplog: pytest.LogCaptureFixture) -> None:
    control = Control(dataapp())
    control.cluster.fault = fails(Rejected("too long"), verb="status", kind="AppRelease")
    with caplog.at_level(logging.CRITICAL):
        for _ in range(3):
            await control.reconciler.reconcile(APP)
    assert control.words == ["ok"] * 3
    assert ("apply ReplicaSet sales-sandbox-1-s0") in control.cluster.calls


async def test_a_cluster_without_routes_is_told_as_such() -> None:
    control = Control(dataapp())
    control.cluster.fault = lambda _v, kind, _n: NotServed(HTTPROUTE) if kind == "Service" else None
    await control.reconciler.reconcile(APP)
    assert isinstance(await control.reconciler.reconcile(APP), Failed)
    control.cluster.fault = lambda *_: None
    await control.reconciler.reconcile(APP)
    assert control.condition("Stalled")["reason"] == "GatewayAPIMissing"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spec": {"image": "x", "app": {"framework": "excel"}}}, "spec.app.framework: Input should be"),
        ({"status": {"environments": [{"name": "sandbox", "stable": "thirteen"}]}}, "status.environments.0.stable"),
    ],
)
async def test_an_app_this_version_cannot_read_is_told_and_its_memory_is_left(change: dict, says: str) -> None:
    control = Control(dataapp(status={"lastNumber": 13, "environments": [{"name": "sandbox", "stable": 13}]}))
    control.add(control.cluster.objects[DATAAPP, *APP] | change)
    memory = control.status()["environments"]
    for _ in range(2):
        assert await control.reconciler.reconcile(APP) == Ok()
    assert control.words == ["invalid"] * 2
    for kind, status in (("Ready", "False"), ("Stalled", "True")):
        found = control.condition(kind)
        assert (found["status"], found["reason"]) == (status, "InvalidSpec")
        assert says in found["message"]
    assert control.status()["environments"] == memory, "the only memory there is"
    assert control.cluster.calls == ["status DataApp sales"], "said once"


async def test_one_class_that_cannot_be_read_troubles_only_who_uses_it() -> None:
    old = {**CLASS, "metadata": {"name": "old", "uid": "uid-old"}, "spec": {"gateway": CLASS["spec"]["gateway"]}}
    user = dataapp("user", uid="uid-user")
    user["spec"]["environments"] = [{"name": "old"}]
    control = Control(dataapp(), user, classes=(CLASS, old))
    await control.reconciler.reconcile(APP)
    await control.reconciler.reconcile(("team", "user"))
    assert control.status()["environments"][0]["candidate"] == 1
    stalled = control.condition("Stalled", "user")
    assert stalled["reason"] == "EnvironmentClassMissing"
    assert "cannot be read" in stalled["message"]
    assert "hostTemplate" in stalled["message"]


async def test_a_record_that_cannot_be_read_troubles_nobody(caplog: pytest.LogCaptureFixture) -> None:
    control = Control(dataapp())
    labels = {"dataapps.dev/app": "sales", "dataapps.dev/environment": "sandbox", "dataapps.dev/release": "7"}
    control.add(
        {
            "apiVersion": "dataapps.dev/v1alpha1",
            "kind": "AppRelease",
            "metadata": {
                "name": "sales-sandbox-7",
                "namespace": "team",
                "labels": labels,
                "ownerReferences": [{"uid": "uid-sales"}],
            },
            "spec": {"app": "sales"},
        }
    )
    with caplog.at_level(logging.CRITICAL):
        await control.reconciler.reconcile(APP)
    assert control.words == ["ok"]


async def test_an_app_created_again_waits_for_the_parts_of_the_deleted_one() -> None:
    control = Control(dataapp())
    for _ in range(3):
        await control.reconciler.reconcile(APP)
    control.remove(DATAAPP, "sales")
    control.remove(APPRELEASE, "sales-sandbox-1")
    control.add(dataapp(uid="uid-again"))
    control.cluster.calls.clear()
    await control.reconciler.reconcile(APP)
    assert control.cluster.calls == ["status DataApp sales"]
    assert "ReplicaSet sales-sandbox-1-s0" in control.condition("Ready")["message"]
    for kind in (REPLICASET, SERVICE):
        control.remove(kind, "sales-sandbox-1-s0")
    for route in ("sales-sandbox-1", "sales-sandbox-1.preview"):
        control.remove(HTTPROUTE, route)
    control.remove(BUDGET, "sales-sandbox")
    await control.reconciler.reconcile(APP)
    assert control.status()["environments"][0]["candidate"] == 1


async def test_a_living_pod_of_a_deleted_app_is_waited_for_and_a_dying_one_is_not() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "sales-sandbox-1-s0-x",
            "namespace": "team",
            "labels": {
                "dataapps.dev/app": "sales",
                "dataapps.dev/environment": "sandbox",
                "dataapps.dev/release": "1",
                "dataapps.dev/slot": "s0",
            },
            "ownerReferences": [{"uid": "uid-of-a-replicaset-that-is-gone"}],
        },
    }
    control = Control(dataapp(), pod)
    await control.reconciler.reconcile(APP)
    assert "Pod sales-sandbox-1-s0-x" in control.condition("Ready")["message"]
    dying = {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2026-11-22T10:00:00Z"}}
    control.add(dying)
    await control.reconciler.reconcile(APP)
    assert control.status()["environments"][0]["candidate"] == 1


async def test_what_was_found_out_about_a_deleted_app_is_not_known_of_the_new_one() -> None:
    control = Control(dataapp())
    await control.reconciler.reconcile(APP)
    desk = control.workbench.facts(APP)
    control.remove(DATAAPP, "sales")
    control.add(dataapp(uid="uid-again"))
    await control.reconciler.reconcile(APP)
    assert control.workbench.facts(APP) is not desk


async def test_a_missing_gateway_is_named() -> None:
    control = Control(dataapp())
    control.remove(GATEWAY, "public", "gateways")
    await control.reconciler.reconcile(APP)
    assert control.condition("Stalled")["reason"] == "GatewayMissing"
    assert "gateways/public" in control.condition("Stalled")["message"]


async def test_a_question_about_a_gateway_is_left_off_before_what_it_asks_by_is_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control = Control(dataapp())
    await control.reconciler.reconcile(APP)
    order: list[str] = []
    control.cluster.fault = lambda verb, kind, name: order.append(verb)
    monkeypatch.setattr(control.workbench, "leave_off", lambda app, wanted: order.append("left off"))
    await control.reconciler.reconcile(APP)
    assert order[0] == "left off"
    assert len(order) > 1
