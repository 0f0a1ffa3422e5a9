"""The servers beside the cluster: the git server and the registry's guarded side, for everything that begins with code,
and Prometheus (lab/prometheus.py).

The registry has two doors to the same images. On 127.0.0.1 it asks nothing: the lab pushes there and containerd pulls.
On the node's address, where pods come, it wants a token signed by the operator's key. Pods know it and the git server
by name: Services in the namespace `lab` lead to the node's address.
"""

import string
from pathlib import Path

from lab import files, gitplace, node_config, pki, prometheus, ready
from lab.context import Lab
from lab.ready import Component

COMPONENTS = ("registry-tokens", "gitserver", *prometheus.COMPONENTS)
GIT_PORT = 8443
_PYTHON = "/usr/bin/python3"  # Debian's, whoever runs us: another argv would be another process


def run(lab: Lab) -> None:
    """Have all servers answering, and known to the cluster."""
    pki.ensure_services(lab)
    _registry(lab)
    _git(lab)
    template = string.Template((lab.checkout / "lab" / "manifests" / "services.yaml").read_text())
    manifest = template.substitute(NODE_IP=lab.node_ip, GIT_PORT=str(GIT_PORT))
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
    prometheus.run(lab)


def healthy(lab: Lab, name: str) -> bool:
    """Whether a server answers; the registry's guarded side does so by asking for a token."""
    if name in prometheus.COMPONENTS:
        return prometheus.healthy(lab, name)
    if name == "registry-tokens":
        return ready.http(f"http://{lab.node_ip}:5000/v2/", status=401)
    return ready.http(f"https://127.0.0.1:{GIT_PORT}/healthz")


def git_place(lab: Lab) -> gitplace.Place:
    """The git server as build/lab/git.json tells it."""
    home = lab.state / "git"
    return gitplace.Place(
        url_inside="https://git.lab.svc",
        url_host=f"https://127.0.0.1:{GIT_PORT}",
        ca=str(pki.cert(lab, pki.GIT_CA)),
        access_log=str(lab.log("git-access")),
        repositories=str(home),
        teams=str(lab.state / "git-teams"),
    )


def _registry(lab: Lab) -> None:
    config = lab.state / "registry-tokens.yml"
    files.write(config, node_config.registry_tokens(lab))
    argv = ["docker-registry", "serve", str(config)]
    inputs = [config, pki.cert(lab, pki.REGISTRY)]
    ready.ensure(lab, Component("registry-tokens", argv, inputs, usually=1, ports=[(lab.node_ip, 5000)]), healthy)


def _git(lab: Lab) -> None:
    place = git_place(lab)
    for directory in (place.repositories, place.teams):
        Path(directory).mkdir(mode=0o700, exist_ok=True)
    program = lab.checkout / "lab" / "gitserver"
    addresses = [("127.0.0.1", GIT_PORT), (lab.node_ip, GIT_PORT)]
    argv = [
        _PYTHON, "-I", "-B", str(program), "--root", place.repositories, "--teams", place.teams,
        "--log", place.access_log, "--cert", str(pki.cert(lab, pki.GIT)), "--key", str(pki.key(lab, pki.GIT)),
        *(word for address, port in addresses for word in ("--listen", f"{address}:{port}")),
    ]  # fmt: skip
    inputs = [*sorted(program.glob("*.py")), pki.cert(lab, pki.GIT)]
    ready.ensure(lab, Component("gitserver", argv, inputs, usually=1, ports=addresses), healthy)
    place.write(lab.out / "git.json")
