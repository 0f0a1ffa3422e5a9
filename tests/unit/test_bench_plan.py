"""The plan of bench-sessions: just so many releases, a bit of everything, and the same again for the same seed."""

import pytest

from bench.people import HABITS, share_out
from bench.plan import BOUNDARIES, GOOD, Step, plan
from bench.rollback import BREAKS, order
from bench.scripted import APPS

NAMES = [app.name for app in APPS]


def planned(releases: int, seed: int = 3) -> dict[str, list[Step]]:
    return plan(releases, NAMES, seed=seed, silent=["websocket"])


@pytest.mark.parametrize("releases", [4, 5, 8, 17, 50, 51, 120])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_makes_just_so_many_releases(releases: int, seed: int) -> None:
    steps = planned(releases, seed)
    assert sum(step.releases for mine in steps.values() for step in mine) == releases


def test_fifty_releases_have_a_bit_of_everything() -> None:
    steps = [step for mine in planned(50).values() for step in mine]
    assert {step.breaks for step in steps} == {"", "session", "crash", "listen"}
    assert sum(step.failing for step in steps) >= 5
    assert sum(step.burst for step in steps) >= 3
    assert sum(step == GOOD for step in steps) >= 5
    assert sum(step.canary for step in steps) >= 5
    assert sum(step.resize for step in steps) >= 4
    assert sum(step.cordon for step in steps) == 2
    for boundary in BOUNDARIES:
        assert sum(step.kill == boundary for step in steps) >= 2, "once for the process and once for the pod"


def test_a_short_run_already_fails_on_both_sides_of_the_switch_and_kills_the_operator() -> None:
    steps = [step for mine in planned(8).values() for step in mine]
    assert any(step.failing for step in steps)
    assert any(step.breaks for step in steps)
    assert any(step.kill for step in steps)


def test_the_work_is_spread_and_everybody_begins_well() -> None:
    steps = planned(50)
    loads = [sum(step.releases for step in mine) for mine in steps.values()]
    assert max(loads) - min(loads) <= 2
    assert all(mine[0] == GOOD for mine in steps.values())


def test_only_apps_that_can_stop_listening_are_asked_to() -> None:
    for seed in range(20):
        assert {name for name, mine in planned(50, seed).items() if any(s.breaks == "listen" for s in mine)} == {
            "websocket"
        }
    nobody = plan(50, NAMES[:2], seed=1)
    assert not any(step.breaks == "listen" for mine in nobody.values() for step in mine)


def test_the_seed_decides_the_order() -> None:
    assert planned(50, 7) == planned(50, 7)
    assert planned(50, 7) != planned(50, 8)


def test_thirty_people_are_of_every_kind_on_every_app() -> None:
    shares = share_out(30, NAMES)
    assert {app: len({habits for name, habits in shares if name == app}) for app in NAMES} == dict.fromkeys(
        NAMES, len(HABITS)
    )


@pytest.mark.parametrize("wanted", [1, 2, 8, 9])
def test_of_each_signal_enough_releases_break(wanted: int) -> None:
    broken = [how for app in BREAKS for how in order(app, wanted)]
    for how in ("session", "crash", "listen", "errors", "slow"):
        assert wanted <= broken.count(how) <= wanted + 1
