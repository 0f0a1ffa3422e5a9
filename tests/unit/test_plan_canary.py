"""A canary's steps: what begins one, what ends one, what is said meanwhile, and what leaves them all out."""

from datetime import timedelta

import pytest

from dataapp_operator.api.status import Weight
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan.facts import CheckFacts
from dataapp_operator.plan.summary import summarise
from tests.property.cluster import STEPS
from tests.unit.plan_rig import World, condition, decide, env, fresh, image, replace

TEN, FORTY, SEVENTY = (step["weight"] * 10 for step in STEPS)


def stepping(step: int = 0, *, held: bool = True) -> World:
    """A second release that stands at a step, just now; ``held`` false: it is decided and not yet seen."""
    world = fresh(canary=True)
    world.settle()
    world.push(image("good", 2))
    for _ in range(400):
        memory = world.status.environment("env0")
        if (memory.step, memory.intent is None) == (step, held):
            return world
        world.reconcile()
        world.follow_advice()
        world.tick(1)
    raise AssertionError(f"it never was at step {step}: {world.history}")


def proved(world: World, verdict: Verdict = Verdict.PASS, *, failed: int = 0):
    """What is observed when the last check of the release at its step said this just now."""
    facts = CheckFacts(attempt=9, verdict=verdict, message="no", failed_in_row=failed, finished_at=world.now)
    return replace(world.observe(), checks={("env0", 2): facts})


def test_a_step_is_decided_first_then_seen_and_then_held_for_its_time() -> None:
    world = stepping(held=False)
    decided = world.status.environment("env0")
    assert (decided.intent.switch_to, decided.intent.weight, decided.weights) == (
        2,
        TEN,
        (Weight(release=1, weight=1000),),
    )
    world = stepping()
    memory = world.status.environment("env0")
    assert memory.weights == (Weight(release=1, weight=1000 - TEN), Weight(release=2, weight=TEN))
    assert memory.waiting_for.reason == "Holding"
    assert "10 % of the new visitors" in memory.waiting_for.message
    assert memory.draining == ()
    assert memory.stable == 1


def test_a_step_ends_after_its_time_and_not_without_a_session_that_worked_in_it() -> None:
    world = stepping()
    world.tick(8)
    assert env(decide(proved(world))).step == 0, "its hold is not over"
    world.tick(3)
    assert env(decide(proved(world, Verdict.INCONCLUSIVE))).step == 0, "nobody saw a session work"
    memory = env(decide(proved(world)))
    assert (memory.step, memory.intent.weight, memory.plan) == (1, FORTY, 2)


def test_when_its_time_is_over_and_nobody_can_tell_it_stays_and_before_long_a_person_is_told() -> None:
    world = stepping()
    world.tick(11)
    memory = env(decide(proved(world, Verdict.INCONCLUSIVE)))
    assert "until a session on r2 is seen to work; so far: no" in memory.waiting_for.message
    world.tick(301)
    plan = decide(proved(world, Verdict.INCONCLUSIVE))
    assert condition(plan, "Stalled").reason == "SessionInconclusive"


def test_after_the_last_step_everybody_comes_and_it_bakes() -> None:
    world = stepping(2)
    memory = env(decide(proved(world)))
    assert (memory.step, memory.intent.weight) == (3, None)
    world.settle()
    assert world.status.environment("env0").stable == 2
    assert world.status.environment("env0").step is None
    assert world.releases["env0", 2][1].step == 3
    assert [e.phase for e in world.releases["env0", 2][1].timeline] == [
        "Deploying",
        "Checking",
        "Releasing",
        "Baking",
        "Released",
    ]


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_failure_at_any_step_sends_all_new_visitors_back(step: int) -> None:
    world = stepping(step)
    memory = env(decide(proved(world, Verdict.FAIL, failed=2)))
    assert (memory.intent.switch_to, memory.intent.weight) == (1, None)
    assert memory.quarantined[0].release == 2


def test_a_pausing_step_says_what_to_type_and_goes_on_when_it_is_said() -> None:
    world = stepping(1)
    world.tick(7)
    memory = env(decide(proved(world)))
    assert memory.waiting_for.reason == "Paused"
    said = "kubectl annotate dataapp sales -n team --overwrite dataapps.dev/resume=env0=2.1"
    assert memory.waiting_for.message.endswith(said)
    world.commands["resume"] = "env0=2.1"
    memory = env(decide(proved(world)))
    assert memory.step == 2
    assert memory.answers[0].message == "r2 goes on from step 2 of 3"


def test_resuming_another_step_is_not_resuming_this_one() -> None:
    world = stepping(1)
    world.tick(7)
    world.commands["resume"] = "env0=2.0"
    memory = env(decide(proved(world)))
    assert memory.step == 1
    assert memory.answers[0].message == "r2 has no pausing step 0"


@pytest.mark.parametrize("said", ["before", "at a step"])
def test_promote_full_leaves_the_steps_out_and_neither_checks_nor_bake(said: str) -> None:
    world = fresh(canary=True) if said == "before" else stepping()
    if said == "before":
        world.settle()
        world.push(image("good", 2))
    world.commands["promote-full"] = "env0=2"
    seen = set()
    for _ in range(60):
        world.reconcile()
        world.tick(1)
        memory = world.status.environment("env0")
        seen |= {(memory.phase, weight.weight) for weight in memory.weights if weight.release == 2}
    assert seen == {("Baking", 1000), ("Released", 1000)} | ({("Releasing", TEN)} if said == "at a step" else set())
    assert "Checking" in {entry.phase for entry in world.releases["env0", 2][1].timeline}


def test_a_first_release_has_no_steps() -> None:
    world = fresh(canary=True)
    world.settle()
    assert world.status.environment("env0").weights == (Weight(release=1, weight=1000),)
    assert world.releases["env0", 1][1].step is None


def test_no_share_is_left_to_a_release_that_answers_nobody() -> None:
    world = fresh(canary=True)
    world.settle()
    for pod in world.pods.values():
        pod.broken_since, pod.broken_for = world.now, 1e6
    world.push(image("good", 2))
    shares = set()
    for _ in range(60):
        world.reconcile()
        world.tick(1)
        shares |= {weight.weight for weight in world.status.environment("env0").weights if weight.release == 2}
    assert shares == {1000}


def test_without_its_record_nobody_knows_how_it_goes_on_and_it_is_made_again_without_blame() -> None:
    world = stepping()
    del world.releases["env0", 2]
    memory = env(decide(world.observe()))
    assert memory.intent.switch_to == 1
    assert memory.quarantined == ()
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")
    assert world.status.environment("env0").stable == 3


def test_what_people_read_during_a_step() -> None:
    world = stepping()
    plan = decide(proved(world))
    assert plan.status.summary.moving == "env0 r2 releasing 10%"
    assert plan.status.summary.released == "env0 r1"
    assert condition(plan, "Ready").status == "True"
    assert "env0 serves r1" in condition(plan, "Ready").message
    world.reconcile()
    assert world.releases["env0", 1][1].weight == "90%"
    assert world.releases["env0", 2][1].weight == "10%"
    assert summarise([]).moving == ""


def test_time_that_passes_while_the_operator_is_away_ends_no_step_unseen() -> None:
    world = stepping()
    world.die()
    world.tick(3600)
    memory = env(decide(world.observe()))
    assert memory.step == 0, "no session was seen to work since it began to look"
    assert env(decide(replace(proved(world), now=world.now + timedelta(seconds=1)))).step == 1
