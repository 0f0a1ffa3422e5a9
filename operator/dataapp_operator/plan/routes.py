"""The three kinds of HTTPRoute of an environment, written with every default spelled out.

* *weights*: new visits, and page loads of browsers whose release is leaving. One write changes both together.
* *pins* (per release): the cookie of a slot leads to that slot, for open sessions.
* *preview* (per release): the release's own host, before and while it serves.

Defaults are spelled out so that "is it as we want it?" is plain equality with what the server stores.
"""

from collections.abc import Iterable, Mapping, Sequence
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
) -> Json:
    """New visits, and page loads of leaving releases, by ``shares`` (release: of SCALE) over the slots of each.

    ``leaving_slots``: (release, slot) of single replicas that leave.

    The answer says which plan sent it there.
    """
    backends = [
        backend
        for number, share in shares.items()
        for backend in _backends(app, environment, number, slots[number], share)
    ]
    mark = [
        {
            "type": "ResponseHeaderModifier",
            "responseHeaderModifier": {"set": [{"name": names.HEADER_PLAN, "value": str(plan)}]},
        }
    ]
    rules: list[Json] = []
    leaving, leaving_slots = sorted(leaving), sorted(leaving_slots)
    if leaving or leaving_slots:
        pattern = names.leaving_pattern(app, environment, leaving, leaving_slots)
        gone = _header("Cookie", pattern, kind="RegularExpression")
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
    rules.append({"matches": [_ANY_PATH], "filters": mark, "backendRefs": backends})
    return _spec(host, gateway, rules)


def pins_spec(*, app: str, environment: str, host: str, gateway: GatewayRef, number: int, slots: Sequence[int]) -> Json:
    """Each slot's cookie leads to that slot."""
    rules = []
    for index in slots:
        pin = _header("Cookie", names.pin_pattern(app, environment, number, index), kind="RegularExpression")
        rules.append(
            {
                "matches": [{**_ANY_PATH, "headers": [pin]}],
                "backendRefs": [_backend(names.slot(app, environment, number, index), 1)],
            }
        )
    return _spec(host, gateway, rules)


def preview_spec(
    *,
    app: str,
    environment: str,
    host: str,
    gateway: GatewayRef,
    number: int,
    slots: Sequence[int],
    pinned: Sequence[int] | None = None,
) -> Json:
    """The preview host: pins of its slots first (``pinned``, where they are others), then any of those that serve."""
    pinned = slots if pinned is None else pinned
    pins = pins_spec(app=app, environment=environment, host=host, gateway=gateway, number=number, slots=pinned)
    rules = [*pins["rules"], {"matches": [_ANY_PATH], "backendRefs": _backends(app, environment, number, slots, SCALE)}]
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


def _backends(app: str, environment: str, number: int, slots: Sequence[int], whole: int) -> list[Json]:
    """The slots of one release, sharing ``whole`` so that the sum is exact."""
    share, rest = divmod(whole, len(slots))
    return [
        _backend(names.slot(app, environment, number, index), share + (1 if place < rest else 0))
        for place, index in enumerate(slots)
    ]


def _backend(service: str, weight: int) -> Json:
    return {"group": "", "kind": "Service", "name": service, "port": 80, "weight": weight}


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
