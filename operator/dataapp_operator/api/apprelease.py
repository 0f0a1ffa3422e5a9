"""AppRelease: one image with one configuration in one environment; the record of what happened.

Its spec is frozen when the candidate first appears. Its status is a projection of DataApp.status plus the evidence
that only a record needs: what was checked and measured, how long each phase took, the last log lines of a failure.
"""

from typing import Literal

from pydantic import Field

from dataapp_operator.api.analysis import METRICS, Metric
from dataapp_operator.api.base import Duration, Model, Timestamp
from dataapp_operator.api.conditions import Condition
from dataapp_operator.api.dataapp import (
    SESSIONLESS,
    AppSpec,
    CanaryStep,
    Drain,
    EnvVar,
    Framework,
    KeepWarm,
    Resources,
    Rollback,
    Workload,
)

IMMUTABLE_RULE = {"rule": "self == oldSelf", "message": "a release is a record: its spec never changes"}


MOST_REPLICAS = 1000
"""Pods with which a Deployment may begin: those that serve may have been scaled by somebody else."""
CookieKind = Literal["plain", "secure", "embedded"]


class ProbePlan(Model):
    """How this release is checked."""

    framework: Framework
    startup: Duration


class ReleasePlan(Model):
    """How this release is done; frozen with it."""

    strategy: Literal["blueGreen", "canary", "recreate"] = "blueGreen"
    steps: tuple[CanaryStep, ...] = Field(
        default=(), max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    hold: Duration = "0s"
    compatibility: Literal["concurrent", "exclusive", "irreversible"] = "concurrent"
    workload: Workload = Field(
        default="slots",
        description="slots: each replica is a pod of its own with a Service of its own, and a visitor stays with one;"
        " deployment: one Deployment and one Service, any pod of which may answer any request.",
    )
    slots: int = Field(ge=1, le=8, description="With how many slots it begins; a Deployment is one.")
    replicas: int | None = Field(
        default=None, ge=1, le=MOST_REPLICAS, description="With how many pods its Deployment begins."
    )
    sessions_per_replica: int | None = Field(default=None, ge=1, le=1000)
    pins: bool = Field(
        default=True,
        description="Whether routes lead visitors by their cookie; not where the Gateway does not obey them.",
    )
    cookie: CookieKind = Field(
        default="plain",
        description="The cookie that keeps a visitor with a replica. plain: over HTTP; secure: over HTTPS only, with the prefix"
        " __Host-; embedded: like that, and sent inside pages of other sites.",
    )
    bake: Duration
    drain: Drain
    keep_warm: KeepWarm = KeepWarm()
    rollback: Rollback = Rollback()
    analysis: tuple[Metric, ...] = METRICS
    probe: ProbePlan


class RunPlan(Model):
    """What the pods of this release run with; frozen with it. Secrets are named, never copied."""

    port: int
    env: tuple[EnvVar, ...] = Field(default=(), max_length=64)
    resources: Resources


class AppReleaseSpec(Model):
    """What this release is."""

    app: str = Field(max_length=30)
    environment: str = Field(max_length=15)
    number: int = Field(ge=1)
    image: str = Field(max_length=512)
    commit: str | None = Field(default=None, max_length=40, description="The commit it was built from.")
    build: str | None = Field(default=None, max_length=63, description="The AppBuild that made its image.")
    config_hash: str = Field(max_length=64)
    cause: str | None = Field(
        default=None,
        max_length=512,
        description="Why the same code and settings are released once more, where they are.",
    )
    limited: str | None = Field(
        default=None,
        max_length=1024,
        description="What the Gateway was seen not to do, what this release does without because of it, and which requests"
        " may be lost.",
    )
    config: AppSpec | None = Field(
        default=None,
        description="What the author set for all environments: the next environment puts its own settings on top of it.",
    )
    run: RunPlan
    plan: ReleasePlan

    @property
    def sessionless(self) -> bool:
        """Nothing of a visitor is kept in the process, so that any replica may answer any request."""
        kept = self.config is not None and self.config.sessions is not None
        return self.plan.probe.framework in SESSIONLESS and not kept


class SlotStatus(Model):
    """One replica of the release."""

    name: str = Field(max_length=8)
    ready: bool
    sessions: int | None = None


class CheckStatus(Model):
    """One check, with what was measured and what was expected."""

    name: str = Field(max_length=64)
    verdict: str = Field(max_length=16)
    measured: str = Field(default="", max_length=1024)
    expected: str = Field(default="", max_length=1024)
    samples: int = 0


class TimelineEntry(Model):
    """When a phase began."""

    phase: str = Field(max_length=32)
    at: Timestamp


class AppReleaseStatus(Model):
    """How far the release has come, and the evidence."""

    phase: str | None = Field(default=None, max_length=32)
    reason: str | None = Field(default=None, max_length=128)
    message: str | None = Field(default=None, max_length=4096)
    step: int | None = Field(default=None, description="The index of the canary step it is at, or came to.")
    next_step: str | None = Field(default=None, max_length=1024, description="What a person can do now.")
    summary: str | None = Field(default=None, max_length=512, description="The column REASON of kubectl get.")
    commit: str | None = Field(default=None, max_length=12, description="The column COMMIT of kubectl get.")
    weight: str | None = Field(default=None, max_length=8)
    sessions: int | None = None
    users_affected: int | None = Field(
        default=None,
        description="Sessions and requests that were open on it when it was taken back; absent where nobody could count.",
    )
    slots: tuple[SlotStatus, ...] = Field(
        default=(),
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    checks: tuple[CheckStatus, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    preview_url: str | None = Field(default=None, max_length=512)
    log: tuple[str, ...] = Field(
        default=(),
        max_length=40,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="Last lines of a failure.",
    )
    timeline: tuple[TimelineEntry, ...] = Field(
        default=(), max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
