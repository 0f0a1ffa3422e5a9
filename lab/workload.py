"""Waiting for a Deployment of the lab, and saying why it does not come up.

Kubernetes knows the reason, in several places: the container's waiting message (an image that cannot be pulled), its
last state (a program that ended), events (a pod that cannot be placed) and the log. A person gets them together.
"""

import json
import time
from typing import Any

from lab.context import Lab, LabError

_LOOK = 3  # seconds between two looks at the pods
_CRASHES = 2  # a first crash may be bad luck
_REVISION = "deployment.kubernetes.io/revision"


def wait_available(lab: Lab, *, namespace: str, name: str, seconds: int) -> None:
    """Return when the newest version of the Deployment serves.

    Raises LabError with the causes after `seconds`, or as soon as its program has ended several times in a row.
    """
    deadline = time.monotonic() + seconds
    words = ["-n", namespace, "rollout", "status", f"deployment/{name}", f"--timeout={_LOOK}s"]
    while "successfully rolled out" not in lab.kubectl(*words, check=False):
        crashes = any(_crashes(pod) for pod in _newest_pods(lab, namespace=namespace, name=name))
        if crashes or time.monotonic() > deadline:
            why = "cannot run: its program ends again and again" if crashes else f"was not available after {seconds} s"
            raise LabError(
                f"The Deployment {name} in namespace {namespace} {why}.\n{causes(lab, namespace=namespace, name=name)}"
            )


def _newest_pods(lab: Lab, *, namespace: str, name: str) -> list[dict[str, Any]]:
    """The pods of the Deployment's newest version that are not on their way out."""
    deployment = _get(lab, namespace, f"deployment/{name}")
    if not deployment:
        return []
    revision = deployment["metadata"].get("annotations", {}).get(_REVISION)
    sets = _get(lab, namespace, "replicasets", "-l", _selector(deployment))["items"]
    newest = {s["metadata"]["uid"] for s in sets if s["metadata"].get("annotations", {}).get(_REVISION) == revision}
    return [
        pod
        for pod in _get(lab, namespace, "pods", "-l", _selector(deployment))["items"]
        if "deletionTimestamp" not in pod["metadata"]
        and newest & {owner["uid"] for owner in pod["metadata"].get("ownerReferences", [])}
    ]


def _crashes(pod: dict[str, Any]) -> bool:
    return any(
        container["restartCount"] >= _CRASHES
        and container["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
        for container in pod["status"].get("containerStatuses", [])
    )


def _get(lab: Lab, namespace: str, *what: str) -> dict[str, Any]:
    """An object or a list of objects; {} when it does not exist."""
    answer = lab.kubectl("-n", namespace, "get", *what, "--ignore-not-found", "-o", "json")
    return json.loads(answer) if answer.strip() else {}


def _selector(deployment: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())


def causes(lab: Lab, *, namespace: str, name: str) -> str:
    """What the cluster says about the pods of a Deployment: states, warnings, and the last lines of their logs."""
    deployment = _get(lab, namespace, f"deployment/{name}")
    if not deployment:
        return "It does not exist."
    pods = _get(lab, namespace, "pods", "-l", _selector(deployment))["items"]
    lines = [line for pod in pods for line in _of_pod(lab, pod)]
    if not pods:
        told = [f"{c['reason']}: {c['message']}" for c in deployment["status"].get("conditions", [])]
        lines = ["It has no pod.", *told]
    return "\n".join(lines)


def _of_pod(lab: Lab, pod: dict[str, Any]) -> list[str]:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    lines = [f"pod {name}: {pod['status'].get('phase', 'unknown')}"]
    unmet = [c for c in pod["status"].get("conditions", []) if c["status"] != "True" and c.get("message")]
    lines += [f"  {condition['type']}: {condition['message']}" for condition in unmet]
    for container in pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", []):
        states = {"now": container.get("state", {}), "before": container.get("lastState", {})}
        for when, state in states.items():
            for kind, detail in state.items():
                reason = " ".join(str(detail[key]) for key in ("reason", "exitCode", "message") if key in detail)
                lines.append(f"  container {container['name']} {when}: {kind} {reason}".rstrip())
    field = f"involvedObject.name={name},type=Warning"
    events = _get(lab, namespace, "events", "--field-selector", field)["items"]
    lines += [f"  event: {event['reason']}: {event['message']}" for event in events[-5:]]
    for which in ("--previous=false", "--previous=true"):
        log = lab.kubectl("-n", namespace, "logs", name, "--all-containers", "--tail=15", which, check=False)
        if log.strip():
            lines += ["  its log ends:" if which.endswith("false") else "  the log of the run before ended:"]
            lines += [f"    {line}" for line in log.strip().splitlines()]
    return lines
