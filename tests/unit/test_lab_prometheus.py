"""Whom the lab's Prometheus asks, and how often; what it is told of a pod, and what it is not told of."""

import importlib.util
import json
from types import ModuleType
from typing import Any

import pytest

from lab import pki, prometheus, services, teardown
from lab.context import CHECKOUT
from tests.unit.chart_rig import manifests
from tests.unit.lab_rig import lab_in

Json = dict[str, Any]


@pytest.fixture(scope="module")
def podtargets() -> ModuleType:
    """The program, as a module: it stands alone and is in no package."""
    path = CHECKOUT / "lab" / "podtargets" / "__main__.py"
    spec = importlib.util.spec_from_file_location("podtargets", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pod(name: str = "sales-sandbox-3-s1-x", *, phase: str = "Running", ip: str = "10.244.0.7", **metadata: Any) -> Json:
    """A pod with a front, as the API server has it."""
    labels = {f"dataapps.dev/{key}": value for key, value in OF_THE_SLOT.items()}
    ports = {"traffic": 18080, "probe": 18081, "agent": 18082}
    front = {"name": "front", "ports": [{"name": key, "containerPort": value} for key, value in ports.items()]}
    return {
        "metadata": {"namespace": "team", "name": name, "uid": f"uid-{name}", "labels": labels} | metadata,
        "spec": {"initContainers": [front], "containers": [{"name": "app", "ports": [{"containerPort": 8501}]}]},
        "status": {"phase": phase} | ({"podIP": ip} if ip else {}),
    }


OF_THE_SLOT = {"app": "sales", "environment": "sandbox", "release": "3", "slot": "s1"}


def asked(podtargets: ModuleType, group: str, *pods: Json) -> list[Json]:
    found: list[Json] = podtargets.targets(map(podtargets.Pod.read, pods), podtargets.GROUPS[group])
    return found


def test_a_front_is_asked_at_its_agent_and_its_series_say_whose_it_is(podtargets) -> None:
    (front,) = asked(podtargets, "fronts", pod())
    assert front == {
        "targets": ["10.244.0.7:18082"],
        "labels": {"namespace": "team", "pod": "sales-sandbox-3-s1-x", **OF_THE_SLOT},
    }


@pytest.mark.parametrize(
    "other",
    [pod(phase="Pending"), pod(phase="Succeeded"), pod(ip=""), pod(labels={}), pod(labels={"dataapps.dev/app": "x"})],
    ids=["coming", "over", "without an address", "a stranger", "not of a release"],
)
def test_who_cannot_answer_or_is_no_front_is_not_asked(podtargets, other) -> None:
    assert asked(podtargets, "fronts", other) == []


def test_the_operator_and_the_gateway_are_asked_where_they_are_and_not_their_namesakes(podtargets) -> None:
    (deployed,) = [one for one in manifests() if one["kind"] == "Deployment"]
    template = deployed["spec"]["template"]
    labels, where = template["metadata"]["labels"], deployed["metadata"]["namespace"]
    mine = pod("operator-1", labels=labels, namespace=where) | {"spec": template["spec"]}
    (found,) = asked(podtargets, "operator", mine, pod("another", labels=labels) | {"spec": template["spec"]})
    assert found == {"targets": ["10.244.0.7:8080"], "labels": {"namespace": where, "pod": "operator-1"}}
    gateway = (CHECKOUT / "lab" / "manifests" / "gateway.yaml").read_text()
    assert "{name: admin, containerPort: 8080}" in gateway
    assert "labels: {app: traefik}" in gateway
    assert podtargets.GROUPS["gateway"].port == "admin"


def test_what_the_watch_tells_is_learned(podtargets) -> None:
    watched = podtargets.Watched("127.0.0.1:1", None)
    assert watched.known() is None
    pods: dict[str, object] = {}
    watched._learn(pods, {"type": "ADDED", "object": pod(phase="Pending")})
    watched._learn(pods, {"type": "MODIFIED", "object": pod()})
    assert len(podtargets.targets(pods.values(), podtargets.GROUPS["fronts"])) == 1
    watched._learn(pods, {"type": "DELETED", "object": pod()})
    assert pods == {}
    with pytest.raises(ValueError, match="too old"):
        watched._learn(pods, {"type": "ERROR", "object": {"message": "too old resource version"}})


def test_fronts_are_asked_every_two_seconds_and_each_group_by_its_own_name(podtargets) -> None:
    jobs = {job["job_name"]: job for job in json.loads(prometheus.config())["scrape_configs"]}
    assert jobs.keys() == podtargets.GROUPS.keys()
    assert {name: job["scrape_interval"] for name, job in jobs.items()} == {
        "fronts": "2s",
        "gateway": "5s",
        "operator": "5s",
    }
    for name, job in jobs.items():
        assert [one["url"] for one in job["http_sd_configs"]] == [f"http://127.0.0.1:9091/{name}"]


def test_it_may_list_and_watch_pods_and_nothing_else(tmp_path) -> None:
    lab = lab_in(tmp_path)
    (identity,) = [one for one in pki.identities(lab) if one.name == "podtargets"]
    assert f'User, name: "{identity.subject.removeprefix("/CN=")}"' in prometheus._RIGHTS
    assert prometheus._RIGHTS.count("verbs:") == 1
    assert "resources: [pods], verbs: [list, watch]" in prometheus._RIGHTS


def test_both_processes_are_kept_and_ended_with_the_other_servers() -> None:
    assert set(prometheus.COMPONENTS) < set(services.COMPONENTS)
    assert set(services.COMPONENTS) <= set(teardown._ORDER)
