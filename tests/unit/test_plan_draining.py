"""Too many old releases, and what is said of one that has to end early; what a front said long ago."""

from datetime import timedelta

from dataapp_operator.api.base import instant
from dataapp_operator.api.environmentclass import Limits
from dataapp_operator.plan.draining import NOTICE
from tests.property.world import CLASS
from tests.unit.plan_rig import World, decide, env, fresh, image, released, replace


def with_old_releases(count: int) -> World:
    """An app that has released so often while somebody had each release open, with a long drain.max."""
    world = fresh()
    (only,) = world.spec.environments
    drain = only.release.drain.model_copy(update={"max": "4h"})
    policy = only.release.model_copy(update={"drain": drain})
    world.spec = world.spec.model_copy(update={"environments": (only.model_copy(update={"release": policy}),)})
    world.settle()
    for serial in range(2, count + 2):
        world.open_session()
        world.push(image("good", serial))
        while world.status.environment("env0").stable != serial:
            world.reconcile()
            world.tick(1)
    world.reconcile()
    return world


def test_beyond_the_limit_the_oldest_end_earlier_and_their_record_says_so() -> None:
    world = with_old_releases(4)
    cls = CLASS.model_copy(update={"limits": Limits(draining=2)})
    plan = decide(replace(world.observe(), classes={"env0": cls}))
    ends = {d.release: (instant(d.forced_at) - world.now).total_seconds() for d in env(plan).draining}
    assert {n for n, seconds in ends.items() if seconds <= NOTICE} == {1, 2}
    assert min(ends[3], ends[4]) > 3 * 3600
    told = {r.number: r.status.message for r in plan.records}
    assert "earlier than its drain.max" in told[1]
    assert told.get(4) is None

    world.status = plan.status
    world.tick(120)
    later = {d.release: d.forced_at for d in env(decide(replace(world.observe(), classes={"env0": cls}))).draining}
    assert later[1] == env(plan).draining[0].forced_at, "what was told once is not put off again"


def test_within_the_limit_everybody_has_the_time_they_were_promised() -> None:
    world = with_old_releases(2)
    ends = {
        d.release: (instant(d.forced_at) - instant(d.since)).total_seconds()
        for d in env(decide(world.observe())).draining
    }
    assert set(ends.values()) == {4 * 3600.0}


def test_what_a_front_said_long_ago_is_unknown_and_not_empty() -> None:
    world = released()
    world.push(image("good", 2))
    while world.status.environment("env0").stable != 2:
        world.reconcile()
        world.tick(1)
    world.tick(60)
    world.reconcile()
    observed = world.observe()
    assert env(decide(observed)).removing == (1,)
    old = {name: replace(front, at=world.now - timedelta(seconds=60)) for name, front in observed.fronts.items()}
    plan = decide(replace(observed, fronts=old))
    assert env(plan).removing == ()
    assert env(plan).draining[0].sessions is None
