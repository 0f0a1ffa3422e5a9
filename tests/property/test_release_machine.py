"""The release machine under crashes between any two calls, and under a hostile script of events.

The invariants themselves are checked inside :mod:`world` at every single call.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.world import KINDS, World, fresh, image, kind_of

DEEP = os.environ.get("DATAAPP_DEEP") == "1"


def story(world: World, kinds: tuple[str, ...]) -> None:
    """Push one image after the other, each once the one before has come to its end."""
    world.settle()
    for serial, kind in enumerate(kinds, start=2):
        world.open_session()
        world.push(image(kind, serial))
        world.settle()
        world.close_sessions()
    world.settle()


@pytest.mark.parametrize("kind", KINDS)
def test_first_release_ends_as_it_should(kind: str) -> None:
    world = fresh(kind)
    world.settle()
    phase = world.end()["env0"][1]
    assert phase == ("Released" if kind in {"good", "late"} else "Failed")
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
        assert phase == ("RolledBack" if kind == "late" else "Failed")
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


@pytest.mark.parametrize("kinds", [("good",), ("session",), ("late",), ("crash", "good")])
def test_a_crash_after_any_single_call_changes_nothing_about_the_end(kinds: tuple[str, ...]) -> None:
    undisturbed = fresh()
    story(undisturbed, kinds)
    for point in range(undisturbed.calls + 1):
        world = fresh()
        world_calls_until(world, kinds, point)
        assert world.end() == undisturbed.end(), f"died after call {point}"


def world_calls_until(world: World, kinds: tuple[str, ...], point: int) -> None:
    """The same story, but the operator is killed once, right after call number ``point``."""
    died = False
    reconcile = world.reconcile

    def once(*, die_after: int | None = None) -> bool:
        nonlocal died
        if not died and world.calls + world.writes_of_next_pass() >= point >= world.calls:
            died = True
            return reconcile(die_after=point - world.calls)
        return reconcile(die_after=die_after)

    world.reconcile = once  # type: ignore[method-assign]
    story(world, kinds)
    assert died


def test_steady_state_writes_nothing() -> None:
    world = fresh(environments=2)
    story(world, ("good", "session"))
    before = world.calls
    for _ in range(100):
        world.reconcile()
        world.tick(7)
    assert world.calls == before


# Records are not in it: without one, what is missing cannot be made again (tests/unit/test_plan_record.py has each phase).
HANDS = ("evict", "give up", "replicaset", "service", "route")
EVENTS = st.one_of(
    st.tuples(st.sampled_from(HANDS), st.integers(0, 9)),
    st.tuples(st.just("away"), st.sampled_from([60.0, 700.0])),
    st.tuples(st.just("push"), st.sampled_from(KINDS)),
    st.tuples(st.just("tick"), st.sampled_from([0.5, 2.0, 11.0, 45.0])),
    st.tuples(st.just("die"), st.integers(0, 6)),
    st.tuples(st.just("crash"), st.integers(0, 9)),
    st.tuples(st.just("again"), st.integers(1, 9)),
    st.tuples(st.just("retry"), st.integers(1, 9)),
    st.tuples(st.sampled_from(["cordon", "uncordon"]), st.sampled_from(["node-a", "node-b"])),
    st.tuples(st.sampled_from(["open", "close", "blink", "refuse", "accept", "deaf", "hear", "delete"]), st.none()),
)


def happen(world: World, images: list[str], what: str, value: object) -> None:
    """One event of a script. ``images`` is all that was ever pushed, the first one included."""
    number = int(value) if isinstance(value, int | float) else 0
    match what:
        case "push":
            world.push(image(str(value), len(images) + 1))
            images.append(world.spec.image)
        case "again":
            world.push(images[-1 - number % len(images)])
        case "retry":
            world.retry = f"env0={number}"
        case "crash":
            world.crash(number)
        case "cordon":
            world.cordoned.add(str(value))
        case "uncordon":
            world.cordoned.discard(str(value))
        case "delete":
            world.delete()
        case "tick":
            world.tick(float(value))  # type: ignore[arg-type]
        case "die":
            world.reconcile(die_after=number)
        case "open":
            world.open_session()
        case "close":
            world.close_sessions()
        case "away":
            world.die()
            world.tick(float(value))  # type: ignore[arg-type]
        case _ if what in HANDS:
            world.meddle(what, number)
        case "blink":
            world.blink()
        case "refuse" | "accept":
            world.gateway_accepts = what == "accept"
        case "deaf" | "hear":
            world.fronts_answer = what == "hear"


@settings(
    max_examples=3000 if DEEP else 150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(EVENTS, min_size=15, max_size=60), st.integers(1, 2), st.integers(1, 3), st.integers(0, 2))
def test_no_script_of_events_breaks_an_invariant(
    script: list[tuple[str, object]], environments: int, slots: int, warm: int
) -> None:
    world = fresh(environments=environments, slots=slots, warm=warm)
    images = [world.spec.image]
    world.settle()
    for what, value in script:
        happen(world, images, what, value)
        world.reconcile()
        world.tick(1)
    world.gateway_accepts, world.fronts_answer = True, True
    world.close_sessions()
    world.settle()
    told = {what for what, _ in script}
    if world.deleting:
        assert world.gone, "a deleted app that nobody has open any more is still there"
        assert world.is_empty()
    elif told & {*HANDS, "crash"}:
        # A release may rightly be taken back when its replicas are taken from it; somebody must be served if anybody was.
        assert all(e.weights or not e.stable for e in world.status.environments)
        assert all(e.candidate is None and not e.removing and not e.draining for e in world.status.environments)
    elif kind_of(images[-1]) == "good" and world.spec.image == images[-1]:
        assert all(serving == images[-1] for serving, _ in world.end().values())
