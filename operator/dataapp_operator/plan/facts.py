"""What was observed, as values. A decision sees these and nothing else.

``None`` means *unknown* wherever it could be mistaken for a number: an unreachable front has an unknown number of
sessions, not zero of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dataapp_operator.api.appbuild import AppBuildSpec, AppBuildStatus
from dataapp_operator.api.apprelease import AppReleaseSpec, AppReleaseStatus
from dataapp_operator.api.code import Dependencies, DetectedBy, GitRef
from dataapp_operator.api.dataapp import DataAppSpec
from dataapp_operator.api.environmentclass import EnvironmentClassSpec, GatewayRef
from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.status import DataAppStatus
from dataapp_operator.api.verdict import Verdict

Json = dict[str, Any]
ReleaseKey = tuple[str, int]
"""(environment, release number)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts:
    """An object that exists: enough to delete exactly this incarnation of it."""

    name: str
    uid: str
    resource_version: str
    deleting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSetFacts(ObjectFacts):
    """A slot's ReplicaSet."""

    replicas: int = 1
    create_failure: str | None = None
    """Why the controller cannot create the pod (quota, admission), in the server's words."""
    nudge: str = ""
    """The value of our annotation that makes the controller try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFacts(ObjectFacts):
    """The Deployment of a release without sessions."""

    replicas: int = 1
    asked: int | None = None
    """The author's number that was last written; where ``replicas`` is another one, somebody else has scaled it."""
    create_failure: str | None = None
    nudge: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerFacts(ObjectFacts):
    """The HorizontalPodAutoscaler of a Deployment: between how many, at how many percent of the CPU."""

    least: int
    most: int
    cpu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFacts(ObjectFacts):
    """A disruption budget: how many pods others may evict at a time."""

    may_go: int = 0


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended."""

    code: int
    reason: str
    ran_for: float
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """The app's container."""

    running: bool = False
    started: bool = False
    restarts: int = 0
    waiting: str | None = None
    waiting_message: str = ""
    last_exit: Exit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts(ObjectFacts):
    """A slot's pod. ``unready_since`` is None while it is ready, ``ready_since`` while it is not."""

    slot: str = "s0"
    over: bool = False
    """It has ended and will not come back (evicted, say); the object stays, another pod takes its place."""
    ip: str | None = None
    node: str | None = None
    ready: bool = False
    unready_since: datetime | None = None
    ready_since: datetime | None = None
    app: ContainerFacts = ContainerFacts()
    front: ContainerFacts = ContainerFacts()
    unschedulable: str | None = None


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """Everything of one slot that exists. A slot is one pod, or of a release without sessions a Deployment of them."""

    replicaset: ReplicaSetFacts | None = None
    service: ObjectFacts | None = None
    pods: tuple[PodFacts, ...] = ()
    deployment: DeploymentFacts | None = None
    sets: tuple[ObjectFacts, ...] = ()
    """The ReplicaSets that the Deployment has made."""
    autoscaler: AutoscalerFacts | None = None

    @property
    def living(self) -> tuple[PodFacts, ...]:
        """The pods that are not being ended and have not ended by themselves."""
        return tuple(p for p in self.pods if not p.deleting and not p.over)

    @property
    def counted(self) -> tuple[PodFacts, ...]:
        """The pods that count: all of a Deployment; of a slot, one."""
        return self.living if self.deployment is not None else self.living[:1]

    @property
    def pod(self) -> PodFacts | None:
        """The pod that counts, where there is to be one."""
        return next(iter(self.living), None)

    @property
    def ready(self) -> bool:
        """A pod is ready and its Service exists, so that a route may point here."""
        return self.service is not None and any(pod.ready for pod in self.counted)

    @property
    def made(self) -> bool:
        """There is somebody who makes its pods."""
        return self.replicaset is not None or self.deployment is not None

    @property
    def gone(self) -> bool:
        """Nothing of it is left."""
        return not (self.made or self.sets or self.autoscaler or self.service or self.pods)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFacts(ObjectFacts):
    """An HTTPRoute. ``accepted`` is None while no gateway has answered for this generation."""

    spec: Json = field(default_factory=dict)
    accepted: bool | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """A Gateway: where it can be reached (host:port, behind https:// with TLS), or in words why that is not known."""

    exists: bool
    address: str | None = None
    words: str = ""
    uid: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """A listener of a Gateway as it is now: what was proved of it holds until it changes."""

    ref: GatewayRef
    uid: str
    generation: int

    @property
    def named(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.ref.namespace, self.ref.name


@dataclass(frozen=True, slots=True)
class GatewayAbility:
    """What a Gateway was seen to do with visitors, and in words how it was seen. None: nobody knows."""

    pins: bool | None = None
    """A cookie reaches the visitor and the app, and leads to the replica that set it."""
    weighs: bool | None = None
    """New visits are shared out by weight."""
    marks: bool | None = None
    """A route's response header reaches the visitor: by it a switch is seen."""
    words: str = ""
    weighed: str = ""
    """The words about weights."""
    stale: bool = False
    """Seen long ago: it holds until it is seen anew, and that is due."""
    elsewhere: bool = False
    """Another app is finding out right now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFacts(ObjectFacts):
    """An AppRelease that exists."""

    spec: AppReleaseSpec
    status: AppReleaseStatus = field(default_factory=AppReleaseStatus)


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """The session check of one release, as far as this process has run it."""

    attempt: int = 0
    running: bool = False
    verdict: Verdict | None = None
    measured: str = ""
    expected: str = ""
    message: str = ""
    samples: int = 0
    log: tuple[str, ...] = ()
    failed_in_row: int = 0
    failed_at: datetime | None = None
    """When one last failed, whatever came since."""
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ViewFacts:
    """What was last seen of an environment through its gateway."""

    plan: int
    release: int
    running: bool = False
    seen: bool = False
    words: str = ""
    weighs: bool | None = None
    """Whether the shares were those that were asked for, where they were counted and tell something."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the visitors of a pod got since its front began: answers, those that are a server's failure, and, of the
    ``timed`` ones, how many began within each of the front's limits.
    """

    answers: int = 0
    errors: int = 0
    timed: int = 0
    within: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FrontFacts:
    """What the front of a pod said, and when. ``live`` None: it could not be asked."""

    live: int | None = None
    quiet_for: float | None = None
    at: datetime | None = None
    counted: tuple[tuple[datetime, Counts], ...] = ()
    """What it has counted, at each of the last looks, oldest first: the difference of two is what happened between."""


@dataclass(frozen=True, slots=True)
class QueryFacts:
    """What the queries of one metric have brought since a moment. ``trouble``: why the last one brought nothing."""

    since: datetime
    samples: int = 0
    failing_in_row: int = 0
    value: float | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class LogFacts:
    """The end of a release's log and the cause found in it. ``running``: still being read."""

    running: bool = False
    cause: str | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFacts(ObjectFacts):
    """An AppBuild that exists."""

    spec: AppBuildSpec
    status: AppBuildStatus = field(default_factory=AppBuildStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an app's code is. ``commit``: the one to take, where an AppSource has chosen it (on the branch or tag
    ``where``); else the newest of ``ref``.
    """

    url: str
    path: str
    ref: GitRef = field(default_factory=GitRef)
    secret: str | None = None
    manifest: str | None = None
    commit: str | None = None
    where: str | None = None
    interval: float = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in an app's code."""

    framework: str
    entrypoint: str
    recipe: str
    detected_by: DetectedBy
    dependencies: Dependencies = field(default_factory=Dependencies)
    dockerfile: str | None = None


@dataclass(frozen=True, slots=True)
class Tagged:
    """The newest tag of a pattern, and the code it points at."""

    name: str
    commit: str
    tree: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFacts:
    """What reading an app's code has brought, for the question with this ``key``. ``trouble``: why it brought nothing."""

    key: str
    commit: str = ""
    revision: str = ""
    tree: str = ""
    committed_at: str = ""
    finding: Finding | None = None
    tagged: Mapping[str, Tagged] = field(default_factory=dict)
    """By pattern."""
    trouble: tuple[Reason, str] | None = None
    transient: bool = False
    request: str | None = None
    """The value of the wish to look now that this look has answered."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What builds start from: base images by language (python, r), and the version of each recipe."""

    bases: Mapping[str, str] = field(default_factory=dict)
    recipes: Mapping[str, str] = field(default_factory=dict)
    builds: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything a decision about one DataApp may look at."""

    now: datetime
    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    spec: DataAppSpec
    status: DataAppStatus
    front_image: str
    deleting: bool = False
    gateway_api: bool = True
    classes: Mapping[str, EnvironmentClassSpec] = field(default_factory=dict)
    gateways: Mapping[GatewayRef, GatewayFacts] = field(default_factory=dict)
    abilities: Mapping[GatewayRef, GatewayAbility] = field(default_factory=dict)
    host_holders: Mapping[str, str] = field(default_factory=dict)
    releases: Mapping[ReleaseKey, ReleaseFacts] = field(default_factory=dict)
    slots: Mapping[ReleaseKey, Mapping[str, SlotFacts]] = field(default_factory=dict)
    routes: Mapping[str, RouteFacts] = field(default_factory=dict)
    checks: Mapping[ReleaseKey, CheckFacts] = field(default_factory=dict)
    views: Mapping[str, ViewFacts] = field(default_factory=dict)
    fronts: Mapping[str, FrontFacts] = field(default_factory=dict)
    logs: Mapping[ReleaseKey, LogFacts] = field(default_factory=dict)
    queries: Mapping[ReleaseKey, Mapping[str, QueryFacts]] = field(default_factory=dict)
    """By metric, what Prometheus was asked about a release."""
    rejections: Mapping[str, str] = field(default_factory=dict)
    """Objects ("Kind name") the API server refused in this pass, with its words."""
    origin: Origin | None = None
    """Where the app's code is; None for a prebuilt image, or where nobody says."""
    origin_trouble: tuple[Reason, str] | None = None
    """Why it is not known where the code is."""
    code: CodeFacts | None = None
    builds: Mapping[str, BuildFacts] = field(default_factory=dict)
    platform: Platform = field(default_factory=Platform)
    promote: str = ""
    """What a person has promoted, as the annotation says it: ``production=14``."""
    requested: str | None = None
    """The newest wish to look now."""
    leaving: str | None = None
    """The revision that no longer has the app's manifest: it is drained, then deleted."""
    retry: str = ""
    """What a person wants tried once more, as the annotation says it: ``production=14``."""
    commands: Mapping[str, str] = field(default_factory=dict)
    """What people say to single releases, by command, as the annotations say it: ``{"abort": "production=14"}``."""
    suspended: bool = False
    """A person wants nothing new to begin."""
    held: bool = False
    """Our finalizer is on the app: its deletion waits until its sessions have ended."""
    holdable: bool = True
    """The API server lets us put it there."""
    end_sessions: bool = False
    """A person wants an app that leaves gone now, whoever has it open."""
    budgets: Mapping[str, BudgetFacts] = field(default_factory=dict)
    """The disruption budgets of its environments, by name."""
    cordoned: frozenset[str] = frozenset()
    """Nodes that take no new pods: somebody is about to empty them."""
    strangers: tuple[str, ...] = ()
    """Objects ("Kind name") that carry this app's label and belong to another object of its name: a deleted one."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """EnvironmentClasses this version cannot read, and why."""

    @property
    def departing(self) -> bool:
        """The app is to go: it gets no visitor and no release any more, and ends with its last session."""
        return self.deleting or self.leaving is not None
