"""The events of a release: which, in what order, in what words, and each once."""

import itertools
from datetime import timedelta

from dataapp_operator.api.base import instant
from dataapp_operator.plan import events
from tests.unit.plan_rig import image, released

APP = {"name": "sales", "namespace": "team", "uid": "app-uid"}


def told(world, number: int, *, later: float = 0.0) -> list[dict]:
    """The events of a release as they would be told now."""
    spec, status, uid = world.releases["env0", number]
    about = {"name": f"sales-env0-{number}", "namespace": "team", "uid": uid}
    now = world.now + timedelta(seconds=later)
    return [
        events.manifest(name, spec, status, index, release=about, app=APP, instance="operator-1")
        for name, index in events.due(about["name"], status, now=now)
    ]


def test_a_good_release_and_the_one_before_it_are_told_in_order() -> None:
    world = released()
    world.push(image("good", 2))
    world.settle()
    assert [e["reason"] for e in told(world, 2)] == ["Deploying", "Baking", "Released"]
    assert [e["reason"] for e in told(world, 1)] == ["Deploying", "Released", "Retired"]
    for one, next_one in itertools.pairwise(told(world, 2)):
        assert one["eventTime"] < next_one["eventTime"]
        assert one["metadata"]["name"] != next_one["metadata"]["name"]
    assert {e["regarding"]["name"] for e in told(world, 2)} == {"sales"}
    assert {e["related"]["name"] for e in told(world, 2)} == {"sales-env0-2"}


def test_a_release_that_is_taken_back_is_a_warning_that_says_why_for_whom_and_what_now() -> None:
    world = released()
    world.push(image("late", 2))
    while world.status.environment("env0").phase != "Baking":
        world.reconcile()
        world.tick(1)
    world.open_session()
    world.settle()
    last = told(world, 2)[-1]
    assert (last["type"], last["reason"]) == ("Warning", "RolledBack")
    assert "there is no package called 'janitor'" in last["note"]
    assert "2 sessions had it open" in last["note"]
    assert "dataapps.dev/retry=env0=2" in last["note"]


def test_a_second_telling_has_the_names_of_the_first_and_what_is_old_is_not_told() -> None:
    world = released()
    names = [e["metadata"]["name"] for e in told(world, 1)]
    assert names == [e["metadata"]["name"] for e in told(world, 1, later=events.TOLD_FOR / 2)]
    assert told(world, 1, later=events.TOLD_FOR + 3600) == []


def test_the_documented_order_is_the_one_of_the_code(request) -> None:
    text = (request.config.rootpath / "docs" / "releases.md").read_text()
    places = [text.index(f"| `{phase}`") for phase in events.ORDER]
    assert places == sorted(places)


def test_a_name_of_an_event_is_a_name_that_the_api_server_takes() -> None:
    world = released()
    spec, status, _ = world.releases["env0", 1]
    for name, index in events.due("a" * 30 + "-" + "b" * 15 + "-100000", status, now=world.now):
        assert len(name) <= 253
        assert name == name.lower()
        assert instant(status.timeline[index].at) <= world.now
    assert spec.number == 1
