"""The release machine under crashes between any two calls, and under a hostile script of events.

The invariants themselves are checked inside :mod:`world` at every single call; the events are in :mod:`script`.
"""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from tests.property.cluster import HOWS
from tests.property.script import HARM, PLACES, SCRIPTS, WAYS, Way, begin, dealt, happen, play
from tests.property.stories import acts_of, deaths, live, story
from tests.property.world import KINDS, at_rest, fresh, image, kind_of

DEEP = os.environ.get("DATAAPP_DEEP") == "1"


@pytest.mark.parametrize("kind", KINDS)
def test_first_release_ends_as_it_should(kind: str) -> None:
    world = fresh(kind)
    world.settle()
    phase = world.end()["env0"][1]
    assert phase == ("Released" if kind in {"good", "late", "sick"} else "Failed")
    ready = next(c for c in world.status.conditions if c.type == "Ready")
    assert ready.status == ("True" if phase == "Released" else "False")


@pytest.mark.parametrize("kind", KINDS)
def test_second_release_replaces_the_first_only_if_it_works(kind: str) -> None:
    world = fresh()
    story(world, (kind,))
    serving, phase = world.end()["env0"]
    if kind == "good":
        assert (serving, phase) == (image("good", 2), "Released")
        assert world.releases[("env0", 1)][1].phase == "Retired"
    else:
        assert serving == image("good", 1)
        assert phase == ("RolledBack" if kind in {"late", "sick"} else "Failed")
        assert any(c.type == "LastReleaseFailed" for c in world.status.conditions)
    assert next(c for c in world.status.conditions if c.type == "Ready").status == "True"
    assert world.status.environment("env0").removing == ()


def test_a_failed_release_leaves_nothing_behind_and_is_not_tried_again() -> None:
    world = fresh()
    story(world, ("session",))
    assert len(world.releases) == 2
    assert {key[1] for key in world.replicasets} == {1}
    assert {p.slot[1] for p in world.pods.values()} == {1}
    world.tick(3600)
    world.settle()
    assert len(world.releases) == 2


def test_the_fix_after_a_failure_is_released() -> None:
    world = fresh("crash")
    story(world, ("session", "good"))
    assert world.end()["env0"] == (image("good", 3), "Released")
    assert not any(c.type == "LastReleaseFailed" for c in world.status.conditions)


def test_a_failed_image_with_mended_configuration_is_tried_again() -> None:
    world = fresh("crash")
    world.settle()
    app = world.spec.app.model_copy(update={"resources": world.spec.app.resources.model_copy(update={"memory": "1Gi"})})
    world.spec = world.spec.model_copy(update={"app": app})
    world.settle()
    assert ("env0", 2) in world.releases


def test_going_back_to_the_former_image_is_a_new_release() -> None:
    world = fresh()
    story(world, ("good",))
    world.push(image("good", 1))
    world.settle()
    assert world.end()["env0"] == (image("good", 1), "Released")
    assert world.status.environment("env0").stable == 3


def test_second_environment_gets_only_what_the_first_has_proved() -> None:
    world = fresh("session", environments=2)
    world.settle()
    assert world.end()["env1"] == (None, None)
    world.push(image("good", 2))
    world.settle()
    assert world.end() == {"env0": (image("good", 2), "Released"), "env1": (image("good", 2), "Released")}
    assert world.status.environment("env0").stable == world.status.environment("env1").stable == 2


def test_an_open_session_keeps_its_release_until_it_ends() -> None:
    world = fresh()
    world.settle()
    world.open_session()
    world.push(image("good", 2))
    for _ in range(100):
        world.reconcile()
        world.tick(2)
    assert {key[1] for key in world.replicasets} == {1, 2}
    assert world.releases[("env0", 1)][1].phase == "Draining"
    assert "2 sessions, forced at" in world.releases[("env0", 1)][1].summary
    world.close_sessions()
    world.settle()
    assert {key[1] for key in world.replicasets} == {2}


def test_unreachable_fronts_are_unknown_and_keep_the_pod_until_its_time() -> None:
    world = fresh()
    world.settle()
    world.push(image("good", 2))
    world.fronts_answer = False
    for _ in range(140):
        world.reconcile()
        world.tick(2)
    assert {key[1] for key in world.replicasets} == {1, 2}, "unknown must not count as empty"
    world.tick(600)
    world.settle()
    assert {key[1] for key in world.replicasets} == {2}


def test_a_gateway_that_says_no_stalls_with_its_words_and_goes_on_when_it_says_yes() -> None:
    world = fresh()
    world.gateway_accepts = False
    for _ in range(60):
        world.reconcile()
        world.tick(2)
    stalled = next(c for c in world.status.conditions if c.type == "Stalled")
    assert stalled.reason == "GatewayRejected"
    assert "not allowed here" in stalled.message
    world.gateway_accepts = True
    world.settle()
    assert world.end()["env0"] == (image("good", 1), "Released")


def test_a_release_waits_for_room_without_losing_time_and_a_newer_one_takes_its_place() -> None:
    world = begin((1, 2, 0, False, "at once"))
    world.room = False
    world.push(image("good", 2))
    for _ in range(30):
        world.reconcile()
        world.tick(30)
    assert next(c for c in world.status.conditions if c.type == "Stalled").reason == "NoRoom"
    world.push(image("good", 3))
    for _ in range(30):
        world.reconcile()
        world.tick(30)
    assert world.releases["env0", 2][1].phase == "Superseded"
    world.room = True
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")


def test_a_gateway_that_only_says_that_it_has_switched_is_not_believed() -> None:
    world = begin((1, 2, 0, False, "at once"))
    world.gateway_stale = True
    world.push(image("good", 2))
    for _ in range(60):
        world.reconcile()
        world.tick(2)
    assert world.status.environment("env0").weights[0].release == 1
    assert next(c for c in world.status.conditions if c.type == "Stalled").reason == "GatewaySilent"
    world.gateway_stale = False
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


def test_an_environment_that_is_no_longer_wanted_drains_and_disappears() -> None:
    world = fresh(environments=2)
    world.settle()
    world.open_session()
    world.spec = world.spec.model_copy(update={"environments": world.spec.environments[:1]})
    world.generation += 1
    for _ in range(60):
        world.reconcile()
        world.tick(2)
    assert any(key[0] == "env1" for key in world.replicasets), "its session is still open"
    world.close_sessions()
    world.settle()
    assert {key[0] for key in world.replicasets} == {"env0"}
    assert [e.name for e in world.status.environments] == ["env0"]
    assert set(world.routes) == {"sales-env0", "sales-env0-1", "sales-env0-1.preview"}


@pytest.mark.parametrize(
    "kinds", [("good",), ("session",), ("late",), pytest.param(("crash", "good"), marks=pytest.mark.long)]
)
def test_a_crash_after_any_single_call_changes_nothing_about_the_end(kinds: tuple[str, ...]) -> None:
    undisturbed, acts = fresh(), acts_of(kinds)
    for point, world in deaths(acts, live(undisturbed, acts)):
        assert world.end() == undisturbed.end(), f"died after call {point}"
        assert set(world.releases) == set(undisturbed.releases), f"died after call {point}: a release was made twice"


@pytest.mark.parametrize("mishap", ["blink", "flap", "crash", "evict", "give up"])
def test_whatever_happens_to_the_newest_pod_at_any_moment_visitors_are_served(mishap: str) -> None:
    """A blink, which takes all pods, changes nothing about the end."""
    passes = 16  # until it bakes
    for moment in range(passes):
        world = begin((1, 2, 0, False, "at once"))
        world.push(image("good", 2))
        for now in range(passes):
            if now == moment:
                happen(world, [], mishap, -1)
            world.reconcile()
            world.tick(1)
        world.settle()
        assert world.end()["env0"][0] in {image("good", 1), image("good", 2)}
        assert mishap != "blink" or world.end()["env0"] == (image("good", 2), "Released")


def test_steady_state_writes_nothing() -> None:
    world = fresh(environments=2)
    story(world, ("good", "session"))
    before = world.calls
    for _ in range(100):
        world.reconcile()
        world.tick(7)
    assert world.calls == before


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=12, deadline=None, suppress_health_check=SLOW)
@given(SCRIPTS, WAYS)
def test_no_short_run_of_scripts_breaks_an_invariant(script: list[tuple[str, object]], way: Way) -> None:
    live_through(script, way)


@pytest.mark.long
@settings(max_examples=3000 if DEEP else 40, deadline=None, suppress_health_check=SLOW)
@given(SCRIPTS, WAYS)
def test_no_script_of_events_breaks_an_invariant(script: list[tuple[str, object]], way: Way) -> None:
    live_through(script, way)


def live_through(script: list[tuple[str, object]], way: Way) -> None:
    """A script, and what must be true at its end."""
    world = begin(way)
    images, _ = play(world, script)
    world.gateway_accepts = world.fronts_answer = world.room = True
    world.gateway_stale = world.suspended = False
    world.program()
    world.commands.clear()
    world.close_sessions()
    world.settle()  # whoever never goes home is waited for until the time is over
    if world.deleting:
        assert world.gone, "a deleted app whose time is over is still there"
        assert world.is_empty()
    elif {what for what, _ in script} & HARM:
        # A release may rightly be taken back when its replicas are taken from it; somebody must be served if anybody was.
        assert all(e.weights or not e.stable for e in world.status.environments)
        assert all(at_rest(e) for e in world.status.environments)
    elif kind_of(images[-1]) == "good" and world.spec.image == images[-1]:
        asked = world.spec.environments[0].name
        free = [env.name for env in world.spec.environments if env.name == asked or env.promotion.mode != "manual"]
        assert all(world.end()[env][0] == images[-1] for env in free)


@pytest.mark.long
def test_the_script_comes_often_to_where_it_is_interesting() -> None:
    """Always the same scripts: nobody can make the events dull without noticing."""
    came: Counter[str] = Counter()
    for number in range(63):
        how = sorted(HOWS)[number % len(HOWS)]
        way = (1 + number % 2, 1 + number % 3, number % 3, number % 4 == 0, how)
        came.update(play(begin(way), dealt(number))[1])
    assert {place: came[place] for place in PLACES if came[place] < 2} == {}, dict(came)
