"""Every invariant that the watcher knows is shown to fire, and to keep quiet when things go as designed."""

import copy
from typing import Any

import pytest

from tests.harness.cluster_view import Event, Json, Key, Snapshot, after
from tests.harness.violations import RULES, Violation, Violations
from tests.harness.watcher import InOrder

APP, ENV = "sales", "production"
NOW = "2026-11-22T12:00:00Z"


def labels(release: int | None = None, slot: str | None = None) -> dict[str, str]:
    all_of_them = {"app": APP, "environment": ENV, "release": release and str(release), "slot": slot}
    return {f"dataapps.dev/{name}": value for name, value in all_of_them.items() if value}


def thing(kind: str, name: str, *, marks: dict[str, str] | None = None, **body: Any) -> Json:
    return {"kind": kind, "metadata": {"name": name, "labels": marks or {}, "resourceVersion": "1"}, **body}


def pod(release: int, *, ready: bool = True) -> Json:
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    return thing("Pod", f"{APP}-{ENV}-{release}-s0-abcde", marks=labels(release, "s0"), status=status)


def service(release: int) -> Json:
    marks = labels(release, "s0")
    return thing("Service", f"{APP}-{ENV}-{release}-s0", marks=marks, spec={"selector": marks})


def endpoints(release: int, *, ready: bool = True) -> Json:
    name = f"{APP}-{ENV}-{release}-s0"
    marks = {"kubernetes.io/service-name": name}
    return thing("EndpointSlice", f"{name}-xyz", marks=marks, endpoints=[{"conditions": {"ready": ready}}])


def weights(plan: int, to: dict[int, int]) -> Json:
    mark = {"responseHeaderModifier": {"set": [{"name": "X-DataApp-Plan", "value": str(plan)}]}}
    backends = [{"name": f"{APP}-{ENV}-{release}-s0", "weight": weight} for release, weight in to.items()]
    rule = {"backendRefs": backends, "filters": [mark]}
    return thing("HTTPRoute", f"{APP}-{ENV}", marks=labels(), spec={"rules": [rule]})


def pins(release: int) -> Json:
    return thing("HTTPRoute", f"{APP}-{ENV}-{release}", marks=labels(release), spec={"rules": []})


def release(number: int, phase: str, *, sessions: int | None = 0) -> Json:
    status = {"phase": phase, "slots": [{"name": "s0", "ready": True, "sessions": sessions}]}
    return thing("AppRelease", f"{APP}-{ENV}-{number}", marks=labels(number), status=status)


def app(*, generation: int = 3, observed: int = 3, ready: str = "True", **memory: Any) -> Json:
    status = {
        "observedGeneration": observed,
        "conditions": [{"type": "Ready", "status": ready}],
        "environments": [{"name": ENV} | memory],
    }
    made = thing("DataApp", APP, status=status)
    made["metadata"]["generation"] = generation
    return made


def key(made: Json) -> Key:
    return made["kind"], made["metadata"]["name"]


def world(*things: Json) -> Snapshot:
    return {key(made): made for made in things}


def steady() -> Snapshot:
    """13 is stable and serves; 14 is ready, checked, and its switch is written down."""
    return world(
        *(made for number in (13, 14) for made in (pod(number), service(number), endpoints(number), pins(number))),
        release(13, "Released", sessions=4),
        release(14, "Releasing"),
        weights(56, {13: 1000}),
        app(stable=13, candidate=14, weights=[{"release": 13, "weight": 1000}], intent={"switchTo": 14, "plan": 57}),
    )


def check(before: Snapshot, what: Any, made: Json) -> list[int]:
    return sorted(found.rule for found in Violations().check(before, Event(what, made, NOW)))


def ending(made: Json) -> Json:
    marked = copy.deepcopy(made)
    marked["metadata"]["deletionTimestamp"] = NOW
    return marked


def without(snapshot: Snapshot, *names: str) -> Snapshot:
    return {name: made for name, made in snapshot.items() if name[1] not in names}


def replaced(snapshot: Snapshot, *things: Json) -> Snapshot:
    return dict(snapshot) | world(*things)


def test_a_switch_as_designed_breaks_nothing() -> None:
    violations, snapshot = Violations(), steady()
    switched = [{"release": 14, "weight": 1000}]
    draining = [{"release": 13, "sessions": 4, "forcedAt": "2026-11-22T16:00:00Z"}]
    steps: list[tuple[Any, Json]] = [
        ("MODIFIED", weights(57, {14: 1000})),
        ("MODIFIED", app(stable=13, candidate=14, weights=switched, draining=draining)),
        ("MODIFIED", release(14, "Released")),
        ("MODIFIED", app(stable=14, weights=switched, draining=draining)),
        ("MODIFIED", release(13, "Draining", sessions=0)),
        ("MODIFIED", ending(pod(13))),
        ("DELETED", ending(pod(13))),
        ("DELETED", pins(13)),
        ("DELETED", service(13)),
    ]
    for what, made in steps:
        event = Event(what, made, NOW)
        violations.check(snapshot, event)
        snapshot = after(snapshot, event)
    assert [str(found) for found in violations.found] == []


def test_a_first_release_as_designed_breaks_nothing() -> None:
    intent = {"switchTo": 1, "plan": 1}
    before = world(pod(1), service(1), endpoints(1), release(1, "Checking"), app(candidate=1, intent=intent))
    assert check(before, "ADDED", weights(1, {1: 1000})) == []


def test_1_a_route_is_written_to_a_slot_without_ready_endpoints() -> None:
    assert check(replaced(steady(), endpoints(14, ready=False)), "MODIFIED", weights(57, {14: 1000})) == [1]


def test_1_a_route_is_written_to_a_service_that_is_gone() -> None:
    before = without(steady(), f"{APP}-{ENV}-14-s0")
    assert check(before, "MODIFIED", weights(57, {14: 1000})) == [1, 2]


def test_1_the_only_pod_behind_a_route_is_ended() -> None:
    assert 1 in check(replaced(steady(), release(13, "Released", sessions=0)), "MODIFIED", ending(pod(13)))


def test_1_the_service_behind_a_route_is_deleted() -> None:
    assert 1 in check(steady(), "DELETED", service(13))


def test_1_a_pod_that_becomes_unready_by_itself_is_nobodys_action() -> None:
    assert check(steady(), "MODIFIED", pod(13, ready=False)) == []


def test_2_weight_on_a_release_without_a_ready_slot() -> None:
    assert check(replaced(steady(), pod(14, ready=False)), "MODIFIED", weights(57, {14: 1000})) == [2]


@pytest.mark.parametrize("to", [{14: 999}, {14: 1000, 13: 1}, {}])
def test_3_weights_that_do_not_sum_to_the_scale(to: dict[int, int]) -> None:
    assert 3 in check(steady(), "MODIFIED", weights(57, to))


def test_4_a_slot_is_ended_with_live_sessions() -> None:
    before = replaced(steady(), weights(57, {14: 1000}))
    for made in (ending(pod(13)), ending(service(13)), ending(pins(13))):
        assert check(before, "MODIFIED", made) == [4], made["kind"]


def test_4_a_slot_is_ended_at_its_stated_time_and_not_before() -> None:
    for forced_at, expected in (("2026-11-22T11:59:00Z", []), ("2026-11-22T12:01:00Z", [4])):
        draining = [{"release": 13, "sessions": 4, "forcedAt": forced_at}]
        before = replaced(steady(), weights(57, {14: 1000}), app(stable=14, draining=draining))
        assert check(before, "MODIFIED", ending(pod(13))) == expected


def test_4_a_slot_with_weight_is_ended_without_sessions() -> None:
    before = replaced(steady(), release(13, "Released", sessions=0))
    assert 4 in check(before, "MODIFIED", ending(pod(13)))


def test_4_a_pod_of_a_deployment_may_go_as_long_as_another_answers() -> None:
    """An app without sessions: pods come and go under the weight of their Service."""
    first, second = pod(13), pod(13)
    second["metadata"]["name"] += "-2"
    for made in (first, second):
        made["metadata"]["labels"]["pod-template-hash"] = "abcde"
    before = replaced(steady(), release(13, "Released", sessions=0), first, second)
    assert check(before, "MODIFIED", ending(first)) == []
    assert check(without(before, second["metadata"]["name"]), "MODIFIED", ending(first)) == [1]


def test_4_a_pod_that_is_ending_already_is_not_counted_twice() -> None:
    before = replaced(steady(), ending(pod(13)))
    assert check(before, "DELETED", ending(pod(13))) == []


def test_5_stable_changes_to_a_release_that_was_not_released() -> None:
    assert check(steady(), "MODIFIED", app(stable=14)) == [5]


def test_5_a_failure_takes_stable_away() -> None:
    before = replaced(steady(), release(14, "Failed"))
    assert check(before, "MODIFIED", app(stable=None)) == [5]
    assert check(before, "MODIFIED", app(stable=14)) == [5]
    assert check(before, "MODIFIED", app(stable=13)) == []


def bound(phase: str, *, said: str = "") -> Snapshot:
    """14 is irreversible, bakes, and somebody is about to send its visitors back to 13."""
    made = release(14, phase) | {"spec": {"plan": {"compatibility": "irreversible"}}}
    memory = app(
        stable=13, candidate=14, weights=[{"release": 14, "weight": 1000}], intent={"switchTo": 13, "plan": 58}
    )
    memory["metadata"]["annotations"] = {"dataapps.dev/abort": said}
    return replaced(steady(), made, weights(57, {14: 1000}), memory)


def test_5_visitors_of_what_is_irreversible_are_sent_back_and_nobody_said_so() -> None:
    back = weights(58, {13: 1000})
    assert check(bound("RolledBack"), "MODIFIED", back) == [5]
    assert check(bound("Aborted", said="staging=14,production=13"), "MODIFIED", back) == [5]
    assert check(bound("Aborted", said=f"{ENV}=14@again"), "MODIFIED", back) == []
    assert check(bound("Released"), "MODIFIED", back) == []


def test_5_a_release_that_must_run_alone_is_started_beside_another() -> None:
    alone = release(15, "Deploying") | {"spec": {"plan": {"strategy": "recreate"}}}
    page = thing("Pod", f"{APP}-{ENV}-0-s0-abcde", marks=labels(1, "s0") | {"dataapps.dev/release": "0"})
    assert check(replaced(steady(), alone), "ADDED", pod(15)) == [5]
    assert check(replaced(steady(), release(15, "Deploying")), "ADDED", pod(15)) == []
    left = without(replaced(steady(), alone, page), *(f"{APP}-{ENV}-{n}-s0-abcde" for n in (13, 14)))
    assert check(left, "ADDED", pod(15)) == []


def test_10_visitors_are_sent_elsewhere_before_it_is_written_down() -> None:
    memory = {"stable": 13, "candidate": 14, "weights": [{"release": 13, "weight": 1000}]}
    assert check(replaced(steady(), app(**memory)), "MODIFIED", weights(57, {14: 1000})) == [10]
    other_plan = {"intent": {"switchTo": 14, "plan": 58}}
    assert check(replaced(steady(), app(**memory, **other_plan)), "MODIFIED", weights(57, {14: 1000})) == [10]


def test_10_a_route_that_somebody_deleted_may_be_written_again_as_the_status_has_it() -> None:
    before = without(steady(), f"{APP}-{ENV}")
    assert check(before, "ADDED", weights(56, {13: 1000})) == []


def test_12_ready_for_a_generation_that_was_not_observed() -> None:
    before = replaced(steady(), app(generation=4, observed=3, ready="False"))
    assert check(before, "MODIFIED", app(generation=4, observed=3)) == [12]


def test_12_a_new_spec_under_an_old_status_is_no_claim() -> None:
    before = world(app(generation=3, observed=3))
    assert check(before, "MODIFIED", app(generation=4, observed=3)) == []


def test_every_rule_is_shown_to_fire_by_a_test_of_this_file() -> None:
    names = {name.split("_")[1] for name in globals() if name.startswith("test_") and name.split("_")[1].isdigit()}
    assert names == {str(number) for number, _ in RULES}


def test_events_of_the_test_itself_are_left_out() -> None:
    violations = Violations(ours=lambda event: event.object["kind"] != "Pod")
    assert violations.check(steady(), Event("MODIFIED", ending(pod(13)), NOW)) == []
    assert violations.found == []


def test_a_violation_reads_as_one_line() -> None:
    line = str(Violation(3, "HTTPRoute sales-production", NOW, "the weights of rule 0 sum to 999, not 1000"))
    assert line == f"{NOW} invariant 3, HTTPRoute sales-production: the weights of rule 0 sum to 999, not 1000"


@pytest.mark.parametrize(
    "made", [{"kind": kind, "metadata": {"name": "x"}} for kind in ("HTTPRoute", "Pod", "DataApp")]
)
def test_half_written_objects_do_not_stop_the_watcher(made: Json) -> None:
    for what in ("ADDED", "MODIFIED", "DELETED"):
        Violations().check(steady(), Event(what, made, NOW))


def at_version(version: int) -> Event:
    made = pod(13)
    made["metadata"]["resourceVersion"] = str(version)
    return Event("MODIFIED", made)


def test_events_of_several_watches_are_taken_in_the_order_in_which_they_happened() -> None:
    order = InOrder(settle=1.0)
    order.put(at_version(12), now=0.0)
    order.put(at_version(10), now=0.5)
    order.put(at_version(11), now=0.6)
    assert order.take(now=0.9) == []
    assert [event.object["metadata"]["resourceVersion"] for event in order.take(now=1.0)] == ["10", "11", "12"]
    order.put(at_version(14), now=2.0)
    order.put(at_version(13), now=2.9)
    assert [event.object["metadata"]["resourceVersion"] for event in order.take(now=3.0)] == ["13", "14"]
