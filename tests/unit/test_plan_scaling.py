"""More and fewer replicas of what serves: who gets visitors when, who leaves when, and what sessions ask for."""

from datetime import timedelta

import pytest

from dataapp_operator.api.base import timestamp
from dataapp_operator.api.status import Scale
from dataapp_operator.plan.actions import AskFronts
from dataapp_operator.plan.facts import FrontFacts
from dataapp_operator.plan.routes import backends_of
from tests.unit.plan_rig import World, at_phase, condition, decide, env, fresh, passes, released, remember, replace


def scale(world: World) -> Scale | None:
    """The persisted replicas of the release that serves."""
    return next(iter(world.status.environment("env0").scales), None)


def serving(world: World) -> dict[str, int]:
    """Each slot's share of new visitors, as the route has it."""
    shares = backends_of(world.routes["sales-env0"][0])
    return {name.rpartition("-")[2]: weight for name, weight in shares.items()}


def elastic(slots: int = 1) -> World:
    """An app that serves with so many replicas; one to four, as sessions ask for them, three in each."""
    world = fresh()
    world.resize(slots, 4)
    world.settle()
    world.resize(1, 4)
    return world


def busy(world: World, *live: int | None):
    """What is observed when so many sessions are open on each replica that serves."""
    pods = sorted((pod.slot[2], pod.name) for pod in world.pods.values())
    fronts = {
        name: FrontFacts() if count is None else FrontFacts(live=count, quiet_for=0.0, at=world.now)
        for (_, name), count in zip(pods, live, strict=True)
    }
    return replace(world.observe(), fronts=fronts)


def test_another_replica_gets_visitors_once_it_is_ready_and_it_is_no_release() -> None:
    world = released(slots=1)
    world.resize(2)
    world.reconcile()
    assert scale(world) == Scale(release=1, serving=(0,), starting=(1,))
    wait = world.status.environment("env0").waiting_for
    assert (wait.reason, wait.message) == (
        "Scaling",
        "r1 gets another replica; new visitors come to it once it is ready",
    )
    assert serving(world) == {"s0": 1000}
    passes(world, 20)
    assert scale(world) == Scale(release=1, serving=(0, 1))
    assert serving(world) == {"s0": 500, "s1": 500}
    assert [number for _, number in world.releases] == [1]
    assert world.status.environment("env0").waiting_for is None
    assert world.writes_of_next_pass() == 0


def test_one_that_is_too_many_gets_no_visitors_and_ends_with_its_last_session() -> None:
    world = released(slots=2)
    world.open_session()
    world.resize(1)
    passes(world, 40)
    assert serving(world) == {"s0": 1000}
    assert [slot.index for slot in scale(world).leaving] == [1]
    pages = world.routes["sales-env0"][0]["rules"][0]["matches"][0]["headers"][0]["value"]
    assert r"=(?:1\.1)(?:" in pages, "its next page load is a new visit"
    assert len(world.routes["sales-env0-1"][0]["rules"]) == 2, "its cookie leads to it as long as it is there"
    assert len(world.pods) == 2
    world.close_sessions()
    passes(world, 40)
    assert len(world.pods) == len(world.services) == len(world.replicasets) == 1
    assert len(world.routes["sales-env0-1"][0]["rules"]) == 1
    assert scale(world) == Scale(release=1, serving=(0,))


def test_whoever_never_goes_home_is_waited_for_until_drain_max() -> None:
    world = released(slots=2)
    world.open_session(cling=True)
    world.resize(1)
    passes(world, 30)
    ends = scale(world).leaving[0].forced_at
    assert ends == timestamp(world.now.replace(microsecond=0) + timedelta(seconds=600 - 30)), "10 minutes"
    world.tick(600)
    passes(world, 20)
    assert len(world.pods) == 1


def test_one_that_leaves_is_taken_back_when_it_is_wanted_again() -> None:
    world = released(slots=2)
    world.open_session()
    world.resize(1)
    passes(world, 10)
    pods = set(world.pods)
    world.resize(2)
    passes(world, 10)
    assert set(world.pods) == pods
    assert serving(world) == {"s0": 500, "s1": 500}
    assert world.status.environment("env0").scales == (), "it is what it began with"


def test_a_replica_that_cannot_come_is_told_and_costs_those_that_serve_nothing() -> None:
    world = released(slots=1)
    world.room = False
    world.resize(2)
    passes(world, 10)
    plan = decide(world.observe())
    assert condition(plan, "Stalled").message.startswith(
        "env0: r1 gets another replica: no machine of the cluster has room"
    )
    assert condition(plan, "Ready").status == "True"
    assert serving(world) == {"s0": 1000}
    world.resize(1)
    passes(world, 20)
    assert len(world.pods) == 1
    assert condition(decide(world.observe()), "Stalled") is None


def test_nobody_leaves_while_one_that_stays_is_away() -> None:
    world = released(slots=2)
    pod = next(p for p in world.pods.values() if p.slot[2] == "s0")
    pod.broken_since, pod.broken_for = world.now, 1e6
    world.resize(1)
    passes(world, 30)
    assert serving(world) == {"s1": 1000}
    assert scale(world) is None, "both still serve; the one that is away is only gone round"


def test_when_the_one_that_takes_over_is_gone_visitors_stay_where_somebody_answers() -> None:
    world = released(slots=1)
    world.cordoned.add("node-a")
    for _ in range(60):
        world.reconcile()
        if scale(world) is not None and scale(world).serving == (1,):
            break
        world.tick(1)
    for pod in world.pods.values():
        pod.deleting = pod.slot[2] == "s1"
    world.reconcile()
    assert "s0" in serving(world)
    passes(world, 30)
    assert serving(world) == {"s1": 1000}, "the next one takes over"


def test_one_that_leaves_stays_while_new_visitors_are_still_sent_there() -> None:
    """However quiet it is: the next moment somebody comes."""
    world = released(slots=1)
    world.cordoned.add("node-a")
    for _ in range(60):
        world.reconcile()
        if scale(world) is not None and scale(world).serving == (1,):
            break
        world.tick(1)
    for pod in world.pods.values():
        if pod.slot[2] == "s1":
            pod.broken_since, pod.broken_for = world.now, 60
    passes(world, 50)
    assert serving(world) == {"s0": 1000}, "nobody else answers"
    assert [slot.index for slot in scale(world).leaving] == [0]
    passes(world, 120)
    assert serving(world) == {"s1": 1000}
    assert ("env0", 1, "s0") not in world.replicasets


def test_during_a_release_nothing_is_added_and_what_follows_begins_as_large() -> None:
    world = at_phase("Baking")
    world.resize(3)
    passes(world, 5)
    assert world.status.environment("env0").scales == ()
    world.settle()
    assert scale(world) == Scale(release=2, serving=(0, 1, 2))
    world.push(world.spec.image.replace("good-2", "good-3"))
    world.settle()
    assert world.releases["env0", 3][0].plan.slots == 3
    assert world.status.environment("env0").scales == ()


def test_a_successor_begins_with_as_many_as_sessions_have_asked_for() -> None:
    world = elastic()
    remember(world, scales=(Scale(release=1, serving=(0, 1, 2)),))
    world.push(world.spec.image.replace("good-1", "good-2"))
    passes(world, 2)
    assert world.releases["env0", 2][0].plan.slots == 3


@pytest.mark.parametrize(
    ("live", "starting", "why"),
    [
        ((2,), 0, "two of three places are taken"),
        ((3,), 1, "all are: another one before the next comes"),
        ((9,), 3, "more than one at once"),
        ((99,), 3, "never more than the author allows"),
        ((None,), 0, "nobody knows"),
    ],
)
def test_as_many_are_started_as_open_sessions_ask_for(live: tuple[int | None, ...], starting: int, why: str) -> None:
    world = elastic()
    found = next(iter(env(decide(busy(world, *live))).scales), Scale(release=1, serving=(0,)))
    assert len(found.starting) == starting, why


def test_fewer_are_enough_only_after_five_minutes_of_it() -> None:
    world = elastic(3)
    plan = decide(busy(world, 0, 1, 0))
    assert env(plan).scales[0].fewer_since == timestamp(world.now)
    remember(world, scales=env(plan).scales)
    assert plan.requeue_after <= 300
    world.tick(299)
    assert env(decide(busy(world, 0, 1, 0))).scales[0].leaving == ()
    assert env(decide(busy(world, 2, 2, 1))).scales == (), "and the time begins anew when they are wanted again"
    world.tick(2)
    assert [s.index for s in env(decide(busy(world, 0, 1, 0))).scales[0].leaving] == [1, 2]


def test_fronts_are_asked_all_the_time_only_where_sessions_decide() -> None:
    world = released(slots=1)
    assert not any(isinstance(work, AskFronts) for work in decide(world.observe()).background)
    world = elastic()
    (asked,) = [work for work in decide(world.observe()).background if isinstance(work, AskFronts)]
    assert len(asked.targets) == 1


def test_a_size_that_sessions_decide_writes_nothing_while_nothing_changes() -> None:
    world = elastic()
    passes(world, 20)
    calls = world.calls
    passes(world, 200)
    assert world.calls == calls


def test_a_replica_stays_as_long_as_the_gateway_may_still_lead_to_it() -> None:
    """It does not accept what is written now: then it goes on with what was written before."""
    world = released()
    world.resize(1)
    world.reconcile()
    world.gateway_accepts = False
    passes(world, 120)
    assert [slot.index for slot in scale(world).leaving] == [1], "somebody may come yet, however quiet it is"
    passes(world, 600)
    assert scale(world).removing == (1,), "its time is over"
    assert ("env0", 1, "s1") in {pod.slot for pod in world.pods.values()}
    before = world.calls
    passes(world, 60)
    assert world.calls == before
    world.gateway_accepts = True
    world.program()
    passes(world, 60)
    assert {pod.slot for pod in world.pods.values()} == {("env0", 1, "s0")}
