"""Where the cluster comes from: `LAB=native` (the default) raises one on this machine; `current` takes the one that
KUBECONFIG names; `kind` makes one with docker and kind.

Everything above the node is the same for all three; what differs is the kubeconfig and the way images get in: two
names of one registry, the one we push to and the one that pods' images carry.
"""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from lab import files, lock
from lab.context import Lab
from lab.errors import LabError

NAMES = ("native", "current", "kind")
STAGES = ("packages", "binaries", "control-plane", "node", "images", "gateway", "operator")
KIND = "dataapp-lab"
_KIND_REGISTRY = "dataapp-lab-registry"
_KIND_CONFIG = """kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
containerdConfigPatches:
- "[plugins.'io.containerd.grpc.v1.cri'.registry]\\n  config_path = '/etc/containerd/certs.d'"
nodes:
- role: control-plane
  extraPortMappings: [{containerPort: 8088, hostPort: 8088, listenAddress: 127.0.0.1}]
"""


class NotHereError(LabError):
    """The chosen provider cannot run on this machine; nothing is wrong with the project."""


def chosen() -> str:
    """The provider that the environment asks for. Raises LabError for an unknown one."""
    name = os.environ.get("LAB") or "native"
    if name not in NAMES:
        raise LabError(f"LAB={name} is not known; it is one of {', '.join(NAMES)}.")
    return name


def stages(provider: str) -> tuple[str, ...]:
    """The stages that a provider runs: all of them, or those above the node."""
    return STAGES if provider == "native" else STAGES[STAGES.index("images") :]


def use_current(lab: Lab) -> None:
    """Take the cluster of KUBECONFIG. Raises LabError when there is none, it is silent, or has no registry."""
    source = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not Path(source.split(":")[0]).exists():
        raise LabError(f"LAB=current needs a cluster: {source} does not exist. Set KUBECONFIG to its kubeconfig.")
    view: list[str | Path] = [lab.binary("kubectl"), "config", "view", "--minify", "--flatten", "--raw", "-o"]
    whole = lab.run([*view, "yaml"], env={"KUBECONFIG": source}, log="provider", secret=True)
    server = lab.run([*view, "jsonpath={.clusters[0].cluster.server}"], env={"KUBECONFIG": source}, log="provider")
    _publish(lab, whole)
    native = lock.owner() is not None and urlsplit(server).hostname == lab.node_ip
    push, name = os.environ.get("DATAAPP_LAB_REGISTRY_PUSH"), os.environ.get("DATAAPP_LAB_REGISTRY_NAME")
    if not native and not (push and name):
        raise LabError(
            f"The cluster {server} has to get its images from somewhere: set DATAAPP_LAB_REGISTRY_PUSH to a registry "
            "that this machine can push to, and DATAAPP_LAB_REGISTRY_NAME to that registry's name inside the cluster."
        )
    lab.registry_push, lab.registry_name = push or lab.registry_push, name or lab.registry_name
    if not native:
        lab.host_ip = os.environ.get("DATAAPP_LAB_HOST_IP", lab.host_ip)


def use_kind(lab: Lab) -> None:
    """Have a kind cluster and a registry container beside it. Raises NotHereError without docker and kind."""
    if not shutil.which("docker") or "Server" not in lab.run(["docker", "version"], log="provider", check=False):
        raise NotHereError("not run here: kind needs a container engine")
    if not shutil.which("kind"):
        raise NotHereError("not run here: kind is not installed")
    if KIND not in lab.run(["kind", "get", "clusters"], log="provider", check=False).split():
        with lab.step("kind create cluster", 60):
            lab.run(["kind", "create", "cluster", "--name", KIND, "--config", "-"], stdin=_KIND_CONFIG, log="provider")
    _publish(lab, lab.run(["kind", "get", "kubeconfig", "--name", KIND], log="provider", secret=True))
    if not lab.run(["docker", "ps", "-q", "-f", f"name={_KIND_REGISTRY}"], log="provider").strip():
        run = ["docker", "run", "-d", "--name", _KIND_REGISTRY, "--network", "kind", "-p", "127.0.0.1:5001:5000"]
        with lab.step("starting a registry container", 10):
            lab.run([*run, lab.versions["kind"]["registry-image"]], log="provider")
    lab.registry_push, lab.host_ip = "127.0.0.1:5001", "0.0.0.0"  # noqa: S104  inside kind's own node
    at = f'[host."http://{_KIND_REGISTRY}:5000"]\n  capabilities = ["pull", "resolve"]\n'
    target = f"/etc/containerd/certs.d/{lab.registry_name}"
    for node in lab.run(["kind", "get", "nodes", "--name", KIND], log="provider").split():
        write = ["docker", "exec", "-i", node, "sh", "-c", f"mkdir -p {target} && cat > {target}/hosts.toml"]
        lab.run(write, stdin=at, log="provider")


def drop_kind(lab: Lab) -> None:
    """Remove the kind cluster and its registry."""
    if shutil.which("kind"):
        lab.run(["kind", "delete", "cluster", "--name", KIND], log="provider", check=False)
        lab.run(["docker", "rm", "-f", _KIND_REGISTRY], log="provider", check=False)


def _publish(lab: Lab, kubeconfig: str) -> None:
    files.write(lab.kubeconfig, kubeconfig, mode=0o600)
    files.write(lab.out / "kubeconfig", kubeconfig, mode=0o600)
    if lab.kubectl("get", "--raw", "/readyz", check=False).strip() != "ok":
        raise LabError("The cluster of this kubeconfig does not answer that it is ready (kubectl get --raw /readyz).")
