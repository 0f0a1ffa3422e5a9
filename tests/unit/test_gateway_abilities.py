"""What a gateway does is seen by visits: behind one that obeys routes, and behind each that does one thing wrong."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from dataapp_operator.api.environmentclass import GatewayRef
from dataapp_operator.checks.abilities import AbilityView, Release, prove_abilities
from dataapp_operator.checks.shares import Expected, SharesView, count_shares, judge
from dataapp_operator.plan import names, routes
from tests.harness.gateway_stand_in import Fault, StandIn

COOKIE = "dataapp-sales-prod"
WHERE: dict[str, Any] = {
    "app": "sales",
    "environment": "prod",
    "gateway": GatewayRef(namespace="gateways", name="public"),
}
PREVIEW, HOST = "sales--r14.localhost", "sales.localhost"


@asynccontextmanager
async def slot(number: int, index: int, *, status: int = 200) -> AsyncIterator[int]:
    """A slot as the front shows it: it sets its pin unless a visit brings exactly that one; yields its port."""

    async def answer(request: web.Request) -> web.Response:
        found = web.Response(status=status, headers={"X-DataApp-Release": str(number)})
        pins = [part for part in re.split("; ?", request.headers.get("Cookie", "")) if part.startswith(f"{COOKIE}=")]
        if pins != [f"{COOKIE}={names.pin(number, index)}"]:
            found.headers.add("Set-Cookie", f"{COOKIE}={names.pin(number, index)}; Path=/; HttpOnly; SameSite=Lax")
        return found

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def gateway(*faults: Fault, slots: int = 2, status: int = 200) -> AsyncIterator[StandIn]:
    """A gateway in front of the slots of releases 13 and 14."""
    async with AsyncExitStack() as stack:
        ports = {
            names.slot("sales", "prod", number, index): await stack.enter_async_context(
                slot(number, index, status=status)
            )
            for number in (13, 14)
            for index in range(slots)
        }
        specs = [
            routes.preview_spec(**WHERE, host=PREVIEW, number=14),
            routes.proof_spec(**WHERE, host=PREVIEW, number=14, slots=told(slots)),
        ]
        stand_in = StandIn(lambda name: ("127.0.0.1", ports[name]), specs, frozenset(faults))
        yield await stack.enter_async_context(stand_in)


def told(slots: int) -> tuple[int, ...]:
    """The slots that are told apart: the first and the last."""
    return tuple(sorted({0, slots - 1}))


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())


async def prove(stand_in: StandIn, *, slots: int = 2, refused: str = "", timeout: float = 0.2) -> AbilityView:  # noqa: ASYNC109
    async with client() as visitor:
        return await prove_abilities(
            Release(number=14, slots=told(slots), host=PREVIEW, cookie=COOKIE),
            door=f"http://127.0.0.1:{stand_in.port}/",
            refused=refused,
            timeout=timeout,
            client=visitor,
        )


@pytest.mark.asyncio
@pytest.mark.parametrize("slots", [1, 2, 3])
async def test_a_gateway_that_obeys_is_seen_to_do_everything_in_one_round(slots: int) -> None:
    async with gateway(slots=slots) as stand_in:
        view = await prove(stand_in, slots=slots, timeout=5)
    assert (view.marks, view.pins) == (True, True), view.words
    assert set(stand_in.visits) == {f"sales-prod-14-s{index}" for index in {0, slots - 1}}
    assert len(stand_in.visits) <= 9, "an app is not asked more often than it must be"


@pytest.mark.asyncio
@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.TAKES_NO_COOKIE, "the cookie of replica 0 does not lead there, but to the route for everybody"),
        (Fault.TAKES_ANY_COOKIE, "a cookie that only looks alike leads past the route for everybody"),
        (Fault.KEEPS_SET_COOKIE, "the cookie dataapp-sales-prod does not arrive at the visitor"),
        (Fault.KEEPS_COOKIE, "a cookie that the visitor sends back does not arrive at the app"),
    ],
)
async def test_cookies_that_do_not_lead_to_their_replica_are_seen(fault: Fault, words: str, slots: int) -> None:
    async with gateway(fault, slots=slots) as stand_in:
        view = await prove(stand_in, slots=slots)
    assert view == AbilityView(marks=True, pins=False, words=words)


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", [Fault.ADDS_NO_HEADER, Fault.LOOKS_AT_NOTHING])
async def test_a_switch_that_nobody_could_see_is_seen_beforehand(fault: Fault) -> None:
    async with gateway(fault) as stand_in:
        view = await prove(stand_in)
    assert (view.marks, view.pins) == (False, None)
    assert view.words == "an answer came with plan none, release 14"


@pytest.mark.asyncio
async def test_a_route_that_the_gateway_refuses_is_not_tried() -> None:
    async with gateway() as stand_in:
        view = await prove(stand_in, refused="UnsupportedValue: header match", timeout=5)
    assert (view.marks, view.pins) == (True, False)
    assert view.words.endswith("UnsupportedValue: header match")
    assert len(stand_in.visits) == 1


@pytest.mark.asyncio
async def test_a_route_that_comes_late_is_waited_for() -> None:
    async with gateway() as stand_in:
        late = stand_in.routes.pop()
        stand_in.backends = _after(stand_in, 4, late)
        view = await prove(stand_in, timeout=5)
    assert (view.marks, view.pins) == (True, True)


def _after(stand_in: StandIn, visits: int, route: dict[str, Any]) -> Any:
    """The route comes to the gateway after so many visits."""
    known = stand_in.backends

    def backends(name: str) -> tuple[str, int] | None:
        if len(stand_in.visits) >= visits and route not in stand_in.routes:
            stand_in.routes.append(route)
        return known(name)

    return backends


@pytest.mark.asyncio
async def test_no_answer_proves_nothing() -> None:
    async with gateway(status=503) as broken:
        assert await prove(broken) == AbilityView(words=f"{PREVIEW} answers with status 503, plan 0, release 14")
    async with gateway() as empty:
        empty.routes.clear()
        assert await prove(empty) == AbilityView(words=f"{PREVIEW} answers with status 404, plan none, release none")
    nobody = await prove(empty)
    assert (nobody.marks, nobody.pins) == (None, None)
    assert "no answer from the gateway" in nobody.words


def step(share: int, *, old: int = 1, new: int = 1) -> list[Expected]:
    return [Expected(13, 1000 - share * 10, old), Expected(14, share * 10, new)]


async def count(stand_in: StandIn, share: int, *, slots: int = 2) -> SharesView:
    weights = routes.weights_spec(
        **WHERE,
        host=HOST,
        shares={13: 1000 - share * 10, 14: share * 10},
        slots={13: range(slots), 14: range(slots)},
        leaving=(),
        plan=57,
    )
    stand_in.routes.append(weights)
    async with client() as visitor:
        return await count_shares(
            step(share, old=slots, new=slots),
            door=f"http://127.0.0.1:{stand_in.port}/",
            host=HOST,
            plan=57,
            timeout=20,
            client=visitor,
        )


@pytest.mark.asyncio
async def test_a_gateway_that_shares_visitors_out_is_seen_to() -> None:
    async with gateway() as stand_in:
        view = await count(stand_in, 10)
    assert (view.fits, view.weighs) == (True, True)
    assert re.fullmatch(r"of 100 new visits came \d+ to r13 \(90 %\) and \d+ to r14 \(10 %\)", view.detail)


@pytest.mark.asyncio
async def test_one_that_splits_evenly_is_found_out_and_only_after_a_second_count() -> None:
    async with gateway(Fault.SPLITS_EVENLY) as stand_in:
        view = await count(stand_in, 10)
    assert (view.fits, view.weighs) == (False, False)
    assert len(stand_in.visits) == 200


@pytest.mark.asyncio
async def test_visits_of_another_plan_do_not_count() -> None:
    async with gateway(Fault.ADDS_NO_HEADER) as stand_in:
        view = await count(stand_in, 10)
    assert (view.fits, view.weighs) == (None, None)
    assert "only 0 of 100" in view.detail


@pytest.mark.parametrize(
    ("share", "old", "new", "came", "fits", "weighs"),
    [
        (5, 1, 1, 5, True, True),
        (5, 1, 1, 0, True, True),
        (5, 1, 1, 50, False, False),
        (5, 8, 1, 11, True, None),
        (50, 1, 1, 50, True, None),
        (50, 1, 1, 95, False, False),
        (25, 1, 1, 27, True, None),
        (20, 1, 1, 21, True, True),
        (90, 1, 1, 93, True, True),
        (90, 1, 1, 50, False, False),
    ],
)
def test_a_share_that_an_even_split_would_give_too_tells_nothing(
    share: int, old: int, new: int, came: int, *, fits: bool, weighs: bool | None
) -> None:
    view = judge(Counter({13: 100 - came, 14: came}), step(share, old=old, new=new))
    assert (view.fits, view.weighs) == (fits, weighs)


def test_too_few_answers_are_no_count() -> None:
    assert judge(Counter({13: 80, 14: 9}), step(10)).fits is None
