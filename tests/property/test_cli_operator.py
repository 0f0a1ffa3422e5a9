"""A person with the command line in front of the operator's own machine: what one writes, the other understands.

At any moment of a release a command is either refused in words, with nothing written, or it is answered; and it is answered
for what it says, never as something that was not understood.
"""

import functools
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataapp_operator.api.base import GROUP
from dataapp_operator.cli import answers, commands, reading, words
from dataapp_operator.cli.errors import Refusal
from dataapp_operator.cli.situation import Request
from dataapp_operator.cli.view import App, Release
from tests.property.world import World, fresh, image, twin

DEEP = os.environ.get("DATAAPP_DEEP") == "1"
LONGEST = 60
"""Passes after which nobody waits for an answer any more."""


def look(world: World) -> tuple[App, tuple[Release, ...]]:
    """What the command line sees of it."""
    said = {**world.commands, "promote": world.promote, "retry": world.retry, "suspend": "yes" * world.suspended}
    annotations = {f"{GROUP}/{command}": value for command, value in said.items() if value}
    metadata = {"name": "sales", "namespace": "team", "annotations": annotations}
    app = {"metadata": metadata, "spec": world.spec.wire(), "status": world.status.wire()}
    records = [{"spec": spec.wire(), "status": status.wire()} for spec, status, _ in world.releases.values()]
    return reading.app(app), reading.releases(records)


def write(world: World, changes: Any) -> None:
    """What kubectl annotate does."""
    for key, value in changes.items():
        command = key.removeprefix(f"{GROUP}/")
        if command == words.PROMOTE:
            world.annotate(value or "")
        elif command == words.RETRY:
            world.retry = value or ""
        elif command == words.SUSPEND:
            world.suspended = value is not None
        elif value is None:
            world.commands.pop(command, None)
        else:
            world.commands[command] = value


def give(world: World, command: str, env: str = "env0", **typed: Any) -> str | None:
    """Give a command; the answer, or None where there is nothing to wait for. Refused where it makes no sense."""
    before, records = look(world)
    decision = commands.decide(Request(command, env, **typed), before, records, world.now)
    write(world, decision.changes)
    if decision.expected is None:
        return None
    for _ in range(LONGEST):
        said = answers.told(decision.expected, before, look(world)[0], world.now)
        if said is not None:
            return said
        world.reconcile()
        world.tick(1)
    raise AssertionError(f"{command} was never answered: {decision}")


def until(world: World, phase: str, *, step: int | None = None) -> World:
    """Go on until a release has come to a phase, and to a step of it."""
    for _ in range(400):
        env = world.status.environment("env0")
        if env.phase == phase and step in {None, env.step} and env.intent is None and env.candidate is not None:
            return world
        world.reconcile()
        world.tick(1)
    raise AssertionError(f"it never came to {phase}, step {step}")


def second_release(*, canary: bool = True, **more: Any) -> World:
    """A first release that serves, and a second one that begins."""
    world = fresh(canary=canary, **more)
    world.settle()
    world.push(image("good", 2))
    return world


def test_pause_and_resume() -> None:
    world = until(second_release(), "Releasing", step=0)
    assert give(world, "pause").startswith("env0: no further step of r2 is taken as long as this stands")
    for _ in range(30):
        world.reconcile()
        world.tick(1)
    assert world.status.environment("env0").step == 0
    with pytest.raises(Refusal, match="r2 is paused in env0 already"):
        give(world, "pause")
    assert give(world, "resume").startswith("env0: r2 is on its way (Releasing)")
    until(world, "Releasing", step=1)


def test_a_pausing_step_is_gone_on_from() -> None:
    world = until(second_release(), "Releasing", step=1)
    for _ in range(30):
        world.reconcile()
        world.tick(1)
    assert give(world, "resume") == "env0: r2 goes on from step 2 of 3"
    until(world, "Releasing", step=2)
    with pytest.raises(Refusal, match="nothing is paused in env0; r2 is on its way"):
        give(world, "resume")


def test_promote_full_leaves_the_other_steps_out() -> None:
    world = until(second_release(), "Releasing", step=0)
    assert (
        give(world, "promote-full")
        == "env0: r2 gets all new visitors without further steps, once its checks have passed"
    )
    until(world, "Baking")
    with pytest.raises(Refusal, match="r2 serves everybody in env0 already"):
        give(world, "promote-full")


def test_abort_and_retry() -> None:
    world = until(second_release(), "Releasing", step=0)
    assert give(world, "abort") == "env0: r2 is given up; new visits go back to r1"
    world.settle()
    with pytest.raises(Refusal, match="nothing is on its way in env0; r1 has served since"):
        give(world, "abort")
    assert give(world, "retry").startswith("env0: r3 is on its way (Deploying)")
    world.settle()
    assert world.status.environment("env0").stable == 3


def test_the_same_release_can_be_restarted_and_gone_back_from_again_and_again() -> None:
    world = second_release(canary=False, warm=1)
    world.settle()
    assert give(world, "restart") == "env0: r2 is released once more, as r3"
    world.settle()
    assert give(world, "rollback").startswith("env0: going back from r3 to r1")
    world.settle()
    serving = world.status.environment("env0").stable
    assert give(world, "rollback", to="3").startswith(f"env0: going back from r{serving} to r3")
    world.settle()
    with pytest.raises(Refusal, match="there is no r99 in env0"):
        give(world, "rollback", to="99")


def test_promote_lets_a_release_go_on() -> None:
    world = fresh(environments=2, manual=True)
    world.settle()
    assert give(world, "promote", "env1").startswith("env1: r1 is on its way (Deploying)")
    world.settle()
    with pytest.raises(Refusal, match="r1 is in env1 already"):
        give(world, "promote", "env1")


def test_suspend_holds_until_unsuspend() -> None:
    world = fresh()
    world.settle()
    assert give(world, "suspend") is None
    world.push(image("good", 2))
    world.settle()
    assert world.status.environment("env0").stable == 1
    assert give(world, "unsuspend").startswith("env0: r2 is on its way")
    world.settle()
    assert world.status.environment("env0").stable == 2


GIVEN = given(
    st.booleans(),
    st.sampled_from(["good", "crash", "session", "late"]),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(words.ANSWERED)), min_size=1, max_size=4),
)


@settings(max_examples=12, deadline=None)
@GIVEN
def test_a_command_is_refused_in_words_or_answered_for_what_it_says(
    canary: object, kind: str, said: list[tuple[int, str]]
) -> None:
    say(canary, kind, said)


@pytest.mark.long
@settings(max_examples=1000 if DEEP else 40, deadline=None)
@GIVEN
def test_at_any_moment_a_command_is_refused_in_words_or_answered_for_what_it_says(
    canary: object, kind: str, said: list[tuple[int, str]]
) -> None:
    say(canary, kind, said)


@functools.cache
def _serving(*, canary: bool) -> World:
    world = fresh(canary=canary, warm=1)
    world.settle()
    return world


def say(canary: object, kind: str, said: list[tuple[int, str]]) -> None:
    """Commands at some moments of a release, and what is answered."""
    world = twin(_serving(canary=bool(canary)))
    world.push(image(kind, 2))
    for passes, command in said:
        for _ in range(passes):
            world.reconcile()
            world.tick(1)
        before = {**world.commands}
        try:
            answer = give(world, command)
        except Refusal:
            assert world.commands == before, "what is refused is not written"
        else:
            assert answer is not None
            assert "not understood" not in answer
    world.settle()
