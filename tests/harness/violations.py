"""The invariants of the design (§3) that objects alone can show, checked at every event. Pure.

Each rule is a function of what was before an event, the event, and what is after it, and yields words. The numbers
are those of the design:

1. no route that carries visitors loses its last ready endpoint by an action of ours;
2. weight > 0 means that a slot of the release is ready;
3. the weights of a rule sum to the scale;
4. a slot with live sessions, or with weight, is not ended before its time;
5. `stable` changes only to a release that was Released; visitors of one that is irreversible go back by a person's word;
   one that is recreated is never started beside another;
10. visitors are sent elsewhere only where the persisted status already said so;
12. Ready is never True for a generation that was not observed.

Who did something is not in an event. A test that itself deletes pods or edits routes says so with `ours`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.harness import cluster_view as view
from tests.harness.cluster_view import Event, Json, Snapshot

SCALE = 1000
PAGE = "0"
"""The release of a page that new visitors get instead of an app, while it is renewed."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken invariant: its number in the design, where, when (RFC 3339) and in words."""

    rule: int
    where: str
    at: str
    words: str

    def __str__(self) -> str:
        """One line for an assertion's message."""
        return f"{self.at} invariant {self.rule}, {self.where}: {self.words}"


@dataclass(frozen=True, slots=True)
class Change:
    """An event with both sides of it. `old` and `new` are the object before and after; None where it was not there."""

    before: Snapshot
    after: Snapshot
    event: Event
    old: Json | None
    new: Json | None

    @property
    def thing(self) -> Json:
        """The object, as it is or as it last was."""
        return self.event.object

    def ends(self) -> bool:
        """Whether the object is ended by this event: deleted, or marked for deletion now."""
        if self.new is None:
            return self.old is not None and not view.is_ending(self.old)
        return view.is_ending(self.new) and not view.is_ending(self.old)


class Violations:
    """All violations found so far. `ours(event)` is False for events that the test itself caused."""

    def __init__(self, *, ours: Callable[[Event], bool] = lambda _: True) -> None:
        self.found: list[Violation] = []
        self._ours = ours

    def check(self, before: Snapshot, event: Event) -> list[Violation]:
        """The violations of one event, which are added to `found`. `before` is the snapshot without the event."""
        if not self._ours(event):
            return []
        now = view.after(before, event)
        change = Change(before, now, event, before.get(event.key), now.get(event.key))
        where = f"{event.key[0]} {event.key[1]}"
        fresh = [Violation(number, where, event.at, words) for number, rule in RULES for words in rule(change)]
        self.found += fresh
        return fresh


def never_to_nobody(change: Change) -> Iterator[str]:
    """1: for a changed weights route, rule by rule; and for an ended pod or Service, every route that leads there."""
    if view.is_weights_route(change.thing):
        if change.new is None or not _reaches(change.before, view.with_weight(change.old), view.ready_endpoints):
            return
        for number, rule in enumerate(view.rules_of(change.new)):
            services = {service for service, weight in rule.items() if weight > 0}
            if not _reaches(change.after, services, view.ready_endpoints):
                yield f"rule {number} now leads to no ready endpoint ({', '.join(sorted(services)) or 'no backend'})"
    elif change.thing["kind"] in ("Pod", "Service") and change.ends():
        for route in filter(view.is_weights_route, view.of_kind(change.after, "HTTPRoute")):
            services = view.with_weight(route)
            reached = _reaches(change.before, services, view.ready_pods)
            if reached and not _reaches(change.after, services, view.ready_pods):
                yield f"it was ended while route {route['metadata']['name']} leads to nobody else"


def weight_needs_a_ready_slot(change: Change) -> Iterator[str]:
    """2: every release with weight has a ready slot when the route is written."""
    if not view.is_weights_route(change.thing) or change.new is None:
        return
    releases: dict[int | None, set[str]] = {}
    for service in view.with_weight(change.new):
        releases.setdefault(view.release_of(change.after, service), set()).add(service)
    for release, services in releases.items():
        if not _reaches(change.after, services, view.ready_pods):
            yield f"release {release} has weight and no ready slot"


def weights_sum_to_the_scale(change: Change) -> Iterator[str]:
    """3: in every rule of a weights route."""
    if not view.is_weights_route(change.thing) or change.new is None:
        return
    rules = view.rules_of(change.new)
    if not rules:
        yield "it has no rule"
    for number, rule in enumerate(rules):
        if sum(rule.values()) != SCALE:
            yield f"the weights of rule {number} sum to {sum(rule.values())}, not {SCALE}"


def sessions_keep_their_slot(change: Change) -> Iterator[str]:
    """4: pods, Services and pins routes of a release stay while sessions live on it, up to the stated end."""
    thing, app = change.thing, view.owner(change.before, change.thing)
    number, slot = view.label(thing, view.RELEASE), view.label(thing, view.SLOT)
    aside = thing["metadata"]["name"].endswith((".preview", ".proof"))
    relevant = thing["kind"] in ("Pod", "Service") or (thing["kind"] == "HTTPRoute" and not aside)
    if not relevant or number is None or not change.ends() or app is None or view.is_ending(app):
        return
    name, environment = view.label(thing, view.APP), view.label(thing, view.ENVIRONMENT)
    service = f"{name}-{environment}-{number}-{slot}"
    weights = change.before.get(("HTTPRoute", f"{name}-{environment}"))
    alike = thing["kind"] == "Pod" and view.label(thing, view.TEMPLATE) is not None  # any other pod answers as well
    if slot and not alike and service in view.with_weight(weights):
        yield "it was ended while it had weight"
    release = change.before.get(("AppRelease", f"{name}-{environment}-{number}"))
    slots = view.dig(release, "status", "slots") or []
    sessions = sum(entry.get("sessions") or 0 for entry in slots if slot in (None, entry.get("name")))
    leaving = view.environment(app, environment).get("draining") or []
    forced_at = next((entry.get("forcedAt") for entry in leaving if str(entry.get("release")) == number), None)
    if sessions > 0 and not (forced_at and change.event.at >= forced_at):
        yield f"it was ended with {sessions} live sessions, {f'before {forced_at}' if forced_at else 'not draining'}"


def stable_changes_only_by_success(change: Change) -> Iterator[str]:
    """5: from nothing or from one release to another that was Released; a failure never changes it."""
    if change.thing["kind"] != "DataApp" or change.new is None or change.old is None:
        return
    for old in view.dig(change.old, "status", "environments") or []:
        new = view.environment(change.new, old.get("name"))
        if not new or new.get("stable") == old.get("stable"):
            continue
        if new.get("stable") is None:
            yield f"{old.get('name')}: release {old.get('stable')} was stable and nothing replaced it"
            continue
        name = f"{change.thing['metadata']['name']}-{old.get('name')}-{new['stable']}"
        phase = view.dig(change.after.get(("AppRelease", name)), "status", "phase")
        if phase != "Released":
            yield f"{old.get('name')}: release {new['stable']} became stable while its phase is {phase}"


def nobody_goes_back_unasked(change: Change) -> Iterator[str]:
    """5: a release whose plan is irreversible loses visitors to an older one only where a person gave it up."""
    if not view.is_weights_route(change.thing) or change.new is None or change.old is None:
        return
    app, name = view.owner(change.before, change.thing), view.label(change.thing, view.ENVIRONMENT)
    old, new = _shares(change.before, change.old), _shares(change.after, change.new)
    gaining = [number for number in new if number is not None and new[number] > old.get(number, 0)]
    given_up = view.given_up(app, name)
    for number, share in old.items():
        record = change.before.get(("AppRelease", f"{change.thing['metadata']['name']}-{number}"))
        bound = view.dig(record, "spec", "plan", "compatibility") == "irreversible"
        if number is None or not bound or new.get(number, 0) >= share:
            continue
        if (
            view.dig(record, "status", "phase") in {"Released", "Draining", "Warm"}
            or max(given_up, default=0) >= number
        ):
            continue
        if min(gaining, default=number) < number:
            yield f"visitors of release {number}, which is irreversible, are sent back to {gaining}, and nobody said so"


def never_beside_another(change: Change) -> Iterator[str]:
    """5: a pod of a release whose strategy is recreate is made only when no pod of another release is left."""
    pod = change.thing
    if pod["kind"] != "Pod" or change.old is not None or change.new is None:
        return
    app, name, number = (view.label(pod, key) for key in (view.APP, view.ENVIRONMENT, view.RELEASE))
    record = change.before.get(("AppRelease", f"{app}-{name}-{number}"))
    if view.dig(record, "spec", "plan", "strategy") != "recreate":
        return
    beside = {
        other["metadata"]["name"]
        for other in view.of_kind(change.before, "Pod")
        if (view.label(other, view.APP), view.label(other, view.ENVIRONMENT)) == (app, name)
        and view.label(other, view.RELEASE) not in {number, PAGE}
        and view.dig(other, "status", "phase") not in {"Succeeded", "Failed"}
    }
    if beside:
        yield f"it was made beside {', '.join(sorted(beside))}, and must run alone"


def switches_are_written_down_first(change: Change) -> Iterator[str]:
    """10: the releases that a weights route leads to are those that the status before it names."""
    if not view.is_weights_route(change.thing) or change.new is None:
        return
    app = view.owner(change.before, change.thing)
    old, new = _shares(change.before, change.old), _shares(change.after, change.new)
    if new == old or app is None:
        return
    memory = view.environment(app, view.label(change.thing, view.ENVIRONMENT))
    kept = {entry.get("release"): entry["weight"] for entry in memory.get("weights") or [] if entry.get("weight")}
    intent, plan = memory.get("intent") or {}, view.plan_of(change.new)
    part = intent.get("weight")
    meant = {intent.get("switchTo"): SCALE}
    if part is not None:
        meant = {memory.get("stable"): SCALE - part, intent.get("switchTo"): part}
    if new == kept or (new == meant and plan == intent.get("plan")):
        return
    yield f"it leads to {new} by plan {plan}; the status says {intent or 'no intent'}"


def _shares(snapshot: Snapshot, route: Json | None) -> dict[int | None, int]:
    """By release, its share of new visitors: what the last rule of a weights route says."""
    shares: dict[int | None, int] = {}
    for service, weight in (view.rules_of(route) or [{}])[-1].items() if route is not None else ():
        if weight > 0:
            number = view.release_of(snapshot, service)
            shares[number] = shares.get(number, 0) + weight
    return shares


def ready_means_observed(change: Change) -> Iterator[str]:
    """12: a status that says Ready was written for the generation that it speaks of."""
    if change.thing["kind"] != "DataApp" or change.new is None:
        return
    if view.dig(change.old, "status") == view.dig(change.new, "status"):
        return  # a new spec under an old status is how every change begins
    observed, generation = (
        view.dig(change.new, "status", "observedGeneration"),
        view.dig(change.new, "metadata", "generation"),
    )
    if view.condition(change.new, "Ready") == "True" and observed != generation:
        yield f"Ready was written as True for generation {generation}; the one observed is {observed}"


RULES: tuple[tuple[int, Callable[[Change], Iterator[str]]], ...] = (
    (1, never_to_nobody),
    (2, weight_needs_a_ready_slot),
    (3, weights_sum_to_the_scale),
    (4, sessions_keep_their_slot),
    (5, stable_changes_only_by_success),
    (5, nobody_goes_back_unasked),
    (5, never_beside_another),
    (10, switches_are_written_down_first),
    (12, ready_means_observed),
)


def _reaches(snapshot: Snapshot, services: set[str], ready: Callable[[Snapshot, str], int]) -> bool:
    return any(ready(snapshot, service) for service in services)
