"""Slow work for builds: what came out of a Job that has ended, and why one does not start.

Both read the Job's pod. A result is kept until it stands in the status; lost with the process, it is read again, since
the Job is still there. The log is redacted before anything else looks at it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.redaction import redact
from dataapp_operator.build.job import LABEL_ATTEMPT, LABEL_UID
from dataapp_operator.control.build_pod import (
    DAEMON_KILLED,
    OUT_OF_TIME,
    failed_container,
    lost,
    lost_result,
    shown,
    succeeded,
    waits,
)
from dataapp_operator.kube.errors import KubeError, Rejected
from dataapp_operator.kube.kinds import POD
from dataapp_operator.kube.port import Cluster
from dataapp_operator.plan.build_facts import BuildResult, JobFacts

log = logging.getLogger(__name__)

Json = dict[str, Any]
BuildKey = tuple[str, str]
"""(namespace, AppBuild)"""

LOG_LINES = 400
"""How much of a log is read to find out what happened."""
_NO_LOG = "unable to retrieve container logs for "
PAUSE = 5.0
"""Seconds until a pod that could not be read is read again."""


class Explain(Protocol):
    """``build.failures.explain``: a log and what the cluster says, as a reason, a sentence and the lines to show."""

    def __call__(
        self,
        *,
        log: str,
        exit_code: int | None,
        terminated_reason: str | None,
        job_reason: str | None,
        pod_message: str,
    ) -> tuple[Reason, str, tuple[str, ...]]: ...


@dataclass(slots=True)
class _Desk:
    """What is known and under way for one build."""

    results: dict[str, BuildResult] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    tasks: dict[tuple[str, str], asyncio.Task[None]] = field(default_factory=dict)


class BuildWork:
    """Slow work of all builds. ``wake`` is called with a build's key when there is something new for it."""

    def __init__(self, cluster: Cluster, *, namespace: str, explain: Explain, wake: Callable[[BuildKey], None]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._explain = explain
        self._wake = wake
        self._desks: dict[BuildKey, _Desk] = {}

    def result(self, key: BuildKey, job: JobFacts | None) -> BuildResult | None:
        """What came out of a Job, if that is known already."""
        desk = self._desks.get(key)
        return desk.results.get(job.uid) if desk and job else None

    def words(self, key: BuildKey, job: JobFacts | None) -> str:
        """Why a Job does not start, if that is known."""
        desk = self._desks.get(key)
        return desk.words.get(job.uid, "") if desk and job else ""

    def read(self, key: BuildKey, job: JobFacts) -> None:
        """Begin to find out what came out of a Job, unless that is known or under way."""
        desk = self._desks.setdefault(key, _Desk())
        if job.uid not in desk.results:
            self._run(key, desk, ("read", job.uid), self._read(desk, job))

    def look(self, key: BuildKey, job: JobFacts) -> None:
        """Begin to find out why a Job does not start, unless that is under way."""
        desk = self._desks.setdefault(key, _Desk())
        self._run(key, desk, ("look", job.uid), self._look(desk, job))

    def drop(self, key: BuildKey) -> None:
        """The build has ended, or is gone: forget it."""
        desk = self._desks.pop(key, None)
        for task in desk.tasks.values() if desk else ():
            task.cancel()

    async def close(self) -> None:
        """Stop everything and wait until it has stopped."""
        tasks = [task for desk in self._desks.values() for task in desk.tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, key: BuildKey, desk: _Desk, name: tuple[str, str], work: Coroutine[Any, Any, bool]) -> None:
        if name in desk.tasks:
            work.close()
            return

        async def run() -> None:
            try:
                news = await work
            except KubeError as error:
                log.warning("%s/%s: its pod cannot be read; trying again: %s", *key, error)
                await asyncio.sleep(PAUSE)
                news = True
            desk.tasks.pop(name, None)
            if news:
                self._wake(key)

        task = asyncio.ensure_future(run())
        desk.tasks[name] = task
        task.add_done_callback(lambda ended: self._over(key, desk, name, ended))

    def _over(self, key: BuildKey, desk: _Desk, name: tuple[str, str], task: asyncio.Task[None]) -> None:
        if desk.tasks.get(name) is task:
            del desk.tasks[name]
        if not task.cancelled() and task.exception() is not None:
            log.error("%s/%s: reading its pod broke off", *key, exc_info=task.exception())

    async def _look(self, desk: _Desk, job: JobFacts) -> bool:
        pod = await self._pod(job)
        found = waits(pod) if pod else ""
        before, desk.words[job.uid] = desk.words.get(job.uid, ""), found
        return before != found

    async def _read(self, desk: _Desk, job: JobFacts) -> bool:
        pod = await self._pod(job)
        if pod is None:
            why = desk.words.get(job.uid, "")
            never = f"it could not start in time: {why}"
            result = lost_result(job, never if why else "its pod is gone, and with it what came out")
        elif (known := succeeded(job, pod) or lost(job, pod)) is not None:
            result = known
        else:
            container, status = failed_container(pod)
            result = self._explained(job, pod, status, await self._log(pod, container))
        desk.results[job.uid] = result
        return True

    def _explained(self, job: JobFacts, pod: Json, status: Json, text: str) -> BuildResult:
        of_pod = pod.get("status") or {}
        ended = (status.get("state") or {}).get("terminated") or {}
        code = ended.get("exitCode")
        reason, message, lines = self._explain(
            log=redact(text),
            exit_code=code,
            terminated_reason="OOMKilled" if code == DAEMON_KILLED else ended.get("reason"),
            job_reason="DeadlineExceeded" if code == OUT_OF_TIME else of_pod.get("reason"),
            pod_message=redact(of_pod.get("message") or ended.get("message") or ""),
        )
        # Whether it is begun again is decided elsewhere.
        said = redact(message).removesuffix("; it is begun again")
        return BuildResult(job_uid=job.uid, reason=reason, message=said, log=shown(lines))

    async def _pod(self, job: JobFacts) -> Json | None:
        """The pod of a Job. Somebody else's pod may carry the same labels, in another namespace: it is not taken."""
        selector = f"{LABEL_UID}={job.build_uid},{LABEL_ATTEMPT}={job.attempt}"
        listing = await self._cluster.list(POD, label_selector=selector)
        for pod in listing.items:
            metadata = pod["metadata"]
            owners = {owner.get("uid") for owner in metadata.get("ownerReferences") or []}
            if metadata.get("namespace") == self._namespace and job.uid in owners:
                return pod
        return None

    async def _log(self, pod: Json, container: str) -> str:
        try:
            name = pod["metadata"]["name"]
            text = await self._cluster.log(self._namespace, name, container, tail_lines=LOG_LINES)
        except Rejected as error:
            log.warning("the log of a build cannot be read: %s", error)
            return ""
        # Of a container that is gone (its pod was evicted) this is the log, and the answer is 200.
        return "" if text.startswith(_NO_LOG) else text
