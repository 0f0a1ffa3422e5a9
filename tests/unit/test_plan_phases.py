"""The rows of the state table, one situation each: what is seen, what is persisted, what is waited for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dataapp_operator.api.base import instant
from dataapp_operator.api.status import Intent, Weight
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import upkeep
from dataapp_operator.plan.actions import AskFronts, ObserveGateway, ReadLog, StartCheck
from dataapp_operator.plan.decide import decide
from dataapp_operator.plan.facts import CheckFacts, ContainerFacts, Exit, FrontFacts, LogFacts, ViewFacts
from tests.unit.plan_rig import (
    after,
    at_phase,
    change_pods,
    condition,
    deleted,
    env,
    fresh,
    image,
    released,
    remember,
    with_slot,
    written,
)

KEY = ("env0", 2)


def half_away(observed):
    """One of the two replicas of r2 is not ready since a second."""
    slot = observed.slots[KEY]["s1"]
    pods = tuple(replace(p, ready=False, unready_since=observed.now - timedelta(seconds=1)) for p in slot.pods)
    return with_slot(observed, 2, "s1", replace(slot, pods=pods))


def with_check(observed, **facts):
    return replace(observed, checks={KEY: CheckFacts(**facts)})


def work(plan, kind):
    return [w for w in plan.background if isinstance(w, kind)]


# ---- Deploying ---------------------------------------------------------------------------------------------------


def test_all_slots_must_be_ready_before_sessions_are_opened() -> None:
    world = at_phase("Deploying")
    for seconds in (1, 1, 10):
        world.reconcile()
        world.tick(seconds)
    assert env(decide(world.observe())).phase == "Checking"
    half = world.observe()
    slot = half.slots[KEY]["s1"]
    half = with_slot(half, 2, "s1", replace(slot, pods=tuple(replace(p, ready=False) for p in slot.pods)))
    plan = decide(half)
    assert env(plan).phase == "Deploying"
    assert "(s1)" in env(plan).waiting_for.message
    assert env(plan).waiting_for.until == env(plan).deadline


def test_a_replica_that_never_comes_fails_at_the_deadline_and_not_before() -> None:
    world = at_phase("Deploying")
    for _ in range(3):
        world.reconcile()
        world.tick(1)
    coming = change_pods(world.observe(), 2, ready=False, app=ContainerFacts(running=True))
    deadline = instant(env(decide(coming)).deadline)
    late = replace(coming, now=deadline - timedelta(seconds=1))
    assert env(decide(late)).candidate == 2
    over = replace(coming, now=deadline)
    plan = decide(over)
    assert work(plan, ReadLog), "its log first: the cause is often only there"
    assert env(plan).candidate == 2
    reading = replace(over, logs={KEY: LogFacts(running=True)})
    assert env(decide(reading)).candidate == 2
    read = replace(over, logs={KEY: LogFacts(cause="KeyError: 'x'")})
    plan = decide(read)
    assert env(plan).candidate is None
    assert env(plan).removing == (2,)
    assert [(q.release, q.image) for q in env(plan).quarantined] == [(2, image("good", 2))]
    told = next(r.status for r in plan.records if r.number == 2)
    assert (told.phase, told.reason) == ("Failed", "NothingListens")
    assert told.message.startswith("KeyError: 'x' (nothing listens on port 8501")


def test_a_crash_loop_fails_at_once() -> None:
    world = at_phase("Deploying")
    for _ in range(3):
        world.reconcile()
        world.tick(1)
    looping = ContainerFacts(waiting="CrashLoopBackOff", restarts=3, last_exit=Exit(1, "Error", 0.5))
    observed = replace(change_pods(world.observe(), 2, ready=False, app=looping), logs={KEY: LogFacts()})
    assert env(decide(observed)).candidate is None


def test_a_candidate_that_cannot_start_makes_room_for_a_newer_wish_and_only_then() -> None:
    world = at_phase("Deploying")
    for _ in range(3):
        world.reconcile()
        world.tick(1)
    world.push(image("good", 3))
    running = change_pods(world.observe(), 2, ready=False, app=ContainerFacts(running=True))
    assert env(decide(running)).candidate == 2, "what has started is verified to its end"
    stuck = change_pods(world.observe(), 2, ready=False, unschedulable="0/1 nodes: Insufficient cpu")
    plan = decide(stuck)
    assert (env(plan).candidate, env(plan).removing, env(plan).quarantined) == (None, (2,), ())
    assert next(r.status.phase for r in plan.records if r.number == 2) == "Superseded"
    same = replace(stuck, spec=stuck.spec.model_copy(update={"image": image("good", 2)}))
    plan = decide(same)
    assert env(plan).candidate == 2
    assert env(plan).deadline is None, "no deadline of ours runs while somebody else must act"
    assert condition(plan, "Stalled").reason == "NoRoom"


# ---- Checking ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "phase", "candidate", "why"),
    [
        ({}, "Checking", 2, "not asked yet"),
        ({"running": True}, "Checking", 2, "being asked"),
        ({"verdict": Verdict.PASS}, "Releasing", 2, "it works"),
        ({"verdict": Verdict.INCONCLUSIVE}, "Checking", 2, "no news is not good news"),
        ({"verdict": Verdict.ERROR}, "Checking", 2, "and not bad news"),
        ({"verdict": Verdict.FAIL, "message": "boom"}, "Released", None, "it does not work; what served goes on"),
    ],
)
def test_what_a_verdict_does(facts: dict, phase: str, candidate: int | None, why: str) -> None:
    plan = decide(with_check(at_phase("Checking").observe(), **facts))
    assert (env(plan).phase, env(plan).candidate) == (phase, candidate), why
    assert env(plan).stable == 1


def test_a_check_that_cannot_tell_is_tried_again_after_a_pause_until_its_deadline() -> None:
    observed = at_phase("Checking").observe()
    told = {"verdict": Verdict.INCONCLUSIVE, "attempt": 4, "finished_at": observed.now, "message": "no value yet"}
    plan = decide(with_check(observed, **told))
    assert not work(plan, StartCheck)
    assert plan.requeue_after == pytest.approx(3)
    assert "so far: no value yet" in env(plan).waiting_for.message
    later = replace(observed, now=observed.now + timedelta(seconds=3))
    (again,) = work(decide(with_check(later, **told)), StartCheck)
    assert again.attempt == 5
    assert not work(decide(with_check(later, **told, running=True)), StartCheck)
    over = replace(observed, now=observed.now + timedelta(seconds=121))
    plan = decide(with_check(over, **told))
    assert env(plan).candidate is None
    reason = next(r.status for r in plan.records if r.number == 2)
    assert (reason.reason, reason.message) == ("SessionInconclusive", "no working session within 120 s: no value yet")


def test_a_session_that_worked_on_a_replica_that_is_away_switches_nothing() -> None:
    observed = with_check(at_phase("Checking").observe(), verdict=Verdict.PASS)
    assert env(decide(change_pods(observed, 2, ready=False, unready_since=observed.now))).phase == "Checking"
    assert env(decide(half_away(observed))).phase == "Checking"


# ---- Releasing ---------------------------------------------------------------------------------------------------


def switching():
    """The route is written and accepted, and visitors see it: only the persisted memory does not say so yet."""
    world = at_phase("Releasing")
    world.reconcile()
    world.tick(1)
    observed = world.observe()
    assert observed.routes["sales-env0"].accepted
    return world, observed, ViewFacts(plan=2, release=2, seen=True)


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (None, "nobody has looked"),
        (ViewFacts(plan=2, release=2, seen=False), "not yet"),
        (ViewFacts(plan=1, release=2, seen=True), "an older plan"),
        (ViewFacts(plan=2, release=1, seen=True), "another release"),
    ],
)
def test_a_switch_is_done_only_when_its_plan_and_release_are_seen(view: ViewFacts | None, why: str) -> None:
    _, observed, seen = switching()
    plan = decide(replace(observed, views={"env0": view} if view else {}))
    assert env(plan).phase == "Releasing", why
    assert [w.plan for w in work(plan, ObserveGateway)] == [2]
    assert env(decide(replace(observed, views={"env0": seen}))).phase == "Baking"


@pytest.mark.parametrize("accepted", [None, False])
def test_a_switch_is_not_done_while_the_gateway_has_not_accepted_it(*, accepted: bool | None) -> None:
    _, observed, seen = switching()
    route = replace(observed.routes["sales-env0"], accepted=accepted, words="NotAllowedByListeners: no")
    plan = decide(replace(observed, views={"env0": seen}, routes={**observed.routes, "sales-env0": route}))
    assert env(plan).phase == "Releasing"
    stalled = condition(plan, "Stalled")
    assert (stalled is None) is (accepted is None)
    if stalled:
        assert "its listener does not take routes from this namespace" in stalled.message


def test_a_switch_is_not_done_while_its_route_says_something_else() -> None:
    _, observed, seen = switching()
    route = replace(observed.routes["sales-env0"], spec={"rules": []})
    plan = decide(replace(observed, views={"env0": seen}, routes={**observed.routes, "sales-env0": route}))
    assert env(plan).phase == "Releasing"
    assert "sales-env0" in written(plan, "HTTPRoute")


def test_a_silent_gateway_is_told_to_a_person_after_its_time() -> None:
    _, observed, _ = switching()
    began = instant(observed.status.environment("env0").phase_since)
    quiet = replace(observed, views={"env0": ViewFacts(plan=2, release=2, words="status 502")})
    assert condition(decide(replace(quiet, now=began + timedelta(seconds=29))), "Stalled") is None
    stalled = condition(decide(replace(quiet, now=began + timedelta(seconds=30))), "Stalled")
    assert stalled.reason == "GatewaySilent"
    assert "status 502" in stalled.message


def test_after_the_switch_the_former_release_drains_and_stays_stable_until_the_bake_is_over() -> None:
    _, observed, seen = switching()
    memory = env(decide(replace(observed, views={"env0": seen})))
    assert (memory.stable, memory.candidate, memory.plan, memory.intent) == (1, 2, 2, None)
    assert memory.weights == (Weight(release=2, weight=1000),)
    assert [d.release for d in memory.draining] == [1]
    assert instant(memory.deadline) - observed.now == timedelta(seconds=30)


def test_new_visits_wait_for_a_replica_that_blinks_before_the_switch_is_written() -> None:
    observed = at_phase("Releasing").observe()
    assert "sales-env0" in written(decide(observed), "HTTPRoute")
    plan = decide(half_away(observed))
    assert "sales-env0" not in written(plan, "HTTPRoute"), "a share must never be above what is ready"
    assert env(plan).intent.switch_to == 2


def lose(observed, seconds: float):
    return change_pods(observed, 2, ready=False, unready_since=observed.now - timedelta(seconds=seconds))


@pytest.mark.parametrize("phase", ["Releasing", "Baking"])
def test_a_replica_that_is_lost_takes_new_visits_back_and_a_blink_does_not(phase: str) -> None:
    observed = at_phase(phase).observe()
    assert getattr(env(decide(lose(observed, 9))).intent, "switch_to", 2) == 2
    plan = decide(lose(observed, 11))
    memory = env(plan)
    assert memory.intent.switch_to == 1
    assert memory.intent.plan == 3
    assert memory.stable == 1
    assert [q.release for q in memory.quarantined] == [2]
    assert next(r.status for r in plan.records if r.number == 2).phase == "RolledBack"
    assert "sales-env0" not in written(plan, "HTTPRoute"), "the switch back is persisted before it is written"


def test_a_first_release_that_is_lost_before_anybody_came_is_waited_for() -> None:
    world = fresh()
    while world.status.environment("env0").phase != "Releasing":
        world.reconcile()
        world.tick(1)
    observed = world.observe()
    away = change_pods(observed, 1, ready=False, unready_since=observed.now - timedelta(seconds=60))
    plan = decide(away)
    assert env(plan).candidate == 1
    assert condition(plan, "Stalled").reason == "NotReady"
    assert "sales-env0" not in written(plan, "HTTPRoute")


def test_when_the_switch_back_is_seen_the_failed_release_drains_and_stable_does_not() -> None:
    world = at_phase("Baking")
    remember(world, intent=Intent(switch_to=1, plan=3))
    world.reconcile()
    world.tick(1)
    observed = replace(world.observe(), views={"env0": ViewFacts(plan=3, release=1, seen=True)})
    memory = env(decide(observed))
    assert (memory.stable, memory.candidate, memory.plan, memory.phase) == (1, None, 3, "Released")
    assert [d.release for d in memory.draining] == [2]
    assert memory.weights[0].release == 1


# ---- Baking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("in_row", "back"), [(0, False), (1, False), (2, True), (3, True)])
def test_two_failed_sessions_in_a_row_take_a_baking_release_back(*, in_row: int, back: bool) -> None:
    observed = at_phase("Baking").observe()
    plan = decide(with_check(observed, verdict=Verdict.FAIL, failed_in_row=in_row, message="boom"))
    assert (env(plan).intent is not None) is back
    assert env(plan).candidate == 2


def test_a_bake_ends_at_its_time_on_ready_replicas_and_not_before() -> None:
    world = at_phase("Baking")
    observed = with_check(world.observe(), verdict=Verdict.PASS, finished_at=world.now + timedelta(seconds=5))
    deadline = instant(world.status.environment("env0").deadline)
    early = replace(observed, now=deadline - timedelta(seconds=1))
    assert env(decide(early)).stable == 1
    assert env(decide(early)).waiting_for.until == world.status.environment("env0").deadline
    on_time = replace(observed, now=deadline)
    assert (env(decide(on_time)).stable, env(decide(on_time)).candidate) == (2, None)
    blink = change_pods(on_time, 2, ready=False, unready_since=on_time.now)
    assert env(decide(blink)).stable == 1
    assert decide(blink).requeue_after > 0, "a deadline that is over wakes nobody at once"


def test_a_bake_that_nobody_can_prove_is_told_to_a_person() -> None:
    world = at_phase("Baking")
    deadline = instant(world.status.environment("env0").deadline)
    for late, stalled in ((10, False), (301, True)):
        now = deadline + timedelta(seconds=late)
        observed = replace(world.observe(), now=now)
        plan = decide(with_check(observed, verdict=Verdict.INCONCLUSIVE, message="busy", finished_at=now))
        assert (condition(plan, "Stalled") is not None) is stalled
        assert "busy" in env(plan).waiting_for.message
        assert plan.requeue_after > 1


# ---- draining and removing -----------------------------------------------------------------------------------------


def drained(*, live: int | None, quiet: float | None, age: float, slot1: int | None = 0):
    world = released()
    world.push(image("good", 2))
    while world.status.environment("env0").stable == 1:
        world.reconcile()
        world.tick(1)
        world.close_sessions()
        world.open_session()
    memory = world.status.environment("env0")
    assert [d.release for d in memory.draining] == [1]
    entry = memory.draining[0].model_copy(update={"since": after(world, -age)})
    remember(world, draining=(entry,), removing=())
    observed = world.observe()
    fronts = {}
    for label, slot in observed.slots["env0", 1].items():
        alone = label == "s0"
        fronts[slot.pods[0].name] = FrontFacts(
            live=live if alone else slot1, quiet_for=quiet if alone else 999.0, at=world.now
        )
    return replace(observed, fronts=fronts)


@pytest.mark.parametrize(
    ("live", "quiet", "age", "gone", "why"),
    [
        (0, 20.0, 20.0, True, "empty for long enough"),
        (0, 19.9, 60.0, False, "a laptop asleep comes back within emptyFor"),
        (0, 500.0, 19.0, False, "quiet from before it drained does not count"),
        (1, 20.0, 60.0, False, "a session is open"),
        (None, None, 60.0, False, "unreachable is unknown, not empty"),
        (None, 99.0, 60.0, False, "how many is unknown"),
        (0, None, 60.0, False, "for how long is unknown"),
    ],
)
def test_when_a_former_release_may_go(
    live: int | None, quiet: float | None, age: float, *, gone: bool, why: str
) -> None:
    plan = decide(drained(live=live, quiet=quiet, age=age))
    assert (env(plan).removing == (1,)) is gone, why
    assert deleted(plan) == [], "nothing goes in the pass that decides it"


def test_every_slot_must_be_empty() -> None:
    assert env(decide(drained(live=0, quiet=99.0, age=99.0, slot1=1))).removing == ()


def test_at_its_time_a_release_goes_whatever_is_open() -> None:
    observed = drained(live=3, quiet=0.0, age=5.0)
    forced = instant(observed.status.environment("env0").draining[0].forced_at)
    assert env(decide(replace(observed, now=forced - timedelta(seconds=1)))).removing == ()
    assert env(decide(replace(observed, now=forced))).removing == (1,)


def test_while_it_bakes_the_former_release_stays_though_it_is_empty() -> None:
    world = at_phase("Baking")
    world.now += timedelta(seconds=25)
    observed = world.observe()
    fronts = {
        s.pods[0].name: FrontFacts(live=0, quiet_for=999.0, at=world.now) for s in observed.slots["env0", 1].values()
    }
    assert env(decide(replace(observed, fronts=fronts))).removing == ()


def test_a_release_is_taken_apart_routes_first_then_replicasets_then_pods_then_services() -> None:
    world = released()
    world.push(image("good", 2))
    world.settle()
    world.push(image("good", 3))
    seen = []
    while world.status.environment("env0").stable != 3 or world.status.environment("env0").removing:
        plan = decide(world.observe())
        seen += [kind for kind, name in deleted(plan) if name.startswith(("sales-env0-2", "pod-"))]
        world.reconcile()
        world.tick(1)
    for _ in range(60):
        plan = decide(world.observe())
        seen += [kind for kind, name in deleted(plan)]
        world.reconcile()
        world.tick(1)
    assert seen == ["HTTPRoute"] * 2 + ["ReplicaSet"] * 2 + ["Pod"] * 2 + ["Service"] * 2


def test_each_step_of_taking_apart_waits_until_the_one_before_is_seen() -> None:
    """A route that still points at a pod that ends would lead somebody to nothing."""
    world = at_phase("Baking")
    remember(world, removing=(1,), stable=2, candidate=None, phase="Released")
    steps = []
    for _ in range(4):
        plan = decide(world.observe())
        steps.append({kind for kind, _ in deleted(plan)})
        for action in plan.actions:
            world._act(action)
        dying = decide(world.observe())
        assert "Pod" not in {kind for kind, _ in deleted(dying)} or steps[-1] != {"Pod"}, "the first delete decides"
        world.pods = {name: pod for name, pod in world.pods.items() if not pod.deleting}
    assert steps == [{"HTTPRoute"}, {"ReplicaSet"}, {"Pod"}, {"Service"}]


def test_fronts_are_asked_only_while_something_changes() -> None:
    assert not work(decide(released().observe()), AskFronts)
    (asked,) = work(decide(at_phase("Baking").observe()), AskFronts)
    assert len(asked.targets) == 4


def test_a_replicaset_scaled_by_hand_is_put_back() -> None:
    observed = released().observe()
    slot = observed.slots["env0", 1]["s0"]
    scaled = with_slot(observed, 1, "s0", replace(slot, replicaset=replace(slot.replicaset, replicas=0)))
    assert written(decide(scaled), "ReplicaSet") == ["sales-env0-1-s0"]
    assert decide(observed).actions == ()


def test_a_refused_pod_is_tried_again_now_and_then_and_not_all_the_time() -> None:
    observed = released().observe()
    slot = observed.slots["env0", 1]["s0"]
    failing = replace(slot.replicaset, create_failure="exceeded quota")
    first = decide(with_slot(observed, 1, "s0", replace(slot, replicaset=failing)))
    assert written(first, "ReplicaSet") == ["sales-env0-1-s0"]
    nudge = first.actions[0].manifest["metadata"]["annotations"]["dataapps.dev/nudge"]
    nudged = with_slot(observed, 1, "s0", replace(slot, replicaset=replace(failing, nudge=nudge)))
    assert decide(nudged).actions == ()
    assert decide(replace(nudged, now=nudged.now + timedelta(seconds=30))).actions
    mended = with_slot(observed, 1, "s0", replace(slot, replicaset=replace(slot.replicaset, nudge=nudge)))
    assert decide(mended).actions == (), "what served as a nudge stays as it is"


# ---- who leaves ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "leaving", "why"),
    [
        ({"stable": 1, "weights": (Weight(release=1, weight=1000),), "phase": "Released"}, set(), "at rest"),
        (
            {
                "stable": 1,
                "candidate": 2,
                "weights": (Weight(release=1, weight=1000),),
                "intent": Intent(switch_to=2, plan=2),
                "phase": "Releasing",
            },
            {1},
            "one write changes new visits and page loads",
        ),
        (
            {"stable": 1, "candidate": 2, "weights": (Weight(release=2, weight=1000),), "phase": "Baking"},
            {1},
            "page loads stay with the new one",
        ),
        (
            {
                "stable": 1,
                "candidate": 2,
                "weights": (Weight(release=2, weight=1000),),
                "intent": Intent(switch_to=1, plan=3),
                "phase": "Baking",
            },
            {2},
            "page loads go back with new visits",
        ),
        (
            {
                "stable": 1,
                "candidate": 2,
                "weights": (Weight(release=1, weight=1000),),
                "intent": Intent(switch_to=1, plan=3),
                "phase": "Releasing",
            },
            {2},
            "so they do when it failed while it took over: somebody may have met it",
        ),
        (
            {"stable": 1, "candidate": 2, "weights": (Weight(release=1, weight=1000),), "phase": "Checking"},
            set(),
            "a candidate nobody has met does not leave",
        ),
    ],
)
def test_whose_page_loads_go_elsewhere(changes: dict, leaving: set[int], why: str) -> None:
    world = released()
    remember(world, **({"candidate": None, "intent": None} | changes))
    assert upkeep.leaving(world.status.environment("env0")) == leaving, why
