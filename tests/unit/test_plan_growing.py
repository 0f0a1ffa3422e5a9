"""A canary that begins with few replicas: how many a step needs, and that they are there before the visitors are."""

import pytest

from dataapp_operator.api.status import Scale
from dataapp_operator.plan import growing
from tests.unit.plan_rig import World, condition, decide, env, fresh, image, memory, passes, until

SLOTS = 3


def small(*, slots: int = SLOTS, stateless: bool = False, warm: int = 0, environments: int = 1) -> World:
    """An app whose canary has one replica for 10 % and at least one for 40 %, and all of them for 70 %."""
    world = fresh(how="small canary", slots=slots, stateless=stateless, warm=warm, environments=environments)
    world.settle()
    return world


def stepping(world: World, step: int = 0) -> World:
    """Its second release stands at a step, just now."""
    world.push(image("good", 2))
    return until(world, lambda: (memory(world).step, memory(world).intent) == (step, None))


def serving(world: World, number: int = 2) -> int:
    """How many replicas of a release are said to serve."""
    scale = next((scale for scale in memory(world).scales if scale.release == number), None)
    return SLOTS if scale is None else len(scale.serving)


def pods(world: World, number: int = 2) -> int:
    return sum(pod.slot[1] == number and not pod.over and not pod.deleting for pod in world.pods.values())


def share(world: World, number: int = 2) -> int:
    return sum(weight.weight for weight in memory(world).weights if weight.release == number)


@pytest.mark.parametrize(
    ("slots", "needed"),
    [(1, [1, 1, 1, 1]), (2, [1, 1, 2, 2]), (3, [1, 2, 3, 3]), (8, [1, 4, 8, 8])],
)
def test_a_step_has_what_is_asked_for_and_never_less_than_its_share_needs(slots: int, needed: list[int]) -> None:
    world = small(slots=slots)
    spec = world.releases["env0", 1][0]
    assert [growing.count(spec, step) for step in (0, 1, 2, None)] == needed


def test_a_release_starts_small_and_is_whole_before_everybody_comes() -> None:
    world = stepping(small())
    assert (serving(world), pods(world), share(world)) == (1, 1, 100)
    seen = []
    while memory(world).candidate is not None:
        world.reconcile()
        world.follow_advice()
        world.tick(1)
        now = (share(world), serving(world))
        seen += [now] if now not in seen else []
    assert seen == [(100, 1), (100, 2), (400, 2), (400, 3), (700, 3), (1000, 3)]
    assert memory(world).stable == 2
    assert not any(scale.release == 2 for scale in memory(world).scales), "it is as large as it was to be"


def test_what_it_waits_for_is_said_with_its_end() -> None:
    world = stepping(small())
    until(world, lambda: memory(world).waiting_for.reason == "Scaling")
    waits = memory(world).waiting_for
    assert waits.message == "r2 gets another replica before more of the new visitors come to it"
    assert waits.until is not None


def test_a_first_release_has_all_its_replicas_at_once() -> None:
    world = fresh(how="small canary", slots=SLOTS)
    passes(world, 3)
    assert pods(world, 1) == SLOTS


def test_of_a_deployment_nothing_is_counted() -> None:
    world = stepping(small(stateless=True))
    assert memory(world).scales == ()
    assert pods(world) == SLOTS


def test_without_room_for_more_the_share_stays_and_a_person_is_told() -> None:
    world = stepping(small())
    world.room = False
    until(world, lambda: memory(world).waiting_for.reason == "NoRoom")
    passes(world, 400)
    assert (memory(world).step, share(world), memory(world).candidate) == (0, 100, 2)
    told = condition(decide(world.observe()), "Stalled").message
    assert "r2 gets another replica before more of the new visitors come to it: no machine of the cluster" in told
    world.room = True
    until(world, lambda: memory(world).step == 1)


def test_a_replica_that_is_added_and_ends_by_itself_takes_the_release_back() -> None:
    world = stepping(small())
    until(world, lambda: pods(world) == 2)
    (pod,) = (pod for pod in world.pods.values() if pod.slot == ("env0", 2, "s1"))
    pod.image = image("crash", 2)
    until(world, lambda: memory(world).candidate is None)
    assert world.releases["env0", 2][1].phase == "RolledBack"
    assert memory(world).stable == 1


def test_a_replica_that_never_comes_is_not_waited_for_for_ever() -> None:
    world = stepping(small())
    until(world, lambda: pods(world) == 2)
    (pod,) = (pod for pod in world.pods.values() if pod.slot == ("env0", 2, "s1"))
    pod.broken_since, pod.broken_for = world.now, 1e6
    until(world, lambda: memory(world).candidate is None, steps=500)
    record = world.releases["env0", 2][1]
    assert record.phase == "RolledBack"
    assert "another replica of it was not ready after 330 s" in record.message


@pytest.mark.parametrize("said", ["before", "at a step"])
def test_whoever_leaves_the_steps_out_waits_until_it_is_whole(said: str) -> None:
    world = small()
    world = stepping(world) if said == "at a step" else world
    world.push(image("good", 2))
    world.commands["promote-full"] = "env0=2"
    shares = set()
    while memory(world).stable != 2:
        world.reconcile()
        world.tick(1)
        shares.add((share(world), serving(world)))
    assert {now for now in shares if now[0] > 100} == {(1000, 3)}
    assert any(now[0] == 1000 for now in shares)


def test_one_that_left_while_it_was_small_does_not_take_everybody_back() -> None:
    world = stepping(small(environments=2))
    for pod in world.pods.values():
        pod.sessions, pod.clinging = 1, True
    both = world.spec
    world.spec = both.model_copy(update={"environments": both.environments[1:]})
    until(world, lambda: memory(world).stable is None)
    assert memory(world).scales == (Scale(release=2, serving=(0,)),)
    world.spec = both
    until(world, lambda: memory(world).candidate is not None)
    assert memory(world).candidate != 2


def test_what_comes_back_whole_needs_no_new_replica() -> None:
    world = small(warm=1)
    world.push(image("good", 2))
    until(world, lambda: memory(world).stable == 2)
    world.push(image("good", 1))
    until(world, lambda: memory(world).intent is not None)
    assert env(decide(world.observe())).candidate == 1
    assert memory(world).intent.weight is None
