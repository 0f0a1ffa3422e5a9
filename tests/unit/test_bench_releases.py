"""The pure parts of bench-releases: where an app is, what a release has cost, and nothing that may be forgotten."""

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from bench import fleet
from bench.fleet import RELEASED, SETTLED, STAGES, Fleet, of_deployment, of_release, percentiles, reached
from bench.many_apps import Asked, app, change_all, deployment
from bench.release_costs import Costs, details, judge, words
from bench.usage import busy_seconds, cpu_seconds, peak_memory_mib, spent
from dataapp_operator.api.dataapp import DataAppSpec
from tests.harness.audit import AuditLog, Call
from tests.harness.cluster import ROOT

ASKED = Asked(apps=2, replicas=2, latency=0.2)


def told(**memory: Any) -> dict[str, Any]:
    return {"metadata": {"name": "app-000"}, "status": {"environments": [{"name": "sandbox", **memory}]}}


@pytest.mark.parametrize(
    ("memory", "stage"),
    [
        ({}, ""),
        ({"stable": 1, "phase": "Released"}, ""),
        ({"stable": 1, "candidate": 2, "phase": "Deploying"}, "Deploying"),
        ({"stable": 1, "candidate": 2, "phase": "Releasing", "intent": {"switchTo": 2}}, "Switching"),
        ({"stable": 1, "candidate": 2, "phase": "Baking", "draining": [{"release": 1}]}, "Baking"),
        ({"stable": 2, "candidate": 3, "phase": "Deploying"}, ""),
        ({"stable": 2, "phase": "Released", "draining": [{"release": 1}]}, RELEASED),
        ({"stable": 2, "phase": "Released", "removing": [1]}, RELEASED),
        ({"stable": 2, "phase": "Released", "draining": [], "removing": []}, SETTLED),
    ],
)
def test_the_stage_is_read_from_the_memory(memory: dict[str, Any], stage: str) -> None:
    assert of_release(told(**memory), 2) == stage


def test_a_deployment_is_available_with_all_its_replicas_and_for_what_it_is_now() -> None:
    there = deployment(0, ASKED)
    there["metadata"]["generation"] = 2
    assert of_deployment(there) == ""
    assert of_deployment(there | {"status": {"observedGeneration": 2, "availableReplicas": 1}}) == ""
    assert of_deployment(there | {"status": {"observedGeneration": 1, "availableReplicas": 2}}) == ""
    assert of_deployment(there | {"status": {"observedGeneration": 2, "availableReplicas": 2}}) == fleet.AVAILABLE


def test_who_was_not_seen_at_a_stage_came_to_it_with_the_next() -> None:
    assert reached({"Deploying": 1.0, "Switching": 3.0}, "Checking") == 3.0
    assert reached({"Deploying": 1.0}, "Checking") is None
    assert percentiles([3.0, 1.0, 2.0]) == {"first": 1.0, "p50": 2.0, "last": 3.0}
    assert percentiles([]) == {}


@pytest.mark.asyncio
async def test_the_fleet_notes_when_each_came_where_and_says_who_is_late() -> None:
    seen = Fleet(lambda one: of_release(one, 2))
    seen.learn({"type": "ADDED", "object": told(stable=1, candidate=2, phase="Checking")})
    seen.learn({"type": "MODIFIED", "object": told(stable=2)})
    first = seen.marks["app-000"][SETTLED]
    seen.learn({"type": "MODIFIED", "object": told(stable=2)})
    assert list(seen.marks["app-000"]) == ["Checking", SETTLED]
    assert seen.marks["app-000"][SETTLED] == first
    assert await seen.all_at([SETTLED], number=1, what="it is there", timeout=1) >= first
    with pytest.raises(AssertionError, match=r"after 0.01 s still not so: two are there. There are: \{'Settled': 1\}"):
        await seen.all_at([SETTLED], number=2, what="two are there", timeout=0.01)


def call(verb: str, kind: str, *, code: int = 200) -> Call:
    return Call(
        datetime(2026, 1, 1, tzinfo=UTC), "operator", "", verb, "", kind, "apps", "app-000", code, forbidden=False
    )


MARKS = {"Deploying": 1.0, "Checking": 5.0, "Switching": 6.0, "Baking": 7.0, RELEASED: 8.0, SETTLED: 40.0}
CLEAN = Costs(
    workload="slots",
    apps=2,
    replicas=2,
    bake="0s",
    latency=0.2,
    marks={"app-000": MARKS, "app-001": MARKS | {RELEASED: 9.5}},
    applied=0.5,
    until_released=[call("patch", "dataapps/status")] * 20,
    until_settled=[call("patch", "dataapps/status")] * 23 + [call("delete", "pods", code=404)],
    passes={"ok": 40.0},
    callers={"operator": 20},
    cpu={"operator": 3.0},
    peak_mib=120.0,
    floor=5.0,
)


def not_met(costs: Costs) -> list[str]:
    return [target.what for target in judge(costs) if not target.holds]


def test_a_clean_run_holds_and_tells_what_it_has_cost() -> None:
    assert not_met(CLEAN) == []
    more = details(CLEAN)
    assert (more["callsARelease"], more["callsAReleaseUntilReleased"], more["timesTheFloor"]) == (12.0, 10.0, 1.9)
    assert more["callsAReleaseByKind"] == {"patch dataapps/status": 11.5, "delete pods": 0.5}
    assert more["callsRefused"] == {"delete pods 404": 1}
    assert more["secondsUntil"][RELEASED] == {"first": 8.0, "p50": 8.0, "last": 9.5}
    assert more["passesARelease"] == {"ok": 20.0}
    assert "stand-ins" in more["standIns"]
    assert "Released 9.5 s" in words(CLEAN)[0]
    assert "11.5 patch dataapps/status" in words(CLEAN)[1]


def test_who_was_not_alone_on_the_machine_is_told_so() -> None:
    assert not any("not alone" in line for line in words(replace(CLEAN, busy=3.2)))
    assert "others took 1 of 4 s" in words(replace(CLEAN, busy=4.0))[-1]
    assert details(replace(CLEAN, busy=4.0))["cpuSecondsOfOthers"] == 1.0


def test_a_slow_app_a_call_too_many_and_one_that_never_came_are_each_seen() -> None:
    slow = replace(CLEAN, marks=CLEAN.marks | {"app-001": MARKS | {RELEASED: 18.2}})
    assert not_met(slow) == ["2 slots: 2 releases at once, all Released"]
    dear = replace(CLEAN, until_settled=[call("create", "events")] * 25)
    assert not_met(dear) == ["2 slots: API calls a release, until the former one is gone"]
    lost = replace(CLEAN, marks={"app-000": MARKS, "app-001": {"Deploying": 1.0}})
    assert not_met(lost) == [
        "2 slots: 2 releases at once, all Released",
        "2 slots: not released, or the former one not removed",
    ]
    assert json.loads(json.dumps(details(lost)))["timesTheFloor"] is None
    kept = replace(CLEAN, marks={"app-000": MARKS, "app-001": {RELEASED: 9.0}})
    assert not_met(kept) == ["2 slots: not released, or the former one not removed"]


def test_the_apps_are_ones_that_the_operator_can_read() -> None:
    spec = DataAppSpec.model_validate(app(7, ASKED)["spec"])
    (sandbox,) = spec.environments
    assert spec.app.replicas.min == 2
    assert (sandbox.release.bake, sandbox.release.keep_warm.releases) == ("0s", 0)
    stateless = DataAppSpec.model_validate(app(7, replace(ASKED, workload="deployment"))["spec"])
    assert (stateless.app.workload, judge(replace(CLEAN, workload="deployment"))[0].what) == (
        "deployment",
        "a Deployment of 2: 2 releases at once, all Released",
    )
    assert app(7, ASKED)["metadata"]["name"] == deployment(7, ASKED)["metadata"]["name"] == "app-007"


@pytest.mark.asyncio
async def test_a_refused_change_is_told_in_the_servers_words() -> None:
    class Refusing:
        ok = False

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

        async def text(self) -> str:
            return "the namespace is gone"

        def request(self, *_: object, **__: object) -> Self:
            return self

    with pytest.raises(AssertionError, match="the namespace is gone"):
        await change_all(Refusing(), ASKED)  # type: ignore[arg-type]


def test_fake_pods_take_a_second_and_have_every_container_started() -> None:
    documents = list(yaml.safe_load_all((ROOT / "bench" / "fakes" / "stages.yaml").read_text()))
    stages = {one["metadata"]["name"]: one["spec"] for one in documents if one["kind"] == "Stage"}
    assert stages["pod-becomes-ready"]["delay"] == {"durationMilliseconds": 1000}
    template = stages["pod-becomes-ready"]["next"]["statusTemplate"]
    assert template.count("started: true") == 2
    assert "range .spec.initContainers" in template
    assert stages["pod-goes"]["next"] == {"delete": True}


def test_the_processor_time_of_a_child_is_seen() -> None:
    argv = ["sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; read line"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        before, busy = {child.pid: ("sh", 0.0)}, busy_seconds()
        assert busy > 0
        assert child.stdout is not None
        child.stdout.readline()
        after = cpu_seconds()
        assert after[child.pid][0] == "sh"
        assert spent(before, after)[child.pid] > 0
        assert peak_memory_mib(child.pid) > 0
        child.communicate(b"\n")
    assert child.pid not in cpu_seconds()


def test_the_audit_log_tells_how_often_each_has_asked(tmp_path: Path) -> None:
    line = {"verb": "get", "stage": "ResponseComplete", "requestReceivedTimestamp": "2026-01-01T00:00:00Z"}
    about = {"objectRef": {"resource": "pods"}}
    lines = [line | about | {"user": {"username": name}} for name in ("a", "b", "a")]
    path = tmp_path / "audit.log"
    path.write_text("".join(json.dumps(one) + "\n" for one in [*lines, line | {"user": {"username": "a"}}]) + '{"half')
    assert AuditLog(path).callers() == {"a": 2, "b": 1}
    assert STAGES[-2:] == (RELEASED, SETTLED)
