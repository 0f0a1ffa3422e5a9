"""From commits to environments, story by story: builds, promotion, pins, soaking, leaving, and what rests.

What must hold at every call is checked inside :mod:`code_world` and :mod:`promises`.
"""

import pytest

from tests.property.code_looks import assert_at_rest, condition, stable, wait
from tests.property.code_world import with_code

MANUAL = {"promotion": {"mode": "manual"}}
TAGGED = {"promotion": {"mode": "tag", "tags": "v*"}}


@pytest.mark.parametrize("by_source", [True, False])
def test_a_commit_is_built_once_and_the_same_image_goes_through_both_environments(*, by_source: bool) -> None:
    world = with_code({}, {}, by_source=by_source)
    world.settle()
    second = world.commit()
    world.settle()
    assert len(world.made) == len(world.builds) == 2
    assert stable(world, "env0") == stable(world, "env1") == second.sha
    assert world.end()["env0"] == world.end()["env1"]
    assert world.status.summary.commit == second.sha[:7]
    assert_at_rest(world)


@pytest.mark.parametrize("by_source", [True, False])
def test_a_commit_that_touches_nothing_of_the_app_does_nothing(*, by_source: bool) -> None:
    world = with_code(by_source=by_source)
    world.commit(files="same", floating=True)
    world.settle()
    calls = world.calls
    world.commit(files="same", floating=True)
    world.settle()
    assert world.calls == calls
    assert len(world.builds) == 1


def test_going_back_to_earlier_files_takes_the_image_that_is_there() -> None:
    world = with_code()
    first = world.commit(files="one")
    world.settle()
    world.commit(files="two")
    world.settle()
    world.commit(files="one")
    world.settle()
    assert len(world.made) == 2
    assert world.made[world.end()["env0"][0]] == first.tree


REST = {
    "waits for a person": ({}, MANUAL),
    "waits for a person in its only environment": (MANUAL,),
    "waits for a tag": ({}, TAGGED),
    "pinned to a commit that nobody knows": ({}, {"pin": "0123456789"}),
}


@pytest.mark.parametrize("environments", REST.values(), ids=REST.keys())
@pytest.mark.parametrize("by_source", [True, False])
def test_whoever_waits_for_a_person_writes_nothing_meanwhile(
    environments: tuple[dict[str, object], ...], *, by_source: bool
) -> None:
    world = with_code(*environments, by_source=by_source)
    world.settle()
    last = f"env{len(environments) - 1}"
    assert world.end()[last] == (None, None)
    assert wait(world, last) in {"AwaitingPromotion", "AwaitingTag", "PinUnknown"}
    assert condition(world, "Ready").status == ("True" if len(environments) == 2 else "False")
    assert_at_rest(world)
    world.die()
    assert_at_rest(world)


@pytest.mark.parametrize(
    ("kind", "reason"), [("unreadable", "Ambiguous"), ("nobuild", "PackageNotFound"), ("session", "ReleaseFailed")]
)
@pytest.mark.parametrize("environments", [({},), ({}, MANUAL), ({}, TAGGED), ({}, {"pin": "0123456789"})])
@pytest.mark.parametrize("by_source", [True, False])
def test_a_broken_commit_leaves_what_serves_and_rests(
    kind: str, reason: str, environments: tuple[dict[str, object], ...], *, by_source: bool
) -> None:
    world = with_code(*environments, by_source=by_source)
    world.settle()
    before = world.end()["env0"][0]
    world.commit(kind)
    world.settle()
    assert world.end()["env0"][0] == before
    assert condition(world, "Ready").status == "True"
    told = condition(world, "LastReleaseFailed" if kind == "session" else "Stalled")
    assert told.reason == reason
    assert_at_rest(world)
    good = world.commit()
    world.settle()
    assert stable(world, "env0") == good.sha
    assert condition(world, "Stalled") is None


@pytest.mark.parametrize("kind", ["unreadable", "nobuild"])
def test_a_first_commit_that_is_broken_stalls_in_words_and_rests(kind: str) -> None:
    world = with_code({}, MANUAL, kind=kind)
    world.settle()
    assert (condition(world, "Ready").status, condition(world, "Stalled").status) == ("False", "True")
    assert condition(world, "Built").status == "False"
    assert_at_rest(world)


@pytest.mark.parametrize("environments", [({},), ({}, MANUAL), ({}, TAGGED), ({}, {"pin": "0123456789"})])
@pytest.mark.parametrize("by_source", [True, False])
@pytest.mark.parametrize("restart", [False, True])
def test_git_down_changes_nothing_and_writes_nothing(
    environments: tuple[dict[str, object], ...], *, by_source: bool, restart: bool
) -> None:
    world = with_code(*environments, by_source=by_source)
    world.tags["v1"] = world.head
    world.settle()
    before = world.end()
    world.git_up = False
    world.commit()
    if restart:
        world.die()
    assert_at_rest(world)
    assert world.end() == before
    world.git_up = True
    world.settle()
    assert stable(world, "env0") == world.head


def test_a_restart_forgets_no_trouble() -> None:
    """The newest commit cannot be read. A restart neither says for a moment that all is well, nor releases an older one."""
    world = with_code(by_source=False)
    world.settle()
    world.commit("unreadable")
    world.settle()
    world.die()
    assert_at_rest(world)


def test_a_deleted_build_is_made_again_only_when_its_image_is_needed() -> None:
    world = with_code(kind="nobuild")
    world.settle()
    world.delete_build(0)
    world.settle()
    assert len(world.builds) == 1, "a person asked for another try"
    world.commit()
    world.settle()
    for choice in (0, 0):
        world.delete_build(choice)
    calls = world.calls
    world.settle()
    world.die()
    world.settle()
    assert (world.calls, world.builds) == (calls, {})


def test_a_build_that_was_deleted_while_it_ran_is_made_again_also_after_a_restart() -> None:
    for dies in (False, True):
        world = with_code()
        for _ in range(4):
            world.reconcile()
            world.tick(1)
        assert len(world.builds) == 1
        world.delete_build(0)
        if dies:
            world.die()
        world.settle()
        assert world.end()["env0"][1] == "Released"


def test_a_person_promotes_by_number_and_an_old_number_says_nothing_any_more() -> None:
    world = with_code({}, MANUAL)
    first = world.head
    world.settle()
    world.annotate("env1=1")
    world.settle()
    assert stable(world, "env1") == first
    second = world.commit()
    world.settle()
    assert (stable(world, "env1"), wait(world, "env1")) == (first, "AwaitingPromotion")
    world.annotate("env1=r2")
    world.settle()
    assert (stable(world, "env1"), wait(world, "env1")) == (second.sha, None)
    calls = world.calls
    world.annotate("env1=1,env9=7,junk,=,env1")
    world.settle()
    assert (stable(world, "env1"), world.calls) == (second.sha, calls)


def test_in_a_first_environment_a_person_promotes_a_commit_or_the_digest_of_an_image() -> None:
    world = with_code(MANUAL)
    world.settle()
    world.annotate(f"env0={world.head[:7]}")
    world.settle()
    assert stable(world, "env0") == world.head
    image = next(iter(world.made))
    world.spec = world.spec.model_validate(world.spec.wire() | {"image": image, "app": {"framework": "streamlit"}})
    world.generation += 1
    world.settle()
    assert world.status.environment("env0").stable == 2, "the same image with other settings asks nobody"


def test_the_class_decides_when_the_author_is_laxer() -> None:
    world = with_code({}, {"promotion": {"mode": "auto"}})
    world.floors["env1"] = "manual"
    world.settle()
    assert wait(world, "env1") == "AwaitingPromotion"


@pytest.mark.parametrize("mode", ["auto", "manual", "tag"])
def test_an_own_setting_waits_for_nobody_and_what_came_meanwhile_can_still_be_promoted(mode: str) -> None:
    """The author changes the code and a setting of the second environment in one commit."""
    world = with_code({}, {"promotion": {"mode": mode, "tags": "v*"}})
    world.tags["v1"] = world.head
    world.annotate("env1=1")
    world.settle()
    world.settle()
    second = world.commit()
    while world.status.environment("env0").candidate is None:
        world.reconcile()
        world.tick(1)
    world.override("env1", "loud")
    world.settle()
    if mode != "auto":
        assert [e.value for e in world.releases["env1", world.status.environment("env1").stable][0].run.env] == ["loud"]
        number = world.status.environment("env0").stable
        world.annotate(f"env1={number}")
        world.tags["v2"] = second.sha
        world.settle()
    assert stable(world, "env1") == second.sha
    assert_at_rest(world)


def test_an_own_setting_never_takes_the_number_of_what_serves() -> None:
    """The record of what serves was deleted by somebody; then its settings change."""
    world = with_code({}, {})
    world.settle()
    del world.releases["env1", 1]
    world.override("env1", "loud")
    world.settle()
    assert world.status.environment("env1").stable == 2
    assert world.end()["env1"][1] == "Released"


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_nothing_goes_on_before_it_has_soaked(mode: str) -> None:
    world = with_code({}, {"promotion": {"mode": mode, "soak": "10m"}})
    world.annotate("env1=1")
    for _ in range(90):
        world.reconcile()
        world.tick(2)
    assert wait(world, "env1") == "Soaking"
    assert world.status.environment("env1").waiting_for.message == "r1 goes on once env0 has had it for 10m"
    world.commit()
    world.settle()
    assert stable(world, "env1") == (world.head if mode == "auto" else None), "the first had only three minutes"
    world.annotate("env1=2")
    world.settle()
    assert stable(world, "env1") == world.head


def test_a_tag_lets_its_code_go_on_and_no_other() -> None:
    world = with_code({}, TAGGED)
    first = world.head
    world.settle()
    world.tags["v1"] = first
    world.settle()
    assert stable(world, "env1") == first
    world.commit()
    world.settle()
    assert stable(world, "env1") == first
    world.tags["v2"] = world.head
    world.settle()
    assert stable(world, "env1") == world.head


def test_a_tag_holds_back_the_first_environment_too() -> None:
    world = with_code(TAGGED)
    world.settle()
    assert (world.end()["env0"][0], wait(world, "env0")) == (None, "AwaitingTag")
    world.tags["v1"] = world.head
    world.settle()
    assert stable(world, "env0") == world.head
    first = world.head
    world.commit()
    world.settle()
    assert stable(world, "env0") == first
    assert_at_rest(world)


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_a_pin_holds_brings_back_and_lets_go(mode: str) -> None:
    world = with_code({}, {"promotion": {"mode": mode}})
    first = world.head
    world.settle()
    world.annotate("env1=1")
    world.settle()
    world.rewrite("env1", pin=first[:7])
    second = world.commit()
    world.settle()
    world.annotate("env1=2")
    world.settle()
    assert (stable(world, "env0"), stable(world, "env1")) == (second.sha, first)
    world.rewrite("env1", pin=None)
    world.settle()
    assert stable(world, "env1") == second.sha
    world.rewrite("env1", pin=first)
    world.settle()
    assert stable(world, "env1") == first, "brought back"
    assert_at_rest(world)


def test_a_pin_is_no_way_around_a_person() -> None:
    world = with_code({}, {})
    world.floors["env1"] = "manual"
    world.settle()
    world.rewrite("env1", pin=world.head)
    world.settle()
    assert world.end()["env1"] == (None, None)
    world.annotate("env1=1")
    world.settle()
    assert stable(world, "env1") == world.head


def test_a_pin_is_no_way_around_the_environment_before() -> None:
    world = with_code({}, {})
    world.settle()
    first = world.head
    broken = world.commit("session")
    world.rewrite("env1", pin=broken.sha)
    world.settle()
    assert stable(world, "env1") == first


def test_an_app_that_leaves_keeps_its_sessions_and_goes_when_nothing_is_left() -> None:
    world = with_code({}, {})
    world.settle()
    world.open_session()
    world.leaving = "main@sha1:" + "c" * 40
    for _ in range(100):
        world.reconcile()
        world.tick(2)
    assert not world.gone
    assert sum(pod.sessions for pod in world.pods.values()) == 2
    assert "sales-env0" not in world.routes, "nobody new is let in"
    world.close_sessions()
    world.settle()
    assert world.gone
    assert [*world.pods, *world.services, *world.replicasets, *world.routes] == []


@pytest.mark.parametrize("passes", [1, 2, 4, 8, 16, 32])
def test_an_app_whose_manifest_comes_back_meanwhile_comes_back(passes: int) -> None:
    world = with_code({}, {})
    world.settle()
    world.open_session()
    world.leaving = "main@sha1:" + "c" * 40
    for _ in range(passes):
        world.reconcile()
        world.tick(1)
    world.leaving = None
    world.settle(steps=1000)
    assert stable(world, "env0") == stable(world, "env1") == world.head
    assert condition(world, "Ready").status == "True"
    assert len(world.made) == 1
    assert_at_rest(world)


def test_an_app_that_never_served_leaves_at_once() -> None:
    for kind in ("unreadable", "nobuild", "crash"):
        world = with_code(kind=kind)
        world.leaving = "main@sha1:" + "c" * 40
        world.settle()
        assert world.gone


def test_a_wish_to_look_now_is_answered_once() -> None:
    for by_source in (True, False):
        world = with_code(by_source=by_source)
        world.settle()
        world.requested = "now"
        world.settle()
        assert world.status.last_handled_reconcile_at == "now"
        assert_at_rest(world)
