"""The hold before a blue-green switch: when it begins, what ends it, what is said meanwhile, and what leaves it out."""

from datetime import timedelta

import pytest

from dataapp_operator.api.base import instant
from dataapp_operator.api.dataapp import ReleasePolicy
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import names
from dataapp_operator.plan.actions import ProveGateway, StartCheck
from dataapp_operator.plan.facts import CheckFacts, GatewayAbility
from tests.property.cluster import CLASS
from tests.unit.plan_rig import World, condition, decide, env, fresh, image, remember, replace

PREVIEW = "http://sales--r2--env0.localhost"
ABLE = GatewayAbility(marks=True, pins=True, words="it does everything")


def held(*, warm: int = 0) -> World:
    """A second release whose hold has just begun."""
    world = fresh(how="held", warm=warm)
    world.settle()
    world.push(image("good", 2))
    return until_held(world)


def until_held(world: World) -> World:
    for _ in range(60):
        if world.status.environment("env0").hold_until is not None:
            return world
        world.reconcile()
        world.tick(1)
    raise AssertionError(f"it never was held: {world.history}")


def checked(world: World, verdict: Verdict, *, ago: float = 0.0):
    """What is observed when the last check of the held release said this, so many seconds ago."""
    at = world.now - timedelta(seconds=ago)
    facts = CheckFacts(attempt=9, verdict=verdict, message="no", samples=3, finished_at=at)
    return replace(world.observe(), checks={("env0", 2): facts})


def test_a_release_that_passed_can_be_looked_at_and_status_says_where_and_until_when() -> None:
    world = held()
    memory = world.status.environment("env0")
    until = memory.hold_until
    assert (memory.phase, memory.intent, memory.stable) == ("Checking", None, 1)
    assert memory.waiting_for.reason == "Holding"
    assert (
        memory.waiting_for.message
        == f"r2 can be looked at under {PREVIEW} until {until[11:16]}, then new visitors go to it"
    )
    assert memory.waiting_for.until == until
    record = world.releases["env0", 2][1]
    assert (record.phase, record.preview_url, record.summary) == ("Checking", PREVIEW, memory.waiting_for.message)
    assert condition(decide(world.observe()), "Reconciling").message == f"env0: {memory.waiting_for.message}"
    assert condition(decide(world.observe()), "Ready").status == "True"


def test_it_is_switched_to_when_its_time_is_over_and_a_session_was_seen_to_work() -> None:
    world = held()
    world.now = instant(world.status.environment("env0").hold_until) - timedelta(seconds=1)
    assert env(decide(checked(world, Verdict.PASS))).intent is None
    world.now += timedelta(seconds=1)
    assert env(decide(checked(world, Verdict.INCONCLUSIVE))).intent is None
    memory = env(decide(checked(world, Verdict.PASS)))
    assert (memory.phase, memory.intent.switch_to, memory.hold_until) == ("Releasing", 2, None)


def test_its_sessions_are_opened_now_and_then() -> None:
    world = held()
    world.tick(16)
    for ago, asked in ((14.0, 0), (15.0, 1)):
        plan = decide(checked(world, Verdict.PASS, ago=ago))
        assert [type(work) for work in plan.background].count(StartCheck) == asked, ago


def test_what_fails_while_it_is_held_was_seen_by_no_visitor() -> None:
    world = held()
    plan = decide(checked(world, Verdict.FAIL))
    memory = env(plan)
    assert (memory.candidate, memory.hold_until, memory.removing) == (None, None, (2,))
    assert next(r.status for r in plan.records if r.number == 2).phase == "Failed"
    assert memory.quarantined[0].release == 2


def test_one_that_cannot_be_told_goes_on_being_held_and_fails_when_nobody_could_tell_for_long_after_it() -> None:
    world = held()
    memory = env(decide(checked(world, Verdict.INCONCLUSIVE)))
    assert memory.waiting_for.message.endswith("; the last session could not tell whether it works: no")
    over = instant(world.status.environment("env0").hold_until)
    world.now = over + timedelta(seconds=119)
    assert env(decide(checked(world, Verdict.INCONCLUSIVE))).candidate == 2
    world.now = over + timedelta(seconds=120)
    assert env(decide(checked(world, Verdict.INCONCLUSIVE))).quarantined[0].reason.startswith("SessionInconclusive")


def test_an_operator_that_begins_anew_begins_no_hold_anew_and_leaves_none_out() -> None:
    world = held()
    until = world.status.environment("env0").hold_until
    world.die()
    world.tick(5)
    memory = env(decide(world.observe()))
    assert (memory.hold_until, memory.intent) == (until, None)
    assert memory.waiting_for.reason == "Holding"
    world.die()
    world.tick(3600)
    assert env(decide(world.observe())).intent is None, "nobody has seen a session work since"
    assert env(decide(world.observe())).candidate == 2
    assert env(decide(checked(world, Verdict.PASS))).waiting_for.reason == "ProvingGateway"
    memory = env(decide(replace(checked(world, Verdict.PASS), abilities={CLASS.gateway: ABLE})))
    assert memory.intent.switch_to == 2


@pytest.mark.parametrize("at_once", [False, True])
def test_the_gateway_is_asked_meanwhile_by_an_operator_that_begins_anew_and_nobody_is_sent_there_before(
    *, at_once: bool
) -> None:
    world = held()
    world.die()
    if at_once:
        world.commands["promote-full"] = "env0=2"
    plan = decide(checked(world, Verdict.PASS))
    assert [work.number for work in plan.background if isinstance(work, ProveGateway)] == [2]
    assert env(plan).intent is None
    assert env(plan).waiting_for.reason == ("ProvingGateway" if at_once else "Holding")
    assert env(plan).hold_until == world.status.environment("env0").hold_until
    blind = GatewayAbility(marks=True, pins=False, words="cookies lead nowhere")
    memory = env(decide(replace(checked(world, Verdict.PASS), abilities={CLASS.gateway: blind})))
    assert (memory.candidate, memory.removing) == (None, (2,)), "it begins again as the gateway can carry it out"


def test_it_can_be_asked_for_by_its_number_until_all_visitors_come_to_it() -> None:
    world = fresh(how="held")
    world.settle()
    world.push(image("good", 2))
    seen = set()
    for _ in range(200):
        memory, route = world.status.environment("env0"), world.routes.get("sales-env0-2")
        asked = route is not None and names.asked_pattern(2) in str(route[0])
        over = memory.phase == "Baking" or memory.stable == 2
        seen.add((memory.phase, asked))
        assert not (over and asked)
        world.reconcile()
        world.tick(1)
    assert {("Deploying", True), ("Checking", True), ("Baking", False), ("Released", False)} <= seen


@pytest.mark.parametrize("how", ["held", "canary"])
def test_one_that_comes_back_takes_no_time_and_cannot_be_asked_for(how: str) -> None:
    world = fresh(how=how, warm=1)
    world.settle()
    world.push(image("good", 2))
    while world.status.environment("env0").stable != 2:
        world.reconcile()
        world.follow_advice()
        world.tick(1)
    world.push(image("good", 1))
    while world.status.environment("env0").phase != "Checking":
        world.reconcile()
        world.tick(1)
    while world.status.environment("env0").phase == "Checking":
        assert names.asked_pattern(1) not in str(world.routes["sales-env0-1"][0])
        world.reconcile()
        world.tick(1)


def test_a_replica_that_goes_while_it_is_held_is_waited_for() -> None:
    world = held()
    world.meddle("evict", max(i for i, pod in enumerate(world.pods.values()) if pod.slot[1] == 2))
    world.tick(1)
    memory = env(decide(world.observe()))
    assert (memory.candidate, memory.phase, memory.waiting_for.reason) == (2, "Checking", "Holding")
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


@pytest.mark.parametrize("said", ["before", "while it is held"])
def test_promote_full_leaves_the_hold_out_and_not_the_checks(said: str) -> None:
    world = held() if said != "before" else fresh(how="held")
    if said == "before":
        world.settle()
        world.push(image("good", 2))
        world.reconcile()
    world.commands["promote-full"] = "env0=2"
    began = world.now
    for _ in range(60):
        if world.status.environment("env0").phase == "Baking":
            break
        world.reconcile()
        world.tick(1)
    assert (world.now - began).total_seconds() < 12
    answer = world.status.environment("env0").answers[0].message
    assert answer == "r2 gets all new visitors without a hold, once its checks have passed"
    assert "Checking" in {entry.phase for entry in world.releases["env0", 2][1].timeline}


def test_a_pause_outlasts_the_hold_and_its_sessions_are_opened_all_the_same() -> None:
    world = held()
    world.commands["pause"] = "env0=2"
    for _ in range(300):
        world.reconcile()
        world.tick(1)
    memory = world.status.environment("env0")
    assert (memory.phase, memory.waiting_for.reason) == ("Checking", "Paused")
    assert memory.waiting_for.message == (
        f"r2 passed its checks, can be looked at under {PREVIEW} and is paused by a person; nobody is sent to it yet"
    )
    assert env(decide(checked(world, Verdict.INCONCLUSIVE))).candidate == 2, "paused time is not its own"
    assert env(decide(checked(world, Verdict.FAIL))).candidate is None
    del world.commands["pause"]
    assert env(decide(checked(world, Verdict.INCONCLUSIVE))).candidate == 2
    assert env(decide(checked(world, Verdict.PASS))).intent.switch_to == 2


def test_a_first_release_has_no_hold() -> None:
    world = fresh(how="held")
    world.settle()
    assert (world.now - instant(world.releases["env0", 1][1].timeline[0].at)).total_seconds() < 40
    assert not any("held" in note for note in world.history)


def test_one_that_comes_back_has_no_hold() -> None:
    world = held(warm=1)
    for _ in range(120):
        world.reconcile()
        world.tick(1)
    assert [w.release for w in world.status.environment("env0").warm] == [1]
    world.push(image("good", 1))
    for _ in range(10):
        world.reconcile()
        world.tick(1)
    assert world.status.environment("env0").weights[0].release == 1


def test_where_what_serves_is_broken_nobody_gains_by_a_hold() -> None:
    world = held()
    for pod in world.pods.values():
        if pod.slot[1] == 1:
            pod.broken_since, pod.broken_for = world.now, 1e6
    world.tick(8)
    assert env(decide(checked(world, Verdict.PASS))).intent is None, "it may be a blink"
    world.tick(3)
    assert env(decide(checked(world, Verdict.PASS))).intent.switch_to == 2


def test_without_a_hold_the_memory_of_one_means_nothing() -> None:
    world = held()
    spec, status, uid = world.releases["env0", 2]
    plan = spec.plan.model_copy(update={"hold": "0s"})
    world.releases["env0", 2] = (spec.model_copy(update={"plan": plan}), status, uid)
    remember(world, hold_until="2026-11-23T10:00:00Z")
    assert env(decide(checked(world, Verdict.PASS))).intent.switch_to == 2


def test_the_hold_is_one_of_blue_green() -> None:
    assert ReleasePolicy.model_validate({"blueGreen": {"hold": "10m"}}).hold == "10m"
    assert ReleasePolicy.model_validate({"blueGreen": {}}).hold == "0s"
    assert ReleasePolicy().hold == "0s"
    assert ReleasePolicy.model_validate({"strategy": "canary"}).hold == "0s"
