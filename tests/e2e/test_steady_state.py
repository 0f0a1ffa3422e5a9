"""In steady state the operator looks, and writes nothing; and what a release costs the API server, for the record.

The server's audit log is the witness, not the operator's own counters. Renewals of the Lease are left out by name and
counted apart: they say "I live" twelve times a minute whatever happens, and are no work on anybody's app.
"""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from tests.harness.audit import AuditLog, Call, by_kind, operator_audit, table
from tests.harness.cluster import Json, Kube, Team, environment
from tests.harness.operator_pod import OperatorPod, total
from tests.harness.stages import stage

pytestmark = [pytest.mark.journey, pytest.mark.must_run, pytest.mark.alone]

WINDOW = 60.0
"""Seconds without a write: the acceptance of the design."""
CALLS_PER_RELEASE = 40
"""Calls of one blue-green release of one slot, with its four events, the drain and the removal of the former one: 34, and two
more for each wait that lasts long enough to be described more closely. The design's target for a later day is 12."""
REQUESTED = "example.org/touched"


@pytest.fixture
def audit() -> AuditLog:
    """The audit log of the lab's API server."""
    return operator_audit()


def is_settled(app: Json) -> bool:
    """Nothing is on its way."""
    memory = environment(app)
    return not (set(memory) & {"candidate", "intent"} or memory.get("draining") or memory.get("removing"))


def wait_settled(team: Team, name: str) -> None:
    """Wait until a release has ended and everything of the one before is gone."""
    team.kube.wait(
        "dataapp", name, team.namespace, is_settled, what="the former release has drained and is removed", timeout=90
    )


def spec_versions(kube: Kube) -> dict[tuple[str, str], tuple[int, bool]]:
    """Of all apps of the cluster: (namespace, name) -> (generation, whether it is settled and stays)."""
    items = json.loads(kube.run("get", "dataapps", "-A", "-o", "json"))["items"]
    return {
        (app["metadata"]["namespace"], app["metadata"]["name"]): (
            app["metadata"]["generation"],
            is_settled(app) and stage(app) in {"Released", "Failed"} and "deletionTimestamp" not in app["metadata"],
        )
        for app in items
    }


def in_namespaces(calls: Iterable[Call], namespaces: set[str]) -> list[Call]:
    """The calls that concern these namespaces."""
    return [call for call in calls if call.namespace in namespaces]


def test_a_release_and_then_a_minute_without_a_write(kube: Kube, team: Team, audit: AuditLog) -> None:
    operator = OperatorPod(kube)
    operator.wait_ready()
    team.release("green", "streamlit-v1", empty_for="3s", bake="3s")
    team.release("red", "shiny-broken-session")
    team.wait_released("green", 1)
    begun = audit.mark()
    team.release("green", "streamlit-v2", empty_for="3s", bake="3s")
    team.wait_released("green", 2)
    wait_settled(team, "green")
    cost = [call for call in audit.calls(begun) if call.namespace == team.namespace and "green" in call.name]
    print(f"\n  one blue-green release of one slot, with drain and removal of the former one:\n{table(by_kind(cost))}")
    team.release("blue", "shiny-v1")
    team.release("mixed", "streamlit-v1")
    team.wait_released("blue", 1)
    team.wait_released("mixed", 1)
    team.release("mixed", "streamlit-broken-session")
    team.wait_phase("mixed", 2, "Failed")
    team.wait_phase("red", 1, "Failed")
    wait_settled(team, "mixed")
    wait_settled(team, "red")
    apps = {"green", "red", "blue", "mixed"}
    quiet_since(team, audit, seconds=5)

    before, figures, mark, began = spec_versions(kube), operator.figures(), audit.mark(), time.monotonic()
    for name in apps:
        kube.run("annotate", "dataapp", name, "-n", team.namespace, f"{REQUESTED}={datetime.now(UTC):%FT%TZ}")
    while time.monotonic() < began + WINDOW:
        time.sleep(1)  # the window itself: nothing to wait for but its end
        assert not (writes := in_namespaces(work(audit, mark), {team.namespace})), "\n".join(map(str, writes))
    after, later = spec_versions(kube), operator.figures()

    looked = total(later, "dataapp_reconciles_total") - total(figures, "dataapp_reconciles_total")
    cpu = total(later, "process_cpu_seconds_total") - total(figures, "process_cpu_seconds_total")
    renewals = [call for call in audit.calls(mark) if call.is_lease and call.is_write]
    still = {namespace for namespace, _ in before} - {
        key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key) or not before[key][1]
    }
    writes = in_namespaces(work(audit, mark), still)
    print(
        f"  {WINDOW:g} s: {looked:g} reconciles after a forced look at {len(apps)} apps, {len(writes)} writes for"
        f" {sum(namespace in still for namespace, _ in before)} settled apps in {len(still)} namespaces,"
        f" {len(renewals)} Lease renewals, {cpu:.2f} s of CPU, {total(later, 'process_resident_memory_bytes') / 2**20:.0f} MiB"
    )
    assert team.namespace in still
    assert not writes, "\n".join(map(str, writes))
    assert looked >= len(apps), "the forced look did not happen"
    assert renewals, "the audit log does not show the operator at all"
    assert len(cost) <= CALLS_PER_RELEASE


def work(audit: AuditLog, mark: int) -> list[Call]:
    """The operator's writes since a position, but for its Lease."""
    return [call for call in audit.calls(mark) if call.is_write and not call.is_lease]


def quiet_since(team: Team, audit: AuditLog, *, seconds: float, timeout: float = 60) -> None:
    """Wait until the operator has written nothing here for so many seconds: the end of the story just told."""
    until, quiet, mark = time.monotonic() + timeout, time.monotonic(), audit.mark()
    while time.monotonic() < quiet + seconds:
        assert time.monotonic() < until, f"the operator still writes {timeout:g} s after all releases have ended"
        time.sleep(0.5)  # the pace of looking
        if in_namespaces(work(audit, mark), {team.namespace}):
            quiet, mark = time.monotonic(), audit.mark()
