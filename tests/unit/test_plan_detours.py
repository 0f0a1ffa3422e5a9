"""A replica that does not answer while another does: visitors go round it, and come back to it."""

import pytest

from dataapp_operator.plan.decide import decide
from tests.property.cluster import Pod
from tests.unit.plan_rig import World, at_phase, passes, released

WEIGHTS = "sales-env0"


def pod(world: World, slot: str, number: int = 1) -> Pod:
    return next(p for p in world.pods.values() if p.slot == ("env0", number, slot) and not p.over)


def breaks(world: World, slot: str, number: int = 1, *, for_: float = 60.0) -> None:
    """It is not ready from now on."""
    one = pod(world, slot, number)
    one.broken_since, one.broken_for = world.now, for_


def new_visitors(world: World) -> set[str]:
    """The slots that get some."""
    return {backend["name"].rpartition("-")[2] for backend in world.routes[WEIGHTS][0]["rules"][-1]["backendRefs"]}


def cookies_lead(world: World, number: int = 1) -> list[str]:
    """For the cookie of each slot, in their order: the slot that it leads to."""
    rules = world.routes[f"sales-env0-{number}"][0]["rules"]
    return [backend["name"].rpartition("-")[2] for rule in rules for backend in rule["backendRefs"]]


def test_visitors_go_round_a_replica_that_does_not_answer_and_come_back_to_it() -> None:
    world = released(slots=3)
    breaks(world, "s1")
    passes(world, 5)
    assert new_visitors(world) == {"s0", "s2"}
    assert cookies_lead(world) == ["s0", "s2", "s2"]
    passes(world, 70)
    assert new_visitors(world) == {"s0", "s1", "s2"}
    assert cookies_lead(world) == ["s0", "s1", "s2"]


def test_a_replica_that_blinks_costs_no_write() -> None:
    world = released()
    before = {name: route[2] for name, route in world.routes.items()}
    breaks(world, "s1", for_=1.0)
    for _ in range(20):
        world.reconcile()
        world.tick(0.25)
    assert {name: route[2] for name, route in world.routes.items()} == before


def test_the_operator_wakes_for_the_end_of_its_patience() -> None:
    world = released()
    breaks(world, "s1")
    world.tick(0.5)
    wake = decide(world.observe()).requeue_after
    assert wake is not None
    assert wake == pytest.approx(1.5)


def test_a_replica_whose_next_pod_is_on_its_way_is_gone_round_until_it_answers() -> None:
    """The pod was deleted by hand: the next one is there at once, and not ready for a while."""
    world = released()
    del world.pods[pod(world, "s1").name]
    world.reconcile()
    assert new_visitors(world) == {"s0"}
    seen = []
    for _ in range(40):
        world.tick(0.25)
        world.reconcile()
        seen.append(tuple(sorted(new_visitors(world))))
    assert sorted(set(seen), key=seen.index) == [("s0",), ("s0", "s1")], "it comes back once, and is then ready"


def test_where_nobody_answers_everything_stays_as_it_is() -> None:
    world = released()
    breaks(world, "s0")
    breaks(world, "s1")
    before = {name: route[0] for name, route in world.routes.items()}
    passes(world, 10)
    assert {name: route[0] for name, route in world.routes.items()} == before


def test_a_release_that_nobody_is_on_yet_waits_for_all_its_replicas() -> None:
    world = at_phase("Checking")
    breaks(world, "s1", 2)
    passes(world, 5)
    assert cookies_lead(world, 2) == ["s0", "s1"]


def test_open_sessions_of_a_release_that_leaves_stay_with_it() -> None:
    """Its page loads go to what serves; whatever else a page asks for comes from the same release, not from another."""
    world = at_phase("Baking")
    world.pods[pod(world, "s0").name].sessions = 1
    world.pods[pod(world, "s0").name].clinging = True
    breaks(world, "s1")
    passes(world, 5)
    assert cookies_lead(world, 1) == ["s0", "s0"]


@pytest.mark.parametrize("slots", [1, 2])
def test_a_crash_in_the_bake_is_still_the_end_of_a_release(slots: int) -> None:
    world = at_phase("Baking", world=released(slots=slots))
    breaks(world, "s0", 2, for_=600)
    world.settle()
    assert world.status.environment("env0").stable == 1
    assert new_visitors(world) == {f"s{i}" for i in range(slots)}


def test_it_comes_back_once_a_gateway_can_know_of_it_and_the_operator_wakes_for_that() -> None:
    """The pod's readiness reaches a gateway by another way than the route; the route is not to be first."""
    world = released()
    breaks(world, "s1", for_=10.0)
    passes(world, 5)
    assert new_visitors(world) == {"s0"}
    while pod(world, "s1").broken_since is not None:
        world.tick(0.25)
    world.tick(0.5)
    world.reconcile()
    assert new_visitors(world) == {"s0"}
    assert decide(world.observe()).requeue_after == pytest.approx(1.5)
    world.tick(1.5)
    world.reconcile()
    assert new_visitors(world) == {"s0", "s1"}
