"""Gateways that do not do everything: what a release does without, what is said about it, and that nobody pays for it.

The invariants are checked at every call, as everywhere here; beside them, that nobody is ever sent to several replicas or
several releases where cookies lead nowhere, and nobody anywhere where no switch can be seen.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataapp_operator.plan import names
from tests.property.script import SCRIPTS, WAYS, Way, begin, play
from tests.property.stories import acts_of, deaths, live, story
from tests.property.world import World, at_rest, fresh, image

DEEP = os.environ.get("DATAAPP_DEEP") == "1"
BLIND = pytest.mark.parametrize("pins", ["not led", "refused"])


def behind(*, pins: str = "led", weighs: bool = True, marks: bool = True, **how: object) -> World:
    """A world with a new app behind such a gateway."""
    world = fresh(**how)
    world.pins, world.weighs, world.marks = pins, weighs, marks
    return world


def plan_of(world: World, number: int):
    return world.releases["env0", number][0].plan


def told(world: World, kind: str) -> str | None:
    return next((c.message for c in world.status.conditions if c.type == kind), None)


@BLIND
def test_sessions_without_pins_get_one_replica_and_all_visitors_at_once(pins: str) -> None:
    world = behind(pins=pins, slots=3, canary=True)
    world.settle()
    assert world.releases["env0", 1][1].phase == "Superseded", "it was found out on its own pods, before anybody came"
    assert "nobody was sent to it" in world.releases["env0", 1][1].message
    assert world.end()["env0"] == (image("good", 1), "Released")
    plan = plan_of(world, 2)
    assert (plan.slots, plan.steps, plan.strategy, plan.pins) == (1, (), "blueGreen", False)
    assert "may be lost" in world.releases["env0", 2][0].limited
    assert "env0 r2: the Gateway gateways/public does not keep a visitor" in told(world, "Limited")
    checks = {check.name: check.verdict for check in world.releases["env0", 2][1].checks}
    assert checks == {"session": "pass", "gateway": "fail"}


@BLIND
@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_known_or_can_be_found_out_beside_what_serves_costs_no_release(pins: str, *, restarted: bool) -> None:
    world = behind(pins=pins)
    world.settle()
    if restarted:
        world.die()
    world.push(image("good", 2))
    world.settle()
    assert [n for _, n in world.releases] == [1, 2, 3]
    assert plan_of(world, 3).slots == 1
    world.now = world.now.replace(hour=world.now.hour + 2)  # asked again: it is as it was
    world.push(image("good", 3))
    world.settle()
    assert [n for _, n in world.releases] == [1, 2, 3, 4]


@BLIND
def test_a_gateway_that_was_mended_gets_the_whole_release_again(pins: str) -> None:
    world = behind(pins=pins, slots=2)
    world.settle()
    world.pins = "led"
    world.gateway_generation += 1
    world.push(image("good", 2))
    world.settle()
    assert (plan_of(world, 3).slots, plan_of(world, 3).pins) == (2, True)
    assert told(world, "Limited") is None


@BLIND
@pytest.mark.parametrize("operator", ["goes on", "begins anew"])
@pytest.mark.parametrize("mended", [True, False])
def test_one_that_is_restarted_gets_what_the_gateway_does_by_then(pins: str, operator: str, *, mended: bool) -> None:
    world = behind(pins=pins, slots=2)
    world.settle()
    if operator == "begins anew":
        world.die()
    if mended:
        world.pins = "led"
        world.gateway_generation += 1
    world.commands["restart"] = "env0=2"
    world.settle()
    memory = world.status.environment("env0")
    assert memory.stable > 2
    assert plan_of(world, memory.stable).slots == (2 if mended else 1)
    assert (told(world, "Limited") is None) is mended


def test_one_replica_with_all_at_once_is_what_many_apps_are_anyway_and_they_are_told_too() -> None:
    world = behind(pins="not led", slots=1)
    world.settle()
    assert "may be lost" in told(world, "Limited")


@pytest.mark.parametrize("slots", [1, 2])
def test_where_weights_mean_nothing_the_first_step_is_the_last(slots: int) -> None:
    world = behind(weighs=False, slots=slots, canary=True)
    world.settle()
    assert told(world, "Limited") is None, "nobody knows yet: there was nothing to weigh"
    world.push(image("good", 2))
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")
    assert len(plan_of(world, 2).steps) == 3
    assert "env0 r2: " in told(world, "Limited")
    assert "50 of 100" in told(world, "Limited")
    assert world.status.environment("env0").plan == 3, "the first release, a step, and then all"
    world.push(image("good", 3))
    world.settle()
    plan = plan_of(world, 3)
    assert (plan.slots, plan.steps, plan.pins) == (slots, (), True), "known before it begins"
    assert "does not share visitors out" in world.releases["env0", 3][0].limited


def test_nobody_is_sent_anywhere_where_no_switch_can_be_seen() -> None:
    world = behind(marks=False)
    for _ in range(60):
        world.reconcile()
        world.tick(2)
    assert world.status.environment("env0").weights == ()
    stalled = next(c for c in world.status.conditions if c.type == "Stalled")
    assert stalled.reason == "GatewayUnable"
    assert "ResponseHeaderModifier" in stalled.message
    assert world.end()["env0"][1] == "Checking", "it is no failure of the app's"
    world.marks = True
    world.gateway_generation += 1
    world.settle()
    assert world.end()["env0"] == (image("good", 1), "Released")


def test_what_serves_goes_on_where_no_switch_can_be_seen_any_more_and_nothing_new_is_made() -> None:
    world = begin((1, 2, 0, False, "at once"))
    world.marks = False
    world.gateway_generation += 1
    world.push(image("good", 2))
    for _ in range(60):
        world.reconcile()
        world.tick(2)
    assert [n for _, n in world.releases] == [1]
    assert next(c for c in world.status.conditions if c.type == "Stalled").reason == "GatewayUnable"
    assert next(c for c in world.status.conditions if c.type == "Ready").status == "True"
    world.marks = True
    world.gateway_generation += 1
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


@pytest.mark.parametrize("fault", [{}, {"pins": "not led"}, {"pins": "refused"}, {"weighs": False}])
def test_the_routes_of_the_question_go_and_then_nothing_is_written(fault: dict[str, object]) -> None:
    world = behind(**fault, environments=2, canary=True)
    story(world, ("good",))
    assert not any(names.is_proof_route("sales", env, name) for name in world.routes for env in ("env0", "env1"))
    before = world.calls
    for _ in range(100):
        world.reconcile()
        world.tick(70)
    assert world.calls == before


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [
        {"pins": "not led"},
        {"pins": "refused"},
        {"weighs": False, "canary": True},
        {"pins": "not led", "how": "held"},
        {"pins": "not led", "how": "alone"},
        {"weighs": False, "how": "irreversible canary"},
    ],
)
def test_a_crash_after_any_single_call_changes_nothing_about_the_end(fault: dict[str, object]) -> None:
    """How many tries it takes may differ, as what was found out is forgotten; never what serves, and how."""
    undisturbed, acts = behind(**fault), acts_of(("good",))
    moments = live(undisturbed, acts)
    for point, world in deaths(acts, moments, every=3 if "how" in fault and not DEEP else 1):
        assert world.end() == undisturbed.end(), f"died after call {point}"
        memory, other = world.status.environment("env0"), undisturbed.status.environment("env0")
        assert plan_of(world, memory.stable).slots == plan_of(undisturbed, other.stable).slots
        assert all(status.phase is not None for _, status, _ in world.releases.values()), f"died after call {point}"


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(SCRIPTS, WAYS, st.sampled_from([("not led", True), ("refused", True), ("led", False), ("not led", False)]))
def test_no_script_of_events_breaks_an_invariant_behind_them(
    script: list[tuple[str, object]], way: Way, does: tuple[str, bool]
) -> None:
    world = begin(way, pins=does[0], weighs=does[1])
    play(world, script)
    world.gateway_accepts = world.fronts_answer = world.room = True
    world.gateway_stale = world.suspended = False
    world.commands.clear()
    world.close_sessions()
    world.tick(1)  # what a stale gateway has left undone
    world.settle()
    if world.deleting:
        assert world.gone, "a deleted app whose time is over is still there"
        assert world.is_empty()
    else:
        assert all(e.weights or not e.stable for e in world.status.environments)
        assert all(at_rest(e) for e in world.status.environments)
