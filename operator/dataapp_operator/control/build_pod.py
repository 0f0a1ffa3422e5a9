"""What the pod of a build tells about how it ended, or why it does not start. Pure.

Who ended it matters most: a build that was ended from outside is begun again, one that ended by itself is explained.
"""

from typing import Any

from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.redaction import redact
from dataapp_operator.build.job import BUILD, FETCH
from dataapp_operator.plan import words
from dataapp_operator.plan.build_facts import DIGEST, BuildResult, JobFacts

Json = dict[str, Any]

SHOWN_LINES, SHOWN_WIDTH = 20, 300
"""How much of a log is kept in status."""
DAEMON_KILLED, OUT_OF_TIME = 33, 124
"""Exit codes of ``pod/build.sh``: BuildKit was killed under it (for its memory, most often), and the time was over."""
_ENDED_BY_OTHERS = frozenset({"Evicted", "NodeLost", "Shutdown", "NodeShutdown", "Terminated"})


def lost(job: JobFacts, pod: Json) -> BuildResult | None:
    """A build that was ended from outside, if it was. Too much disk is its own doing, though the machine ends it."""
    status = pod.get("status") or {}
    said = str(status.get("message") or "")
    if "exceeds the" in said and ("storage" in said or "EmptyDir" in said):
        return None
    conditions = {c["type"]: c for c in status.get("conditions") or [] if c.get("status") == "True"}
    disturbed = conditions.get("DisruptionTarget")
    if disturbed or status.get("reason") in _ENDED_BY_OTHERS:
        why = said or (disturbed or {}).get("message") or ""
        return lost_result(job, "its pod was ended by the cluster" + (f" ({redact(why)})" if why else ""))
    if "deletionTimestamp" in pod["metadata"]:
        return lost_result(job, "its pod was deleted")
    if status.get("reason") == "DeadlineExceeded" and not _began(pod):
        return lost_result(job, f"it could not start in time{_because(waits(pod))}")
    return None


def lost_result(job: JobFacts, why: str) -> BuildResult:
    """A build of which it is only known that it was killed, or that nobody can know."""
    return BuildResult(job_uid=job.uid, reason=Reason.BUILD_KILLED, message=f"the build was killed: {why}")


def succeeded(job: JobFacts, pod: Json) -> BuildResult | None:
    """The digest that a pod says it has made, if it went well."""
    if (pod.get("status") or {}).get("phase") != "Succeeded":
        return None
    said = ""
    for status in pod["status"].get("containerStatuses") or []:
        if status.get("name") == BUILD:
            said = ((status.get("state") or {}).get("terminated") or {}).get("message", "").strip()
    if DIGEST.fullmatch(said):
        return BuildResult(job_uid=job.uid, digest=said)
    words_ = "the build ended without saying which image it made"
    return BuildResult(job_uid=job.uid, reason=Reason.BUILD_FAILED, message=words_)


def waits(pod: Json) -> str:
    """Why a pod does not start, in words; '' when it does, or nobody says."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"no machine takes it: {words.unschedulable(condition.get('message') or '')}"
    for container in _containers(status):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName"}:
            return f"the platform's image for builds cannot be fetched: {words.pull(waiting.get('message') or '')}"
    return ""


def shown(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines of a log that are kept: the last ones, redacted, none endless, nothing that a terminal would obey."""
    kept = []
    for line in lines[-SHOWN_LINES:]:
        plain = "".join(c if c.isprintable() else " " for c in redact(line)).rstrip()
        kept.append(plain if len(plain) <= SHOWN_WIDTH else f"{plain[: SHOWN_WIDTH - 1]}…")
    return tuple(kept)


def _because(why: str) -> str:
    return f": {why}" if why else ""


def _containers(status: Json) -> list[Json]:
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _began(pod: Json) -> bool:
    """Whether any container of a pod ran."""
    states = [container.get("state") or {} for container in _containers(pod.get("status") or {})]
    return any("running" in state or (state.get("terminated") or {}).get("startedAt") for state in states)


def failed_container(pod: Json) -> tuple[str, Json]:
    """The container whose log tells why: `fetch` if that failed, else `build`."""
    status = pod.get("status") or {}
    for container in status.get("initContainerStatuses") or []:
        ended = (container.get("state") or {}).get("terminated")
        if container.get("name") == FETCH and (ended is None or ended.get("exitCode") != 0):
            return FETCH, container
    for container in status.get("containerStatuses") or []:
        if container.get("name") == BUILD:
            return BUILD, container
    return BUILD, {}
