"""Fixtures of tests on the real cluster: real pods, the real gateway, the operator of this checkout.

Every test has a namespace and hosts of its own and assumes nothing about what else is in the cluster. Without a lab the
tests are skipped and say why; `make test` raises one first, and there a skipped R, session or gateway test is a failure.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.cluster import OUT, ROOT, Kube, Team


@pytest.fixture(scope="session")
def kube() -> Kube:
    """The lab of this checkout, with this checkout's operator in it."""
    kubeconfig = OUT / "kubeconfig"
    if not kubeconfig.exists():
        pytest.skip("there is no lab: `make lab-up` raises one")
    import lab.context  # noqa: PLC0415 - the lab is not on the path of unit tests

    kubectl = str(lab.context.Lab.here(ROOT).binary("kubectl"))
    cluster = Kube(kubectl, Path(kubeconfig))
    if "ok" not in cluster.run("get", "--raw", "/readyz", check=False):
        pytest.skip("the lab does not answer: `make lab-status` says what is wrong")
    deployed = cluster.get("deployment", "dataapp-operator", "dataapp-system")
    assert deployed is not None, "the lab has no operator: `make lab-up` installs it"
    image = deployed["spec"]["template"]["spec"]["containers"][0]["image"]
    mine = json.loads((OUT / "images.json").read_text())["operator"]
    assert image == mine, f"the operator in the cluster ({image}) is not this checkout's ({mine}): run `make lab-up`"
    cluster.run("rollout", "status", "-n", "dataapp-system", "deployment/dataapp-operator", "--timeout=60s")
    return cluster


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The example apps' images, by key, pinned by digest."""
    found: dict[str, str] = json.loads((OUT / "images.json").read_text())["apps"]
    return found


@pytest.fixture
def team(kube: Kube, images: dict[str, str]) -> Iterator[Team]:
    """A namespace of the test's own."""
    name = f"t-{secrets.token_hex(3)}"
    kube.run("create", "namespace", name)
    yield Team(kube, name, images)
    kube.run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def running_app(team: Team) -> Callable[[str], str]:
    """Start an example image as a bare pod and give the base URL of its own port once it listens."""
    return team.run_bare


@pytest.fixture(autouse=True)
def say_how_long(request: pytest.FixtureRequest) -> Iterator[None]:
    """One line per test with its time: a cluster test that becomes slow should be seen."""
    began = time.monotonic()
    yield
    print(f"\n  {request.node.name}: {time.monotonic() - began:.1f} s")
