"""What a decision about one build may look at, and what it may answer. Plain data, made by ``control``.

A build is one AppBuild. It is carried out by a Job in the builds' namespace, one for each attempt, with a Secret of the
same name that belongs to the Job. The attempt is part of both names: what stands under a name never changes its meaning.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from dataapp_operator.api.appbuild import AppBuildSpec, AppBuildStatus
from dataapp_operator.api.reasons import Reason

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""What a build says it has made. Anything else that stands in its place is not believed."""
APP = re.compile(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?")
"""The name of an app. It becomes a part of a repository's name, so it is looked at before it does."""

MAX_ATTEMPTS = 3
START_SECONDS = 300
"""How long a pod may wait for a machine and for its image before the time of the build itself counts."""
END_SECONDS = 60
"""How long a pod may take, beside the time of the build itself, to fetch the code and to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """One Job of a build, as it was seen last."""

    name: str
    uid: str
    build_uid: str
    attempt: int
    ended: bool = False
    ending_since: datetime | None = None
    """Since when its controller wants it to end: on a lost machine its pod may never confirm that."""
    deleting: bool = False
    ready: bool = False
    """A container of it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What came out of a Job that has ended: a digest, or a reason with a sentence and the last lines of its log."""

    job_uid: str
    digest: str = ""
    reason: Reason = Reason.BUILD_FAILED
    message: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedBuild:
    """Everything that is known about one build now."""

    now: datetime
    namespace: str
    name: str
    uid: str
    generation: int
    created_at: datetime
    spec: AppBuildSpec
    status: AppBuildStatus
    """As persisted: the only memory."""
    deleting: bool = False
    registry: str
    deadline_seconds: int
    concurrent: int
    running: int = 0
    """How many other builds of the cluster run."""
    ahead: int = 0
    """How many that could begin now come before this one."""
    jobs: tuple[JobFacts, ...] = ()
    """All Jobs of this build, whichever attempt, and those that an earlier build of this name has left."""
    secret_known: bool = False
    """This process has made, or found, the Secret of the present attempt."""
    result: BuildResult | None = None
    words: str = ""
    """Why the pod does not start, as far as that was found out."""
    refused: str = ""
    """What the API server has just refused, in its words."""
    unborn: bool = False
    """The call that should have made the present Job broke off, and the Job does not exist."""


@dataclass(frozen=True, slots=True)
class EnsureSecret:
    """Make the Secret of a Job, unless it exists."""

    job: JobFacts


@dataclass(frozen=True, slots=True)
class RemoveJob:
    """Take away the Secret of a Job, and then the Job: as long as the Job is there, the Secret is not forgotten."""

    job: JobFacts


BuildAction = EnsureSecret | RemoveJob


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """What to do about one build now, in this order: ``actions``, the status, and then ``begin``.

    ``begin`` comes after the status because the attempt is counted before it exists: no crash can begin a build more
    often than its status says.
    """

    status: AppBuildStatus
    actions: tuple[BuildAction, ...] = ()
    begin: int | None = None
    """Make the Job of this attempt."""
    read: JobFacts | None = None
    """Slow work: find out what came out of this Job, which has ended."""
    look: JobFacts | None = None
    """Slow work: find out why this Job's pod does not start."""
    requeue_after: float | None = None


def spell(seconds: float) -> str:
    """A length of time as people write it: ``24s``, ``1m5s``."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
