"""DataApp.status: the only memory that decisions read.

``environments[]`` holds, per environment, which release is stable, which one is the candidate and how far it has come,
what was decided but not yet observed (``intent``), who drains, what is being removed and what failed before
(``quarantined``). ``summary`` and ``conditions`` are for people and tools and are never read back by a decision.
"""

from pydantic import Field
from pydantic.config import JsonDict

from dataapp_operator.api.base import Model, Timestamp
from dataapp_operator.api.code import DetectedBy
from dataapp_operator.api.conditions import Condition

_LIST_BY_RELEASE: JsonDict = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["release"]}
SCALE = 1000
"""The sum of the weights of an environment."""


class WaitingFor(Model):
    """What an environment waits for: every state that is not final carries one."""

    reason: str = Field(max_length=128)
    message: str = Field(max_length=2048)
    since: Timestamp
    until: Timestamp | None = None


class Intent(Model):
    """A switch that is justified and written down, but not yet observed at the gateway."""

    switch_to: int
    plan: int
    weight: int | None = Field(
        default=None, description="Its share of new visits, of 1000, where the rest stays with the stable release."
    )
    evict: bool = Field(default=False, description="What is left is ended once visitors are seen to be elsewhere.")


class Stuck(Model):
    """A release that failed with visitors on it, and that only a person may take back: it keeps what it has.

    Where it was (``phase``, ``step``, ``intent``) is kept while a newer change tries to take its place.
    """

    release: int
    reason: str = Field(max_length=128)
    message: str = Field(max_length=2048)
    since: Timestamp
    phase: str | None = Field(default=None, max_length=32)
    step: int | None = None
    intent: Intent | None = None


class Stopped(Model):
    """The stable release, ended to make room for one that must not run beside it: it is started again if that one fails."""

    release: int
    since: Timestamp = Field(description="Since when new visitors have had a page that asks for patience.")


class Weight(Model):
    """The share of new visits a release gets, of :data:`SCALE`. Release 0 is a page that asks for patience."""

    release: int
    weight: int


class Draining(Model):
    """A release that gets no new visits and keeps its open sessions."""

    release: int
    sessions: int | None = Field(default=None, description="Open sessions; absent means unknown, which is not zero.")
    since: Timestamp
    forced_at: Timestamp
    warm_until: Timestamp | None = Field(
        default=None, description="Once its last session has ended it is kept until then, to be gone back to."
    )


class Warm(Model):
    """A former release without sessions whose pods are kept: going back to it needs no new one."""

    release: int
    until: Timestamp
    forced_at: Timestamp = Field(description="When it ends even if somebody has come back to it.")


class Artefact(Model):
    """What a live release consists of; kept here so that a deleted record costs nothing."""

    release: int
    image: str = Field(max_length=512)
    config_hash: str = Field(max_length=64)
    commit: str | None = Field(default=None, max_length=40)
    irreversible: bool | None = Field(default=None, description="Going back from it is a person's decision.")


class Quarantined(Model):
    """A release that failed here: the same image with the same configuration is not tried again by itself."""

    release: int
    image: str = Field(max_length=512)
    config_hash: str = Field(max_length=64)
    reason: str = Field(max_length=4096)


class LeavingSlot(Model):
    """A replica of a release that serves: it gets no new visits and keeps its open sessions."""

    index: int
    since: Timestamp
    forced_at: Timestamp


class Scale(Model):
    """The replicas of a release, by their index, where they are not those that it began with."""

    release: int
    serving: tuple[int, ...] = Field(
        max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}, description="They get new visits."
    )
    starting: tuple[int, ...] = Field(default=(), max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    leaving: tuple[LeavingSlot, ...] = Field(
        default=(), max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    removing: tuple[int, ...] = Field(default=(), max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    fewer_since: Timestamp | None = Field(default=None, description="Since when fewer replicas would be enough.")


class Answer(Model):
    """What became of a person's command: what was done, or why nothing was."""

    command: str = Field(max_length=32, description="abort, pause, resume, promote-full, rollback or restart.")
    word: str = Field(max_length=64, description="The release that it named.")
    at: Timestamp
    message: str = Field(max_length=1024)


class CodeStatus(Model):
    """What the app's code was when it was last read, and the build of it."""

    revision: str = Field(default="", max_length=512, description="Where it stood, like main@sha1:….")
    commit: str = Field(max_length=40)
    tree: str = Field(max_length=40, description="A digest of the app's files, without its manifest.")
    inputs: str = Field(max_length=64, description="A digest of all else that the build depends on.")
    framework: str = Field(max_length=32)
    entrypoint: str = Field(default="", max_length=512)
    detected_by: DetectedBy
    build: str = Field(max_length=63, description="The AppBuild of it.")
    image: str | None = Field(default=None, max_length=512, description="What came out, once it is built.")


class EnvironmentStatus(Model):
    """The memory of one environment."""

    name: str = Field(max_length=15)
    host: str | None = Field(default=None, max_length=253)
    url: str | None = Field(default=None, max_length=512, description="Where people find the app.")
    stable: int | None = None
    stable_since: Timestamp | None = Field(default=None, description="When the stable release became it.")
    candidate: int | None = None
    phase: str | None = Field(default=None, max_length=32)
    phase_since: Timestamp | None = None
    deadline: Timestamp | None = None
    hold_until: Timestamp | None = Field(
        default=None, description="Until when a candidate that has passed its checks is kept for people to look at."
    )
    step: int | None = Field(default=None, description="The index of the canary step that the candidate is at.")
    plan: int = 0
    intent: Intent | None = None
    stuck: Stuck | None = None
    stopped: Stopped | None = None
    weights: tuple[Weight, ...] = Field(default=(), max_length=32, json_schema_extra=_LIST_BY_RELEASE)
    draining: tuple[Draining, ...] = Field(default=(), max_length=32, json_schema_extra=_LIST_BY_RELEASE)
    warm: tuple[Warm, ...] = Field(default=(), max_length=8, json_schema_extra=_LIST_BY_RELEASE)
    removing: tuple[int, ...] = Field(default=(), max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    scales: tuple[Scale, ...] = Field(default=(), max_length=32, json_schema_extra=_LIST_BY_RELEASE)
    artefacts: tuple[Artefact, ...] = Field(default=(), max_length=64, json_schema_extra=_LIST_BY_RELEASE)
    quarantined: tuple[Quarantined, ...] = Field(default=(), max_length=16, json_schema_extra=_LIST_BY_RELEASE)
    waiting_for: WaitingFor | None = None
    answers: tuple[Answer, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["command"]},
        description="The newest answer to each command.",
    )

    @property
    def former(self) -> set[int]:
        """The releases that served before and are still there: they drain, or are kept warm."""
        return {d.release for d in self.draining} | {w.release for w in self.warm}

    def artefact(self, release: int | None) -> Artefact | None:
        """What a live release consists of."""
        return next((a for a in self.artefacts if a.release == release), None)


class Summary(Model):
    """The printer columns' answers."""

    released: str = Field(default="", max_length=512)
    moving: str = Field(default="", max_length=512)
    waiting_since: Timestamp | None = None
    sessions: int | None = None
    commit: str = Field(default="", max_length=64, description="The commit that the last environment serves.")


class DataAppStatus(Model):
    """What the operator knows and decided about an app."""

    observed_generation: int | None = None
    last_handled_reconcile_at: str | None = Field(default=None, max_length=256)
    code: CodeStatus | None = None
    last_number: int = Field(default=0, description="The highest release number given so far.")
    summary: Summary = Summary()
    environments: tuple[EnvironmentStatus, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )

    def environment(self, name: str) -> EnvironmentStatus:
        """The memory of an environment; an empty one when there is none yet."""
        return next((e for e in self.environments if e.name == name), None) or EnvironmentStatus(name=name)
