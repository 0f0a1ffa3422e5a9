"""Ways of releasing at a Gateway that does not do everything, or of which nobody knows what it does."""

from dataclasses import replace

import pytest

from dataapp_operator.api.status import Weight
from dataapp_operator.plan import limits, names, routes
from dataapp_operator.plan.actions import ProveGateway
from dataapp_operator.plan.facts import GatewayAbility
from dataapp_operator.plan.names import PAGE
from tests.property.world import CLASS
from tests.unit.plan_rig import World, condition, decide, env, fresh, image, memory, passes, until

SERVED_BY_A_PAGE = (Weight(release=PAGE, weight=1000),)
BLIND = GatewayAbility(marks=True, pins=False, words="a cookie leads nowhere")


def asked(plan) -> list[int]:
    return [work.number for work in plan.background if isinstance(work, ProveGateway)]


def with_ability(world: World, ability: GatewayAbility):
    return replace(world.observe(), abilities={CLASS.gateway: ability})


def waiting() -> World:
    """A release that waits until another, which somebody has open, may end."""
    world = fresh(how="alone")
    world.settle()
    world.open_session()
    world.push(image("good", 2))
    return passes(world, 30)


@pytest.mark.parametrize("pins", ["not led", "refused"])
def test_what_cannot_run_twice_runs_alone_also_where_cookies_lead_nowhere(pins: str) -> None:
    world = fresh(how="alone")
    world.pins = pins
    world.settle()
    world.push(image("good", 2))
    world.settle()
    spec = world.releases["env0", memory(world).stable][0]
    assert (spec.plan.strategy, spec.plan.pins, spec.plan.slots) == ("recreate", False, 1)
    assert "reach a page that asks for patience and may be lost" in spec.limited
    assert world.end()["env0"] == (image("good", 2), "Released")


def test_a_record_of_one_that_runs_alone_is_no_record_of_one_that_does_not() -> None:
    world = fresh(how="alone")
    world.pins = "not led"
    world.settle()
    known = world.releases["env0", memory(world).stable][0]
    other = known.model_copy(
        update={"plan": known.plan.model_copy(update={"strategy": "blueGreen", "pins": True}), "limited": None}
    )
    alike = other.model_copy(update={"plan": other.plan.model_copy(update={"strategy": "recreate"})})
    bound = alike.model_copy(update={"plan": alike.plan.model_copy(update={"compatibility": "irreversible"})})
    assert [limits.same(known, wanted) for wanted in (other, alike, bound)] == [False, True, False]


def test_before_room_is_made_it_is_known_whether_what_comes_can_be_carried_out() -> None:
    world = waiting()
    memory_ = env(decide(with_ability(world, BLIND)))
    assert (memory_.candidate, memory_.stable, memory_.weights) == (None, 1, (Weight(release=1, weight=1000),))
    world.die()
    assert asked(decide(world.observe())) == [1], "by what serves"


def test_what_serves_is_asked_once_since_visits_to_it_look_as_if_somebody_had_it_open() -> None:
    world = waiting()
    assert asked(decide(with_ability(world, GatewayAbility(words="no answer")))) == []
    world.close_sessions()
    world.die()
    world.ability, world.ability_of = GatewayAbility(words="no answer"), world.gateway_generation
    until(world, lambda: memory(world).weights == SERVED_BY_A_PAGE)


def test_nothing_ends_for_a_page_that_nobody_could_see() -> None:
    world = waiting()
    world.close_sessions()
    world.marks = False
    world.gateway_generation += 1
    passes(world, 200, step=5)
    assert memory(world).weights == (Weight(release=1, weight=1000),)
    assert memory(world).intent is None
    assert condition(decide(world.observe()), "Stalled").reason == "GatewayUnable"
    assert condition(decide(world.observe()), "Ready").status == "True"
    world.marks = True
    world.gateway_generation += 1
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


def test_behind_a_page_a_paused_release_can_be_asked_for_by_its_number() -> None:
    world = fresh(how="alone")
    world.settle()
    world.commands["pause"] = "env0=2"
    world.push(image("good", 2))
    until(world, lambda: memory(world).candidate == 2)
    world.commands.clear()
    until(world, lambda: memory(world).phase == "Checking")
    world.commands["pause"] = "env0=2"
    passes(world, 30)
    assert (memory(world).phase, memory(world).weights) == ("Checking", SERVED_BY_A_PAGE)
    assert names.asked_pattern(2) in str(world.routes["sales-env0-2"][0])
    assert names.HEADER_RELEASE not in str(world.routes["sales-env0"][0])


def test_a_change_that_mends_waits_for_no_answer_of_what_it_mends() -> None:
    """What serves may answer nobody any more: its database was changed."""
    world = fresh(how="irreversible")
    world.settle()
    world.push(image("late", 2))
    until(world, lambda: memory(world).stuck is not None)
    world.die()
    world.push(image("good", 3))
    until(world, lambda: memory(world).candidate == 3, steps=5)
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")


def test_a_step_that_means_nothing_is_no_reason_to_send_everybody_to_what_has_failed() -> None:
    world = fresh(how="irreversible canary")
    world.settle()
    world.gateway_stale = True
    world.push(image("good", 2))
    until(world, lambda: names.slot("sales", "env0", 2, 0) in str(world.routes["sales-env0"][0]))
    world.crash(-1)
    until(world, lambda: memory(world).stuck is not None)
    world.gateway_stale = world.weighs = False
    world.ability = replace(world.ability, weighs=False, weighed="50 of 100 came to it")  # as another app has counted
    passes(world, 8)
    assert memory(world).stuck is not None
    assert memory(world).weights == (Weight(release=1, weight=900), Weight(release=2, weight=100))
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released"), "it works again, and goes on"


def test_a_story_that_begins_with_waiting_until_it_is_alone_says_so() -> None:
    world = fresh(how="alone")
    world.settle()
    world.push(image("good", 2))
    until(world, lambda: ("env0", 2) in world.releases)
    world.die()
    world.tick(60)
    world.settle()
    told = [entry.phase for entry in world.releases["env0", 2][1].timeline]
    assert told == ["Pending", "Deploying", "Checking", "Releasing", "Baking", "Released"]


def test_where_there_can_be_one_replica_there_are_never_two_whichever_node_is_emptied_next() -> None:
    world = fresh(slots=1)
    world.pins = "not led"
    world.settle()
    led = set()
    for node in ("node-a", "node-b", None, "node-c"):
        if node is None:
            world.cordoned.clear()
        else:
            world.cordoned.add(node)
        for _ in range(4):
            passes(world, 1)
            led.add(len(routes.backends_of(world.routes["sales-env0"][0])))
    world.cordoned.clear()
    world.settle()
    assert led == {1}
    assert len(world.pods) == 1
