"""Reading Kubernetes objects for the invariants: who is ready, where visits go, what the status says. Pure.

A snapshot holds the objects of one namespace, by (kind, name). Nothing here raises for an object that is missing or
half written: that is what a watcher meets.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]
Key = tuple[str, str]
Snapshot = Mapping[Key, Json]

APP, ENVIRONMENT, RELEASE, SLOT = (f"dataapps.dev/{name}" for name in ("app", "environment", "release", "slot"))
TEMPLATE = "pod-template-hash"
"""The label of what a Deployment has made: of an app without sessions, whose pods come and go."""


@dataclass(frozen=True, slots=True)
class Event:
    """One watch event. `at`: when it was seen, RFC 3339 in UTC ("2026-11-22T14:01:00Z")."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Json
    at: str = ""

    @property
    def key(self) -> Key:
        """Kind and name."""
        return self.object["kind"], self.object["metadata"]["name"]


def after(before: Snapshot, event: Event) -> Snapshot:
    """The snapshot once the event has happened."""
    changed = dict(before)
    if event.type == "DELETED":
        changed.pop(event.key, None)
    else:
        changed[event.key] = event.object
    return changed


def dig(thing: Any, *path: str) -> Any:
    """The value under a path of names; None where there is none."""
    for name in path:
        thing = thing.get(name) if isinstance(thing, Mapping) else None
    return thing


def label(thing: Json, name: str) -> str | None:
    """A label's value."""
    value = (dig(thing, "metadata", "labels") or {}).get(name)
    return value if isinstance(value, str) else None


def of_kind(snapshot: Snapshot, kind: str) -> Iterator[Json]:
    """All objects of a kind."""
    return (thing for (its_kind, _), thing in snapshot.items() if its_kind == kind)


def is_ending(thing: Json | None) -> bool:
    """Whether an object is being deleted."""
    return dig(thing, "metadata", "deletionTimestamp") is not None


def condition(thing: Json | None, kind: str) -> str | None:
    """The status of a condition: "True", "False", "Unknown" or None."""
    conditions = dig(thing, "status", "conditions") or []
    return next((entry.get("status") for entry in conditions if entry.get("type") == kind), None)


def ready_pods(snapshot: Snapshot, service: str) -> int:
    """Pods that the Service selects which are Ready and not ending; 0 where there is no such Service."""
    selector = dig(snapshot.get(("Service", service)), "spec", "selector")
    if not selector:
        return 0
    return sum(
        selector.items() <= (dig(pod, "metadata", "labels") or {}).items()
        and condition(pod, "Ready") == "True"
        and not is_ending(pod)
        for pod in of_kind(snapshot, "Pod")
    )


def ready_endpoints(snapshot: Snapshot, service: str) -> int:
    """Endpoints of the Service as a gateway sees them; an absent `ready` means ready (that is the API's rule)."""
    if ("Service", service) not in snapshot:
        return 0
    return sum(
        dig(endpoint, "conditions", "ready") is not False
        for piece in of_kind(snapshot, "EndpointSlice")
        if label(piece, "kubernetes.io/service-name") == service
        for endpoint in piece.get("endpoints") or []
    )


def is_weights_route(thing: Json) -> bool:
    """The route of new visits: it belongs to an app's environment and to no single release."""
    return (
        thing.get("kind") == "HTTPRoute"
        and label(thing, APP) is not None
        and label(thing, ENVIRONMENT) is not None
        and label(thing, RELEASE) is None
    )


def rules_of(route: Json | None) -> list[dict[str, int]]:
    """Per rule of a route: Service -> weight. A weight that is not given is 1, as the API says."""
    return [
        {backend["name"]: backend.get("weight", 1) for backend in rule.get("backendRefs") or []}
        for rule in dig(route, "spec", "rules") or []
    ]


def with_weight(route: Json | None) -> set[str]:
    """All Services that a route may send anybody to."""
    return {service for rule in rules_of(route) for service, weight in rule.items() if weight > 0}


def release_of(snapshot: Snapshot, service: str) -> int | None:
    """The release that a Service belongs to, by its label, or by its name where the Service is gone."""
    number = label(snapshot.get(("Service", service), {}), RELEASE) or service.rpartition("-s")[0].rpartition("-")[2]
    return int(number) if number.isdigit() else None


def plan_of(route: Json) -> int | None:
    """The plan number that a weights route puts on its answers."""
    for rule in dig(route, "spec", "rules") or []:
        for action in rule.get("filters") or []:
            for header in dig(action, "responseHeaderModifier", "set") or []:
                if header.get("name") == "X-DataApp-Plan" and str(header.get("value")).isdigit():
                    return int(header["value"])
    return None


def environment(app: Json | None, name: str | None) -> Json:
    """The memory of one environment in `DataApp.status`; empty where there is none."""
    entries = dig(app, "status", "environments") or []
    return next((entry for entry in entries if entry.get("name") == name), {})


def given_up(app: Json | None, environment_name: str | None) -> set[int]:
    """The releases of an environment that a person gives up, as the annotation says it now."""
    said = (dig(app, "metadata", "annotations") or {}).get("dataapps.dev/abort", "")
    tokens = (token.strip().partition("=") for token in said.split(","))
    numbers = (word.partition("@")[0].removeprefix("r") for env, _, word in tokens if env == environment_name)
    return {int(number) for number in numbers if number.isdigit()}


def owner(snapshot: Snapshot, thing: Json) -> Json | None:
    """The DataApp that an object belongs to, if it still is there."""
    return snapshot.get(("DataApp", label(thing, APP) or ""))


def releases_that_left(snapshot: Snapshot, app: str, environment_name: str) -> set[int]:
    """The releases of an environment that no page load may be answered by: without weight, and no switch leads there."""
    memory = environment(snapshot.get(("DataApp", app)), environment_name)
    staying = {entry.get("release") for entry in memory.get("weights") or [] if entry.get("weight")}
    staying.add((memory.get("intent") or {}).get("switchTo"))
    numbers = (
        label(record, RELEASE)
        for record in of_kind(snapshot, "AppRelease")
        if label(record, APP) == app and label(record, ENVIRONMENT) == environment_name
    )
    return {int(number) for number in numbers if number and number.isdigit()} - staying
