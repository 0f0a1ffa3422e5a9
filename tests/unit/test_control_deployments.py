"""Deployments and what they make, as clusters really write them: read, told from slots and from strangers, made once."""

import copy
from typing import Any

import pytest

from dataapp_operator.api.status import DataAppStatus, EnvironmentStatus
from dataapp_operator.control import parse
from dataapp_operator.control.apply import Applier
from dataapp_operator.control.slim import SLIM
from dataapp_operator.kube.errors import AlreadyExists
from dataapp_operator.kube.kinds import AUTOSCALER, BUDGET, DEPLOYMENT, REPLICASET
from dataapp_operator.plan import deployment
from dataapp_operator.plan.actions import Ensure
from dataapp_operator.plan.facts import DeploymentFacts
from tests.unit.control_rig import APP, Control, dataapp

Json = dict[str, Any]
LABELS = {
    "dataapps.dev/app": "sales",
    "dataapps.dev/environment": "sandbox",
    "dataapps.dev/release": "1",
    "dataapps.dev/slot": "s0",
}
NAME = "sales-sandbox-1-s0"
API: Json = {
    "image": "registry.example.org/sales@sha256:" + "a" * 64,
    "app": {"framework": "fastapi", "replicas": {"min": 2}},
    "environments": [{"name": "sandbox"}],
}


def part(kind: str, name: str = NAME, *, owner: str | None = None, template: str | None = None, **more: Any) -> Json:
    """An object of the release; ``owner``: the uid of who made it, ``template``: the label of a Deployment's things."""
    labels = LABELS | ({"pod-template-hash": template} if template else {})
    owners = {} if owner is None else {"ownerReferences": [{"uid": owner, "controller": True}]}
    versions = {"HorizontalPodAutoscaler": "autoscaling/v2", "PodDisruptionBudget": "policy/v1", "Pod": "v1"}
    about = {"name": name, "namespace": "team", "uid": f"uid-{name}", "labels": labels, **owners}
    return {"apiVersion": versions.get(kind, "apps/v1"), "kind": kind, "metadata": about, "spec": {}, **more}


def stored(manifest: Json) -> Json:
    """As the store keeps it."""
    kinds = {kind.kind: kind for kind in SLIM}
    return SLIM[kinds[manifest["kind"]]]({**manifest, "metadata": {"resourceVersion": "7", **manifest["metadata"]}})


def test_a_deployment_is_read_with_its_size_and_its_authors_number() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    manifest = part("Deployment", spec={"replicas": 5, "template": {}}, status={"conditions": [failure]})
    annotations = {"dataapps.dev/replicas": "2", "dataapps.dev/nudge": "9", "deployment.kubernetes.io/revision": "3"}
    manifest["metadata"]["annotations"] = annotations
    assert parse.deployment(stored(manifest)) == DeploymentFacts(
        name=NAME,
        uid=f"uid-{NAME}",
        resource_version="7",
        replicas=5,
        asked=2,
        create_failure="exceeded quota",
        nudge="9",
    )
    manifest["metadata"]["annotations"] = {"dataapps.dev/replicas": "many"}
    assert parse.deployment(stored(manifest)).asked is None, "somebody's hand; the author's number is written anew"


def metric(target: Json, container: str = "app") -> Json:
    return {
        "type": "ContainerResource",
        "containerResource": {"name": "cpu", "container": container, "target": target},
    }


@pytest.mark.parametrize(
    ("spec", "read"),
    [
        (
            {
                "minReplicas": 2,
                "maxReplicas": 6,
                "metrics": [metric({"type": "Utilization", "averageUtilization": 80})],
            },
            (2, 6, 80),
        ),
        ({"maxReplicas": 6}, (0, 6, 0)),
        ({"minReplicas": 2, "maxReplicas": 6, "metrics": [metric({"averageUtilization": 80})] * 2}, (2, 6, 0)),
        ({"minReplicas": 2, "maxReplicas": 6, "metrics": [{"type": "Pods", "pods": {}}]}, (2, 6, 0)),
    ],
)
def test_an_autoscaler_is_read_as_far_as_it_is_ours(spec: Json, read: tuple[int, int, int]) -> None:
    found = parse.autoscaler(stored(part("HorizontalPodAutoscaler", spec=spec, status={"currentReplicas": 4})))
    assert (found.least, found.most, found.cpu) == read


@pytest.mark.parametrize(("value", "may_go"), [(0, 0), (1, 1), ("50%", 0), (None, 0)])
def test_how_many_may_be_evicted(value: object, may_go: int) -> None:
    assert parse.budget(stored(part("PodDisruptionBudget", spec={"maxUnavailable": value}))).may_go == may_go


def test_what_a_deployment_has_made_is_no_slot() -> None:
    made = [
        part("ReplicaSet", f"{NAME}-{word}", owner="d", template=word, spec={"replicas": 2}) for word in ("ab", "cd")
    ]
    pod = part("Pod", "p", owner="uid-x", template="cd")
    found = parse.slots(
        [stored(m) for m in made],
        [],
        [stored(pod)],
        [stored(part("Deployment", spec={"replicas": 2}))],
        [stored(part("HorizontalPodAutoscaler", spec={"minReplicas": 1, "maxReplicas": 2}))],
    )["sandbox", 1]["s0"]
    assert found.replicaset is None
    assert [facts.name for facts in found.sets] == [f"{NAME}-ab", f"{NAME}-cd"]
    assert (found.deployment.replicas, found.autoscaler.most, len(found.pods)) == (2, 2, 1)
    assert not found.gone


async def settled(control: Control) -> None:
    for _ in range(4):
        await control.reconciler.reconcile(APP)


@pytest.mark.asyncio
async def test_it_is_posted_once_and_not_touched_again() -> None:
    control = Control(dataapp(spec=API))
    await settled(control)
    made = control.cluster.objects[DEPLOYMENT, "team", NAME]
    assert made["spec"]["replicas"] == 2
    made["spec"]["replicas"] = 5  # kubectl scale
    control.add(made)
    await settled(control)
    touched = [call for call in control.cluster.calls if call.endswith(f"Deployment {NAME}")]
    assert touched == [f"create Deployment {NAME}"]
    assert f"apply ReplicaSet {NAME}" not in control.cluster.calls


@pytest.mark.asyncio
@pytest.mark.parametrize("whose", ["ours", "an earlier app's"])
async def test_one_that_is_there_is_adopted_or_waited_for(whose: str) -> None:
    control = Control(dataapp(spec=API))
    there = part("Deployment", owner="uid-sales" if whose == "ours" else "uid-earlier", spec={"replicas": 4})
    control.cluster.put(there)  # the watch has not told us
    for _ in range(4):
        await control.reconciler.reconcile(APP)
    assert control.cluster.objects[DEPLOYMENT, "team", NAME]["spec"]["replicas"] == 4
    known = control.store.get(DEPLOYMENT, "team", NAME)
    assert (known is not None) is (whose == "ours")
    assert ("conflict" in control.words) is (whose != "ours")


@pytest.mark.asyncio
async def test_one_that_vanishes_before_it_can_be_adopted_is_no_error_of_ours() -> None:
    control = Control(dataapp(spec=API))
    exists = AlreadyExists("it exists", code=409)
    control.cluster.fault = lambda verb, kind, _: exists if (verb, kind) == ("create", "Deployment") else None
    await settled(control)
    assert "conflict" in control.words
    control.cluster.fault = lambda *_: None
    await settled(control)
    assert (DEPLOYMENT, "team", NAME) in control.cluster.objects


@pytest.mark.asyncio
async def test_its_size_is_written_as_a_part_of_its_own() -> None:
    control = Control(dataapp(spec=API))
    there = part("Deployment", owner="uid-sales", spec={"replicas": 4, "template": {"spec": {}}})
    control.add(there)
    known = parse.deployment(control.store.get(DEPLOYMENT, "team", NAME))
    applier = Applier(control.cluster, control.store, on_change=lambda _: None)
    await applier.act("team", Ensure(deployment.size(known, namespace="team", replicas=2), part="size"))
    assert (control.cluster.calls, control.cluster.parts) == ([f"apply Deployment {NAME}"], ["size"])
    assert control.cluster.objects[DEPLOYMENT, "team", NAME]["spec"] == {"replicas": 2, "template": {"spec": {}}}
    read = parse.deployment(control.store.get(DEPLOYMENT, "team", NAME))
    assert (read.replicas, read.asked) == (2, 2), "the next pass sees it"


def with_parts(*parts: Json, removing: tuple[int, ...] = ()) -> Control:
    """An app that has such parts, and perhaps removes its first release."""
    memory = EnvironmentStatus(name="sandbox", removing=removing)
    status = DataAppStatus(environments=(memory,), last_number=1).wire()
    return Control(dataapp(spec=API, status=status), *(copy.deepcopy(p) for p in parts))


DEPLOYED = part("Deployment", owner="uid-sales", spec={"replicas": 1})
MADE = part("ReplicaSet", f"{NAME}-ab", owner=f"uid-{NAME}", template="ab", spec={"replicas": 1})
POD = part("Pod", "p", owner=f"uid-{NAME}-ab", template="ab")


def observed(control: Control) -> Any:
    found = control.observer.observe(APP, {})
    assert found is not None
    return found


def test_replicasets_of_our_deployment_and_their_pods_are_no_strangers() -> None:
    found = observed(with_parts(DEPLOYED, MADE, POD))
    assert found.strangers == ()
    slot = found.slots["sandbox", 1]["s0"]
    assert (len(slot.sets), len(slot.pods)) == (1, 1)


@pytest.mark.parametrize("orphaned", [True, False])
def test_what_a_deployment_that_is_removed_has_left_is_still_ours(*, orphaned: bool) -> None:
    """Its end may be told before its ReplicaSet is told to be an orphan: in between nobody may take its pods for alone."""
    left = copy.deepcopy(MADE)
    if orphaned:
        del left["metadata"]["ownerReferences"]
    found = observed(with_parts(left, POD, removing=(1,)))
    assert found.strangers == ()
    assert [facts.name for facts in found.slots["sandbox", 1]["s0"].sets] == [f"{NAME}-ab"]


def test_what_a_deleted_apps_deployment_has_left_is_a_strangers() -> None:
    found = observed(with_parts(part("Deployment", owner="uid-earlier"), MADE, POD))
    assert set(found.strangers) == {f"Deployment {NAME}", f"ReplicaSet {NAME}-ab", "Pod p"}


def test_all_of_it_is_watched_by_our_label() -> None:
    assert {DEPLOYMENT, AUTOSCALER, REPLICASET, BUDGET} <= set(SLIM)
