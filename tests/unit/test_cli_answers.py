"""When the operator has answered, and with what."""

from typing import Any

import pytest

from dataapp_operator.api.reasons import Reason
from dataapp_operator.cli import answers
from dataapp_operator.cli.situation import Expected
from tests.unit.cli_rig import NOW, at, environment, serving, view, waiting

BEFORE = environment("production", stable=13, candidate=14, phase="Releasing", weights={13: 750, 14: 250}, step=1)
ABORT = Expected("production", "abort", "14@a")


def answer(
    command: str = "abort", word: str = "14@a", when: str = "10:03", message: str = "r14 is given up"
) -> dict[str, Any]:
    return {"command": command, "word": word, "at": at(when), "message": message}


def told(expected: Expected, before: dict[str, Any], after: dict[str, Any], **more: Any) -> str | None:
    return answers.told(expected, view(before), view(after, **more), NOW)


def test_nothing_is_told_before_there_is_an_answer() -> None:
    assert told(ABORT, BEFORE, BEFORE) is None
    moved = {**BEFORE, "phase": "Baking"}
    assert told(ABORT, BEFORE, moved) is None, "what happens meanwhile is no answer"


def test_the_answer_is_the_operators_own_sentence() -> None:
    after = {**BEFORE, "answers": [answer("pause"), answer()]}
    assert told(ABORT, BEFORE, after) == "production: r14 is given up"


def test_an_answer_to_another_word_is_none() -> None:
    for word in ("14", "13@a", "14@b"):
        assert told(ABORT, BEFORE, {**BEFORE, "answers": [answer(word=word)]}) is None


def test_an_answer_without_words_is_told_by_how_things_are() -> None:
    after = {**serving("production", 13), "answers": [answer(message="")]}
    assert told(ABORT, BEFORE, after) == "production: r13 has served since 09:30"


@pytest.mark.parametrize(
    "after",
    [
        {**BEFORE, "candidate": 15},
        {**BEFORE, "waitingFor": waiting("Soaking", "r14 goes on at 10:30")},
        serving("production", 13),
    ],
)
def test_promote_and_retry_are_answered_by_what_begins_or_is_waited_for(after: dict[str, Any]) -> None:
    expected = Expected("production", None, "14")
    assert told(expected, BEFORE, BEFORE) is None
    assert told(expected, BEFORE, after) is not None
    since_only = {**after, "waitingFor": {**waiting("Soaking", "r14 goes on at 10:30"), "since": at("10:03")}}
    same = {**after, "waitingFor": waiting("Soaking", "r14 goes on at 10:30")}
    assert told(expected, since_only, same) is None, "a moment that moved is no step"


def test_a_pause_is_lifted_when_it_is_waited_for_no_more() -> None:
    lifted = Expected("production", lifted=Reason.PAUSED)
    held = {**BEFORE, "waitingFor": waiting("Paused", "a person paused r14")}
    assert told(lifted, held, held) is None
    assert told(lifted, held, BEFORE) == "production: r14 is on its way (Releasing)"


def test_a_suspension_is_lifted_when_no_environment_waits_for_it() -> None:
    quiet = [serving("sandbox", 14), serving("production", 13)]
    held = view(quiet[0], {**quiet[1], "waitingFor": waiting("Suspended", "something new is ready")})
    lifted = Expected(lifted=Reason.SUSPENDED)
    assert answers.told(lifted, held, held, NOW) is None
    assert answers.told(lifted, held, view(*quiet), NOW) == (
        "sandbox: r14 has served since 09:30; production: r13 has served since 09:30"
    )
    assert answers.told(lifted, held, view(status={"environments": []}), NOW) == "sales: nothing is held back"


def test_an_environment_that_is_new_in_status_is_compared_with_nothing() -> None:
    expected = Expected("production", None, "14")
    before = view(spec={"environments": [{"name": "production"}]}, status={"environments": []})
    assert answers.told(expected, before, view(BEFORE), NOW) == "production: r14 is on its way (Releasing)"
