"""Prometheus beside the cluster: it collects what fronts, gateway and operator count, for analyses that ask for it.

It listens on the node's address only, where pods come and this machine as well (Debian's takes one address); the address
is published in build/lab/prometheus.json. Which pods to ask it learns from a small process of ours (lab/podtargets), a
user of the cluster who may read pods and nothing else. The session counters are asked every two seconds, because a bad
release is to be seen within five; gateway and operator every five. Figures are kept for some hours in the state
directory and go with it.
"""

import json
from typing import Any

from lab import files, pki, ready
from lab.context import Lab
from lab.ready import Component

Json = dict[str, Any]

COMPONENTS = ("podtargets", "prometheus")
PORT, TARGETS_PORT = 9090, 9091
_USER = "dataapp-lab:podtargets"
_PYTHON = "/usr/bin/python3"  # Debian's, whoever runs us: another argv would be another process
_KEPT = "6h"
_AT_MOST = "1GB"
_RIGHTS = f"""apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: "{_USER}"}}
rules:
- {{apiGroups: [""], resources: [pods], verbs: [list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: "{_USER}"}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "{_USER}"}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: "{_USER}"}}]
"""


def run(lab: Lab) -> None:
    """Have it answering, told of the cluster's pods, and its address published."""
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=_RIGHTS)
    start(lab)
    files.write(lab.out / "prometheus.json", json.dumps({"address": address(lab)}) + "\n")


def start(lab: Lab) -> None:
    """Have both processes running and well."""
    program = lab.checkout / "lab" / "podtargets"
    argv = [
        _PYTHON, "-I", "-B", str(program), "--server", f"{lab.node_ip}:6443", "--port", str(TARGETS_PORT),
        "--ca", str(pki.cert(lab, pki.CA)),
        "--cert", str(pki.cert(lab, "podtargets")), "--key", str(pki.key(lab, "podtargets")),
    ]  # fmt: skip
    inputs = [*sorted(program.glob("*.py")), pki.cert(lab, pki.CA), pki.cert(lab, "podtargets")]
    ready.ensure(lab, Component("podtargets", argv, inputs, usually=1, ports=[("127.0.0.1", TARGETS_PORT)]), healthy)
    settings = lab.state / "prometheus.yml"
    files.write(settings, config())
    argv = [
        "prometheus", f"--config.file={settings}", f"--storage.tsdb.path={lab.state / 'prometheus'}",
        f"--storage.tsdb.retention.time={_KEPT}", f"--storage.tsdb.retention.size={_AT_MOST}",
        f"--web.listen-address={lab.node_ip}:{PORT}", "--log.level=warn",
    ]  # fmt: skip
    ready.ensure(lab, Component("prometheus", argv, [settings], usually=2, ports=[(lab.node_ip, PORT)]), healthy)


def address(lab: Lab) -> str:
    """Where it is asked, by pods and by this machine."""
    return f"http://{lab.node_ip}:{PORT}"


def healthy(lab: Lab, name: str) -> bool:
    """Whether a component answers."""
    where = f"{address(lab)}/-/ready" if name == "prometheus" else f"http://127.0.0.1:{TARGETS_PORT}/healthz"
    return ready.http(where)


def config() -> str:
    """Its configuration. JSON, which is YAML too."""
    jobs = [_job("fronts", every="2s", look="1s"), _job("gateway"), _job("operator")]
    return json.dumps({"scrape_configs": jobs}, indent=1) + "\n"


def _job(group: str, *, every: str = "5s", look: str = "5s") -> Json:
    """The pods of a group of lab/podtargets: asked `every` so often, and `look`ed for."""
    found = {"url": f"http://127.0.0.1:{TARGETS_PORT}/{group}", "refresh_interval": look}
    return {"job_name": group, "scrape_interval": every, "scrape_timeout": "2s", "http_sd_configs": [found]}
