"""The operator's own pod: find it, read its figures, and kill it as a power cut would.

`kubectl delete --force` alone is a polite death: the kubelet sends SIGTERM first and the pod has time to say goodbye.
Where the node is this machine, all processes of the container (found by its id in their control group, so never
anybody else's) get SIGKILL first; then the pod object goes, or stays when the kubelet is to restart the container in
place. The proof of a death without goodbye is the Lease, which still names the dead.
"""

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.harness.cluster import Kube

NAMESPACE, NAME = "dataapp-system", "dataapp-operator"
_SELECTOR = "app.kubernetes.io/name=dataapp-operator"
_PACE = 0.1  # seconds between two looks


class NothingToKill(AssertionError):
    """There is no operator at this moment: it is dead already."""


@dataclass(frozen=True, slots=True)
class Death:
    """A killed operator: when, what it was called, how many processes died of it."""

    at: datetime
    pod: str
    processes: int


class OperatorPod:
    """The one pod of the operator's Deployment, whichever it is at the moment."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def now(self) -> dict[str, Any] | None:
        """The living pod; None while there is none."""
        pods = self._kube.list("pods", NAMESPACE, _SELECTOR)
        return next((pod for pod in pods if "deletionTimestamp" not in pod["metadata"]), None)

    def lease(self) -> tuple[str, datetime]:
        """Whom the Lease names, and when that one last said that it lives."""
        spec = (self._kube.get("lease", NAME, NAMESPACE) or {}).get("spec") or {}
        return spec.get("holderIdentity") or "", datetime.fromisoformat(spec["renewTime"])

    def kill(self, *, in_place: bool = False) -> Death:
        """End it without a word of warning. `in_place`: only its processes; the kubelet starts the container again."""
        pod = self.now()
        if pod is None:
            raise NothingToKill("there is no operator pod to kill")
        name = pod["metadata"]["name"]
        dead = _kill_processes(_container(pod))
        at = datetime.now(UTC)
        if in_place:
            if not dead:
                raise NothingToKill(f"no process of pod {name} runs on this machine: it can only be deleted")
        else:
            self._kube.run("delete", "pod", name, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false")
        return Death(at, name, dead)

    def wait_back(self, death: Death, *, timeout: float = 60) -> float:
        """Wait until a successor holds the Lease, which is when it begins to work; seconds since the death."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            _, renewed = self.lease()
            if renewed > death.at:
                return (renewed - death.at).total_seconds()
            time.sleep(_PACE)
        raise AssertionError(f"{timeout:g} s after the operator's death no successor works; the pod is {self.now()}")

    def wait_ready(self, *, timeout: float = 60) -> str:
        """Wait until the operator is there, ready, and the Lease names it; its pod's name."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            pod = self.now()
            if pod is not None and _is_ready(pod) and self.lease()[0] == pod["metadata"]["name"]:
                return str(pod["metadata"]["name"])
            time.sleep(_PACE)
        raise AssertionError(f"the operator is not ready after {timeout:g} s; its pod is {self.now()}")

    def figures(self) -> dict[str, float]:
        """/metrics of the pod: series (name with labels) and value."""
        pod = self.now()
        assert pod is not None, "there is no operator pod"
        return parse_metrics(
            self._kube.run(
                "get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
            )
        )


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus' text format as a dictionary; comments are dropped."""
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in rows}


def total(figures: dict[str, float], name: str) -> float:
    """The sum over all labels of a series."""
    return sum(value for series, value in figures.items() if re.fullmatch(rf"{name}(\{{.*\}})?", series))


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _container(pod: dict[str, Any]) -> str:
    """The id of the running container, without the runtime's name in front; "" where none runs."""
    statuses = pod["status"].get("containerStatuses") or [{}]
    identifier: str = statuses[0].get("containerID", "") if "running" in statuses[0].get("state", {}) else ""
    return identifier.rpartition("/")[2]


def _kill_processes(container: str) -> int:
    """SIGKILL to every process on this machine in the control group of a container; how many there were."""
    found = 0
    for entry in Path("/proc").iterdir() if container else ():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended by itself meanwhile, or is not ours to look at
            if container in (entry / "cgroup").read_text():
                os.kill(int(entry.name), signal.SIGKILL)
                found += 1
    return found
