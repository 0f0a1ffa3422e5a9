"""What a person writes to promote something, and what is made of it."""

import pytest

from dataapp_operator.plan import promotion
from dataapp_operator.plan.scene import Scene
from tests.property.code_world import CodeWorld, with_code

MANUAL = {"promotion": {"mode": "manual"}}


def scene(world: CodeWorld, name: str) -> Scene:
    observed = world.observe()
    environment = next(e for e in observed.spec.environments if e.name == name)
    return Scene(observed, environment, observed.classes[name], observed.status.environment(name), "h.test")


def two(*kinds: str, **way: object) -> CodeWorld:
    """Two environments; each of the kinds of commits has come to its end in the first."""
    world = with_code({}, {"promotion": {"mode": "manual"} | way}, kind=kinds[0])
    world.settle()
    for kind in kinds[1:]:
        world.commit(kind)
        world.settle()
    return world


@pytest.mark.parametrize(
    ("annotation", "means"),
    [
        ("", {}),
        ("production=14", {"production": "14"}),
        ("production=r14", {"production": "14"}),
        (" production = 14 ", {"production": "14"}),
        ("test=13,production=14", {"test": "13", "production": "14"}),
        ("production=13,production=14", {"production": "14"}),
        ("sandbox=9f2c1d0", {"sandbox": "9f2c1d0"}),
        ("sandbox=" + "a" * 64, {"sandbox": "a" * 64}),
        ("sandbox=1234567", {"sandbox": "1234567"}),
        ("junk,=,==14,production=,production=-1,production=1.5,Production=14,a-b=1,x=latest,production=9F2C1D0", {}),
        ("production=14;test=13", {}),
        ("ok=1,production=14 now", {"ok": "1"}),
        ("sandbox=9f2c1d", {}),
        ("sandbox=" + "a" * 65, {}),
        ("production=14\n", {"production": "14"}),
        ("production=1٤", {}),
        ("x" * 5000 + ",production=14", {"production": "14"}),
    ],
)
def test_the_words_of_an_annotation(annotation: str, means: dict[str, str]) -> None:
    assert promotion.words(annotation) == means


@pytest.mark.parametrize(
    ("annotation", "number"),
    [("env1=14", 14), ("env1=r014", 14), ("env0=14", None), ("env1=1234567", None), ("env1=999999", 999999)],
)
def test_seven_digits_are_a_commit_and_fewer_are_a_number(annotation: str, number: int | None) -> None:
    world = with_code({}, MANUAL)
    world.promote = annotation
    assert promotion.number(scene(world, "env1")) == number


def test_code_is_named_by_the_beginning_of_its_commit_and_an_image_by_that_of_its_digest() -> None:
    world = with_code(MANUAL)
    commit, image = world.head, "lab/good@sha256:" + "d" * 64
    for word, named in ((commit[:7], True), (commit, True), ("d" * 7, True), ("e" * 7, False), ("1", False)):
        world.promote = f"env0={word}"
        assert promotion.names_it(scene(world, "env0"), commit, image) is named, word
    world.promote = ""
    assert not promotion.names_it(scene(world, "env0"), commit, image)


def test_the_command_keeps_what_was_said_of_other_environments() -> None:
    world = with_code({}, MANUAL)
    asked = scene(world, "env1")
    begins = "kubectl annotate dataapp sales -n team --overwrite dataapps.dev/promote="
    assert promotion.command(asked, "14") == f"{begins}env1=14"
    world.promote = "test=3,env1=12,junk,env0=9f2c1d0"
    assert promotion.command(scene(world, "env1"), "14") == f"{begins}env0=9f2c1d0,env1=14,test=3"


@pytest.mark.parametrize(
    ("said", "floor", "mode"),
    [
        (None, None, "auto"),
        (None, "manual", "manual"),
        ("auto", "manual", "manual"),
        ("tag", "manual", "manual"),
        ("tag", "auto", "tag"),
        ("manual", "auto", "manual"),
    ],
)
def test_a_class_asks_for_more_and_never_for_less(said: str | None, floor: str | None, mode: str) -> None:
    world = with_code({"promotion": {"mode": said}})
    if floor:
        world.floors["env0"] = floor
    assert promotion.mode(scene(world, "env0")) == mode


@pytest.mark.parametrize(
    ("kinds", "number", "words"),
    [
        (("good",), 1, None),
        (("good", "good"), 1, None),
        (("good",), 2, "there is no release 2 in env0"),
        (("good", "session"), 2, "r2 did not pass in env0 (Failed) and does not go on"),
        (("good", "late"), 2, "r2 did not pass in env0 (RolledBack) and does not go on"),
    ],
)
def test_which_releases_may_go_on(kinds: tuple[str, ...], number: int, words: str | None) -> None:
    assert promotion.verdict(scene(two(*kinds), "env1"), "env0", number) == words


def test_a_release_that_is_still_checked_does_not_go_on_yet() -> None:
    world = two("good")
    world.commit()
    while world.status.environment("env0").candidate is None:
        world.reconcile()
        world.tick(1)
    assert promotion.verdict(scene(world, "env1"), "env0", 2) == "r2 is still on its way in env0"


def test_a_release_that_another_replaced_must_have_been_there_for_long_enough() -> None:
    for soak, words in (
        ("1h", "r1 was in env0 for less than 1h before another took its place, and does not go on"),
        ("30s", None),
    ):
        world = two("good", soak=soak)
        world.tick(60)
        world.commit()
        world.settle()
        assert promotion.verdict(scene(world, "env1"), "env0", 1) == words


def test_the_time_of_soaking_begins_when_a_release_is_the_stable_one() -> None:
    world = two("good", soak="1h")
    since = world.serving["env0"][1]
    world.now = since
    over = promotion.soaked_at(scene(world, "env1"), "env0", 1)
    assert (over - since).total_seconds() == 3600
    world.now = over
    assert promotion.soaked_at(scene(world, "env1"), "env0", 1) is None
