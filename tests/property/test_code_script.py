"""From commits to environments under crashes between any two calls, and under a hostile script of events.

What must hold at every call is checked inside :mod:`code_world` and :mod:`promises`.
"""

import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.code_looks import assert_at_rest, stable
from tests.property.code_world import COMMITS, CodeWorld, with_code
from tests.property.stories import deaths, live

DEEP = os.environ.get("DATAAPP_DEEP") == "1"
MANUAL = {"promotion": {"mode": "manual"}}


def promote(world: CodeWorld) -> None:
    world.annotate("env1=1")


def commit_what_does_not_build(world: CodeWorld) -> None:
    world.commit("nobuild")


def leave(world: CodeWorld) -> None:
    world.leaving = "main@sha1:" + "c" * 40


SETTLE = CodeWorld.settle
JOURNEY = (SETTLE, promote, SETTLE, CodeWorld.commit, SETTLE, commit_what_does_not_build, SETTLE, leave, SETTLE)
"""Two commits, a promotion, a broken commit, and the end."""


def test_a_crash_after_any_single_call_changes_nothing_about_the_end() -> None:
    undisturbed = with_code({}, MANUAL)
    moments = live(undisturbed, JOURNEY)
    assert undisturbed.gone
    for point, world in deaths(JOURNEY, moments, every=1 if DEEP else 5):
        assert world.gone
        assert set(world.made.values()) == set(undisturbed.made.values()), f"died after call {point}"
        assert world.serving == {}


HANDS = ("evict", "replicaset", "service", "route")
EVENTS = st.one_of(
    st.tuples(st.just("commit"), st.sampled_from(COMMITS)),
    st.tuples(st.just("touch"), st.booleans()),
    st.tuples(st.just("tag"), st.booleans()),
    st.tuples(st.just("promote"), st.sampled_from(["newest", "all", "old", "next", "commit", "junk", "none"])),
    st.tuples(st.just("pin"), st.integers(0, 9)),
    st.tuples(st.just("override"), st.sampled_from(["quiet", "loud"])),
    st.tuples(
        st.sampled_from(["git down", "git up", "leave", "return", "request", "base", "open", "close"]), st.none()
    ),
    st.tuples(st.just("delete build"), st.integers(0, 9)),
    st.tuples(st.just("tick"), st.sampled_from([2.0, 11.0, 45.0, 700.0])),
    st.tuples(st.just("run"), st.sampled_from([5, 30])),
    st.tuples(st.just("die"), st.integers(0, 6)),
    st.tuples(st.sampled_from(HANDS), st.integers(0, 9)),
)
WAYS = st.fixed_dictionaries(
    {
        "mode": st.sampled_from([None, "auto", "manual", "tag"]),
        "soak": st.sampled_from(["0s", "0s", "2m"]),
    }
)


GIVEN = given(
    script=st.lists(EVENTS, max_size=40),
    ways=st.lists(WAYS, min_size=1, max_size=3),
    floor=st.sampled_from([None, "manual"]),
    by_source=st.booleans(),
)
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
@GIVEN
def test_no_short_run_of_scripts_breaks_a_promise(**given: Any) -> None:
    live_through(**given)


@pytest.mark.long
@settings(max_examples=2000 if DEEP else 60, deadline=None, suppress_health_check=SLOW)
@GIVEN
def test_no_script_of_events_breaks_a_promise(**given: Any) -> None:
    live_through(**given)


def live_through(
    *, script: list[tuple[str, object]], ways: list[dict[str, str]], floor: str | None, by_source: bool
) -> None:
    """A script, and what must be true at its end."""
    world = with_code(*({"promotion": way} for way in ways), by_source=by_source)
    if floor:
        world.floors[f"env{len(ways) - 1}"] = floor
    for what, value in script:
        happen(world, what, value)
        world.reconcile()
        world.tick(1)
    world.git_up, world.leaving = True, None
    world.close_sessions()
    world.settle(steps=1500)
    if world.gone:
        return
    before = world.end()
    assert_at_rest(world)
    world.die()
    world.settle()
    assert world.end() == before
    assert all(e.candidate is None and not e.removing and not e.draining for e in world.status.environments)
    if world.commits[world.head].kind == "good" and _is_free(world, script):
        assert stable(world, "env0") is not None
        assert world.commits[stable(world, "env0")].tree == world.commits[world.head].tree


def _is_free(world: CodeWorld, script: list[tuple[str, object]]) -> bool:
    """The first environment takes every commit, and nobody took its replicas away while it was tried."""
    first = world.spec.environments[0]
    return world.strictness(first) == 0 and first.pin is None and not any(what in HANDS for what, _ in script)


def happen(world: CodeWorld, what: str, value: object) -> None:
    """One event of a script."""
    names = [e.name for e in world.spec.environments]
    match what:
        case "commit":
            world.commit(str(value))
        case "touch":
            last = world.commits[world.head]
            again = f"{len(world.commits):040x}"
            world.commits[again] = replace(last, sha=again, at=world.now)
            world.head = again
        case "tag":
            world.tags[f"v{len(world.tags) + 1}"] = world.head
        case "promote":
            world.annotate(",".join(f"{name}={_word(world, str(value), name)}" for name in names))
        case "pin":
            shas = [None, "0123456789", *world.commits]
            world.rewrite(names[-1], pin=shas[int(value) % len(shas)])  # type: ignore[call-overload]
        case "override":
            world.override(names[-1], str(value))
        case "git down" | "git up":
            world.git_up = what == "git up"
        case "leave" | "return":
            world.leaving = "main@sha1:" + "c" * 40 if what == "leave" else None
        case "request":
            world.requested = str(world.serial)
        case "base":
            world.base = f"base/python@sha256:{world.serial:064x}"
        case "open":
            world.open_session()
        case "close":
            world.close_sessions()
        case "delete build":
            world.delete_build(int(value))  # type: ignore[call-overload]
        case "tick":
            world.tick(float(value))  # type: ignore[arg-type]
        case "run":
            for _ in range(int(value)):  # type: ignore[call-overload]
                world.reconcile()
                world.tick(2)
        case "die":
            world.reconcile(die_after=int(value))  # type: ignore[call-overload]
            world.die()
        case _:
            world.meddle(what, int(value))  # type: ignore[call-overload]


def _word(world: CodeWorld, which: str, name: str) -> str:
    """What a person writes behind an environment's name."""
    position = int(name[3:])
    earlier = world.status.environment(f"env{max(position - 1, 0)}").stable or 1
    return {
        "newest": world.head[:7] if position == 0 else str(earlier),
        "all": world.head if position == 0 else f"r{world.status.last_number}",
        "old": "1",
        "next": str(world.status.last_number + 1),
        "commit": world.head,
        "junk": "??",
        "none": "",
    }[which]
