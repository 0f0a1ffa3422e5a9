"""The lab's Prometheus on the running cluster: everybody it should ask answers, and a release's figures are there."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest

from lab import lock, prometheus
from lab.context import Lab
from tests.harness.cluster import OUT, Kube, Team

pytestmark = pytest.mark.journey

Json = dict[str, Any]
_PATIENCE = 60.0


@pytest.fixture
def lab() -> Lab:
    here = Lab.here()
    owner = lock.owner()
    if owner is None or not owner.is_of(here):
        pytest.skip("the lab of this checkout is not up: make lab-up")
    return here


@pytest.fixture
def team(lab) -> Iterator[Team]:
    kube = Kube(str(lab.binary("kubectl")), OUT / "kubeconfig")
    if kube.get("deployment", "dataapp-operator", "dataapp-system") is None:
        pytest.skip("the lab was not raised to the stage operator: make lab-up")
    name = f"t-{token_hex(3)}"
    kube.run("create", "namespace", name)
    yield Team(kube, name, json.loads((OUT / "images.json").read_text())["apps"])
    kube.run("delete", "namespace", name, "--wait=false")


def _query(words: str) -> list[Json]:
    """What it answers at its published address."""
    address = json.loads((OUT / "prometheus.json").read_text())["address"]
    url = f"{address}/api/v1/query?{urllib.parse.urlencode({'query': words})}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as answer:
        found: list[Json] = json.load(answer)["data"]["result"]
        return found


def _wait(words: str) -> list[Json]:
    """Until a query has an answer."""
    until = time.monotonic() + _PATIENCE
    while not (found := _query(words)):
        assert time.monotonic() < until, f"after {_PATIENCE:g} s still nothing: {words}"
        time.sleep(0.5)  # the pace of looking; the condition is the answer
    return found


def test_its_configuration_is_one(lab, tmp_path) -> None:
    program = shutil.which("promtool", path=lab.environment()["PATH"])
    assert program is not None, "Debian's package has promtool beside prometheus"
    (tmp_path / "prometheus.yml").write_text(prometheus.config())
    subprocess.run([program, "check", "config", tmp_path / "prometheus.yml"], check=True, capture_output=True)


def test_gateway_and_operator_answer(team) -> None:
    for job, series in (("gateway", "traefik_entrypoint_requests_total"), ("operator", "dataapp_reconciles_total")):
        assert [one["value"][1] for one in _wait(f'up{{job="{job}"}} == 1')] == ["1"]
        assert _wait(f'{series}{{job="{job}"}}')


def test_a_release_is_counted_under_its_own_name_and_forgotten_with_its_pod(team) -> None:
    team.release("seen", "streamlit-v1")
    team.wait_released("seen", 1)
    mine = f'namespace="{team.namespace}",app="seen",environment="sandbox",release="1",slot="s0"'
    assert [one["value"][1] for one in _wait(f'up{{job="fronts",{mine}}} == 1')] == ["1"]
    (answered,) = _wait(f'haproxy_backend_http_responses_total{{{mine},proxy="app",code="2xx"}} > 0')
    assert answered["metric"]["pod"].startswith("seen-sandbox-1-s0-")
    assert _wait(f'haproxy_frontend_http_requests_total{{{mine},proxy="traffic"}}')
    team.kube.run("delete", "dataapp", "seen", "-n", team.namespace, "--wait=false")
    _wait(f"absent(up{{{mine}}})")
