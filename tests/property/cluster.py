"""What there is: pods, ReplicaSets, Services, routes, records, and what is persisted about the app. It decides nothing.

Everything else in this directory stands on this one table: what the operator sees of it, the calls that change it, the
promises that are checked at each call, and the world that moves by itself.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dataapp_operator.api.apprelease import AppReleaseSpec, AppReleaseStatus
from dataapp_operator.api.dataapp import DataAppSpec
from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.api.status import DataAppStatus
from dataapp_operator.plan import routes
from dataapp_operator.plan.actions import Plan
from dataapp_operator.plan.facts import (
    AutoscalerFacts,
    BudgetFacts,
    CheckFacts,
    FrontFacts,
    GatewayAbility,
    LogFacts,
    ViewFacts,
)

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
CLASS = EnvironmentClassSpec.model_validate(
    {
        "gateway": {"namespace": "gateways", "name": "public"},
        "hostTemplate": "{app}--{environment}.localhost",
        "previewHostTemplate": "{app}--r{release}--{environment}.localhost",
    }
)
KINDS = ("good", "crash", "session", "silent", "late", "mute", "sick")
"""What an image does: works; ends at start; fails in a session; gives no verdict; works and fails in its bake; never listens;
works in every session that is opened on it and fails its visitors."""


def image(kind: str, serial: int) -> str:
    """An image whose behaviour can be read from its name."""
    return f"lab/{kind}-{serial}@sha256:{serial:064x}"


def kind_of(image_name: str) -> str:
    return re.match(r"lab/([a-z]+)-", image_name).group(1)


PAGE_IMAGE = "lab/page-0@sha256:" + "0" * 64
"""Of the page that new visitors get while an app is renewed that cannot run twice."""
STEPS = (
    {"weight": 10, "hold": "10s"},
    {"weight": 40, "hold": "6s", "pause": True},
    {"weight": 70, "hold": "0s"},
)
"""The steps of a canary here."""
HOWS = {
    "at once": {},
    "canary": {"strategy": "canary", "canary": {"steps": list(STEPS)}},
    "held": {"blueGreen": {"hold": "20s"}},
    "alone": {"strategy": "recreate"},
    "irreversible": {"compatibility": "irreversible"},
    "small canary": {
        "strategy": "canary",
        "canary": {
            "steps": [
                {"weight": 10, "hold": "10s", "replicas": 1},
                {"weight": 40, "hold": "6s", "replicas": 1},
                {"weight": 70, "hold": "0s"},
            ]
        },
    },
    "irreversible canary": {
        "compatibility": "irreversible",
        "strategy": "canary",
        "canary": {"steps": [{"weight": 10, "hold": "10s"}, {"weight": 40, "hold": "6s"}]},
    },
}
"""Ways in which a release comes to its visitors."""


def spec(
    image_name: str,
    *,
    environments: int = 1,
    slots: int = 2,
    warm: int = 0,
    manual: bool = False,
    canary: bool = False,
    how: str = "at once",
    stateless: bool = False,
) -> DataAppSpec:
    """A DataApp of one framework with short times. ``manual``: a person promotes to all environments but the first.

    ``how``: one of :data:`HOWS`; ``canary`` is short for that one; ``stateless``: nothing of a visitor is kept in its process.
    """
    promotion = {"promotion": {"mode": "manual"}} if manual else {}
    framework = "fastapi" if stateless else "streamlit"
    policy = {
        "bake": "30s",
        "drain": {"max": "10m", "emptyFor": "20s"},
        "keepWarm": {"releases": warm, "for": "5m"},
    }
    policy |= HOWS["canary" if canary else how]
    return DataAppSpec.model_validate(
        {
            "image": image_name,
            "app": {"framework": framework, "replicas": {"min": slots}, "probe": {"startup": "30s"}},
            "environments": [
                {"name": f"env{i}", "release": policy} | (promotion if i else {}) for i in range(environments)
            ],
        }
    )


BLINK = 4.0
"""Seconds for which a pod may be away without anybody being in a hurry."""


class Violation(AssertionError):
    """An invariant was broken."""


@dataclass
class Pod:
    name: str
    uid: str
    slot: tuple[str, int, str]
    image: str
    born: datetime
    owned: bool = True
    sessions: int = 0
    quiet_since: datetime | None = None
    broken_since: datetime | None = None
    broken_for: float = BLINK
    mended_at: datetime | None = None
    clinging: bool = False
    """Whoever has it open does not go home."""
    deleting: bool = False
    over: bool = False
    node: str = "node-a"
    crashed_at: datetime | None = None
    placed: bool = True
    """A node has room for it."""
    maker: str = ""
    """The ReplicaSet of a Deployment that has made it."""


@dataclass
class Fleet:
    """A Deployment, or one of the ReplicaSets that it has made."""

    uid: str
    slot: tuple[str, int, str]
    replicas: int
    asked: int = 0


@dataclass
class Cluster:
    """The state. ``status`` is what is persisted; what slow work found out dies with the operator."""

    spec: DataAppSpec
    now: datetime = START
    status: DataAppStatus = field(default_factory=DataAppStatus)
    generation: int = 1
    serial: int = 0
    releases: dict[tuple[str, int], tuple[AppReleaseSpec, AppReleaseStatus, str]] = field(default_factory=dict)
    images: dict[tuple[str, int], str] = field(default_factory=dict)
    """What each release was made from, for pods that outlive its record."""
    replicasets: dict[tuple[str, int, str], str] = field(default_factory=dict)
    deployments: dict[tuple[str, int, str], Fleet] = field(default_factory=dict)
    sets: dict[str, Fleet] = field(default_factory=dict)
    """The ReplicaSets of Deployments, by uid."""
    autoscalers: dict[tuple[str, int, str], AutoscalerFacts] = field(default_factory=dict)
    services: dict[tuple[str, int, str], str] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    routes: dict[str, tuple[dict, str, datetime]] = field(default_factory=dict)
    checks: dict[tuple[str, int], CheckFacts] = field(default_factory=dict)
    views: dict[str, ViewFacts] = field(default_factory=dict)
    logs: dict[tuple[str, int], LogFacts] = field(default_factory=dict)
    fronts: dict[str, FrontFacts] = field(default_factory=dict)
    gateway_accepts: bool = True
    gateway_stale: bool = False
    """It accepts what is written, and goes on sending visitors where it sent them before."""
    pins: str = "led"
    """What the gateway does with cookies: leads them, takes no notice of them, or refuses routes that look at them."""
    weighs: bool = True
    """It shares visitors out by weight, and not evenly."""
    marks: bool = True
    """It adds a route's header to answers."""
    gateway_generation: int = 1
    ability: GatewayAbility = field(default_factory=GatewayAbility)
    """What the operator has found out about it; and of which generation, and when."""
    ability_of: int = 0
    ability_at: datetime = START
    programmed: dict[str, dict] = field(default_factory=dict)
    """Routes as visitors find them. One that is deleted is gone at once: nothing would say when."""
    fronts_answer: bool = True
    calls: int = 0
    history: list[str] = field(default_factory=list)
    deleted_routes: dict[str, dict] = field(default_factory=dict)
    """Routes that somebody deleted by hand, as they were."""
    exposed: set[tuple[str, int]] = field(default_factory=set)
    answering: set[tuple[str, int]] = field(default_factory=set)
    """The releases that answered as the operator last looked: what it mends in the same pass did not yet."""
    promote: str = ""
    """The annotation by which a person promotes."""
    floors: dict[str, str] = field(default_factory=dict)
    """By environment, the promotion mode under which its class lets nobody go."""
    leaving: str | None = None
    """The annotation of an app whose manifest is gone."""
    deleting: bool = False
    """Somebody has deleted the app; it is there as long as our finalizer is on it."""
    held: bool = False
    """Our finalizer is on the app."""
    retry: str = ""
    """The annotation by which a person wants a failed release tried again."""
    end_sessions: bool = False
    commands: dict[str, str] = field(default_factory=dict)
    """The annotations by which a person speaks to single releases, by command."""
    suspended: bool = False
    platform: EnvironmentClassSpec = CLASS
    """What the platform team says about every environment."""
    gone: bool = False
    """The app's own object is deleted."""
    budgets: dict[str, BudgetFacts] = field(default_factory=dict)
    cordoned: set[str] = field(default_factory=set)
    """Nodes that take no new pods. Pods go to the first node that does."""
    room: bool = True
    """There is room for new pods."""
    _last_plan: Plan | None = None

    def _uid(self) -> str:
        self.serial += 1
        return f"uid-{self.serial}"

    def parts(self) -> list[object]:
        """Everything that the operator has made, or that was made by what it has made."""
        made = [*self.replicasets, *self.deployments, *self.sets, *self.autoscalers]
        return [*self.pods, *made, *self.services, *self.routes]

    def _ready(self, pod: Pod) -> bool:
        if kind_of(pod.image) in {"crash", "mute"} or not pod.placed:
            return False
        if pod.deleting or pod.over or pod.broken_since is not None:
            return False
        return (self.now - pod.born).total_seconds() >= 3

    def _backends_ready(self, route_spec: dict) -> int:
        ready = 0
        for name in routes.backends_of(route_spec):
            key = self._slot_of(name)
            if key in self.services:
                ready += sum(self._ready(p) for p in self.pods.values() if p.slot == key)
        return ready

    def _slot_ready(self, key: tuple[str, int, str]) -> bool:
        return any(self._ready(p) for p in self.pods.values() if p.slot == key)

    def _slot_settled(self, key: tuple[str, int, str]) -> bool:
        """It has been ready for two seconds."""
        pods = [p for p in self.pods.values() if p.slot == key and self._ready(p)]
        return any(self._ready_since(p) + timedelta(seconds=2) <= self.now for p in pods)

    @staticmethod
    def _ready_since(pod: Pod) -> datetime:
        return max(pod.born + timedelta(seconds=3), pod.mended_at or pod.born)

    def _refuses(self, route_spec: dict) -> bool:
        """The gateway does not accept this route, whatever is otherwise said of it: it looks at a cookie."""
        return self.pins == "refused" and "RegularExpression" in str(route_spec)

    @staticmethod
    def _slot_of(service: str) -> tuple[str, int, str]:
        _, env, number, label = service.rsplit("-", 3)
        return env, int(number), label

    @staticmethod
    def _plan_of(route_spec: dict) -> int:
        return int(route_spec["rules"][-1]["filters"][0]["responseHeaderModifier"]["set"][0]["value"])
