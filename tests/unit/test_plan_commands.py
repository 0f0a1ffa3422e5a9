"""A person's commands: how they are read, what they do, that they are done once, and what is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.plan import commands, events
from dataapp_operator.plan.commands import COMMANDS, Word
from dataapp_operator.plan.decide import decide
from dataapp_operator.plan.scene import Scene
from tests.property.cluster import CLASS
from tests.unit.plan_rig import World, at_phase, env, fresh, image, released


def scene(world: World) -> Scene:
    """What a decision about the environment sees."""
    observed = world.observe()
    return Scene(observed, observed.spec.environments[0], CLASS, observed.status.environment("env0"), "h.localhost")


def answers(world: World) -> dict[str, str]:
    """What was answered, by command."""
    return {answer.command: answer.message for answer in world.status.environment("env0").answers}


def say(world: World, command: str, word: str, *, passes: int = 1) -> str:
    """Say something, and live through some passes; the answer."""
    world.commands[command] = f"env0={word}"
    for _ in range(passes):
        world.reconcile()
        world.tick(1)
    return answers(world).get(command, "")


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("env0=14", Word("14", 14)),
        (" env0 = r14 ", Word("r14", 14)),
        ("other=3, env0=14.2", Word("14.2", 14, step=2)),
        ("env0=14:12", Word("14:12", 14, to=12)),
        ("env0=r14:r12@b-2", Word("r14:r12@b-2", 14, to=12)),
        ("env0=14@2026-11-28T10.00", Word("14@2026-11-28T10.00", 14)),
        ("env0=now", Word("now")),
        ("env0=", Word("")),
        ("env0=14.2:3", Word("14.2:3")),
        ("env01=14", None),
        ("14", None),
        ("", None),
    ],
)
def test_a_word_is_read_as_it_is_documented(annotation: str, expected: Word | None) -> None:
    world = released()
    world.commands["abort"] = annotation
    assert commands.word(scene(world), "abort") == expected


@given(st.text(max_size=80))
def test_no_text_breaks_the_reading_of_words(text: str) -> None:
    world = WORLD
    world.commands["rollback"] = text
    found = commands.word(scene(world), "rollback")
    assert found is None or found.number is None or f"{found.number}" in text


WORLD = released()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("word", ["now", "14:x", "r"])
def test_what_is_not_understood_is_answered_with_how_to_say_it(command: str, word: str) -> None:
    world = released()
    assert say(world, command, word).startswith("not understood: write env0=14")
    assert world.writes_of_next_pass() == 0, "it is answered once"


@pytest.mark.parametrize("command", ["abort", "pause", "promote-full"])
def test_without_a_release_on_its_way_nothing_is_done_and_it_is_said(command: str) -> None:
    world = released()
    assert say(world, command, "1") == "nothing was done: no release is on its way; r1 serves"


@pytest.mark.parametrize("command", ["abort", "pause", "promote-full"])
def test_another_release_than_the_one_on_its_way_is_not_meant(command: str) -> None:
    world = at_phase("Baking")
    assert say(world, command, "7") == "nothing was done: r2 is on its way, not r7"
    assert world.status.environment("env0").intent is None


@pytest.mark.parametrize("phase", ["Deploying", "Checking"])
def test_a_release_that_nobody_was_sent_to_is_given_up_and_removed(phase: str) -> None:
    world = at_phase(phase)
    assert say(world, "abort", "2") == "r2 is given up; nobody was sent to it"
    world.settle()
    record = world.releases["env0", 2][1]
    assert (record.phase, record.reason) == ("Aborted", "Aborted")
    assert "dataapps.dev/retry=env0=2" in record.next_step
    assert {key[1] for key in world.replicasets} == {1}
    assert world.end()["env0"][0] == image("good", 1), "and it does not come again by itself"


@pytest.mark.parametrize("phase", ["Releasing", "Baking"])
def test_a_release_that_visitors_were_sent_to_is_given_up_and_they_come_back(phase: str) -> None:
    world = at_phase(phase)
    world.open_session()
    assert say(world, "abort", "2") == "r2 is given up; new visits go back to r1"
    world.close_sessions()
    world.settle()
    assert world.releases["env0", 2][1].phase == "Aborted"
    assert world.status.environment("env0").weights[0].release == 1
    told = next(c for c in world.status.conditions if c.type == "LastReleaseFailed")
    assert "Aborted: a person gave it up" in told.message


def test_a_release_that_is_taken_back_already_cannot_be_given_up() -> None:
    world = at_phase("Baking", kind="late")
    for _ in range(60):
        intent = world.status.environment("env0").intent
        if intent is not None and intent.switch_to == 1:
            break
        world.reconcile()
        world.tick(1)
    assert say(world, "abort", "2") == "nothing was done: r2 is being taken back already"
    world.settle()
    assert world.releases["env0", 2][1].phase == "RolledBack"


def test_what_was_given_up_comes_when_a_person_has_it_tried_again() -> None:
    world = at_phase("Deploying")
    say(world, "abort", "2")
    world.settle()
    world.retry = "env0=2"
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")
    assert world.status.environment("env0").stable == 3


def test_a_command_is_done_once_however_long_it_stands_there() -> None:
    world = released()
    assert say(world, "restart", "1") == "r1 is released once more, as r2"
    world.settle()
    assert world.status.environment("env0").stable == 2
    assert say(world, "restart", "1@again") == "nothing was done: r2 serves, not r1"
    assert say(world, "restart", "2") == "r2 is released once more, as r3"
    world.settle()
    assert sorted(number for _, number in world.releases) == [1, 2, 3]


def test_a_restart_survives_an_operator_that_dies_after_any_call() -> None:
    for point in range(1, 12):
        world = released()
        world.commands["restart"] = "env0=1"
        world.reconcile(die_after=point)
        world.settle()
        assert sorted(number for _, number in world.releases) == [1, 2], point
        assert world.end()["env0"] == (image("good", 1), "Released")


def two_served(*, warm: int = 0) -> World:
    """An app whose second release serves; the first is still there if it is kept warm."""
    world = fresh(warm=warm)
    world.settle()
    world.push(image("good", 2))
    for _ in range(60):  # not until the end of the warm one's time
        world.reconcile()
        world.tick(2)
    assert world.status.environment("env0").stable == 2
    return world


def test_going_back_to_what_is_still_there_makes_no_pod() -> None:
    world = two_served(warm=1)
    pods = set(world.pods)
    assert say(world, "rollback", "2", passes=60) == "going back from r2 to r1, which is still there"
    assert world.status.environment("env0").stable == 1
    assert set(world.pods) == pods
    assert [q.release for q in world.status.environment("env0").quarantined] == [2]


def test_going_back_to_what_is_gone_releases_it_once_more_without_steps() -> None:
    world = fresh(canary=True)
    world.settle()
    world.push(image("good", 2))
    world.settle()
    assert say(world, "rollback", "2") == "going back from r2 to r1, released once more as r3"
    world.settle()
    spec = world.releases["env0", 3][0]
    assert (spec.image, spec.plan.strategy, spec.plan.steps) == (image("good", 1), "blueGreen", ())
    assert spec.cause == "the same as r1: a person went back to it from r2"
    assert world.end()["env0"] == (image("good", 1), "Released")


def test_the_manifest_that_still_asks_for_it_does_not_bring_it_back_and_the_next_change_comes() -> None:
    world = two_served()
    say(world, "rollback", "2")
    world.settle()
    waits = world.status.environment("env0").waiting_for
    assert waits.message.startswith(
        "r2 is not tried again by itself: TakenBack: a person went back to r1. To try it once"
    )
    world.push(image("good", 3))
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("2:9", "nothing was done: there is no record (AppRelease) of r9 to go back to"),
        ("2:2", "nothing was done: there is no record (AppRelease) of r2 to go back to"),
        ("1", "nothing was done: r2 serves, not r1"),
        ("2.1", "not understood: write env0=14 or env0=14:12"),
    ],
)
def test_a_way_back_that_leads_nowhere_is_not_gone(word: str, expected: str) -> None:
    world = two_served()
    assert say(world, "rollback", word) == expected
    assert world.status.environment("env0").quarantined == ()
    assert world.status.environment("env0").candidate is None


def test_there_is_no_way_back_from_the_first() -> None:
    world = released()
    told = "nothing was done: there is no earlier release to go back to"
    assert say(world, "rollback", "1") == told


def test_while_something_is_on_its_way_nobody_goes_back() -> None:
    world = at_phase("Baking")
    told = "nothing was done: r2 is on its way; abort it first, or wait for its end"
    assert say(world, "rollback", "1") == told
    assert say(world, "restart", "1") == told


def test_a_paused_release_bakes_on_and_is_taken_back_if_it_fails() -> None:
    world = at_phase("Baking", kind="late")
    world.commands["pause"] = "env0=2"
    world.settle()
    assert world.releases["env0", 2][1].phase == "RolledBack"
    world = at_phase("Baking")
    world.commands["pause"] = "env0=2"
    for _ in range(60):
        world.reconcile()
        world.tick(2)
    memory = world.status.environment("env0")
    assert (memory.phase, memory.waiting_for.reason, memory.stable) == ("Baking", "Paused", 1)
    del world.commands["pause"]
    world.settle()
    assert world.status.environment("env0").stable == 2


def test_a_paused_release_that_passed_its_checks_gets_nobody() -> None:
    world = at_phase("Checking")
    world.commands["pause"] = "env0=2"
    for _ in range(30):
        world.reconcile()
        world.tick(2)
    memory = world.status.environment("env0")
    assert (memory.phase, memory.waiting_for.reason) == ("Checking", "Paused")
    assert "nobody is sent to it yet" in memory.waiting_for.message


def test_while_suspended_nothing_new_begins_and_what_is_on_its_way_goes_on() -> None:
    world = at_phase("Baking")
    world.suspended = True
    world.settle()
    assert world.status.environment("env0").stable == 2
    world.push(image("good", 3))
    world.settle()
    assert world.status.environment("env0").waiting_for.reason == "Suspended"
    assert world.end()["env0"][0] == image("good", 2)
    world.suspended = False
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")


def test_the_line_to_type_keeps_what_is_said_to_other_environments() -> None:
    world = released()
    world.commands["resume"] = "production=3.1, env0=1.0,nonsense"
    line = commands.line(scene(world), "resume", "2.1")
    assert line.endswith("dataapps.dev/resume=production=3.1,env0=2.1")


def test_an_answer_is_an_event_for_a_while() -> None:
    world = released()
    say(world, "promote-full", "1")
    app = {"name": "sales", "namespace": "team", "uid": "u"}
    told = list(events.answers(app, world.status, now=world.now, instance="me"))
    assert [(manifest["reason"], manifest["action"]) for _, manifest in told] == [("PromoteFull", "Command")]
    assert told[0][1]["note"].startswith("env0: promote-full 1: nothing was done")
    world.tick(3600)
    assert list(events.answers(app, world.status, now=world.now, instance="me")) == []


def test_an_app_that_goes_obeys_no_command() -> None:
    world = released()
    world.delete()
    world.commands["restart"] = "env0=1"
    plan = decide(world.observe())
    assert all(memory.candidate is None for memory in plan.status.environments)
    assert env(plan).answers == ()
