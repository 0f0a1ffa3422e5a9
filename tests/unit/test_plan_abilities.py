"""What a release does where its Gateway does not do everything: asked in time, said in words, and never in the way."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dataapp_operator.api.base import timestamp
from dataapp_operator.api.dataapp import SESSIONLESS
from dataapp_operator.api.status import WaitingFor
from dataapp_operator.plan import abilities, desired, limits
from dataapp_operator.plan.actions import CreateRelease, ObserveGateway, ProveGateway
from dataapp_operator.plan.facts import GatewayAbility, GatewayFacts
from dataapp_operator.plan.scene import Scene
from dataapp_operator.plan.wishes import Wish
from tests.property.world import CLASS, World, spec
from tests.unit.plan_rig import (
    at_phase,
    condition,
    decide,
    deleted,
    env,
    fresh,
    image,
    released,
    remember,
    written,
)

BLIND = GatewayAbility(pins=False, marks=True, words="a cookie leads nowhere")
UNMARKED = GatewayAbility(marks=False, words="it came without")
EVEN = GatewayAbility(pins=True, marks=True, weighs=False, weighed="50 of 100 came to it")
PROOF = "sales-env0-1.proof"


def asked(plan) -> list[ProveGateway]:
    return [work for work in plan.background if isinstance(work, ProveGateway)]


def with_ability(observed, ability: GatewayAbility):
    return replace(observed, abilities={CLASS.gateway: ability})


def first_checked() -> World:
    """A first release on which a session has worked, and of whose Gateway nothing is known."""
    world = fresh()
    for _ in range(60):
        if ("env0", 1) in world.checks:
            world.ability_of = 0
            return world
        world.reconcile()
        world.tick(1)
    raise AssertionError(world.history)


def test_the_gateway_is_asked_while_sessions_are_opened_and_the_route_of_the_question_comes_first() -> None:
    world = at_phase("Checking", world=forgotten(released()))
    world.ability_of = 0
    plan = decide(world.observe())
    (work,) = asked(plan)
    assert (work.number, work.host, work.ready) == (2, "sales--r2--env0.localhost", False)
    assert "sales-env0-2.proof" in written(plan, "HTTPRoute")
    world.reconcile()
    world.tick(2)
    world.ability_of = 0
    (work,) = asked(decide(world.observe()))
    assert work.ready
    assert work.refused == ""


def forgotten(world: World) -> World:
    """The same, with an operator that was started anew; what serves cannot be asked, so the new release is."""
    world.die()
    name = "sales-env0-1.preview"
    world.routes[name] = (*world.routes[name][:2], world.now + timedelta(days=1))
    return world


def test_what_serves_is_asked_before_the_next_release_begins() -> None:
    world = released()
    world.die()
    world.push(image("good", 2))
    plan = decide(world.observe())
    assert [work.number for work in asked(plan)] == [1]
    assert written(plan, "HTTPRoute") == [PROOF]
    assert not any(isinstance(action, CreateRelease) for action in plan.actions)
    assert env(plan).waiting_for.reason == "ProvingGateway"
    assert "sales--r1--env0.localhost" in env(plan).waiting_for.message


def test_nothing_is_asked_where_nothing_new_is_wanted() -> None:
    world = released()
    world.die()
    plan = decide(world.observe())
    assert (asked(plan), plan.actions, plan.requeue_after) == ([], (), None)


def test_a_gateway_that_does_not_answer_holds_up_the_next_release_for_its_patience_only() -> None:
    world = released()
    world.die()
    world.push(image("good", 2))
    since = timestamp(world.now - timedelta(seconds=abilities.PATIENCE))
    remember(world, waiting_for=WaitingFor(reason="ProvingGateway", message="so far", since=since))
    plan = decide(world.observe())
    assert any(isinstance(action, CreateRelease) for action in plan.actions)


def test_while_another_app_asks_no_route_is_made_and_the_answer_is_waited_for() -> None:
    world = released()
    world.die()
    world.push(image("good", 2))
    plan = decide(with_ability(world.observe(), GatewayAbility(elsewhere=True)))
    assert written(plan, "HTTPRoute") == []
    assert [work.ready for work in asked(plan)] == [False]
    assert plan.requeue_after <= abilities.ASK_AGAIN


def test_the_route_of_a_question_goes_once_it_is_answered_or_asked_by_another() -> None:
    world = released()
    world.die()
    world.push(image("good", 2))
    world.reconcile()
    assert PROOF in world.routes
    known = GatewayAbility(pins=True, marks=True)
    for ability in (known, GatewayAbility(elsewhere=True)):
        assert ("HTTPRoute", PROOF) in deleted(decide(with_ability(world.observe(), ability)))


def test_a_preview_that_the_gateway_refuses_is_told_in_its_words() -> None:
    world = first_checked()
    world.gateway_accepts = False
    world.tick(1)
    plan = decide(world.observe())
    stalled = condition(plan, "Stalled")
    assert stalled.reason == "GatewayRejected"
    assert "sales--r1--env0.localhost: not allowed here" in stalled.message
    assert env(plan).phase == "Checking"


@pytest.mark.parametrize(
    ("ability", "gateway", "words"),
    [
        (GatewayAbility(words="it answers with status 404"), {}, "it answers with status 404"),
        (
            GatewayAbility(),
            {"address": None, "words": "the Gateway has no address yet"},
            "the Gateway has no address yet",
        ),
        (GatewayAbility(), {}, "no visit has come through"),
    ],
)
def test_a_gateway_that_shows_nothing_is_told_after_its_patience(ability, gateway, words: str) -> None:
    world = first_checked()
    since = timestamp(world.now - timedelta(seconds=abilities.PATIENCE + 1))
    remember(world, waiting_for=WaitingFor(reason="ProvingGateway", message="so far", since=since))
    facts = GatewayFacts(exists=True, **({"address": "10.96.0.9:8000"} | gateway))
    world.tick(2)
    observed = replace(with_ability(world.observe(), ability), gateways={CLASS.gateway: facts})
    plan = decide(observed)
    stalled = condition(plan, "Stalled")
    assert stalled.reason == "GatewaySilent"
    assert "sales--r1--env0.localhost does not show r1 yet" in stalled.message
    assert words in stalled.message
    (work,) = asked(plan)
    assert work.ready is ("address" not in gateway)
    world.status = plan.status
    assert condition(decide(with_ability(world.observe(), ability)), "Stalled").reason == "GatewaySilent"


def test_a_route_that_nobody_answers_for_is_told_as_that() -> None:
    world = first_checked()
    since = timestamp(world.now - timedelta(seconds=abilities.PATIENCE + 1))
    remember(world, waiting_for=WaitingFor(reason="ProvingGateway", message="so far", since=since))
    observed = world.observe()
    observed = replace(
        observed, routes={name: replace(route, accepted=None) for name, route in observed.routes.items()}
    )
    message = condition(decide(observed), "Stalled").message
    assert "does a gateway controller serve the Gateway gateways/public?" in message


def test_a_release_that_cannot_be_carried_out_makes_way_before_anybody_comes() -> None:
    world = first_checked()
    plan = decide(with_ability(world.observe(), BLIND))
    record = next(r.status for r in plan.records if r.number == 1)
    assert (record.phase, record.reason) == ("Superseded", "GatewayUnable")
    assert "a cookie leads nowhere" in record.message
    assert "may be lost" in record.message
    assert env(plan).removing == (1,)
    assert env(plan).quarantined == (), "nothing is held against its image"


def test_one_that_does_not_work_fails_as_what_it_is_whatever_its_gateway() -> None:
    world = fresh("session")
    for _ in range(60):
        if ("env0", 1) in world.checks:
            break
        world.reconcile()
        world.tick(1)
    plan = decide(with_ability(world.observe(), BLIND))
    assert next(r.status for r in plan.records if r.number == 1).phase == "Failed"


@pytest.mark.parametrize("reach", [("may", GatewayAbility(pins=True, marks=True)), ("blind", BLIND)])
def test_what_was_seen_long_ago_is_seen_anew_before_visitors_come(reach) -> None:
    world = first_checked()
    plan = decide(with_ability(world.observe(), replace(reach[1], stale=True)))
    assert env(plan).phase == "Checking"
    assert [work.number for work in asked(plan)] == [1]


def frozen(ability: GatewayAbility, *, framework: str = "streamlit", canary: bool = True, slots: int = 3):
    """A release as it is wanted, and as it begins behind such a Gateway."""
    wanted = spec(image("good", 1), slots=slots, canary=canary)
    config = wanted.app.model_copy(update={"framework": framework})
    release = desired.release_spec("sales", Wish(image("good", 1), config), wanted.environments[0], number=1)
    world = World(spec=wanted)
    scene = Scene(
        with_ability(world.observe(), ability),
        wanted.environments[0],
        CLASS,
        world.status.environment("env0"),
        "h.test",
    )
    return scene, release, limits.limit(scene, release)


@pytest.mark.parametrize(
    ("framework", "ability", "plan", "words"),
    [
        ("streamlit", BLIND, (1, 0, "blueGreen", False), "may be lost"),
        ("shiny-r", BLIND, (1, 0, "blueGreen", False), "may be lost"),
        ("fastapi", BLIND, (3, 3, "canary", False), "any replica may answer any request"),
        ("streamlit", EVEN, (3, 0, "blueGreen", True), "50 of 100 came to it"),
        ("fastapi", EVEN, (3, 0, "blueGreen", True), "50 of 100 came to it"),
        ("streamlit", UNMARKED, (3, 3, "canary", True), None),
        ("streamlit", GatewayAbility(), (3, 3, "canary", True), None),
    ],
)
def test_what_is_left_out_and_what_is_said_of_it(
    framework: str, ability: GatewayAbility, plan, words: str | None
) -> None:
    scene, wanted, limited = frozen(ability, framework=framework)
    found = limited.plan
    assert (found.replicas or found.slots, len(found.steps), found.strategy, found.pins) == plan
    assert (limited.limited is None) if words is None else (words in limited.limited)
    assert desired.content(limited) == desired.content(wanted), "it is no other release"
    assert limits.limit(scene, limited) == limited
    assert limits.fits(scene, limited)
    assert limits.fits(scene, wanted) is (ability is not BLIND)


def test_a_canary_is_nothing_to_take_away_where_there_is_none() -> None:
    _, wanted, limited = frozen(EVEN, canary=False)
    assert limited == wanted


def test_a_record_of_what_is_wanted_is_found_again_as_its_gateway_let_it_be_made() -> None:
    _, wanted, limited = frozen(BLIND)
    assert limits.same(wanted, wanted)
    assert limits.same(limited, wanted)
    other = wanted.model_copy(update={"config_hash": "another"})
    assert not limits.same(limited, other)
    assert not limits.same(wanted, other)
    fewer = wanted.model_copy(update={"plan": wanted.plan.model_copy(update={"slots": 1})})
    assert limits.same(fewer, wanted), "how many serve may have changed meanwhile"
    tuned = wanted.model_copy(update={"plan": wanted.plan.model_copy(update={"bake": "1h"})})
    assert not limits.same(tuned, wanted)


def test_apps_that_keep_nothing_of_a_visitor_are_the_exception() -> None:
    assert frozenset({"fastapi"}) == SESSIONLESS


def look(plan) -> ObserveGateway:
    return next(work for work in plan.background if isinstance(work, ObserveGateway))


def at_step() -> World:
    """A canary whose first step is decided, and not yet seen."""
    world = fresh(canary=True)
    world.settle()
    world.gateway_stale = True
    world.push(image("good", 2))
    for _ in range(60):
        world.reconcile()
        world.tick(1)
        if world.status.environment("env0").intent is not None:
            world.reconcile()
            world.tick(2)
            return world
    raise AssertionError(world.history)


def test_shares_are_counted_at_a_step_as_long_as_nobody_knows_whether_they_are_kept() -> None:
    observed = at_step().observe()
    known = replace(observed.abilities[CLASS.gateway], weighs=None)
    assert [(s.number, s.weight, s.slots) for s in look(decide(with_ability(observed, known))).weigh] == [
        (1, 900, 2),
        (2, 100, 2),
    ]
    assert look(decide(with_ability(observed, replace(known, weighs=True)))).weigh == ()


def test_shares_are_not_counted_while_a_replica_is_away() -> None:
    world = at_step()
    world.crash(0)
    observed = world.observe()
    plan = decide(with_ability(observed, replace(observed.abilities[CLASS.gateway], weighs=None)))
    assert look(plan).weigh == ()


def test_the_switch_of_all_is_nothing_to_count() -> None:
    world = at_phase("Releasing")
    world.gateway_stale = True
    world.reconcile()
    world.tick(2)
    assert look(decide(world.observe())).weigh == ()


def test_what_another_app_has_counted_ends_the_steps_too() -> None:
    world = at_step()
    world.gateway_stale = False
    world.tick(1)
    world.reconcile()
    observed = world.observe()
    plan = decide(with_ability(observed, replace(observed.abilities[CLASS.gateway], weighs=False, weighed="50 of 100")))
    memory = env(plan)
    assert (memory.intent.switch_to, memory.intent.weight, memory.step) == (2, None, 3)
    assert "50 of 100" in plan.notes[-1]
