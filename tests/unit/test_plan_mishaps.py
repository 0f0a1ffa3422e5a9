"""What people, nodes and clocks do to a release at the wrong moment, and what must not follow from it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dataapp_operator.api.base import instant
from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.api.status import DataAppStatus, Draining
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan.actions import CreateRelease, StartCheck
from dataapp_operator.plan.decide import decide
from dataapp_operator.plan.facts import CheckFacts, GatewayFacts
from tests.property.world import CLASS
from tests.unit.plan_rig import (
    after,
    at_phase,
    condition,
    env,
    fresh,
    image,
    released,
    remember,
    with_slot,
    written,
)


def test_a_pod_that_a_node_has_given_up_does_not_hide_the_one_in_its_place() -> None:
    """An evicted pod stays as an object that is Failed, beside the living one."""
    observed = released(slots=1).observe()
    slot = observed.slots[("env0", 1)]["s0"]
    dead = replace(slot.pods[0], name="aaa-evicted", uid="dead", ready=False, over=True)
    both = replace(slot, pods=(dead, slot.pods[0]))
    assert both.pod == slot.pods[0]
    assert both.ready
    assert condition(decide(with_slot(observed, 1, "s0", both)), "Ready").status == "True"


def test_a_finished_pod_is_no_unknown_number_of_sessions() -> None:
    world = at_phase("Baking")
    world.tick(40)
    observed = world.observe()
    for label, slot in observed.slots[("env0", 1)].items():
        dead = replace(slot.pods[0], name=f"evicted-{label}", uid="dead", ready=False, over=True)
        observed = with_slot(observed, 1, label, replace(slot, pods=(dead, *slot.pods)))
    asked = [t.pod for work in decide(observed).background for t in getattr(work, "targets", ())]
    assert asked
    assert not any(name.startswith("evicted") for name in asked)


def test_a_wait_for_somebody_else_does_not_count_against_the_deadline() -> None:
    world = at_phase("Deploying")
    remember(world, deadline=None, phase_since=after(world, -7200))
    plan = decide(world.observe())
    assert env(plan).candidate == 2, "two hours of a full cluster are not the app's fault"
    assert instant(env(plan).deadline) > world.now + timedelta(seconds=60)
    assert env(plan).phase_since == after(world, 0), "an image's patience begins anew too"


def test_an_operator_that_was_away_opens_a_session_before_it_judges() -> None:
    world = at_phase("Checking")
    world.die()
    world.tick(3600)
    plan = decide(world.observe())
    assert env(plan).candidate == 2
    assert any(isinstance(work, StartCheck) for work in plan.background)
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


def test_an_operator_that_was_away_creates_what_it_had_no_time_to_create() -> None:
    world = released()
    world.push(image("good", 2))
    world.reconcile()
    assert world.status.environment("env0").phase == "Deploying"
    assert ("env0", 2, "s0") not in world.replicasets
    world.die()
    world.now += timedelta(hours=2)
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


@pytest.mark.parametrize("verdict", [None, Verdict.INCONCLUSIVE, Verdict.ERROR])
def test_the_end_of_a_bake_without_a_session_that_worked_is_no_success(verdict: Verdict | None) -> None:
    world = at_phase("Baking")
    world.now += timedelta(seconds=60)
    world.checks[("env0", 2)] = CheckFacts(attempt=1, verdict=verdict, finished_at=world.now if verdict else None)
    plan = decide(world.observe())
    assert env(plan).phase == "Baking"
    assert env(plan).stable == 1
    assert env(plan).candidate == 2


def test_a_session_from_before_the_switch_does_not_count_for_the_bake() -> None:
    world = at_phase("Baking")
    began = instant(world.status.environment("env0").phase_since)
    world.now += timedelta(seconds=60)
    before = CheckFacts(attempt=1, verdict=Verdict.PASS, finished_at=began - timedelta(seconds=1))
    world.checks[("env0", 2)] = before
    assert env(decide(world.observe())).phase == "Baking"
    world.checks[("env0", 2)] = replace(before, finished_at=began + timedelta(seconds=1))
    assert env(decide(world.observe())).phase == "Released"


def test_a_release_whose_record_was_deleted_still_ends_its_bake() -> None:
    world = at_phase("Baking")
    del world.releases[("env0", 2)]
    world.now += timedelta(seconds=60)
    assert env(decide(world.observe())).stable == 2


def test_sessions_are_opened_on_living_pods_and_on_every_slot() -> None:
    world = at_phase("Checking")
    world.die()
    observed = world.observe()
    slot = observed.slots[("env0", 2)]["s1"]
    dying = replace(slot.pods[0], name="dying", uid="dying", deleting=True)
    check = _check(decide(with_slot(observed, 2, "s1", replace(slot, pods=(dying, slot.pods[0])))))
    assert check is not None
    assert "dying" not in {t.pod for t in check.targets}
    assert {t.slot for t in check.targets} == {"s0", "s1"}
    assert _check(decide(with_slot(observed, 2, "s1", replace(slot, pods=(dying,))))) is None, "half a check is none"


def _check(plan) -> StartCheck | None:
    return next((work for work in plan.background if isinstance(work, StartCheck)), None)


def test_an_environment_that_leaves_keeps_its_routes_at_its_own_gateway() -> None:
    """Its class is known by the spec only: without it, nobody may guess another one."""
    world = released(environments=2)
    world.spec = world.spec.model_copy(update={"environments": world.spec.environments[:1]})
    other = EnvironmentClassSpec.model_validate(
        CLASS.wire() | {"gateway": {"namespace": "gateways", "name": "internal"}, "previewHostTemplate": "x{app}.y"}
    )
    observed = replace(
        world.observe(),
        classes={"env0": other},
        gateways={other.gateway: GatewayFacts(exists=True, address="10.96.0.9:8000")},
    )
    plan = decide(observed)
    assert not [name for name in written(plan, "HTTPRoute") if name.startswith("sales-env1")]
    assert [d.release for d in env(plan, "env1").draining] == [1]


def test_an_environment_that_leaves_ends_though_no_class_is_left() -> None:
    world = released(environments=2)
    observed = replace(
        world.observe(), spec=world.spec.model_copy(update={"environments": world.spec.environments[:1]}), classes={}
    )
    plan = decide(observed)
    assert [d.release for d in env(plan, "env1").draining] == [1]


def test_an_environment_that_comes_back_while_it_drains_keeps_what_drains() -> None:
    world = released(environments=2)
    both = world.spec
    world.open_session()
    world.spec = both.model_copy(update={"environments": both.environments[:1]})
    for _ in range(5):
        world.reconcile()
        world.tick(2)
    assert [d.release for d in world.status.environment("env1").draining] == [1]
    world.spec = both
    world.settle()
    world.close_sessions()
    world.settle()
    assert world.end()["env1"] == (image("good", 1), "Released")
    assert "sales-env1-1" in world.routes


def test_a_refusal_in_one_environment_does_not_keep_the_cure_out_of_the_other() -> None:
    world = released(environments=2)
    world.push(image("good", 2))
    refused = replace(world.observe(), rejections={"Service sales-env1-1-s0": "exceeded quota: services"})
    plan = decide(refused)
    assert env(plan, "env0").candidate == 2
    assert condition(plan, "Stalled").message.startswith("env1: ")


def test_what_somebody_else_says_at_length_fits_into_status() -> None:
    world = released()
    long = "no " * 5000
    plan = decide(replace(world.observe(), rejections={"Service sales-env0-1-s0": long}))
    DataAppStatus.model_validate(plan.status.wire())
    assert len(env(plan).waiting_for.message) <= 2048
    world = at_phase("Checking")
    world.checks[("env0", 2)] = CheckFacts(verdict=Verdict.FAIL, message=long, measured=long, log=(long,) * 99)
    plan = decide(world.observe())
    for record in plan.records:
        type(record.status).model_validate(record.status.wire())
    DataAppStatus.model_validate(plan.status.wire())


def test_more_old_releases_than_a_status_can_hold_make_the_next_one_wait() -> None:
    world = released()
    drains = tuple(
        Draining(release=100 + n, sessions=1, since=after(world, -60), forced_at=after(world, 900 + n))
        for n in range(24)
    )
    remember(world, draining=drains)
    world.push(image("good", 2))
    plan = decide(world.observe())
    assert env(plan).candidate is None
    assert "24 older releases" in env(plan).waiting_for.message
    assert env(plan).waiting_for.until == after(world, 900)
    assert not [a for a in plan.actions if isinstance(a, CreateRelease)]


def test_two_environments_of_one_app_cannot_have_the_same_host() -> None:
    world = fresh(environments=2)
    environments = tuple(e.model_copy(update={"host": "sales.example.org"}) for e in world.spec.environments)
    world.spec = world.spec.model_copy(update={"environments": environments})
    for _ in range(40):
        world.reconcile()
        world.tick(2)
    assert world.status.environment("env0").stable == 1
    stalled = next(c for c in world.status.conditions if c.type == "Stalled")
    assert stalled.reason == "HostTaken"
    assert "env0" in stalled.message
    assert "sales-env1" not in world.routes


def test_the_host_stays_with_the_environment_that_has_it() -> None:
    world = released(environments=2)
    host = world.status.environment("env1").host
    first, second = world.spec.environments
    world.spec = world.spec.model_copy(update={"environments": (first.model_copy(update={"host": host}), second)})
    plan = decide(world.observe())
    assert condition(plan, "Stalled").message.startswith("env0: ")
    assert not written(plan, "HTTPRoute")


def test_ready_is_not_said_of_a_route_that_its_gateway_refuses() -> None:
    world = released()
    world.gateway_accepts = False
    ready = condition(decide(world.observe()), "Ready")
    assert (ready.status, ready.reason) == ("False", "GatewayRejected")
    assert "not allowed here" in ready.message


def test_a_reason_of_another_version_is_passed_on() -> None:
    world = fresh("silent")
    for _ in range(5):
        world.reconcile()
        world.tick(1)
    waiting = world.status.environment("env0").waiting_for.model_copy(update={"reason": "SoakedThrough"})
    remember(world, waiting_for=waiting, phase="Soaking")
    decide(replace(world.observe(), generation=9))


def test_who_serves_is_said_once_it_is_seen() -> None:
    world = at_phase("Releasing")
    assert world.status.summary.released == "env0 r1"


def test_the_parts_of_an_app_that_was_deleted_are_not_taken_for_the_new_ones() -> None:
    """Deleted and created again under its name: the old parts are still being removed, under the same names."""
    world = fresh()
    world.held = True
    observed = replace(world.observe(), strangers=("ReplicaSet sales-env0-1-s0", "HTTPRoute sales-env0"))
    plan = decide(observed)
    assert plan.actions == ()
    assert env(plan).candidate is None
    ready = condition(plan, "Ready")
    assert ready.status == "False"
    assert "ReplicaSet sales-env0-1-s0" in ready.message
    assert plan.requeue_after is not None
    assert env(decide(world.observe())).candidate == 1


def test_a_stranger_does_not_stop_an_app_that_serves() -> None:
    world = released()
    plan = decide(replace(world.observe(), strangers=("HTTPRoute sales-env0-99",)))
    assert condition(plan, "Ready").status == "True"


def test_weight_waits_for_the_pins() -> None:
    world = at_phase("Releasing")
    del world.routes["sales-env0-2"]
    plan = decide(world.observe())
    assert "sales-env0-2" in written(plan, "HTTPRoute")
    assert "sales-env0" not in written(plan, "HTTPRoute"), "a first visit whose pin leads nowhere loses its session"


def test_a_service_deleted_by_hand_during_the_bake_is_mended_and_not_blamed_on_the_release() -> None:
    world = at_phase("Baking")
    world.now += timedelta(seconds=15)
    del world.services[("env0", 2, "s0")]
    plan = decide(world.observe())
    assert env(plan).intent is None
    assert "sales-env0-2-s0" in written(plan, "Service")


def test_a_release_that_came_back_after_all_has_no_advice_left() -> None:
    """Its record said it failed, and the operator died before the app's status did: the app's status wins."""
    world = at_phase("Baking", kind="late")
    record_only = next(r for _ in range(9) if (r := _rolled_back(world)) is not None)
    key = ("env0", 2)
    world.releases[key] = (world.releases[key][0], record_only, world.releases[key][2])
    world.die()
    plan = decide(world.observe())
    told = next(r.status for r in plan.records if r.number == 2)
    assert told.phase == "Baking"
    assert told.next_step is None


def _rolled_back(world):
    plan = decide(world.observe())
    found = next((r.status for r in plan.records if r.number == 2 and r.status.phase == "RolledBack"), None)
    if found is None:
        world.reconcile()
        world.tick(3)
    return found


def test_a_first_release_without_a_record_and_a_replica_makes_room_for_a_new_one() -> None:
    world = fresh(slots=1)
    while world.status.environment("env0").phase != "Releasing":
        world.reconcile()
        world.tick(1)
    world.meddle("record", 0)
    world.meddle("replicaset", 0)
    world.settle()
    assert world.end()["env0"] == (image("good", 1), "Released")
    assert world.status.environment("env0").stable == 2


def test_a_promotion_wanted_again_waits_until_its_earlier_parts_are_gone() -> None:
    """The same number means the same names: what is being taken apart must not be taken for what is being built."""
    world = released(environments=2)
    remember(world, "env1", stable=None, weights=(), removing=(1,))
    memory = env(decide(world.observe()), "env1")
    assert memory.candidate is None
    assert memory.artefact(1) is not None, "by its content it is recognised"
    assert "until an earlier try of the same release is removed" in memory.waiting_for.message
    world.settle()
    assert world.end()["env1"] == (image("good", 1), "Released")


def test_an_environment_that_leaves_in_its_bake_keeps_the_time_of_what_drains_already() -> None:
    world = released(environments=2)
    entry = Draining(release=1, sessions=3, since=after(world, -90), forced_at=after(world, 500))
    weights = world.status.environment("env1").weights[0].model_copy(update={"release": 2})
    remember(world, "env1", candidate=2, phase="Baking", weights=(weights,), draining=(entry,))
    world.spec = world.spec.model_copy(update={"environments": world.spec.environments[:1]})
    drains = env(decide(world.observe()), "env1").draining
    assert [d.release for d in drains] == [1, 2]
    assert (drains[0].since, drains[0].forced_at) == (entry.since, entry.forced_at)


def test_a_switch_is_one_write() -> None:
    assert written(decide(at_phase("Releasing").observe()), "HTTPRoute").count("sales-env0") == 1
