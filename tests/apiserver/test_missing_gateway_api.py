"""A cluster without the Gateway API: apps say so, the operator stays up, and goes on by itself once it is installed.

The definitions belong to the whole cluster, so this has an API server of its own, and the operator as a process. A test
plays the kubelet: it starts the operator again when it exits.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.cluster import ROOT, Json, Kube, condition, environment
from tests.harness.control_plane import Binaries, control_plane, free_port, process

pytestmark = pytest.mark.apiserver

IMAGE = "registry.example.org/sales@sha256:" + "a" * 64


@dataclass(frozen=True)
class Ground:
    """The API server, the definitions of the Gateway API that are not yet in it, and a place for logs."""

    kube: Kube
    definitions: Path
    directory: Path


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """An API server with our definitions, a class that names a Gateway, and no Gateway API."""
    import lab.binaries  # noqa: PLC0415 - the lab is not on the path of unit tests
    import lab.context  # noqa: PLC0415
    import lab.errors  # noqa: PLC0415

    here = lab.context.Lab.here(ROOT)
    try:
        binaries = Binaries(here.binary("etcd"), here.binary("kube-apiserver"), here.binary("kubectl"))
        definitions = lab.binaries.go_module(here, "gateway-api") / "config" / "crd" / "standard"
    except lab.errors.LabError as error:
        pytest.skip(f"no binaries for a control plane: {error}")
    directory = tmp_path_factory.mktemp("control-plane")
    with control_plane(binaries, directory) as kube:
        kube.run("apply", "--server-side", "-f", str(ROOT / "crds"))
        kube.run("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        kube.run("create", "namespace", "dataapp-system")
        for name in ("sandbox", "other"):
            kube.apply(environment_class(name))
        yield Ground(kube, definitions, directory)


def environment_class(name: str) -> Json:
    return {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "EnvironmentClass",
        "metadata": {"name": name},
        "spec": {
            "gateway": {"namespace": "default", "name": "public"},
            "hostTemplate": "{app}--" + name + ".localhost",
            "previewHostTemplate": "{app}--r{release}--{environment}.localhost",
        },
    }


def app(name: str) -> Json:
    return {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "DataApp",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"image": IMAGE, "app": {"framework": "streamlit"}, "environments": [{"name": "sandbox"}]},
    }


@dataclass(frozen=True)
class Step:
    """Something that must come true, and what is done then."""

    what: str
    holds: Callable[[], object]
    then: Callable[[], object] = lambda: None


class Kubelet:
    """Keeps the operator running, as a kubelet would: one that exited is started again when it is looked at."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.log = ground.directory / "operator.log"
        self.codes: list[int] = []
        """The exit codes so far."""
        self._env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "operator"),
            "KUBECONFIG": str(ground.kube.kubeconfig),
            "DATAAPP_FRONT_IMAGE": "registry.example.org/front@sha256:" + "b" * 64,
            "DATAAPP_PORT": str(free_port()),
            "POD_NAMESPACE": "dataapp-system",
            "POD_NAME": "operator-of-a-test",
        }

    def run_through(self, *steps: Step, within: float = 90) -> None:
        """Run while one step after the other comes true; each is printed with the seconds it took."""
        argv = [sys.executable, "-m", "dataapp_operator.app.main"]
        left, began = list(steps), time.monotonic()
        while left:
            with process(argv, log=self.log, env=self._env) as running:
                while left and running.poll() is None:
                    if left[0].holds():
                        print(f"\n  {left[0].what}: after {time.monotonic() - began:.1f} s")
                        left.pop(0).then()
                        began = time.monotonic()
                    elif time.monotonic() - began > within:
                        end = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
                        raise AssertionError(
                            f"after {within:g} s not so: {left[0].what}. The operator's log ends:\n{end}"
                        )
                    else:
                        self._pause(running)
                if running.returncode is not None:
                    self.codes.append(running.returncode)

    def _pause(self, running: subprocess.Popen[bytes]) -> None:
        """Until it exits, or a moment has passed: the pace of looking."""
        try:
            running.wait(0.3)
        except subprocess.TimeoutExpired:
            return


def stalled(kube: Kube, name: str) -> Json:
    return condition(kube.get("dataapp", name, "default") or {}, "Stalled")


def install(ground: Ground) -> None:
    ground.kube.run("apply", "--server-side", "-f", str(ground.definitions))


def take_away(ground: Ground) -> None:
    ground.kube.run("delete", "--wait=true", "-f", str(ground.definitions))


def test_without_the_gateway_api_apps_say_so_and_go_on_once_it_is_there(ground: Ground) -> None:
    kube, kubelet = ground.kube, Kubelet(ground)
    kube.apply(app("sales"))

    def look_then_install() -> None:
        found = kube.get("dataapp", "sales", "default") or {}
        message = condition(found, "Stalled")["message"]
        print(f"\n  GatewayAPIMissing: {message}")
        assert "the cluster has no Gateway API" in message
        assert "Ask the platform team to install the Gateway API's definitions" in message
        assert (condition(found, "Ready")["status"], condition(found, "Ready")["message"]) == ("False", message)
        assert kubelet.codes == [], "a cluster without it is no reason to crash"
        assert kube.list("appreleases", "default") == [], "nothing is begun that could not be reached"
        install(ground)

    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "public", "namespace": "default"},
        "spec": {"gatewayClassName": "none", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    }
    kubelet.run_through(
        Step("the app says so", lambda: stalled(kube, "sales").get("reason") == "GatewayAPIMissing", look_then_install),
        Step("the operator exits to watch it", lambda: kubelet.codes),
        Step(
            "the app asks for its Gateway",
            lambda: stalled(kube, "sales").get("reason") == "GatewayMissing",
            lambda: kube.apply(gateway),
        ),
        Step(
            "routes are written",
            lambda: [r for r in kube.list("httproutes", "default") if r["metadata"]["name"] == "sales-sandbox-1"],
        ),
    )
    assert stalled(kube, "sales") == {}
    assert kubelet.codes == [0], "it exits once, and well"
    assert "the Gateway API is there now: starting again to watch it" in kubelet.log.read_text()


def test_definitions_that_go_and_come_back_are_noticed_while_it_runs(ground: Ground) -> None:
    """A platform team may take the Gateway API away to install another version. Gateways and routes go with it."""
    kube, kubelet = ground.kube, Kubelet(ground)
    install(ground)
    kube.apply(app("later"))
    kubelet.run_through(
        Step("it runs", lambda: environment(kube.get("dataapp", "later", "default") or {}), lambda: take_away(ground)),
        Step(
            "the app says so",
            lambda: stalled(kube, "later").get("reason") == "GatewayAPIMissing",
            lambda: install(ground),
        ),
        Step("the app asks for its Gateway", lambda: stalled(kube, "later").get("reason") == "GatewayMissing"),
    )
    print(f"\n  exit codes {kubelet.codes}")
