"""What to do about one build: wait for a place, begin, watch, read the result, tidy up. Pure.

Three rules make it safe to be cut off anywhere. An attempt is counted in the persisted status before its Job is made; a
Job is taken away only when the persisted status no longer needs it, which is after its result stands there; and a Secret
is made after its Job and taken away before it. So whatever is left behind is found by the Job, and no build is begun more
often than its status says.

A build that was killed from outside (its pod evicted, its machine lost, its Job deleted, its code no longer served) is
begun again after a pause; one that failed by itself would fail again, and is not.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from dataapp_operator.api.appbuild import AppBuildStatus, Took
from dataapp_operator.api.base import instant, timestamp
from dataapp_operator.api.conditions import READY, RECONCILING, STALLED, Condition, settle
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan.build_facts import (
    APP,
    DIGEST,
    MAX_ATTEMPTS,
    START_SECONDS,
    BuildPlan,
    BuildResult,
    EnsureSecret,
    JobFacts,
    ObservedBuild,
    RemoveJob,
    spell,
)
from dataapp_operator.plan.build_words import next_step

AGAIN = frozenset({Reason.BUILD_KILLED, Reason.SOURCE_GONE})
"""What is nobody's fault: begun again."""
PAUSES = (10, 60)
"""Seconds before the second and the third attempt."""
LOOK_AGAIN = 60.0
"""Seconds until something the API server refused is tried again, and the longest wait for news of a Job."""
LOST_SECONDS = 60
"""How long a Job that should end may wait for its pod to say so."""
SLOW_START = 20
"""Seconds after which a pod that has not started is looked at."""
_SOON = 2.0


def decide_build(seen: ObservedBuild) -> BuildPlan:
    """The next step of a build. It looks at nothing but `seen`."""
    if seen.deleting or seen.status.phase in {"Succeeded", "Failed"}:
        return _tidy(BuildPlan(status=seen.status), seen.jobs)
    return _running(seen) if seen.status.phase == "Running" else _pending(seen)


def _tidy(plan: BuildPlan, unwanted: tuple[JobFacts, ...]) -> BuildPlan:
    """The plan, and the Jobs that the persisted status does not need any more."""
    removals = tuple(RemoveJob(job) for job in unwanted if not job.deleting)
    soon = min(plan.requeue_after or _SOON, _SOON) if unwanted else plan.requeue_after
    return replace(plan, actions=(*removals, *plan.actions), requeue_after=soon)


# Pending -------------------------------------------------------------------------------------------------------------


def _pending(seen: ObservedBuild) -> BuildPlan:
    status = seen.status
    if not APP.fullmatch(seen.spec.app):
        return BuildPlan(
            status=_failed(seen, Reason.INVALID_SPEC, f"spec.app: {seen.spec.app!r} cannot be the name of an app")
        )
    if seen.jobs:
        # Of an attempt whose end is in the status, or of an earlier build of this name: the next one begins without them.
        return _tidy(BuildPlan(status=_first_status(seen)), seen.jobs)
    wait = _pause(seen)
    if wait > 0:
        return BuildPlan(status=status, requeue_after=wait)
    if seen.running + seen.ahead >= seen.concurrent:
        return BuildPlan(status=_queued(seen), requeue_after=LOOK_AGAIN)
    return _begin(seen)


def _first_status(seen: ObservedBuild) -> AppBuildStatus:
    if seen.status.phase is not None:
        return seen.status
    return _status(seen, "Pending", Reason.STARTING, "the build is about to begin")


def _pause(seen: ObservedBuild) -> float:
    """Seconds until the next attempt may begin."""
    ended = seen.status.finished_at
    return (begins_at(seen.status) - seen.now).total_seconds() if ended else 0.0


def begins_at(status: AppBuildStatus) -> datetime:
    """When the next attempt of a pending build that was begun before may begin."""
    if status.finished_at is None:
        return datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    refused = status.reason == Reason.REFUSED
    pause = LOOK_AGAIN if refused else PAUSES[min(max(status.attempts, 1), len(PAUSES)) - 1]
    return instant(status.finished_at) + timedelta(seconds=pause)


def _queued(seen: ObservedBuild) -> AppBuildStatus:
    runs = f"{seen.running} {'build runs' if seen.running == 1 else 'builds run'}"
    if seen.running >= seen.concurrent:
        words = f"waits for a place: {runs}, and no more than {seen.concurrent} may at the same time"
    else:
        words = (
            f"waits for its turn: other builds come before it, and no more than {seen.concurrent} run at the same time"
        )
    return _status(seen, "Pending", Reason.NO_ROOM, words)


def _begin(seen: ObservedBuild) -> BuildPlan:
    attempt = seen.status.attempts + 1
    status = _status(
        seen,
        "Running",
        Reason.BUILDING,
        _building(attempt),
        attempts=attempt,
        started_at=timestamp(seen.now),
        finished_at=None,
        took=Took(queued=spell((seen.now - seen.created_at).total_seconds())),
        log=(),
        next_step=None,
    )
    return BuildPlan(status=status, begin=attempt, requeue_after=LOOK_AGAIN)


def _building(attempt: int) -> str:
    return "the image is being built" if attempt == 1 else f"the image is being built (attempt {attempt})"


# Running -------------------------------------------------------------------------------------------------------------


def _running(seen: ObservedBuild) -> BuildPlan:
    job = next((j for j in seen.jobs if j.build_uid == seen.uid and j.attempt == seen.status.attempts), None)
    plan = _without_job(seen) if job is None else _with_job(seen, job)
    return _tidy(plan, tuple(j for j in seen.jobs if j is not job))


def _without_job(seen: ObservedBuild) -> BuildPlan:
    if seen.refused:
        status = _status(
            seen,
            "Pending",
            Reason.REFUSED,
            f"the cluster refuses to run the build: {seen.refused}",
            attempts=max(seen.status.attempts - 1, 0),  # nothing was begun
            finished_at=timestamp(seen.now),
            next_step=next_step(Reason.REFUSED, seen.spec),
        )
        return BuildPlan(status=status, requeue_after=LOOK_AGAIN)
    if seen.unborn:
        return BuildPlan(status=seen.status, begin=seen.status.attempts, requeue_after=LOOK_AGAIN)
    return _killed(seen, Reason.BUILD_KILLED, "the build was lost: its job is not there any more", ())


def _with_job(seen: ObservedBuild, job: JobFacts) -> BuildPlan:
    lost = job.ending_since is not None and (seen.now - job.ending_since).total_seconds() >= LOST_SECONDS
    if job.ended or (lost and not job.deleting):
        if seen.result is None or seen.result.job_uid != job.uid:
            return BuildPlan(status=seen.status, read=job, requeue_after=LOOK_AGAIN)
        return _ended(seen, seen.result)
    left = _time_left(seen)
    if left <= 0:
        words = "the build did not end in time, and neither did its job"
        return BuildPlan(status=_failed(seen, Reason.BUILD_TIMED_OUT, words))
    wait = min(left, LOOK_AGAIN)
    if job.deleting:
        return BuildPlan(status=seen.status, requeue_after=min(wait, 5.0))  # somebody ends it; soon it is lost
    slow = not job.ready and _age(seen) >= SLOW_START
    if not job.ready:
        wait = min(wait, 15.0 if slow else SLOW_START)
    return BuildPlan(
        status=_status(seen, "Running", Reason.BUILDING, _progress(seen, job)),
        actions=() if seen.secret_known else (EnsureSecret(job),),
        look=job if slow else None,
        requeue_after=wait,
    )


def _progress(seen: ObservedBuild, job: JobFacts) -> str:
    if seen.refused:
        return f"the build cannot start: the cluster refuses what it needs: {seen.refused}"
    if seen.words and not job.ready:
        return f"the build has not started yet: {seen.words}"
    return _building(seen.status.attempts)


def _age(seen: ObservedBuild) -> float:
    started = seen.status.started_at
    return (seen.now - instant(started)).total_seconds() if started else 0.0


def _time_left(seen: ObservedBuild) -> float:
    """Seconds until we stop believing that the Job's own deadline works."""
    return seen.deadline_seconds + 2 * START_SECONDS - _age(seen)


# The end -------------------------------------------------------------------------------------------------------------


def _ended(seen: ObservedBuild, result: BuildResult) -> BuildPlan:
    if result.digest:
        return BuildPlan(status=_succeeded(seen, result))
    if result.reason in AGAIN:
        return _killed(seen, result.reason, result.message, result.log)
    return BuildPlan(status=_failed(seen, result.reason, result.message, result.log))


def _succeeded(seen: ObservedBuild, result: BuildResult) -> AppBuildStatus:
    if not DIGEST.fullmatch(result.digest):
        words = "the build ended without saying which image it made"
        return _failed(seen, Reason.BUILD_FAILED, words, result.log)
    return _status(
        seen,
        "Succeeded",
        Reason.BUILT,
        f"built in {spell(_age(seen))}",
        image=f"{seen.registry}/{seen.namespace}/{seen.spec.app}@{result.digest}",
        finished_at=timestamp(seen.now),
        took=_took(seen),
    )


def _killed(seen: ObservedBuild, reason: Reason, message: str, log: tuple[str, ...]) -> BuildPlan:
    if seen.status.attempts >= MAX_ATTEMPTS:
        words = f"{message.rstrip('.')}. It was begun {seen.status.attempts} times"
        return BuildPlan(status=_failed(seen, reason, words, log))
    status = _status(
        seen,
        "Pending",
        reason,
        f"{message.rstrip('.')}. It is begun once more (attempt {seen.status.attempts + 1} of {MAX_ATTEMPTS})",
        finished_at=timestamp(seen.now),
        log=log,
    )
    return BuildPlan(status=status, requeue_after=_SOON)


def _failed(seen: ObservedBuild, reason: Reason, message: str, log: tuple[str, ...] = ()) -> AppBuildStatus:
    return _status(
        seen,
        "Failed",
        reason,
        message,
        log=log,
        next_step=next_step(reason, seen.spec),
        finished_at=timestamp(seen.now),
        took=_took(seen) if seen.status.started_at else seen.status.took,
    )


def _took(seen: ObservedBuild) -> Took:
    return (seen.status.took or Took()).model_copy(update={"build": spell(_age(seen))})


def _status(seen: ObservedBuild, phase: str, reason: Reason, message: str, **changes: object) -> AppBuildStatus:
    """The status as it was, with a phase, what it means for people and tools, and further changes."""
    message = message[:4000]
    ready = "True" if phase == "Succeeded" else "False"
    wanted = [_condition(seen, READY, ready, reason, message)]
    if phase == "Failed" or reason is Reason.REFUSED:
        wanted.append(_condition(seen, STALLED, "True", reason, message))
    elif phase != "Succeeded":
        wanted.append(_condition(seen, RECONCILING, "True", reason, message))
    update = {
        "phase": phase,
        "reason": str(reason),
        "message": message,
        "commit": seen.spec.commit[:7],
        "conditions": settle(wanted, seen.status.conditions),
    }
    return seen.status.model_copy(update=update | changes)


def _condition(seen: ObservedBuild, kind: str, value: str, reason: Reason, message: str) -> Condition:
    return Condition.model_validate(
        {
            "type": kind,
            "status": value,
            "reason": str(reason),
            "message": message,
            "observedGeneration": seen.generation,
            "lastTransitionTime": timestamp(seen.now),
        }
    )
