"""Stage node: containerd, kubelet, kube-proxy, DNS and the image registry; then one real pod proves it all.

The self-check runs only when something had to be started: a pod that resolves the API server's name through the
cluster's DNS and answers on a loopback port of the host. At last come the servers beside the cluster (lab/services.py).
"""

import json

from lab import cgroups, containers, files, network, node_config, node_images, pki, ready, selfcheck, services
from lab.context import Lab
from lab.errors import LabError
from lab.lock import RUN
from lab.ready import Component

_OF_THE_NODE = ("docker-registry", "containerd", "coredns", "kubelet", "kube-proxy")
COMPONENTS = (*_OF_THE_NODE, *services.COMPONENTS)
HEALTH = {
    "docker-registry": "http://127.0.0.1:5000/v2/",
    "coredns": "http://127.0.0.1:18053/health",
    "kubelet": "http://127.0.0.1:10248/healthz",
    "kube-proxy": "http://127.0.0.1:10256/healthz",
}


def run(lab: Lab) -> None:
    """Have the node up, Ready, and proved by a pod."""
    files.need_space(lab.cache, gib=3, what_for="container images")
    cgroups.ensure()
    _configure(lab)
    network.allow_forwarding(lab)
    _registry(lab)
    _containerd(lab)
    _dns(lab)
    _kubelet(lab)
    _proxy(lab)
    if not _node_is_ready(lab):
        with lab.step("waiting for the node to be Ready", 3):
            ready.wait(lab, "kubelet", lambda: _node_is_ready(lab), seconds=60)
    if lab.touched & set(_OF_THE_NODE) or not (lab.state / "node-proved").exists():
        (lab.state / "node-proved").unlink(missing_ok=True)
        with lab.step("running a pod: DNS, loopback port", 5):
            selfcheck.run(lab)
        files.write(lab.state / "node-proved", "")
    services.run(lab)


def healthy(lab: Lab, name: str) -> bool:
    """Whether a component answers."""
    if name in services.COMPONENTS:
        return services.healthy(lab, name)
    return containers.answers(lab) if name == "containerd" else ready.http(HEALTH[name])


def _configure(lab: Lab) -> None:
    """Write every file that the node's programs read."""
    state = lab.state
    files.write(state / "containerd.toml", node_config.containerd(lab))
    files.write(state / "cni" / "10-lab.conflist", node_config.cni(lab))
    files.write(state / "certs.d" / lab.registry_name / "hosts.toml", node_config.registry_hosts(lab))
    files.write(state / "kubelet.yaml", node_config.kubelet(lab))
    files.write(state / "kube-proxy.yaml", node_config.proxy(lab))
    files.write(state / "Corefile", node_config.corefile(lab))
    files.write(state / "registry.yml", node_config.registry(lab))


def _registry(lab: Lab) -> None:
    (lab.cache / "registry").mkdir(parents=True, exist_ok=True)
    config = lab.state / "registry.yml"
    argv = ["docker-registry", "serve", str(config)]
    ready.ensure(lab, Component("docker-registry", argv, [config], usually=1, ports=[("127.0.0.1", 5000)]), healthy)


def _containerd(lab: Lab) -> None:
    """Start containerd; containers of another checkout's cluster that it still remembers are removed first."""
    start_containerd(lab)
    mark = lab.cache / "containerd.owner"
    if not mark.exists() or mark.read_text() != str(lab.state):
        containers.wipe(lab)
        files.write(mark, str(lab.state))
    node_images.ensure(lab, containers.client())


def start_containerd(lab: Lab) -> bool:
    """Have containerd running; true when it had to be started."""
    config = lab.state / "containerd.toml"
    (RUN / "containerd").mkdir(parents=True, exist_ok=True)
    return ready.ensure(lab, Component("containerd", ["containerd", "-c", str(config)], [config], usually=1), healthy)


def _dns(lab: Lab) -> None:
    lab.run(
        [lab.binary("kubectl"), "--kubeconfig", lab.kubeconfig, "apply", "--server-side", "--force-conflicts",
         "--field-manager=dataapp-lab", "-f", "-"],
        stdin=node_config.dns_objects(lab), log="kubectl",
    )  # fmt: skip
    config = lab.state / "Corefile"
    inputs = [config, pki.kubeconfig(lab, "coredns")]
    ports = [(lab.node_ip, 53), ("127.0.0.1", 18053)]
    argv = [str(lab.binary("coredns")), "-conf", str(config)]
    ready.ensure(lab, Component("coredns", argv, inputs, usually=2, ports=ports), healthy)


def _kubelet(lab: Lab) -> None:
    config = lab.state / "kubelet.yaml"
    argv = [
        str(lab.binary("kubelet")), f"--config={config}", f"--kubeconfig={pki.kubeconfig(lab, 'node')}",
        "--hostname-override=lab", f"--node-ip={lab.node_ip}", f"--root-dir={lab.state / 'kubelet'}",
        f"--cert-dir={pki.directory(lab)}",
    ]  # fmt: skip
    inputs = [config, pki.kubeconfig(lab, "node"), pki.cert(lab, "node")]
    ports = [(lab.node_ip, 10250), ("127.0.0.1", 10248)]
    ready.ensure(lab, Component("kubelet", argv, inputs, usually=2, ports=ports), healthy)


def _proxy(lab: Lab) -> None:
    config = lab.state / "kube-proxy.yaml"
    inputs = [config, pki.kubeconfig(lab, "proxy")]
    ports = [("127.0.0.1", 10249), ("127.0.0.1", 10256)]
    argv = [str(lab.binary("kube-proxy")), f"--config={config}"]
    ready.ensure(lab, Component("kube-proxy", argv, inputs, usually=2, ports=ports), healthy)


def _node_is_ready(lab: Lab) -> bool:
    """Whether the node says Ready, as the API server has it."""
    answer = lab.kubectl("get", "node", "lab", "-o", "json", "--ignore-not-found", check=False)
    if not answer.strip():
        return False
    try:
        conditions = json.loads(answer)["status"]["conditions"]
    except (ValueError, KeyError) as error:
        raise LabError(f"The API server's answer about the node cannot be read: {error}") from None
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
