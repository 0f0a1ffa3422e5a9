"""A release without sessions: what the state of its pods means, whom checks ask, and how many pods it is told to have."""

from datetime import timedelta
from typing import Any

import pytest

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan import fleet, probing
from dataapp_operator.plan.actions import AskFronts, Create, Delete, Ensure, StartCheck
from dataapp_operator.plan.facts import (
    CheckFacts,
    ContainerFacts,
    DeploymentFacts,
    Exit,
    FrontFacts,
    ObjectFacts,
    PodFacts,
    SlotFacts,
)
from dataapp_operator.plan.health import Outlook
from dataapp_operator.plan.scene import Scene
from tests.property.cluster import CLASS
from tests.unit.plan_rig import (
    START,
    World,
    at_phase,
    condition,
    decide,
    deleted,
    env,
    fresh,
    image,
    replace,
    with_slot,
    written,
)

NOW = START
LISTENS = ContainerFacts(running=True, started=True)
STARTS = ContainerFacts(running=True)


def stateless(slots: int = 2, **how: Any) -> World:
    """An app without sessions, whose first release serves."""
    world = fresh(stateless=True, slots=slots, **how)
    world.settle()
    return world


def frozen(world: World | None = None) -> AppReleaseSpec:
    """The frozen spec of release 1: two pods, which may take 30 s to start."""
    return (world or stateless()).releases["env0", 1][0]


def pod(name: str = "a", *, ready: bool = True, away: float | None = None, **more: Any) -> PodFacts:
    """A pod; with ``away``, not ready for so many seconds."""
    ready = ready and away is None
    since = None if ready else NOW - timedelta(seconds=away or 0)
    facts: dict[str, Any] = {"app": LISTENS, "ip": "10.0.0.1"} | more
    return PodFacts(name=name, uid=name, resource_version="1", ready=ready, unready_since=since, **facts)


def slot(*pods: PodFacts, replicas: int = 2, failure: str | None = None) -> SlotFacts:
    """A Deployment with its Service."""
    known = DeploymentFacts(name="d", uid="d", resource_version="1", replicas=replicas, create_failure=failure)
    return SlotFacts(deployment=known, service=ObjectFacts(name="s", uid="s", resource_version="1"), pods=pods)


@pytest.mark.parametrize(
    ("facts", "whole", "why"),
    [
        (slot(pod("a"), pod("b")), True, "as many as it began with"),
        (slot(pod("a")), False, "one is missing"),
        (slot(pod("a"), replicas=1), True, "somebody has scaled it down"),
        (slot(pod("a"), pod("b"), replicas=9), True, "those that are added need not be waited for"),
        (slot(replicas=0), False, "scaled to nothing, it answers nobody"),
        (slot(pod("a"), pod("b", deleting=True)), False, "what is being ended does not count"),
        (replace(slot(pod("a"), pod("b")), service=None), False, "nothing leads to it"),
        (SlotFacts(pods=(pod("a"), pod("b"))), False, "nobody would replace its pods"),
    ],
)
def test_it_is_whole_with_as_many_pods_as_it_began_with(facts: SlotFacts, *, whole: bool, why: str) -> None:
    assert fleet.whole(facts, frozen()) is whole, why


def test_it_answers_as_long_as_one_pod_does() -> None:
    assert slot(pod("a", away=60), pod("b")).ready
    assert not slot(pod("a", away=60)).ready


CRASHED = ContainerFacts(restarts=3, waiting="CrashLoopBackOff", last_exit=Exit(1, "Error", 0.5))
PULLING = ContainerFacts(waiting="ImagePullBackOff", waiting_message="no such image")


@pytest.mark.parametrize(
    ("facts", "outlook", "words"),
    [
        (SlotFacts(), Outlook.COMING, "it is being created"),
        (slot(), Outlook.COMING, "its pods are being created"),
        (slot(pod("a"), pod("b")), Outlook.READY, "ready"),
        (slot(pod("a"), pod("b", ready=False, app=STARTS)), Outlook.COMING, "1 of 2 pods are ready; the app runs"),
        (
            slot(pod("a"), pod("b"), pod("c", ready=False, app=CRASHED), replicas=3),
            Outlook.FAILED,
            "ended by itself 4 times",
        ),
        (slot(pod("a"), pod("b", ready=False, app=PULLING)), Outlook.FAILED, "cannot be fetched"),
        (slot(pod("a"), pod("b"), pod("c", ready=False, app=PULLING), replicas=3), Outlook.READY, "ready"),
        (slot(pod("a"), pod("b", ready=False, unschedulable="0/3")), Outlook.BLOCKED, "has room for it"),
        (slot(pod("a"), failure="exceeded quota: q"), Outlook.BLOCKED, "exceeded quota"),
    ],
)
def test_the_health_of_all_its_pods_is_one(facts: SlotFacts, outlook: Outlook, words: str) -> None:
    found = fleet.outlook(facts, frozen(), since=NOW - timedelta(seconds=120), now=NOW)
    assert found.outlook is outlook, found.message
    assert words in found.message or "quota" in words


@pytest.mark.parametrize(
    ("facts", "phase", "lost", "why"),
    [
        (slot(pod("a"), pod("b")), 600, False, "whole"),
        (slot(pod("a"), pod("b", away=9)), 600, False, "a blink"),
        (slot(pod("a"), pod("b", away=11)), 600, True, "it listened, and listens no more"),
        (slot(pod("a"), pod("b", away=30, app=STARTS)), 600, False, "another one is starting in its place"),
        (slot(pod("a"), pod("b", away=41, app=STARTS)), 600, True, "it takes longer than a start may"),
        (slot(pod("a")), 30, False, "its place was taken from it a moment ago"),
        (slot(pod("a")), 41, True, "nobody takes its place"),
        (slot(pod("a"), pod("b"), pod("c", away=99, app=STARTS), replicas=3), 600, False, "more than it needs"),
        (slot(pod("a", away=9), pod("b", away=9)), 600, False, "all of them, for a blink"),
        (slot(pod("a", away=11, app=STARTS), pod("b", away=11, app=STARTS)), 600, True, "nobody answers"),
        (slot(pod("a", away=11, app=STARTS), pod("b", away=9, app=STARTS)), 600, False, "one is young"),
        (slot(), 9, False, "nothing is there, a moment after the phase began"),
        (slot(), 11, True, "nothing is there"),
    ],
)
def test_when_it_can_no_longer_be_relied_on(facts: SlotFacts, phase: int, *, lost: bool, why: str) -> None:
    assert fleet.lost(facts, frozen(), since=NOW - timedelta(seconds=phase), now=NOW) is lost, why


def scene(world: World, facts: SlotFacts, number: int = 1) -> Scene:
    """The environment with these pods in it."""
    observed = with_slot(world.observe(), number, "s0", facts)
    return Scene(observed, world.spec.environments[0], CLASS, world.status.environment("env0"), "h.test")


def test_a_check_asks_the_pods_that_requests_come_to() -> None:
    world = stateless()
    asked = probing.whom(scene(world, slot(pod("b"), pod("a"), pod("c", away=5), pod("d", deleting=True))), 1)
    assert [target.pod for target in asked] == ["a", "b"]
    asked = probing.whom(scene(world, slot(pod("a", away=5), pod("b", away=5, ip=None))), 1)
    assert [target.pod for target in asked] == ["a"], "where none is ready, one that is not says why"


def test_of_many_pods_each_check_asks_other_ones() -> None:
    world = stateless()
    many = scene(world, slot(*(pod(f"p{n:02}") for n in range(12)), replicas=12))
    asked = {target.pod for attempt in (0, 1) for target in probing.whom(many, 1, attempt=attempt)}
    assert len(probing.whom(many, 1)) == 8
    assert len(asked) == 12


def test_before_anybody_is_sent_to_it_it_must_be_whole_to_be_checked() -> None:
    world = at_phase("Checking", world=stateless())
    half = slot(pod("a"), pod("b", ready=False, app=STARTS))
    assert probing.whom(scene(world, half, 2), 2) == ()
    assert len(probing.whom(scene(world, slot(pod("a"), pod("b")), 2), 2)) == 2
    plan = decide(with_slot(world.observe(), 2, "s0", half))
    assert not any(isinstance(work, StartCheck) for work in plan.background)


def test_sessions_are_the_sum_of_all_fronts_and_one_that_is_silent_makes_it_unknown() -> None:
    world = stateless()
    found = scene(world, slot(pod("a"), pod("b", deleting=True), pod("new", ready=False, ip=None)))
    said = {name: FrontFacts(live=live, quiet_for=0.0, at=world.now) for name, live in (("a", 3), ("b", 1))}
    asked = replace(found, observed=replace(found.observed, fronts=said))
    assert asked.sessions(1) == 4, "who is being ended still has them; who has no address never had any"
    silent = replace(found, observed=replace(found.observed, fronts={"a": said["a"]}))
    assert silent.sessions(1) is None


@pytest.mark.parametrize(("started", "taken_back"), [(True, True), (False, False)])
def test_a_pod_that_is_only_starting_does_not_take_a_baking_release_back(*, started: bool, taken_back: bool) -> None:
    world = at_phase("Baking", world=stateless())
    world.tick(12)
    app = ContainerFacts(running=True, started=started)
    since = world.now - timedelta(seconds=12)
    third = replace(pod("c", ready=False, app=app), unready_since=since)
    observed = world.observe()
    known = observed.slots["env0", 2]["s0"]
    observed = with_slot(observed, 2, "s0", replace(known, pods=(*known.pods, third)))
    plan = decide(observed)
    assert (env(plan).intent is not None) is taken_back


def test_one_that_crashes_among_many_takes_it_back() -> None:
    world = at_phase("Baking", world=stateless(slots=3))
    world.tick(1)
    world.crash(-1)
    assert env(decide(world.observe())).intent.switch_to == 1


def test_it_is_made_once_and_never_applied_as_a_whole() -> None:
    world = fresh(stateless=True)
    for _ in range(3):
        plan = decide(world.observe())
        made = [a.manifest for a in plan.actions if isinstance(a, Create)]
        if made:
            break
        world.reconcile()
    assert [(m["kind"], m["metadata"]["name"]) for m in made] == [("Deployment", "sales-env0-1-s0")]
    assert written(plan, "Service") == ["sales-env0-1-s0"]
    assert written(plan, "ReplicaSet") == []


def test_a_pod_that_the_cluster_refuses_is_tried_again_by_one_annotation() -> None:
    world = stateless()
    known = world.observe().slots["env0", 1]["s0"]
    refused = replace(known, pods=(), deployment=replace(known.deployment, create_failure="exceeded quota: q"))
    plan = decide(with_slot(world.observe(), 1, "s0", refused))
    (nudge,) = [a for a in plan.actions if isinstance(a, Ensure)]
    assert nudge.part == "nudge"
    assert set(nudge.manifest) == {"apiVersion", "kind", "metadata"}
    assert nudge.manifest["metadata"]["uid"] == known.deployment.uid
    assert condition(plan, "Ready").reason == "Unavailable"
    scaled = replace(known, deployment=replace(refused.deployment, replicas=9))
    assert decide(with_slot(world.observe(), 1, "s0", scaled)).actions == (), "there are enough: nobody is in a hurry"


def test_a_deployment_that_somebody_deletes_is_made_again_and_then_has_its_authors_number() -> None:
    world = stateless(slots=3)
    world.resize(2)
    world.settle()
    world.meddle("replicaset", 0)
    world.settle()
    (known,) = world.deployments.values()
    assert (known.replicas, known.asked) == (2, 2)


def test_it_is_taken_apart_from_the_top_and_its_pods_are_ended_by_us() -> None:
    world = stateless()
    world.push(image("good", 2))
    steps: list[list[tuple[str, str]]] = []
    for _ in range(200):
        plan = decide(world.observe())
        gone = [step for step in deleted(plan) if step[1].startswith(("sales-env0-1", "pod-"))]
        steps += [gone] if gone else []
        grace = {a.grace_seconds for a in plan.actions if isinstance(a, Delete) and a.kind == "Pod"}
        assert grace <= {30}
        world.reconcile()
        world.tick(2)
    kinds = [{kind for kind, _ in step} for step in steps]
    assert kinds == [{"HTTPRoute"}, {"Deployment"}, {"ReplicaSet"}, {"Pod"}, {"Service"}]


def test_at_rest_nobody_asks_its_fronts_and_no_slot_is_added() -> None:
    world = stateless()
    world.resize(1, 4)
    world.settle()
    plan = decide(world.observe())
    assert not any(isinstance(work, AskFronts) for work in plan.background)
    assert env(plan).scales == ()


def test_a_release_that_an_earlier_operator_made_of_slots_goes_on_and_its_successor_is_a_deployment() -> None:
    world = fresh(stateless=True)
    while not world.releases:
        world.reconcile()
    spec, status, uid = world.releases["env0", 1]
    old = spec.plan.model_copy(update={"workload": "slots", "slots": 2, "replicas": None})
    world.releases["env0", 1] = (spec.model_copy(update={"plan": old}), status, uid)
    world.settle()
    assert (len(world.replicasets), len(world.deployments)) == (2, 0)
    assert len(world.releases) == 1, "what it is made of is no reason for a release"
    world.resize(3)
    world.settle()
    assert len(world.replicasets) == 3
    world.push(image("good", 2))
    world.settle()
    assert (len(world.replicasets), len(world.deployments)) == (0, 1)
    assert world.releases["env0", 2][0].plan.replicas == 3
    world.commands["rollback"] = "env0=2:1"
    world.settle()
    again = world.releases["env0", 3][0].plan
    assert (again.workload, again.slots, len(world.replicasets)) == ("slots", 3, 3)


def test_an_api_that_keeps_sessions_has_slots() -> None:
    world = fresh(stateless=True)
    app = world.spec.app.model_copy(update={"sessions": "inProcess"})
    world.spec = world.spec.model_copy(update={"app": app})
    world.settle()
    assert (len(world.replicasets), len(world.deployments)) == (2, 0)
    assert not frozen(world).sessionless


def test_an_api_of_which_places_are_counted_has_slots_and_is_scaled_by_them() -> None:
    world = fresh(stateless=True)
    world.spec = world.spec.model_validate(
        {
            **world.spec.wire(),
            "app": {**world.spec.app.wire(), "replicas": {"min": 1, "max": 4, "sessionsPerReplica": 3}},
        }
    )
    world.settle()
    assert (len(world.replicasets), len(world.deployments)) == (1, 0)
    for _ in range(3):
        world.open_session()
    for _ in range(10):
        world.reconcile()
        world.tick(1)
    assert len(world.replicasets) == 2


def test_the_cpu_says_nothing_yet_of_slots_that_an_earlier_operator_made() -> None:
    world = fresh(stateless=True)
    while not world.releases:
        world.reconcile()
    spec, status, uid = world.releases["env0", 1]
    old = spec.plan.model_copy(update={"workload": "slots", "slots": 2, "replicas": None})
    world.releases["env0", 1] = (spec.model_copy(update={"plan": old}), status, uid)
    world.settle()
    world.resize(2, 4)
    world.settle()
    assert "holds from the next release on" in condition(decide(world.observe()), "Stalled").message
    world.push(image("good", 2))
    world.settle()
    assert condition(decide(world.observe()), "Stalled") is None
    assert len(world.autoscalers) == 1


def test_the_cpu_says_nothing_of_an_app_that_turned_out_to_keep_sessions() -> None:
    world = fresh()
    own = world.spec.app.replicas.model_copy(update={"max": 4, "cpu": 70})
    world.spec = world.spec.model_copy(update={"app": world.spec.app.model_copy(update={"replicas": own})})
    world.settle()
    stalled = condition(decide(world.observe()), "Stalled")
    assert stalled.reason == Reason.NO_CPU_SCALING
    assert "sessionsPerReplica" in stalled.message
    assert world.end()["env0"][1] == "Released"
    assert world.writes_of_next_pass() == 0
    world.tick(600)
    assert world.writes_of_next_pass() == 0


def test_a_check_that_failed_once_and_a_pod_that_just_began_are_two_things() -> None:
    world = at_phase("Baking", world=stateless())
    world.tick(3)
    observed = world.observe()
    check = CheckFacts(attempt=2, verdict=observed.checks["env0", 2].verdict, finished_at=world.now, samples=3)
    assert env(decide(replace(observed, checks={("env0", 2): check}))).intent is None
