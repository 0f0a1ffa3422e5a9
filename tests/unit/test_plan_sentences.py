"""What `kubectl describe dataapp` says of an app that is code, sentence by sentence."""

import pytest

from dataapp_operator.plan.decide import decide
from tests.property.code_world import CodeWorld, with_code

MANUAL = {"promotion": {"mode": "manual"}}
FOUND = "streamlit, by the rule streamlit-import from app.py"
ASK = "kubectl annotate dataapp sales -n team --overwrite dataapps.dev/promote="
FIRST, SECOND = "0f98b1f", "78b3ba1"
"""The commits of every world here."""


def told(world: CodeWorld) -> dict[str, str]:
    """Every condition in one line: status, reason, message."""
    return {c.type: f"{c.status} {c.reason}: {c.message}" for c in decide(world.observe()).status.conditions}


def built(world: CodeWorld) -> str:
    return decide(world.observe()).status.code.build


def some_passes(world: CodeWorld, count: int) -> CodeWorld:
    for _ in range(count):
        world.reconcile()
        world.tick(1)
    return world


def test_an_app_that_nobody_has_read() -> None:
    assert told(with_code()) == {
        "Ready": f"False ReadingCode: reading the code of {FIRST}",
        "Built": f"Unknown ReadingCode: reading the code of {FIRST}",
        "Reconciling": f"True ReadingCode: reading the code of {FIRST}",
    }


def test_an_app_that_is_being_built() -> None:
    world = some_passes(with_code(), 4)
    assert told(world) == {
        "Ready": f"False Building: {FIRST} is being built",
        "Built": f"Unknown Building: {FIRST} is being built",
        "Reconciling": f"True Building: {FIRST} is being built",
    }
    assert world.status.environment("env0").waiting_for.message == f"{FIRST} is being built"


def test_a_first_commit_that_cannot_be_built() -> None:
    world = with_code(kind="nobuild")
    world.settle()
    words = (
        f"PackageNotFound: {FIRST} cannot be built: there is no package nopandas==1.0."
        f" `kubectl describe appbuild {built(world)}` shows the last lines of its log"
    )
    assert told(world) == {"Ready": f"False {words}", "Built": f"False {words}", "Stalled": f"True {words}"}


def test_code_that_could_be_two_things() -> None:
    world = with_code(kind="unreadable")
    world.settle()
    words = "Ambiguous: app.py and main.py could both be the app; set spec.build.entrypoint"
    assert told(world) == {"Ready": f"False {words}", "Built": f"False {words}", "Stalled": f"True {words}"}


def test_an_app_that_serves_and_waits_for_a_person() -> None:
    world = with_code({}, MANUAL)
    world.settle()
    ask = f"r1 ({FIRST}) passed in env0 and waits for a person to promote it: {ASK}env1=1"
    assert told(world) == {
        "Ready": f"True Released: env0 serves r1 ({FIRST}); env1: {ask}",
        "Built": f"True Built: {FIRST} is {built(world)}: {FOUND}",
    }
    assert world.status.environment("env1").waiting_for.message == ask
    summary = world.status.summary
    assert (summary.released, summary.commit, summary.moving) == ("env0 r1", FIRST, "")


def test_an_app_whose_only_environment_waits_for_a_person() -> None:
    world = with_code(MANUAL)
    world.settle()
    ask = f"env0: {FIRST} is ready and waits for a person to promote it: {ASK}env0={FIRST}"
    assert told(world) == {
        "Ready": f"False AwaitingPromotion: {ask}",
        "Built": f"True Built: {FIRST} is {built(world)}: {FOUND}",
    }


def test_an_app_that_serves_everywhere() -> None:
    world = with_code({}, {})
    world.settle()
    assert told(world)["Ready"] == f"True Released: env0 serves r1 ({FIRST}), env1 serves r1 ({FIRST})"
    assert world.status.summary.commit == FIRST


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            "nobuild",
            (
                f"PackageNotFound: {SECOND} cannot be built: there is no package nopandas==1.0. `kubectl describe appbuild"
                " {build}` shows the last lines of its log"
            ),
        ),
        ("unreadable", "Ambiguous: app.py and main.py could both be the app; set spec.build.entrypoint"),
    ],
)
def test_an_app_that_serves_and_whose_newest_commit_is_broken(kind: str, words: str) -> None:
    world = with_code({}, {})
    world.settle()
    world.commit(kind)
    world.settle()
    words = words.format(build=built(world))
    assert told(world) == {
        "Ready": f"True Released: env0 serves r1 ({FIRST}), env1 serves r1 ({FIRST})",
        "Built": f"False {words}",
        "Stalled": f"True {words}",
    }


def test_an_app_that_serves_one_environment_is_ready_whatever_becomes_of_its_newest_commit() -> None:
    for kind in ("nobuild", "unreadable", "good"):
        world = with_code({}, MANUAL)
        world.settle()
        world.commit(kind)
        ask = f"r1 ({FIRST}) passed in env0 and waits for a person to promote it: {ASK}env1=1"
        assert told(world)["Ready"] == f"True Released: env0 serves r1 ({FIRST}); env1: {ask}"
        assert told(world)["Built"].startswith("Unknown ReadingCode")
        world.settle()
        assert told(world)["Ready"].startswith("True Released: env0 serves")


def test_a_git_server_that_is_down_before_anything_was_read() -> None:
    world = with_code()
    world.git_up, world.chosen = False, world.head
    some_passes(world, 3)
    words = "GitUnreachable: git.example.org does not answer"
    assert told(world) == {"Ready": f"False {words}", "Built": f"Unknown {words}", "Reconciling": f"True {words}"}


def test_a_git_server_that_is_down_under_an_app_that_serves_is_not_even_mentioned() -> None:
    world = with_code({}, by_source=False)
    world.settle()
    before = told(world)
    world.git_up = False
    some_passes(world, 10)
    assert told(world) == before


def test_an_app_that_leaves() -> None:
    world = with_code({})
    world.settle()
    world.open_session()
    world.leaving = "main@sha1:" + "c" * 40
    some_passes(world, 30)
    words = (
        f"Leaving: the repository no longer has the app's manifest (main@{'c' * 7}): new visitors are not let in,"
        " open sessions are kept until their end, then the app is removed"
    )
    assert told(world) == {"Ready": f"False {words}", "Reconciling": f"True {words}"}
    assert world.status.summary.moving == "env0 r1 draining"
    assert world.status.summary.sessions == 1


def test_an_app_without_environments() -> None:
    world = with_code()
    world.settle()
    world.spec = world.spec.model_copy(update={"environments": ()})
    words = (
        "EnvironmentClassMissing: the app has no environment to run in: list some in spec.environments, or ask the"
        " platform team to give a defaultPosition to the EnvironmentClasses that every app should go through"
    )
    assert told(world)["Ready"] == f"False {words}"
    assert told(world)["Stalled"] == f"True {words}"
