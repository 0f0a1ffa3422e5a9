"""Objects are read as they come: an older operator says less, a newer one more, and nothing makes it fail."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dataapp_operator.cli import reading
from dataapp_operator.cli.view import Answer, Environment, Held, Step, Waiting
from tests.unit.cli_rig import apprelease, at, dataapp, environment, records, serving, view, waiting


def test_an_environment_is_read_whole() -> None:
    app = view(
        environment(
            "production",
            stable=13,
            stableSince=at("09:00"),
            candidate=14,
            phase="Releasing",
            step=1,
            weights={13: 750, 14: 250},
            draining={12: {"sessions": 6, "forcedAt": at("14:01")}, 11: {"forcedAt": at("15:00")}},
            warm={10: {"until": at("11:00")}},
            quarantined={9: {"reason": "Crashed: no"}},
            artefacts=[{"release": 14, "image": "i", "commit": "9f2c1d0e" * 5}],
            waitingFor=waiting("Holding", "a while", "10:11"),
            answers=[{"command": "pause", "word": "14", "at": at("10:02"), "message": "r14 stays"}],
        )
    )
    (env,) = app.environments
    assert env == Environment(
        name="production",
        url="https://production.example.org",
        stable=13,
        stable_since=datetime(2026, 11, 22, 9, tzinfo=UTC),
        candidate=14,
        phase="Releasing",
        step=1,
        weights={13: 750, 14: 250},
        sessions={12: 6, 11: None},
        warm={10: datetime(2026, 11, 22, 11, tzinfo=UTC)},
        commits={14: "9f2c1d0"},
        held=(Held(9, "Crashed: no"),),
        waiting=Waiting(
            "Holding", "a while", datetime(2026, 11, 22, 10, 1, tzinfo=UTC), datetime(2026, 11, 22, 10, 11, tzinfo=UTC)
        ),
        answers=(Answer("pause", "14", "r14 stays", datetime(2026, 11, 22, 10, 2, tzinfo=UTC)),),
    )
    assert env.live == {10, 11, 12, 13, 14}
    assert env.serving == (13, 14)
    assert env.percent(14) == "25 %"


def test_environments_come_in_the_order_of_the_manifest_and_former_ones_last() -> None:
    manifest = dataapp(serving("sandbox", 3), serving("production", 2))
    manifest["status"]["environments"] = [serving("old", 1), serving("production", 2), serving("sandbox", 3)]
    assert [e.name for e in reading.app(manifest).environments] == ["sandbox", "production", "old"]


def test_an_environment_that_the_operator_has_not_seen_yet_is_empty() -> None:
    manifest = dataapp(serving("sandbox", 3), spec={"environments": [{"name": "sandbox"}, {"name": "production"}]})
    assert reading.app(manifest).environments[1] == Environment("production")


def test_an_intent_to_another_release_is_a_way_back() -> None:
    back = environment("production", candidate=14, stable=13, intent={"switchTo": 13, "plan": 5})
    forth = environment("production", candidate=14, stable=13, intent={"switchTo": 14, "plan": 5})
    room = environment("production", candidate=14, stable=13, phase="Pending", intent={"switchTo": 0, "plan": 5})
    assert view(back).environments[0].going_back
    assert not view(forth).environments[0].going_back
    assert not view(room).environments[0].going_back


def test_a_page_instead_of_the_app_is_no_release_that_serves() -> None:
    renewed = environment(
        "production", candidate=14, stable=13, phase="Checking", weights={0: 1000}, stopped={"release": 13}
    )
    memory = view(renewed).environments[0]
    assert (memory.serving, memory.stopped) == ((), True)
    assert 0 not in memory.live


def test_a_release_is_read_with_its_steps() -> None:
    (record,) = records(
        apprelease("production", 14, "Releasing", steps=[{"weight": 5, "hold": "10m"}, {"weight": 50, "pause": True}])
    )
    assert record.steps == (Step(5, "10m"), Step(50, "", pause=True))


def test_what_a_terminal_would_obey_is_taken_out_of_sentences() -> None:
    evil = environment("production", waitingFor=waiting("Baking", "a\x1b[2Jb\nc\x07 \u202ed"))
    waits = view(evil).environments[0].waiting
    assert waits is not None
    assert waits.message == "a [2Jb c d"


@pytest.mark.parametrize("nonsense", [None, 3, "x", [], {}, [None, 3, "x", {}], {"a": 1}, True])
def test_no_object_makes_it_fail(nonsense: Any) -> None:
    whole = environment(
        "production",
        stable=13,
        candidate=14,
        weights={13: 1000},
        warm={10: {"until": at("11:00")}},
        answers=[{}],
        waitingFor=waiting("Baking"),
        intent={"switchTo": 13},
    )
    for key in whole:
        reading.app(dataapp({**whole, key: nonsense} if key != "name" else whole))
    for key in ("metadata", "spec", "status"):
        reading.app({**dataapp(whole), key: nonsense})
    for key in ("spec", "status"):
        reading.release({**apprelease("production", 14, "Baking"), key: nonsense})
    assert reading.release({}) is None
    reading.app({})
