"""The kinds of HTTPRoute of an environment, written with every default spelled out.

* *weights*: new visits, and page loads of browsers whose release is leaving. One write changes both together.
* *pins* (per release): the cookie of a slot leads to that slot, for open sessions.
* *preview* (per release): the release's own host, before and while it serves. It leads to one slot: a place to look, and
  without a cookie that a gateway would have to understand.
* *proof* (per release, for seconds): what pins are on the app's host, on the preview host, for the operator's own visits.

Defaults are spelled out so that "is it as we want it?" is plain equality with what the server stores.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from dataapp_operator.api.environmentclass import GatewayRef
from dataapp_operator.api.status import SCALE
from dataapp_operator.plan import names

Json = dict[str, Any]

PAGE = "^(document|i?frame)$"
"""Sec-Fetch-Dest of a page load. Sec-Fetch-Mode would not do: Chromium says ``navigate`` of a download (``<a download>``)
too, with an empty destination, and a download belongs to the open session."""
_ANY_PATH: Json = {"path": {"type": "PathPrefix", "value": "/"}}


def weights_spec(
    *,
    app: str,
    environment: str,
    host: str,
    gateway: GatewayRef,
    shares: Mapping[int, int],
    slots: Mapping[int, Sequence[int]],
    leaving: Iterable[int],
    leaving_slots: Iterable[tuple[int, int]] = (),
    plan: int,
    named: Iterable[int] = (),
) -> Json:
    """New visits, and page loads of leaving releases, by ``shares`` (release: of SCALE) over the slots of each.

    ``leaving_slots``: (release, slot) of single replicas that leave; ``named``: releases that a request may name by its
    header, so that a client which keeps no cookies meets one release only at a step of a canary.

    The answer says which plan sent it there.
    """
    backends = [
        backend
        for number, share in shares.items()
        for backend in _backends(app, environment, number, slots[number], share)
    ]
    mark = _mark(plan)
    rules: list[Json] = []
    leaving, leaving_slots = sorted(leaving), sorted(leaving_slots)
    if leaving or leaving_slots:
        gone = _cookie(names.leaving_pattern(app, environment, leaving, leaving_slots))
        rules.append(
            {
                "matches": [
                    {"path": {"type": "Exact", "value": "/"}, "headers": [gone]},
                    {**_ANY_PATH, "headers": [_header("Sec-Fetch-Dest", PAGE, kind="RegularExpression"), gone]},
                ],
                "filters": mark,
                "backendRefs": backends,
            }
        )
    for number in sorted(named):
        asking = {**_ANY_PATH, "headers": [_header(names.HEADER_RELEASE, str(number))]}
        own = _backends(app, environment, number, slots[number], SCALE)
        rules.append({"matches": [asking], "filters": mark, "backendRefs": own})
    rules.append({"matches": [_ANY_PATH], "filters": mark, "backendRefs": backends})
    return _spec(host, gateway, rules)


def pins_spec(
    *,
    app: str,
    environment: str,
    host: str,
    gateway: GatewayRef,
    number: int,
    slots: Sequence[int],
    cookie: str,
    asked: Sequence[int] = (),
    round_them: Mapping[int, int] = MappingProxyType({}),
) -> Json:
    """Each slot's cookie leads to that slot.

    ``cookie``: its name; ``asked``: the slots for whoever asks for this release by its number; ``round_them``: the slots
    that do not answer, and to which other one their cookies lead meanwhile.
    """
    rules = []
    for index in slots:
        pin = _cookie(names.pin_pattern(cookie, number, index))
        rules.append(
            {
                "matches": [{**_ANY_PATH, "headers": [pin]}],
                "backendRefs": [_backend(names.slot(app, environment, number, round_them.get(index, index)), 1)],
            }
        )
    if asked:
        backends = _backends(app, environment, number, asked, SCALE)
        rules.append({"matches": _asking(app, environment, number), "backendRefs": backends})
    return _spec(host, gateway, rules)


def _asking(app: str, environment: str, number: int) -> list[Json]:
    """Requests that name this release, by the header or by the cookie, whatever else their browser brings along.

    A browser that has the app open carries the pin of another release, and that release may be leaving. Each match is by a
    path or by a header more exact than the rule that would otherwise take such a request: that of a pin (one header), and
    those of page loads of leaving releases (the entry path and one header, or two headers). What a page loads then needs no
    match of its own: the page has brought the pin along.
    """
    header, page = _header(names.HEADER_RELEASE, str(number)), _header("Sec-Fetch-Dest", PAGE, kind="RegularExpression")
    pinned, cookie = _cookie(names.any_pin_pattern(app, environment)), _cookie(names.asked_pattern(number))
    entry: Json = {"path": {"type": "Exact", "value": "/"}}
    return [
        {**_ANY_PATH, "headers": [header]},
        {**_ANY_PATH, "headers": [header, pinned]},
        {**_ANY_PATH, "headers": [header, pinned, page]},
        {**entry, "headers": [header, pinned]},
        {**_ANY_PATH, "headers": [cookie]},
        {**_ANY_PATH, "headers": [cookie, page, _header("Sec-Fetch-Mode", "navigate")]},
        {**entry, "headers": [cookie]},
        {**entry, "headers": [cookie, page]},
    ]


def preview_spec(*, app: str, environment: str, host: str, gateway: GatewayRef, number: int, slot: int = 0) -> Json:
    """The preview host leads to one slot. Its answers say so as those of new visits say their plan."""
    one = [_backend(names.slot(app, environment, number, slot), 1)]
    return _spec(host, gateway, [{"matches": [_ANY_PATH], "filters": _mark(names.NO_PLAN), "backendRefs": one}])


def proof_spec(
    *, app: str, environment: str, host: str, gateway: GatewayRef, number: int, slots: Sequence[int]
) -> Json:
    """The operator's own cookie leads to each of these slots, past the less specific rule of the preview."""
    rules = [
        {
            "matches": [{**_ANY_PATH, "headers": [_cookie(names.proof_pattern(number, index))]}],
            "backendRefs": [_backend(names.slot(app, environment, number, index), 1)],
        }
        for index in slots
    ]
    return _spec(host, gateway, rules)


def route(*, name: str, namespace: str, labels: dict[str, str], owned_by: Json, spec: Json) -> Json:
    """The HTTPRoute object around a spec."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": [owned_by]},
        "spec": spec,
    }


def backends_of(spec: Json) -> dict[str, int]:
    """The weight of each Service of a weights route's new-visits rule (its last one)."""
    rules = spec.get("rules") or []
    if not rules:
        return {}
    return {b["name"]: b.get("weight", 1) for b in rules[-1].get("backendRefs") or []}


def services_of(spec: Json) -> set[str]:
    """The Services that any rule of a route leads to."""
    return {backend["name"] for rule in spec.get("rules") or [] for backend in rule.get("backendRefs") or []}


def _backends(app: str, environment: str, number: int, slots: Sequence[int], whole: int) -> list[Json]:
    """The slots of one release, sharing ``whole`` so that the sum is exact."""
    share, rest = divmod(whole, len(slots))
    return [
        _backend(names.slot(app, environment, number, index), share + (1 if place < rest else 0))
        for place, index in enumerate(slots)
    ]


def _backend(service: str, weight: int) -> Json:
    return {"group": "", "kind": "Service", "name": service, "port": 80, "weight": weight}


def _mark(plan: int) -> list[Json]:
    header = {"name": names.HEADER_PLAN, "value": str(plan)}
    return [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [header]}}]


def _cookie(pattern: str) -> Json:
    return _header("Cookie", pattern, kind="RegularExpression")


def _header(name: str, value: str, *, kind: str = "Exact") -> Json:
    return {"type": kind, "name": name, "value": value}


def _spec(host: str, gateway: GatewayRef, rules: list[Json]) -> Json:
    parent: Json = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "namespace": gateway.namespace,
        "name": gateway.name,
    }
    if gateway.section_name:
        parent["sectionName"] = gateway.section_name
    return {"parentRefs": [parent], "hostnames": [host], "rules": rules}
