"""Routes: which request reaches which slot, read as a gateway that searches (Go) and one that matches whole (Envoy)."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.api.environmentclass import GatewayRef
from dataapp_operator.plan import names, routes

GW = GatewayRef(namespace="gateways", name="public", section_name="http")
BOTH = pytest.mark.parametrize("matches", [re.search, re.fullmatch], ids=["search", "whole"])


@BOTH
@pytest.mark.parametrize(
    ("header", "hit", "why"),
    [
        ("dataapp-sales-prod=13.0", True, "alone"),
        ("a=b; dataapp-sales-prod=13.0", True, "after another"),
        ("a=b;dataapp-sales-prod=13.0", True, "without a space"),
        ("dataapp-sales-prod=13.0; a=b", True, "before another"),
        ("dataapp-sales-prod=13.0;a=b", True, "before another without a space"),
        ("x=dataapp; dataapp-sales-prod=13.0; y=1", True, "between two"),
        ("dataapp-sales-prod=12.0; dataapp-sales-prod=13.0", True, "two pins: either may count"),
        ("dataapp-sales-prod=113.0", False, "another release that ends alike"),
        ("dataapp-sales-prod=13.01", False, "another slot that begins alike"),
        ("dataapp-sales-prod=130.0", False, "another release that begins alike"),
        ("dataapp-sales-prod=13x0", False, "the dot is a dot"),
        ("dataapp-sales-prod=13.1", False, "the other slot"),
        ("xdataapp-sales-prod=13.0", False, "a cookie whose name ends alike"),
        ("x-dataapp-sales-prod=13.0", False, "a cookie whose name ends alike"),
        ("dataapp-sales-prod2=13.0", False, "another environment"),
        ("dataapp-sales=13.0", False, "another app"),
        ("a=dataapp-sales-prod=13.0", False, "the value of another cookie"),
        ("dataapp-sales-prod=13.0 ; a=b", False, "no browser writes a space before ';'"),
        ("", False, "no cookie"),
    ],
)
def test_a_pin_is_this_slot_of_this_release_and_no_other(*, matches: Any, header: str, hit: bool, why: str) -> None:
    assert bool(matches(names.pin_pattern("dataapp-sales-prod", 13, 0), header)) is hit, why


@BOTH
@pytest.mark.parametrize(
    ("header", "hit"),
    [
        ("__Host-dataapp-sales-prod=13.0", True),
        ("a=b; __Host-dataapp-sales-prod=13.0; c=d", True),
        ("dataapp-sales-prod=13.0", False),
        ("x__Host-dataapp-sales-prod=13.0", False),
        ("__Host-dataapp-sales-prod=13.1", False),
        ("__Host-dataapp-sales-prod2=13.0", False),
    ],
)
def test_a_pin_over_https_has_a_name_of_its_own(*, matches: Any, header: str, hit: bool) -> None:
    assert bool(matches(names.pin_pattern(names.cookie("sales", "prod", "secure"), 13, 0), header)) is hit


@BOTH
@pytest.mark.parametrize(
    ("header", "hit"),
    [
        ("__Host-dataapp-sales-prod=12.0", True),
        ("a=b; __Host-dataapp-sales-prod=13.2", True),
        ("__Host-dataapp-sales-prod=14.0", False),
        ("x__Host-dataapp-sales-prod=12.0", False),
        ("dataapp-sales-prod=12.0", True),
        ("dataapp-sales-prod=13.7; a=b", True),
        ("a=b;dataapp-sales-prod=13.11", True),
        ("dataapp-sales-prod=14.0", False),
        ("dataapp-sales-prod=112.0", False),
        ("dataapp-sales-prod=12.", False),
        ("dataapp-sales-prod=12.0x", False),
        ("xdataapp-sales-prod=12.0", False),
        ("dataapp-sales-prod=1", False),
    ],
)
def test_a_leaving_release_is_any_slot_of_it(*, matches: Any, header: str, hit: bool) -> None:
    assert bool(matches(names.leaving_pattern("sales", "prod", {13, 12}), header)) is hit


def test_the_pattern_of_leaving_releases_does_not_depend_on_their_order() -> None:
    assert names.leaving_pattern("a", "b", [3, 1, 2]) == names.leaving_pattern("a", "b", {1, 2, 3})


def weights(
    *targets: int,
    slots: int = 2,
    leaving: tuple[int, ...] = (),
    shares: dict[int, int] | None = None,
    named: tuple[int, ...] = (),
) -> dict[str, Any]:
    shares = shares or {(targets or (14,))[0]: 1000}
    return routes.weights_spec(
        app="sales",
        environment="prod",
        host="h.test",
        gateway=GW,
        shares=shares,
        slots=dict.fromkeys(shares, range(slots)),
        leaving=leaving,
        plan=57,
        named=named,
    )


def pins(number: int, slots: int = 2, *, asked: int = 0, cookie: str = "dataapp-sales-prod") -> dict[str, Any]:
    which = {"slots": range(slots), "asked": range(asked), "cookie": cookie}
    return routes.pins_spec(app="sales", environment="prod", host="h.test", gateway=GW, number=number, **which)


def reached(specs: list[dict[str, Any]], *, path: str = "/", headers: dict[str, str] | None = None) -> set[str]:
    """The Services a request may reach by the precedence of Gateway API: exact path, longer path, more headers."""
    headers = headers or {}
    found = []
    for spec in specs:
        for rule in spec["rules"]:
            for match in rule["matches"]:
                exact = match["path"]["type"] == "Exact"
                if exact and path != match["path"]["value"]:
                    continue
                wanted = match.get("headers", [])
                if all(_header(h, headers) for h in wanted):
                    found.append(((exact, len(match["path"]["value"]), len(wanted)), rule["backendRefs"]))
    best = max(rank for rank, _ in found)
    return {b["name"] for rank, refs in found if rank == best for b in refs}


def _header(wanted: dict[str, str], headers: dict[str, str]) -> bool:
    value = headers.get(wanted["name"], "")
    return (
        bool(re.fullmatch(wanted["value"], value))
        if wanted["type"] == "RegularExpression"
        else value == wanted["value"]
    )


NEW = {"sales-prod-14-s0", "sales-prod-14-s1"}
OLD0 = {"sales-prod-13-s0"}
NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
DOWNLOAD = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "empty"}
COOKIE13, COOKIE14 = {"Cookie": "dataapp-sales-prod=13.0"}, {"Cookie": "a=b; dataapp-sales-prod=14.1"}


@pytest.mark.parametrize(
    ("path", "headers", "expected", "why"),
    [
        ("/", {}, NEW, "a new visitor"),
        ("/report", {}, NEW, "a new visitor with a deep link"),
        ("/", COOKIE13 | NAVIGATE, NEW, "a reload after the switch is a new visit"),
        ("/", COOKIE13, NEW, "so is the entry page for a browser that does not say what it fetches"),
        ("/report", COOKIE13 | NAVIGATE, NEW, "a reload of a deep link"),
        ("/_stcore/stream", COOKIE13, OLD0, "an open session's websocket reconnects to its slot"),
        ("/report", COOKIE13 | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, NEW, "a page in a frame"),
        ("/report.csv", COOKIE13 | DOWNLOAD, OLD0, "a download of an open session, as Chromium asks for it"),
        ("/app.css", COOKIE13 | {"Sec-Fetch-Mode": "no-cors"}, OLD0, "an open session's assets"),
        ("/", COOKIE14 | NAVIGATE, {"sales-prod-14-s1"}, "a reload on the current release stays on its slot"),
        ("/x", COOKIE14, {"sales-prod-14-s1"}, "and so does everything else of it"),
        ("/x", {"Cookie": "dataapp-sales-prod=12.0"}, NEW, "a pin of a release that is long gone"),
        ("/x", {"Cookie": "dataapp-sales-prod=113.0"}, NEW, "a pin that was never given"),
    ],
)
def test_who_reaches_what_after_a_switch(path: str, headers: dict[str, str], expected: set[str], why: str) -> None:
    assert reached([weights(14, leaving=(13,)), pins(13), pins(14)], path=path, headers=headers) == expected, why


@pytest.mark.parametrize(
    ("headers", "expected", "why"),
    [
        ({}, NEW | OLD0 | {"sales-prod-13-s1"}, "a new visitor may come to either"),
        (COOKIE13 | NAVIGATE, OLD0, "a reload stays on the release it came to"),
        (COOKIE14 | NAVIGATE, {"sales-prod-14-s1"}, "on the new one too"),
        ({"Cookie": "dataapp-sales-prod=12.0"} | NAVIGATE, NEW | OLD0 | {"sales-prod-13-s1"}, "of one that left: new"),
    ],
)
def test_who_reaches_what_at_a_step_of_a_canary(headers: dict[str, str], expected: set[str], why: str) -> None:
    step = weights(shares={13: 950, 14: 50}, leaving=(12,))
    assert reached([step, pins(12), pins(13), pins(14)], headers=headers) == expected, why


@given(st.integers(1, 99), st.integers(1, 8), st.integers(1, 8))
def test_the_shares_of_a_step_are_exact_whatever_the_slots(percent: int, old: int, new: int) -> None:
    spec = routes.weights_spec(
        app="sales",
        environment="prod",
        host="h.test",
        gateway=GW,
        shares={13: 1000 - percent * 10, 14: percent * 10},
        slots={13: range(old), 14: range(new)},
        leaving=(),
        plan=57,
    )
    found = routes.backends_of(spec)
    assert len(found) == old + new
    assert sum(weight for name, weight in found.items() if "-14-" in name) == percent * 10
    assert sum(found.values()) == 1000


ASKS = {"X-DataApp-Release": "14"}
GAVE = {"Cookie": "dataapp-release=14"}
FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
ASSET = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}
FIRST = {"sales-prod-14-s0"}


def with_pin(number: int, index: int = 0) -> dict[str, str]:
    return {"Cookie": f"dataapp-release=14; dataapp-sales-prod={number}.{index}"}


@pytest.mark.parametrize("path", ["/", "/report"])
@pytest.mark.parametrize("fetch", [{}, NAVIGATE, FRAME, ASSET], ids=["api", "page", "frame", "asset"])
@pytest.mark.parametrize("pin", [{}, COOKIE13, COOKIE14, {"Cookie": "dataapp-sales-prod=12.0"}])
def test_whoever_asks_for_a_release_on_its_way_gets_it_whatever_pin_they_have(
    path: str, fetch: dict[str, str], pin: dict[str, str]
) -> None:
    """r13 serves, r12 is leaving, r14 is on its way. Its first slot, where its sessions then stay."""
    specs = [weights(13, leaving=(12,)), pins(12), pins(13), pins(14, asked=1)]
    assert reached(specs, path=path, headers=fetch | pin | ASKS) == FIRST


@pytest.mark.parametrize(
    ("path", "headers", "why"),
    [
        ("/", GAVE, "without a word on what is fetched, as over plain HTTP"),
        ("/report", GAVE, "a deep link like that"),
        ("/", GAVE | NAVIGATE, "a page"),
        ("/report", GAVE | NAVIGATE, "a page behind a deep link"),
        ("/", with_pin(13) | NAVIGATE, "with the app open in what serves"),
        ("/report", with_pin(13) | NAVIGATE, "with a deep link besides"),
        ("/report", with_pin(13) | FRAME, "in a frame"),
        ("/", with_pin(13), "over plain HTTP"),
        ("/", with_pin(12) | NAVIGATE, "with the app open in one that is leaving"),
        ("/report", with_pin(12) | NAVIGATE, "with a deep link besides"),
        ("/app.js", with_pin(14) | ASSET, "what the page then loads: by its pin"),
    ],
)
def test_a_cookie_that_a_person_gives_themselves_does_the_same_for_pages(
    path: str, headers: dict[str, str], why: str
) -> None:
    specs = [weights(13, leaving=(12,)), pins(12), pins(13), pins(14, asked=1)]
    assert reached(specs, path=path, headers=headers) == FIRST, why


@pytest.mark.parametrize("path", ["/", "/report"])
@pytest.mark.parametrize("fetch", [{}, NAVIGATE, ASSET], ids=["api", "page", "asset"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cookie": "a=b"},
        COOKIE13,
        {"X-DataApp-Release": "1"},
        {"X-DataApp-Release": "114"},
        {"X-DataApp-Release": "13"},
        {"Cookie": "dataapp-release=1"},
        {"Cookie": "dataapp-release=140"},
        {"Cookie": "xdataapp-release=14"},
        {"Cookie": "a=dataapp-release=14"},
    ],
)
def test_whoever_asks_for_nothing_that_is_there_is_a_visitor_like_others(
    path: str, fetch: dict[str, str], headers: dict[str, str]
) -> None:
    plain = [weights(13, leaving=(12,)), pins(12), pins(13), pins(14)]
    specs = [*plain[:-1], pins(14, asked=1)]
    assert reached(specs, path=path, headers=fetch | headers) == reached(plain, path=path, headers=fetch | headers)
    assert not reached(specs, path=path, headers=fetch | headers) & NEW


def test_an_api_is_asked_over_all_replicas() -> None:
    assert reached([weights(13), pins(13), pins(14, asked=2)], headers=ASKS) == NEW


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-DataApp-Release": "13"}, OLD0 | {"sales-prod-13-s1"}),
        (ASKS, NEW),
        ({"X-DataApp-Release": "12"}, NEW | OLD0 | {"sales-prod-13-s1"}),
    ],
)
def test_a_client_without_cookies_names_the_release_it_means_at_a_step(
    headers: dict[str, str], expected: set[str]
) -> None:
    step = weights(shares={13: 950, 14: 50}, leaving=(12,), named=(13,))
    assert reached([step, pins(12), pins(13), pins(14, asked=2)], headers=headers) == expected
    both = weights(shares={13: 950, 14: 50}, named=(13, 14))
    assert reached([both], headers=ASKS) == NEW, "where cookies lead nowhere, this still does"


def test_a_class_that_went_over_to_https_keeps_the_sessions_of_before_and_moves_them_with_the_next_page() -> None:
    """r13 is of the time of plain HTTP, r14 serves over HTTPS."""
    specs = [weights(14, leaving=(13,)), pins(13), pins(14, cookie="__Host-dataapp-sales-prod")]
    assert reached(specs, path="/upload", headers=COOKIE13) == OLD0
    assert reached(specs, headers=COOKIE13 | NAVIGATE) == NEW
    secure = {"Cookie": "__Host-dataapp-sales-prod=14.1"}
    assert reached(specs, path="/upload", headers=secure) == {"sales-prod-14-s1"}
    back = [weights(13, leaving=(14,)), pins(13), pins(14, cookie="__Host-dataapp-sales-prod")]
    assert reached(back, headers=secure | NAVIGATE) == {"sales-prod-13-s0", "sales-prod-13-s1"}
    assert reached(back, path="/upload", headers=secure) == {"sales-prod-14-s1"}


def test_before_a_switch_nobody_reaches_the_candidate_by_chance() -> None:
    specs = [weights(13), pins(13), pins(14)]
    assert reached(specs) == {"sales-prod-13-s0", "sales-prod-13-s1"}
    assert reached(specs, headers=COOKIE13 | NAVIGATE) == OLD0


def preview() -> dict[str, Any]:
    return routes.preview_spec(app="sales", environment="prod", host="p.test", gateway=GW, number=14)


def test_the_preview_host_leads_to_one_slot_with_or_without_a_cookie() -> None:
    """So a session stays where it is behind any gateway, also one that refuses routes that look at cookies."""
    assert preview()["hostnames"] == ["p.test"]
    assert reached([preview()]) == reached([preview()], headers=COOKIE14) == {"sales-prod-14-s0"}
    assert "RegularExpression" not in str(preview())


@pytest.mark.parametrize("slots", [(0,), (0, 1), (2, 7)])
def test_the_question_what_cookies_do_is_asked_as_pins_are_led(slots: tuple[int, ...]) -> None:
    proof = routes.proof_spec(app="sales", environment="prod", host="p.test", gateway=GW, number=14, slots=slots)
    for index in slots:
        led = reached([preview(), proof], headers={"Cookie": f"a=b; dataapp-proof=14.{index}; c=d"})
        assert led == {f"sales-prod-14-s{index}"}
    for cookie in ("xdataapp-proof=14.0", "dataapp-proof=114.0", "dataapp-sales-prod=14.1"):
        assert reached([preview(), proof], headers={"Cookie": cookie}) == {"sales-prod-14-s0"}
    assert not any("filters" in rule for rule in proof["rules"]), "what a cookie leads to is of no plan"


@pytest.mark.parametrize("slots", range(1, 9))
def test_weights_sum_to_their_scale_and_are_even(slots: int) -> None:
    shares = list(routes.backends_of(weights(slots=slots)).values())
    assert sum(shares) == 1000
    assert len(shares) == slots
    assert max(shares) - min(shares) <= 1


def test_every_default_of_the_server_is_written_out() -> None:
    """Else "is it as we want it?" would never be true, and every pass would write."""
    spec = weights(leaving=(13,))
    assert spec["parentRefs"] == [
        {
            "group": "gateway.networking.k8s.io",
            "kind": "Gateway",
            "namespace": "gateways",
            "name": "public",
            "sectionName": "http",
        }
    ]
    for rule in [*spec["rules"], *pins(14)["rules"]]:
        assert all(match["path"]["type"] and match["path"]["value"] for match in rule["matches"])
        assert all(h["type"] for match in rule["matches"] for h in match.get("headers", ()))
        assert all(set(b) == {"group", "kind", "name", "port", "weight"} for b in rule["backendRefs"])


def test_only_weights_say_the_plan_and_on_every_rule() -> None:
    (mark,) = {str(rule["filters"]) for rule in weights(leaving=(13,))["rules"]}
    assert "X-DataApp-Plan" in mark
    assert "'57'" in mark
    assert not any("filters" in rule for rule in pins(14)["rules"])
    assert "'0'" in str(preview()["rules"][0]["filters"]), "plans count from one"


def test_without_a_listener_every_one_that_matches_is_meant() -> None:
    spec = routes.pins_spec(
        app="a",
        environment="b",
        host="h",
        gateway=GatewayRef(namespace="n", name="g"),
        number=1,
        slots=(0,),
        cookie="c",
    )
    assert "sectionName" not in spec["parentRefs"][0]


@pytest.mark.parametrize("spec", [{}, {"rules": []}, {"rules": [{}]}, {"rules": [{"backendRefs": None}]}])
def test_a_route_that_somebody_emptied_has_no_backends(spec: dict[str, Any]) -> None:
    assert routes.backends_of(spec) == {}


APPS = st.from_regex(r"[a-z]([-a-z0-9]{0,5}[a-z0-9])?", fullmatch=True)
ENVS = st.from_regex(r"[a-z][a-z0-9]{0,3}", fullmatch=True)
KEYS = st.tuples(APPS, ENVS, st.integers(1, 120), st.integers(0, 7))


@given(KEYS, KEYS)
def test_two_different_things_never_have_the_same_name(one: tuple[Any, ...], two: tuple[Any, ...]) -> None:
    def all_names(key: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
        app, env, number, index = key
        return {
            "route " + names.weights_route(app, env): (app, env),
            "route " + names.release(app, env, number): (app, env, number),
            "route " + names.preview_route(app, env, number): (app, env, number, "preview"),
            "route " + names.proof_route(app, env, number): (app, env, number, "proof"),
            "slot " + names.slot(app, env, number, index): key,
        }

    first, second = all_names(one), all_names(two)
    for name in first.keys() & second.keys():
        assert first[name] == second[name]
    for name in first:
        assert len(name.partition(" ")[2]) <= 63
