"""What is known of Gateways: for how long, of which one, and whose turn it is to find out more."""

import asyncio
import logging
from dataclasses import replace

import pytest

from dataapp_operator.api.environmentclass import GatewayRef
from dataapp_operator.control.abilities import BAD_FOR, GOOD_FOR, TURN, UNMARKED_FOR, Abilities
from dataapp_operator.control.background import Workbench
from dataapp_operator.control.senses import _door
from dataapp_operator.plan.actions import ObserveGateway, ProveGateway, Share
from dataapp_operator.plan.facts import GatewayAbility, GatewayKey, ViewFacts
from tests.unit.control_rig import APP, GATEWAY_OBJECT, Control, Deaf, dataapp

KEY = GatewayKey(GatewayRef(namespace="gateways", name="public"), uid="u", generation=1)
A, B, C = ("team", "a"), ("team", "b"), ("team", "c")
GOOD = GatewayAbility(pins=True, marks=True, words="it works")
BAD = GatewayAbility(pins=False, marks=True, words="it does not")
UNMARKED = GatewayAbility(marks=False, words="it came without")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def known(found: GatewayAbility | None = None) -> tuple[Clock, Abilities]:
    clock = Clock()
    abilities = Abilities(clock)
    if found is not None:
        abilities.learn(KEY, found)
    return clock, abilities


def test_at_first_nothing_is_known() -> None:
    _, abilities = known()
    assert abilities.known(A, KEY) == GatewayAbility()


@pytest.mark.parametrize(
    ("found", "lasts"),
    [(GOOD, GOOD_FOR), (BAD, BAD_FOR), (UNMARKED, UNMARKED_FOR)],
    ids=["everything", "no pins", "no plan"],
)
def test_what_was_seen_holds_and_is_due_again_after_its_time(found: GatewayAbility, lasts: float) -> None:
    clock, abilities = known(found)
    clock.now += lasts - 1
    assert abilities.known(A, KEY) == found
    clock.now += 1
    after = abilities.known(A, KEY)
    assert (after.pins, after.marks, after.stale) == (found.pins, found.marks, True)
    abilities.learn(KEY, GOOD)
    assert abilities.known(A, KEY) == GOOD


@pytest.mark.parametrize(
    "other",
    [
        GatewayKey(KEY.ref, uid="u", generation=2),
        GatewayKey(KEY.ref, uid="another", generation=1),
        GatewayKey(KEY.ref.model_copy(update={"section_name": "https"}), uid="u", generation=1),
    ],
    ids=["changed", "made anew", "another listener"],
)
def test_another_gateway_is_another_question(other: GatewayKey) -> None:
    _, abilities = known(GOOD)
    assert abilities.known(A, other) == GatewayAbility()
    abilities.learn(other, BAD)
    assert abilities.known(A, other).pins is False


def test_no_answer_takes_nothing_from_what_is_known() -> None:
    clock, abilities = known(BAD)
    clock.now += BAD_FOR
    abilities.learn(KEY, GatewayAbility(words="no answer"))
    assert abilities.known(A, KEY).words == "it does not"
    _, abilities = known(GatewayAbility(words="no answer"))
    assert abilities.known(A, KEY) == GatewayAbility(words="no answer")


def test_weights_are_counted_anew_an_hour_after_they_were_wrong() -> None:
    clock, abilities = known(GOOD)
    abilities.weighed(KEY, weighs=False, words="50 of 100")
    assert (abilities.known(A, KEY).weighs, abilities.known(A, KEY).weighed) == (False, "50 of 100")
    abilities.learn(KEY, GOOD)
    assert abilities.known(A, KEY).weighs is False, "cookies say nothing about weights"
    clock.now += BAD_FOR
    assert (abilities.known(A, KEY).weighs, abilities.known(A, KEY).weighed) == (None, "")
    abilities.weighed(KEY, weighs=True, words="10 of 100")
    clock.now += BAD_FOR
    assert abilities.known(A, KEY).weighs is True


def test_one_asks_and_the_others_wait_for_what_it_finds() -> None:
    _, abilities = known()
    assert abilities.claim(A, KEY)
    assert not abilities.claim(B, KEY)
    assert abilities.claim(A, KEY)
    assert not abilities.known(A, KEY).elsewhere
    assert abilities.known(B, KEY).elsewhere
    assert set(abilities.learn(KEY, GOOD)) == {A, B}
    assert not abilities.known(B, KEY).elsewhere


def test_whoever_finds_nothing_out_makes_way_and_everybody_has_a_turn() -> None:
    _, abilities = known()
    turns = []
    for _ in range(6):
        asking = [app for app in (A, B, C) if abilities.claim(app, KEY)]
        turns += [app for app in asking if not abilities.known(app, KEY).elsewhere][:1]
        abilities.learn(KEY, GatewayAbility(words="no answer"))
    assert set(turns) == {A, B, C}


def test_whoever_says_no_more_word_has_lost_its_turn() -> None:
    clock, abilities = known()
    abilities.claim(A, KEY)
    clock.now += TURN - 1
    assert not abilities.claim(B, KEY)
    clock.now += 1
    assert not abilities.known(B, KEY).elsewhere
    assert abilities.claim(B, KEY)


@pytest.mark.parametrize("found", [GOOD, BAD, UNMARKED], ids=["everything", "no pins", "no plan"])
def test_nobody_asks_what_has_just_been_found_out(found: GatewayAbility) -> None:
    """A pass may have looked before the answer came: the route it would ask by is taken away in the next one."""
    clock, abilities = known(found)
    assert not abilities.claim(A, KEY)
    assert not abilities.known(B, KEY).elsewhere
    clock.now += GOOD_FOR
    assert abilities.claim(A, KEY)


def test_whoever_gives_up_makes_way_at_once() -> None:
    _, abilities = known()
    abilities.claim(A, KEY)
    abilities.give_up(A)
    assert not abilities.known(B, KEY).elsewhere
    assert abilities.claim(B, KEY)
    abilities.give_up(A)
    assert abilities.known(A, KEY).elsewhere, "it is B's turn, whatever A does"


def work(*, ready: bool = True) -> ProveGateway:
    return ProveGateway(
        gateway=KEY, environment="sandbox", number=1, slots=(0,), cookie="c", host="h", address="a:1", ready=ready
    )


class Senses(Deaf):
    """Answers after a second."""

    def __init__(self, found: GatewayAbility | Exception, *, weighs: bool | None = None) -> None:
        self.found, self.weighs, self.asked = found, weighs, 0

    async def prove(self, work: ProveGateway) -> GatewayAbility:
        self.asked += 1
        await asyncio.sleep(1)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    async def look(self, work: ObserveGateway) -> ViewFacts:
        return ViewFacts(plan=work.plan, release=work.number, seen=True, words="50 of 100", weighs=self.weighs)


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_many_apps_ask_once_and_all_are_woken() -> None:
    woken: list[tuple[str, str]] = []
    senses = Senses(GOOD)
    workbench = Workbench(senses, wake=woken.append)
    workbench.start(A, [work(ready=False)])
    for _ in range(3):
        for app in (B, A, C):
            workbench.start(app, [work()])
    await asyncio.sleep(2)
    assert senses.asked == 1
    assert set(woken) == {A, B, C}
    assert workbench.abilities.known(C, KEY).pins is True


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_a_question_that_breaks_off_is_asked_again_without_haste(caplog: pytest.LogCaptureFixture) -> None:
    senses = Senses(RuntimeError("boom"))
    workbench = Workbench(senses, wake=lambda _: None)
    with caplog.at_level(logging.CRITICAL):
        for _ in range(100):
            workbench.start(A, [work()])
            await asyncio.sleep(0.1)
    assert workbench.abilities.known(A, KEY).marks is None
    assert 2 <= senses.asked <= 4


@pytest.mark.asyncio
@pytest.mark.looptime
@pytest.mark.parametrize(
    "then", [(), (work(ready=False),), (replace(work(), number=2),)], ids=["over", "later", "other"]
)
async def test_what_is_no_longer_asked_is_not_answered(then: tuple[ProveGateway, ...]) -> None:
    """Its route is about to go: it would be found out that the Gateway obeys none."""
    senses = Senses(BAD)
    workbench = Workbench(senses, wake=lambda _: None)
    workbench.start(A, [work()])
    await asyncio.sleep(0.5)
    workbench.leave_off(A, [work()])
    await asyncio.sleep(0.4)
    workbench.leave_off(A, then)
    await asyncio.sleep(5)
    assert workbench.abilities.known(A, KEY) == GatewayAbility()
    workbench.start(A, [work()])
    await asyncio.sleep(2)
    assert senses.asked == 2
    assert workbench.abilities.known(A, KEY).pins is False


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_another_question_begins_in_the_very_pass_that_gives_one_up() -> None:
    senses = Senses(GOOD)
    workbench = Workbench(senses, wake=lambda _: None)
    workbench.start(A, [work()])
    await asyncio.sleep(0.5)
    other = replace(work(), number=2)
    workbench.leave_off(A, [other])
    workbench.start(A, [other])
    await asyncio.sleep(0.6)
    assert workbench.abilities.known(A, KEY).marks is None, "the first one would be over by now"
    await asyncio.sleep(0.5)
    assert workbench.abilities.known(A, KEY) == GOOD
    assert senses.asked == 2


@pytest.mark.asyncio
@pytest.mark.looptime
@pytest.mark.parametrize("weighs", [True, False, None])
async def test_what_is_counted_at_a_step_is_known_of_the_gateway(*, weighs: bool | None) -> None:
    workbench = Workbench(Senses(GOOD, weighs=weighs), wake=lambda _: None)
    shares = (Share(1, 900, 1), Share(2, 100, 1))
    look = ObserveGateway("sandbox", 2, 7, "h", "a:1", among=(1, 2), gateway=KEY, weigh=shares)
    workbench.start(A, [look])
    await asyncio.sleep(1)
    assert workbench.abilities.known(A, KEY).weighs is weighs
    assert workbench.facts(A).views["sandbox"].seen


def test_an_app_sees_what_is_known_of_the_gateway_as_it_is_now() -> None:
    control = Control(dataapp())
    ref = GatewayRef(namespace="gateways", name="public")
    changed = {**GATEWAY_OBJECT, "metadata": {**GATEWAY_OBJECT["metadata"], "generation": 3}}
    control.add(changed)
    control.workbench.abilities.learn(GatewayKey(ref, "uid-gateway", 3), GOOD)
    observed = control.observer.observe(APP, {})
    assert observed is not None
    assert observed.abilities[ref] == GOOD
    control.add({**changed, "metadata": {**changed["metadata"], "generation": 4}})
    observed = control.observer.observe(APP, {})
    assert observed is not None
    assert observed.abilities[ref] == GatewayAbility()


@pytest.mark.parametrize(
    ("address", "door"),
    [
        ("10.96.0.9:8000", "http://10.96.0.9:8000/"),
        ("https://10.96.0.9:443", "https://10.96.0.9:443/"),
        ("gw.example:80", "http://gw.example:80/"),
        ("fd00::1:8000", "http://[fd00::1]:8000/"),
        ("https://[fd00::1]:443", "https://[fd00::1]:443/"),
    ],
)
def test_the_door_of_a_gateway_follows_from_its_address(address: str, door: str) -> None:
    assert _door(address) == door
