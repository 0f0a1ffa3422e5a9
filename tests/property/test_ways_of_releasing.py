"""Each way in which a release comes to its visitors, by itself: under crashes between any two calls, and hostile scripts.

``test_release_machine`` mixes all of them; here each gets scripts of its own, so that none is visited by luck only.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.cluster import HOWS
from tests.property.script import SCRIPTS, begin, happen, play
from tests.property.stories import acts_of, deaths, live
from tests.property.world import at_rest, fresh, image

DEEP = os.environ.get("DATAAPP_DEEP") == "1"
HERE = sorted(set(HOWS) - {"at once", "canary"})
"""The other two have most of the scripts of `test_release_machine`."""


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "kinds"),
    [
        ("held", ("good",)),
        ("held", ("late",)),
        ("irreversible", ("late", "good")),
        ("irreversible canary", ("late", "good")),
        ("alone", ("good",)),
        ("alone", ("session",)),
        ("alone", ("late",)),
    ],
)
def test_a_crash_after_any_single_call_changes_nothing_about_the_end(how: str, kinds: tuple[str, ...]) -> None:
    undisturbed, acts = fresh(how=how), acts_of(kinds)
    for point, world in deaths(acts, live(undisturbed, acts), every=1 if DEEP else 3):
        assert world.end() == undisturbed.end(), f"died after call {point}"
        assert set(world.releases) == set(undisturbed.releases), f"died after call {point}: a release was made twice"


@pytest.mark.parametrize("how", HERE)
@pytest.mark.parametrize("mishap", ["crash", "evict"])
def test_whatever_happens_to_the_newest_pod_at_any_moment_it_ends_well(how: str, mishap: str) -> None:
    for moment in range(20):  # until it bakes
        world = begin((1, 1, 0, False, how))
        world.push(image("good", 2))
        for now in range(20):
            if now == moment:
                happen(world, [], mishap, -1)
            world.reconcile()
            world.tick(1)
        world.settle()
        assert at_rest(world.status.environment("env0")), moment
        assert world.end()["env0"][0] in {image("good", 1), image("good", 2)}, moment


WAYS = st.tuples(st.integers(1, 2), st.integers(1, 3), st.sampled_from([0, 1]), st.booleans())


@pytest.mark.long
@pytest.mark.parametrize("how", HERE)
@settings(
    max_examples=1500 if DEEP else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(SCRIPTS, WAYS)
def test_no_script_of_events_breaks_an_invariant(how: str, script: list[tuple[str, object]], way) -> None:
    world = begin((*way, how))
    play(world, script)
    world.gateway_accepts = world.fronts_answer = world.room = True
    world.gateway_stale = world.suspended = False
    world.commands.clear()
    world.close_sessions()
    world.settle()  # whoever never goes home is waited for until the time is over
    if world.deleting:
        assert world.gone, "a deleted app whose time is over is still there"
        assert world.is_empty()
    else:
        assert all(e.weights or not e.stable for e in world.status.environments)
        assert all(at_rest(e) for e in world.status.environments)
