"""Apps without sessions: one Deployment a release, whose pods come and go, under the same hostile script and invariants.

Beside those, checked at every call: a Deployment is never applied as a whole, its size is written only where its author has
said something new, and it is taken apart from the top, so that nobody makes a pod anew that is to go.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.script import HARM, SCRIPTS, WAYS, Script, Way, begin, happen, play
from tests.property.stories import acts_of, deaths, live, story
from tests.property.test_release_machine import DEEP
from tests.property.world import World, at_rest, fresh, image, kind_of

SCALES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5)), max_size=6)
"""When in a script somebody scales by hand (or an autoscaler does), and to how many."""


def stateless(**how: object) -> World:
    """A world whose app keeps no sessions, and whose first release serves."""
    world = fresh(stateless=True, **how)
    world.settle()
    return world


def sizes(world: World) -> dict[int, int]:
    """How many pods each release's Deployment is told to have."""
    return {number: known.replicas for (_, number, _), known in world.deployments.items()}


def alive(world: World, number: int) -> int:
    """How many pods a release has."""
    return sum(pod.slot[1] == number and not pod.deleting for pod in world.pods.values())


def test_a_release_is_one_deployment_and_one_service() -> None:
    world = stateless(slots=3)
    assert list(world.deployments) == list(world.services) == [("env0", 1, "s0")]
    assert world.replicasets == {}
    assert alive(world, 1) == sizes(world)[1] == 3
    story(world, ("good",))
    assert world.end()["env0"] == (image("good", 2), "Released")
    assert list(world.deployments) == list(world.services) == [("env0", 2, "s0")]
    assert {made.slot[1] for made in world.sets.values()} == {2}
    assert world.releases["env0", 1][1].phase == "Retired"


@pytest.mark.parametrize("kind", ["crash", "session", "mute", "late", "sick"])
def test_what_is_broken_is_stopped_or_taken_back_as_anywhere(kind: str) -> None:
    world = stateless()
    story(world, (kind,))
    serving, phase = world.end()["env0"]
    assert (serving, phase) == (image("good", 1), "RolledBack" if kind in {"late", "sick"} else "Failed")
    assert list(world.deployments) == [("env0", 1, "s0")]


def test_who_scales_by_hand_is_left_alone_and_the_next_release_begins_as_large() -> None:
    world = stateless(slots=2)
    world.scale(5)
    world.settle()
    assert sizes(world) == {1: 5}
    assert alive(world, 1) == 5
    world.push(image("good", 2))
    world.settle()
    assert sizes(world) == {2: 5}
    world.scale(1)
    world.settle()
    assert sizes(world) == {2: 1}


def test_a_new_number_of_the_author_is_written_once_and_without_a_release() -> None:
    world = stateless(slots=2)
    world.scale(5)
    world.resize(3)
    world.settle()
    assert sizes(world) == {1: 3}
    world.scale(4)
    world.settle()
    assert sizes(world) == {1: 4}
    assert set(world.releases) == {("env0", 1)}


def test_a_number_that_comes_with_a_new_image_is_the_new_releases_and_the_old_one_keeps_its_own() -> None:
    world = stateless(slots=3)
    world.resize(1)
    world.push(image("good", 2))
    for _ in range(8):
        world.reconcile()
        world.tick(1)
    assert sizes(world) == {1: 3, 2: 1}
    world.settle()
    assert sizes(world) == {2: 1}


def test_with_a_max_each_release_has_an_autoscaler_which_goes_with_it_or_with_the_max() -> None:
    world = stateless(slots=1)
    world.resize(2, 4)
    world.settle()
    told = world.autoscalers["env0", 1, "s0"]
    assert (told.least, told.most, told.cpu) == (2, 4, 70)
    world.scale(4)
    world.push(image("good", 2))
    world.settle()
    assert sizes(world) == {2: 4}
    assert list(world.autoscalers) == [("env0", 2, "s0")]
    world.resize(2)
    world.settle()
    assert (sizes(world), world.autoscalers) == ({2: 2}, {})


def test_evictions_take_nothing_back_and_a_node_is_emptied_without_us() -> None:
    world = stateless(slots=3)
    assert world.budgets["sales-env0"].may_go == 1
    world.push(image("good", 2))
    for moment in range(24):
        world.cordoned = {"node-a"}
        if moment % 4 == 0:
            happen(world, [], "evict", moment)
        world.reconcile()
        world.tick(1)
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")
    assert world.status.environment("env0").scales == ()


def warm(world: World, image_name: str) -> None:
    """Release an image, and let the one before it become warm."""
    world.push(image_name)
    for _ in range(50):
        world.reconcile()
        world.tick(2)


def test_a_former_release_that_is_smaller_than_what_serves_is_released_anew() -> None:
    world = stateless(slots=2, warm=1)
    warm(world, image("good", 2))
    warm(world, image("good", 1))
    assert world.status.environment("env0").stable == 1, "as large as what serves: it takes its role again"
    assert [entry.release for entry in world.status.environment("env0").warm] == [2]
    world.deployments["env0", 1, "s0"].replicas = 4
    warm(world, image("good", 2))
    assert world.status.environment("env0").stable == 3
    assert sizes(world)[3] == 4


def test_an_app_that_had_slots_goes_on_with_a_deployment_and_back() -> None:
    world = fresh(slots=2)
    world.settle()
    assert world.budgets["sales-env0"].may_go == 0
    for framework, serial in (("fastapi", 2), ("streamlit", 3)):
        world.open_session()
        app = world.spec.app.model_copy(update={"framework": framework})
        world.spec = world.spec.model_copy(update={"app": app})
        world.push(image("good", serial))
        for _ in range(60):
            world.reconcile()
            world.tick(2)
        assert world.budgets["sales-env0"].may_go == 0, "somebody still has slots open"
        world.close_sessions()
        world.settle()
        assert world.end()["env0"] == (image("good", serial), "Released")
        assert bool(world.deployments) == (framework == "fastapi")
        assert len(world.replicasets) == (0 if framework == "fastapi" else 2)
        assert world.budgets["sales-env0"].may_go == (1 if framework == "fastapi" else 0)


@pytest.mark.long
@pytest.mark.parametrize("kinds", [("good",), ("late",)])
def test_a_crash_after_any_single_call_changes_nothing_about_the_end(kinds: tuple[str, ...]) -> None:
    undisturbed, acts = fresh(stateless=True), acts_of(kinds)
    for point, world in deaths(acts, live(undisturbed, acts)):
        assert world.end() == undisturbed.end(), f"died after call {point}"
        assert set(world.releases) == set(undisturbed.releases), f"died after call {point}: a release was made twice"


@pytest.mark.parametrize("mishap", ["blink", "flap", "crash", "evict", "give up"])
def test_whatever_happens_to_the_newest_pod_at_any_moment_visitors_are_served(mishap: str) -> None:
    passes = 16  # until it bakes
    for moment in range(passes):
        world = begin((1, 2, 0, False, "at once"), stateless=True)
        world.push(image("good", 2))
        for now in range(passes):
            if now == moment:
                happen(world, [], mishap, -1)
            world.reconcile()
            world.tick(1)
        world.settle()
        assert world.end()["env0"][0] in {image("good", 1), image("good", 2)}
        harmless = mishap in {"blink", "evict", "give up"}
        assert not harmless or world.end()["env0"] == (image("good", 2), "Released"), f"at {moment}"


def test_steady_state_writes_nothing() -> None:
    world = stateless()
    world.resize(1, 4)
    story(world, ("good", "session"))
    world.scale(3)
    before = world.calls
    for _ in range(100):
        world.reconcile()
        world.tick(7)
    assert world.calls == before


@pytest.mark.long
@settings(
    max_examples=2000 if DEEP else 30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(SCRIPTS, SCALES, WAYS)
def test_no_script_of_events_breaks_an_invariant(script: Script, scales: list[tuple[int, int]], way: Way) -> None:
    world, script = begin(way, stateless=True), list(script)
    for moment, count in scales:
        script.insert(moment, ("scale", count))
    images, _ = play(world, script)
    world.gateway_accepts = world.fronts_answer = world.room = True
    world.gateway_stale = world.suspended = False
    world.program()
    world.commands.clear()
    world.close_sessions()
    world.scale(2)
    world.settle()
    if world.deleting:
        assert world.gone, "a deleted app whose time is over is still there"
        assert world.is_empty()
        return
    assert all(at_rest(e) for e in world.status.environments)
    if {what for what, _ in script} & {*HARM, "scale"}:
        assert all(e.weights or not e.stable for e in world.status.environments)
    elif kind_of(images[-1]) == "good" and world.spec.image == images[-1]:
        asked = world.spec.environments[0].name
        free = [env.name for env in world.spec.environments if env.name == asked or env.promotion.mode != "manual"]
        assert all(world.end()[env][0] == images[-1] for env in free)
