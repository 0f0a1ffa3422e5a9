"""A cluster of fake nodes for a bench's own: real API server, etcd, controllers and scheduler, and KWOK for all else.

Hundreds of pods that nobody runs would be in the way of everybody in the lab, and the lab's own operator and gateway in
the way of what is measured here. So it is a cluster apart, on loopback, in a directory that goes with it; every process
of it is ended by its own handle. Controllers and scheduler may ask as often as they like (500 a second, bursts of 1000):
with the default of 20 a second the controllers would be what is measured, of whoever is measured.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import binaries
from lab.context import Lab
from tests.harness.audit import OPERATOR, AuditLog
from tests.harness.cluster import ROOT, Json, Kube
from tests.harness.control_plane import MASTERS, Binaries, control_plane, free_port, process
from tests.unit import chart_rig

NODES = 10
GATEWAY = {"namespace": "gateways", "name": "public"}
_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
_USERS = {
    "operator": (OPERATOR, "system:serviceaccounts,system:serviceaccounts:dataapp-system"),
    **{name: (name, MASTERS) for name in ("author", "controllers", "scheduler", "kwok")},
}
_PACE = ("--kube-api-qps=500", "--kube-api-burst=1000", "--leader-elect=false", "--bind-address=127.0.0.1")
_PATIENCE = 60.0


@dataclass(frozen=True)
class FakeCluster:
    """How it is reached, and what it has noted."""

    kube: Kube
    directory: Path

    @property
    def audit(self) -> AuditLog:
        """Who asked for what."""
        return AuditLog(self.directory / "audit.log")

    def kubeconfig(self, user: str) -> Path:
        """Of one of the users."""
        return self.directory / f"{user}.kubeconfig"

    def log(self, name: str) -> Path:
        """Where a process of ours writes to."""
        return self.directory / f"{name}.log"

    def namespace(self, name: str) -> None:
        """Make one, and wait until pods may be made in it."""
        self.kube.run("create", "namespace", name)
        until = time.monotonic() + _PATIENCE
        while self.kube.get("serviceaccount", "default", name) is None:
            assert time.monotonic() < until, f"the controllers do not work; their log is {self.log('controllers')}"
            time.sleep(0.1)


@contextmanager
def fake_cluster(lab: Lab) -> Iterator[FakeCluster]:
    """The cluster, with our definitions, the chart's roles and the Gateway API in it; what is missing is built first."""
    binaries.have(lab, _PROGRAMS)
    binaries.venv(lab, "helm")
    definitions = binaries.go_module(lab, "gateway-api") / "config" / "crd" / "standard"
    programs = Binaries(lab.binary("etcd"), lab.binary("kube-apiserver"), lab.binary("kubectl"))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="dataapp-bench-")))
        kube = stack.enter_context(control_plane(programs, directory, users=_USERS))
        cluster = FakeCluster(kube, directory)
        kube.run("apply", "--server-side", "-f", str(definitions), "-f", str(ROOT / "crds"))
        kube.run("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        for name, argv in _processes(lab, cluster).items():
            stack.enter_context(process(argv, log=cluster.log(name)))
        for name in ("dataapp-system", GATEWAY["namespace"]):
            cluster.namespace(name)
        kube.run("apply", "--server-side", "-f", "-", stdin=json.dumps(_contents()))
        kube.run("wait", "--for=condition=Ready", f"--timeout={_PATIENCE:.0f}s", "nodes", "--all")
        yield cluster


def _processes(lab: Lab, cluster: FakeCluster) -> dict[str, list[str]]:
    """What runs beside the API server."""
    return {
        "controllers": [
            str(lab.binary("kube-controller-manager")), f"--kubeconfig={cluster.kubeconfig('controllers')}",
            f"--service-account-private-key-file={cluster.directory / 'apiserver.key'}",
            f"--flex-volume-plugin-dir={cluster.directory / 'volume-plugins'}",
            f"--secure-port={free_port()}", *_PACE,
        ],
        "scheduler": [
            str(lab.binary("kube-scheduler")), f"--kubeconfig={cluster.kubeconfig('scheduler')}",
            f"--secure-port={free_port()}", *_PACE,
        ],
        "kwok": [
            str(lab.binary("kwok")), f"--kubeconfig={cluster.kubeconfig('kwok')}",
            f"--config={Path(__file__).parent / 'fakes' / 'stages.yaml'}",
            f"--server-address=127.0.0.1:{free_port()}", "--v=WARN",
        ],
    }  # fmt: skip


def _contents() -> Json:
    """Nodes, a Gateway, a class, and what the chart lets the operator do."""
    nodes = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"fake-{n}"}} for n in range(NODES)]
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": GATEWAY,
        "spec": {"gatewayClassName": "fake", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    }
    environment = {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "EnvironmentClass",
        "metadata": {"name": "sandbox"},
        "spec": {
            # Nobody is there: looks through the gateway are answered by stand-ins.
            "gateway": {**GATEWAY, "sectionName": "http", "address": "gateway.invalid:80"},
            "hostTemplate": "{app}.bench.invalid",
            "previewHostTemplate": "{app}--r{release}--{environment}.bench.invalid",
        },
    }
    roles = [one for one in chart_rig.manifests() if one["kind"].startswith(("Role", "ClusterRole"))]
    return {"apiVersion": "v1", "kind": "List", "items": [*nodes, gateway, environment, *roles]}
