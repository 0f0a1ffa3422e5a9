"""A plan, as data: what to write, in order, and what slow work to start.

``apply`` (in ``control``) turns each action into one API call. The order inside a plan is the order of the calls:
actions, then the records (AppRelease.status), then DataApp.status last.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dataapp_operator.api.apprelease import AppReleaseStatus
from dataapp_operator.api.status import DataAppStatus
from dataapp_operator.plan.facts import GatewayKey, Origin

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CreateRelease:
    """POST an AppRelease; one that exists with the same spec is adopted."""

    manifest: Json


@dataclass(frozen=True, slots=True)
class CreateBuild:
    """POST an AppBuild; one that exists is the same build and is adopted."""

    manifest: Json


@dataclass(frozen=True, slots=True)
class Hold:
    """Put our finalizer on exactly this DataApp, or (``keep`` false) take it off: then the object may go."""

    name: str
    uid: str
    resource_version: str
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Create:
    """POST a child of which others may change a part later, so that it is never applied again as a whole."""

    manifest: Json


@dataclass(frozen=True, slots=True)
class Ensure:
    """Server-side apply of one child; with a ``part``, of some of its fields, which are written by themselves."""

    manifest: Json
    part: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete exactly this incarnation of an object."""

    kind: str
    name: str
    uid: str
    resource_version: str | None = None
    propagation: str | None = None
    grace_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Write AppRelease.status."""

    environment: str
    number: int
    name: str
    resource_version: str
    status: AppReleaseStatus


Action = CreateRelease | CreateBuild | Hold | Create | Ensure | Delete


@dataclass(frozen=True, slots=True)
class Target:
    """A pod to open a session on."""

    slot: str
    pod: str
    ip: str


@dataclass(frozen=True, slots=True)
class StartCheck:
    """Open real sessions on every slot of a release."""

    environment: str
    number: int
    attempt: int
    framework: str
    host: str
    targets: tuple[Target, ...]
    samples: int = 3
    """Sessions at the least, over all slots."""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of new visits, of the routes' scale, that a release is to get over so many slots."""

    number: int
    weight: int
    slots: int


@dataclass(frozen=True, slots=True)
class ObserveGateway:
    """Look through the gateway until new visits carry this plan and reach this release."""

    environment: str
    number: int
    plan: int
    host: str
    address: str
    among: tuple[int, ...] = ()
    """The releases that new visitors get by this plan; only the one with this number, if it says nothing."""
    gateway: GatewayKey | None = None
    weigh: tuple[Share, ...] = ()
    """Count besides whether new visits are shared out like this: nobody knows yet whether this Gateway does it."""


@dataclass(frozen=True, slots=True)
class ProveGateway:
    """Find out what a Gateway does with visitors, on the preview host of a release: nobody else is sent there.

    ``slots``: those to tell apart, the first being the one that the preview host leads to; ``cookie``: the name of the
    release's pin cookie. ``ready``: the routes are in place, so that visits tell something; until then this app is only the
    one that is going to make them. ``refused``: the Gateway does not accept the route with the cookies, in its words.
    """

    gateway: GatewayKey
    environment: str
    number: int
    slots: tuple[int, ...]
    cookie: str
    host: str
    address: str
    ready: bool = False
    refused: str = ""


@dataclass(frozen=True, slots=True)
class ReadLog:
    """Fetch the end of the log of a release's pods."""

    environment: str
    number: int
    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskFronts:
    """Ask the fronts of these pods for their open sessions, again and again while this is part of the plan."""

    environment: str
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A query of a metric, how often it is asked (seconds), and when its number is bad."""

    metric: str
    query: str
    interval: float
    fail_when: str


@dataclass(frozen=True, slots=True)
class AskPrometheus:
    """Put these questions about a release, again and again while this is part of the plan; counted from ``since``."""

    environment: str
    number: int
    address: str
    since: datetime
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class ReadCode:
    """Read the app's code, and say what it is; again every ``interval`` seconds where it may change by itself.

    ``request``: somebody wants it looked at now; ``tags``: the patterns of tags that count, if any do.
    """

    key: str
    origin: Origin
    framework: str | None
    entrypoint: str | None
    dockerfile: str | None
    include: tuple[str, ...]
    interval: float | None
    request: str | None = None
    tags: tuple[str, ...] = ()


Background = StartCheck | ObserveGateway | ProveGateway | ReadLog | AskFronts | AskPrometheus | ReadCode


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one DataApp now. ``requeue_after`` in seconds, None: nothing to wait for but events."""

    status: DataAppStatus
    actions: tuple[Action, ...] = ()
    records: tuple[Record, ...] = ()
    background: tuple[Background, ...] = ()
    requeue_after: float | None = None
    notes: tuple[str, ...] = field(default=())
    """One line per transition, for the log."""
