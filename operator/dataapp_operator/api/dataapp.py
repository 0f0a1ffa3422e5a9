"""DataApp: one app, as its author commits it to git.

Only what the operator obeys today is in the schema; anything else is refused as unknown. Rules that cannot be said
by a type are CEL rules with a message for the author, so that ``kubectl apply`` (and the server-side dry run of a CI
job) already says what to mend.
"""

from typing import Any, Literal

from pydantic import Field

from dataapp_operator.api.analysis import METRICS, Metric
from dataapp_operator.api.base import DURATION_PATTERN, Duration, Model
from dataapp_operator.api.code import MAX_INCLUDES, GitRef, LocalName, path_field, url_field

Framework = Literal["streamlit", "shiny-r", "shiny-python", "fastapi"]

Workload = Literal["slots", "deployment"]

DEFAULT_PORTS: dict[str, int] = {"streamlit": 8501, "shiny-r": 3838, "shiny-python": 8000, "fastapi": 8000}
SESSIONLESS: frozenset[str] = frozenset({"fastapi"})
"""Frameworks whose apps keep nothing of a visitor in their process: any replica may answer any request."""
FRONT_PORTS = (18080, 18081, 18082)
MAX_APP_NAME = 30
MAX_SLOTS = 8

_IMAGE_RULE = {
    "rule": r"self.matches('^[a-zA-Z0-9][a-zA-Z0-9._:/-]*@sha256:[0-9a-f]{64}$')",
    "message": "pin the image by its digest (registry/name@sha256:<64 hex digits>): a tag can point at another image"
    " tomorrow, and nobody could say what was tested",
}
_PORT_RULE = {
    "rule": "self < 18080 || self > 18082",
    "message": "ports 18080 to 18082 are used by the session counter beside the app; choose another port",
}
_ENV_RULE = {
    "rule": "has(self.value) != has(self.valueFrom)",
    "message": "give each variable either a value or valueFrom.secretKeyRef, not both and not neither",
}
_RESERVED_ENV_RULE = {
    "rule": "!self.startsWith('DATAAPP_')",
    "message": "names that begin with DATAAPP_ are set by the operator; choose another name",
}
_DRAIN_RULE = {
    # What is no duration at all is told by the fields' own rule.
    "rule": f"[self.emptyFor, self.max].exists(d, !d.matches(r'{DURATION_PATTERN}'))"
    " || duration(self.emptyFor) <= duration(self.max)",
    "message": "drain.emptyFor (how long a replica must be empty) cannot be longer than drain.max (when it is ended in any case)",
}
_RISING_RULE = {
    "rule": "self.map(step, step.weight).isSorted() && self.all(step, self.exists_one(other, other.weight == step.weight))",
    "message": "the steps' weights must grow from each step to the next, like 5, 25, 50",
}
_CANARY_RULE = {
    "rule": "!has(self.canary) || self.strategy == 'canary'",
    "message": "steps are for strategy: canary; set it, or leave canary out",
}
_HOLD_RULE = {
    "rule": "!has(self.blueGreen) || (self.strategy == 'blueGreen' && self.compatibility != 'exclusive')",
    "message": "blueGreen.hold is for strategy: blueGreen; leave it out (the steps of a canary have a hold of their own)",
}
_EXCLUSIVE_RULE = {
    "rule": "self.strategy != 'canary' || self.compatibility != 'exclusive'",
    "message": "in the steps of a canary two releases serve side by side, which compatibility: exclusive rules out: use strategy:"
    " recreate",
}
_ONE_WAY_RULE = {
    "rule": "self.strategy != 'recreate' || self.compatibility != 'irreversible'",
    "message": "strategy: recreate ends the release before, and starts it again if the new one fails, which compatibility:"
    " irreversible rules out: use blueGreen or canary",
}
_MAX_RULE = {
    "rule": "!has(self.max) || self.max >= self.min",
    "message": "replicas.max cannot be less than replicas.min",
}
_PER_REPLICA_RULE = {
    "rule": "!has(self.max) || self.max == self.min || has(self.sessionsPerReplica) || has(self.cpu)",
    "message": "say in replicas.sessionsPerReplica how many sessions one copy carries: nobody else knows when another is"
    " needed. Of an app without sessions (FastAPI), say in replicas.cpu at how many percent of its CPU another is needed",
}
_EITHER_RULE = {
    "rule": "!has(self.cpu) || !has(self.sessionsPerReplica)",
    "message": "say either replicas.cpu or replicas.sessionsPerReplica: by which of them copies are added",
}
_CPU_RULE = {
    "rule": "!has(self.app) || !has(self.app.framework) || !has(self.app.replicas) || !has(self.app.replicas.cpu)"
    f" || (self.app.framework in {sorted(SESSIONLESS)} && !has(self.app.sessions))",
    "message": "replicas.cpu is for apps that keep no sessions: of this one, say in replicas.sessionsPerReplica how many"
    " sessions one copy carries",
}
_HOST_RULE = {
    "rule": r"self.matches(r'^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",
    "message": "a host is a DNS name such as sales.example.org: small letters, digits, '-' and dots, at most 63 characters"
    " between two dots, without port or path",
}
_MEMORY_PATTERN = r"^[0-9]{1,12}(Ki|Mi|Gi|Ti|k|M|G|T)?$"
_MEMORY_RULE = {
    "rule": f"!self.matches(r'{_MEMORY_PATTERN}') || quantity(self).compareTo(quantity('16Mi')) >= 0",
    "message": "no app starts with less than 16Mi of memory (Mi are mebibytes; a plain number counts bytes)",
}
_IMAGE_OR_CODE_RULE = {
    "rule": "!has(self.image) || (!has(self.source) && !has(self.build))",
    "message": "an app is either a prebuilt image or code: with image, leave source and build out",
}
_IMAGE_FRAMEWORK_RULE = {
    "rule": "!has(self.image) || (has(self.app) && has(self.app.framework))",
    "message": "an image does not say what it is written with, and a real session is opened differently for each:"
    " set app.framework",
}
_INCLUDE_RULE = {
    "rule": "!self.startsWith('/') && !self.contains('\\\\') && self.split('/').all(part,"
    " part != '' && part != '.' && part != '..' && part.lowerAscii() != '.git')",
    "message": "a directory or file is written from the top of the repository, like libs/common, without .. and without a"
    " leading /",
}
_TAG_RULE = {
    "rule": "self.matches('^[A-Za-z0-9*][A-Za-z0-9._/+*-]*$')",
    "message": "write the pattern of the tags like v* or release/*",
}
_VARIABLE_MESSAGE = "a variable's name has letters, digits and '_', and does not begin with a digit"
_ENVIRONMENT_MESSAGE = (
    "an environment's name has small letters and digits, no '-', and begins with a letter, like test or production2"
)
NAME_RULE = {
    "rule": f"self.metadata.name.size() <= {MAX_APP_NAME} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    "message": f"an app's name has at most {MAX_APP_NAME} characters: small letters, digits and '-', beginning with a letter"
    " (hosts and the names of its parts are made from it)",
}


def _cel(*rules: dict[str, str]) -> dict[str, Any]:
    return {"x-kubernetes-validations": list(rules)}


_INCLUDE_ITEM: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 512} | _cel(_INCLUDE_RULE)


class SecretKeyRef(Model):
    """One key of a Secret in the app's own namespace. The operator never reads it."""

    name: str = Field(min_length=1, max_length=253)
    key: str = Field(min_length=1, max_length=253)


class EnvSource(Model):
    """Where a variable's value comes from."""

    secret_key_ref: SecretKeyRef


class EnvVar(Model):
    """One environment variable of the app."""

    name: str = Field(
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        json_schema_extra=_cel(_RESERVED_ENV_RULE) | {"x-message": _VARIABLE_MESSAGE},
    )
    value: str | None = Field(default=None, max_length=8192)
    value_from: EnvSource | None = None

    model_config = Model.model_config | {"json_schema_extra": _cel(_ENV_RULE)}


class Resources(Model):
    """What one replica may use."""

    cpu: str = Field(
        default="100m",
        max_length=16,
        pattern=r"^[0-9]+(\.[0-9]+)?m?$",
        description="Requested CPU, 500m or 2.",
        json_schema_extra={"x-message": "write CPU like 500m (half a core) or 2"},
    )
    memory: str = Field(
        default="512Mi",
        max_length=16,
        pattern=_MEMORY_PATTERN,
        description="Memory, requested and at most.",
        json_schema_extra=_cel(_MEMORY_RULE) | {"x-message": "write memory like 512Mi or 2Gi, without a space"},
    )


class Replicas(Model):
    """How many copies of the app run. Sessions stay with the copy they began on.

    A change is no release: copies of the one that serves are added, or leave once their last session has ended.
    """

    min: int = Field(default=1, ge=1, le=MAX_SLOTS)
    max: int | None = Field(
        default=None,
        ge=1,
        le=MAX_SLOTS,
        description="Up to how many, as open sessions ask for them; without it, always min.",
    )
    sessions_per_replica: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="How many sessions one copy carries. Who comes when all are full gets a page that says so and tries again"
        " by itself; with max, another copy is started before that. (An API of which this is said has replicas one by one.)",
    )
    cpu: int | None = Field(
        default=None,
        ge=10,
        le=100,
        description="Of an app without sessions: copies are added, up to max, when they use more than so many percent of the CPU"
        " that they ask for, and taken away when less would do. 80, say.",
    )

    model_config = Model.model_config | {"json_schema_extra": _cel(_MAX_RULE, _PER_REPLICA_RULE, _EITHER_RULE)}

    @property
    def most(self) -> int:
        """The largest number of copies."""
        return max(self.max or self.min, self.min)

    @property
    def by_cpu(self) -> bool:
        """Whether copies come and go by the CPU that they use."""
        return self.cpu is not None and self.most > self.min


class Probe(Model):
    """How the operator finds out that the app works."""

    startup: Duration = Field(default="5m", description="How long a replica may take until it listens on its port.")


_ENV_FIELD: Any = Field(
    default=(),
    max_length=64,
    json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
)


class AppSpec(Model):
    """How the app runs."""

    framework: Framework | None = Field(
        default=None,
        description="What the app is written with: it decides how a real session is opened. Found out from the code; an"
        " image does not say it.",
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Where the app listens; by default the framework's usual port (Streamlit 8501, Shiny for R 3838, Shiny"
        " for Python and FastAPI 8000).",
        json_schema_extra=_cel(_PORT_RULE),
    )
    env: tuple[EnvVar, ...] = _ENV_FIELD
    resources: Resources = Resources()
    replicas: Replicas = Replicas()
    probe: Probe = Probe()
    sessions: Literal["inProcess"] | None = Field(
        default=None,
        description="inProcess: an API that keeps something of a visitor in its process (a websocket's state, a login in memory)"
        " has replicas of their own, and a visitor stays with one. Streamlit and Shiny are like that without saying so.",
    )
    embed: bool = Field(
        default=False,
        description="Shown inside pages of other sites: the cookie that keeps a visitor with a replica is sent there, too. Needs"
        " a class whose urlTemplate begins with https://.",
    )

    @property
    def listens_on(self) -> int:
        """The port the app listens on. Its framework must be known."""
        return self.port or DEFAULT_PORTS[self.framework or ""]

    @property
    def sessionless(self) -> bool:
        """Nothing of a visitor is kept in the process, so that any copy may answer any request."""
        return self.framework in SESSIONLESS and self.sessions is None

    @property
    def workload(self) -> Workload:
        """What its copies are. Whoever counts what is open on a single one of them wants them one by one."""
        counted = self.replicas.sessions_per_replica is not None
        return "deployment" if self.sessionless and not counted else "slots"


class AppOverride(Model):
    """What one environment has instead of, or beside, what ``spec.app`` says."""

    env: tuple[EnvVar, ...] = _ENV_FIELD
    resources: Resources | None = None
    replicas: Replicas | None = None
    probe: Probe | None = None
    embed: bool | None = None


class Drain(Model):
    """How long open sessions of an old release are kept."""

    max: Duration = Field(default="4h", description="After this time a replica of an old release is ended in any case.")
    empty_for: Duration = Field(
        default="2m",
        description="A replica may go once nothing was open on it for so long (a laptop asleep reconnects within it).",
    )

    model_config = Model.model_config | {"json_schema_extra": _cel(_DRAIN_RULE)}


class KeepWarm(Model):
    """How long a former release stays ready after its last session, to be gone back to without a new pod."""

    releases: int = Field(default=1, ge=0, le=4, description="How many former releases, the newest ones.")
    for_: Duration = Field(
        default="1h", alias="for", description="For how long after visitors were sent to its successor."
    )


class Rollback(Model):
    """What happens to a release that fails after visitors have come to it."""

    sessions: Literal["drain", "evict"] = Field(
        default="drain",
        description="drain: who has it open may go on; evict: where its sessions fail, they are ended as soon as new visitors"
        " are sent back, so that a reload brings everybody to what works.",
    )


class CanaryStep(Model):
    """A share of the new visitors, and how long it is kept. Who is there stays with the release they came to."""

    weight: int = Field(ge=1, le=99, description="Percent of the new visitors that come to the new release.")
    hold: Duration = Field(
        default="0s", description="For how long at least, while its sessions are checked again and again."
    )
    pause: bool = Field(default=False, description="After the hold, wait until a person says resume.")
    replicas: int | None = Field(
        default=None,
        ge=1,
        le=MAX_SLOTS,
        description="With how many replicas it carries this step; by default with all. More are started where its share of the"
        " visitors needs them, and none is taken away before the next step. Not for apps that are one Deployment.",
    )


class Canary(Model):
    """The way of a new release to all new visitors, step by step; after the last one it bakes as any other."""

    steps: tuple[CanaryStep, ...] = Field(
        default=(
            CanaryStep(weight=5, hold="10m"),
            CanaryStep(weight=25, hold="10m"),
            CanaryStep(weight=50, hold="10m"),
        ),
        min_length=1,
        max_length=16,
        json_schema_extra=_cel(_RISING_RULE) | {"x-kubernetes-list-type": "atomic"},
    )


class BlueGreen(Model):
    """The way of a new release to all new visitors at once."""

    hold: Duration = Field(
        default="0s",
        description="For how long at least a release that has passed its checks can be looked at under its preview host,"
        " before new visitors are sent to it.",
    )


class ReleasePolicy(Model):
    """How a new release takes over."""

    strategy: Literal["blueGreen", "canary", "recreate"] = Field(
        default="blueGreen",
        description="blueGreen: all new visitors at once; canary: a growing share of them, step by step; recreate: for apps that"
        " cannot run twice, the release before ends before the new one starts.",
    )
    blue_green: BlueGreen | None = Field(
        default=None,
        description="What comes before the switch of strategy blueGreen; by default nothing but the checks.",
    )
    canary: Canary | None = Field(
        default=None, description="The steps of strategy canary; by default 5, 25 and 50 percent for 10 minutes each."
    )
    compatibility: Literal["concurrent", "exclusive", "irreversible"] = Field(
        default="concurrent",
        description="concurrent: the release before can take everybody back; exclusive: two releases must not run side by side"
        " (as strategy recreate); irreversible: the release before cannot take anybody back (a database was changed, say), so"
        " one that fails once visitors have come to it keeps them until a person or the next change decides.",
    )
    bake: Duration = Field(
        default="2m", description="How long the old release is kept whole after the switch, in case the new one fails."
    )
    drain: Drain = Drain()
    keep_warm: KeepWarm = KeepWarm()
    rollback: Rollback = Rollback()
    analysis: tuple[Metric, ...] = METRICS

    model_config = Model.model_config | {
        "json_schema_extra": _cel(_CANARY_RULE, _HOLD_RULE, _EXCLUSIVE_RULE, _ONE_WAY_RULE)
    }

    @property
    def way(self) -> Literal["blueGreen", "canary", "recreate"]:
        """The strategy, with what the compatibility asks for."""
        return "recreate" if self.compatibility == "exclusive" else self.strategy

    @property
    def hold(self) -> Duration:
        """For how long a release that has passed its checks waits before the switch."""
        return self.blue_green.hold if self.blue_green is not None and self.way == "blueGreen" else "0s"

    @property
    def steps(self) -> tuple[CanaryStep, ...]:
        """The steps on the way to all new visitors; none where they come at once."""
        return (self.canary or Canary()).steps if self.way == "canary" else ()


PROMOTION_MODES = ("auto", "tag", "manual")
"""From lax to strict: a class may ask for more than an author does, never for less."""


class Promotion(Model):
    """When a release that an earlier environment has goes on to this one."""

    mode: Literal["auto", "tag", "manual"] | None = Field(
        default=None,
        description="auto: as soon as it may; manual: when a person promotes it (annotation dataapps.dev/promote); tag: when"
        " a tag in the repository points at its code. By default what the class asks for, else auto.",
    )
    tags: str = Field(
        default="*",
        min_length=1,
        max_length=128,
        description="Which tags count with mode tag, like v*. The newest counts.",
        json_schema_extra=_cel(_TAG_RULE),
    )
    soak: Duration = Field(
        default="0s", description="For how long the earlier environment must have had it, before it goes on."
    )


class Environment(Model):
    """One place where the app runs. A release reaches an environment once the one before it in the list has it."""

    name: str = Field(
        min_length=1,
        max_length=15,
        pattern=r"^[a-z][a-z0-9]*$",
        description="Small letters and digits, at most 15, beginning with a letter.",
        json_schema_extra={"x-message": _ENVIRONMENT_MESSAGE},
    )
    class_name: str | None = Field(
        default=None,
        alias="class",
        max_length=63,
        description="The EnvironmentClass; by default the environment's own name.",
    )
    host: str | None = Field(
        default=None,
        max_length=253,
        description="The app's host; by default from the class's hostTemplate.",
        json_schema_extra=_cel(_HOST_RULE),
    )
    promotion: Promotion = Promotion()
    pin: str | None = Field(
        default=None,
        min_length=7,
        max_length=40,
        pattern=r"^[0-9a-f]{7,40}$",
        description="Hold this environment at the release of this commit, or bring it back there.",
        json_schema_extra={"x-message": "write the commit with 7 to 40 hexadecimal digits, in small letters"},
    )
    app: AppOverride = Field(
        default=AppOverride(), description="What is different here: variables, size, replicas, start-up time."
    )
    release: ReleasePolicy = ReleasePolicy()

    @property
    def of_class(self) -> str:
        """The name of its EnvironmentClass."""
        return self.class_name or self.name


class CodeSource(Model):
    """Where the code is, for an app that no AppSource brings."""

    url: str = url_field("The repository, as https://host/path/name.git.")
    ref: GitRef = GitRef()
    path: str = path_field(".", "The app's directory in it.")
    interval: Duration = Field(default="1m", description="How often to look for a new commit, at least every 5s.")
    secret_ref: LocalName | None = Field(
        default=None,
        description="A Secret with username and password (or bearerToken), and ca.crt where the server's certificate is"
        " signed by an authority of your own.",
    )


class BuildOptions(Model):
    """What the operator could not find out from the code by itself."""

    entrypoint: str | None = Field(
        default=None,
        max_length=512,
        description="The file to start, like app.py, from the app's directory; for an API file:object, like main.py:api.",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./ -]*(:[A-Za-z_][A-Za-z0-9_]*)?$",
        json_schema_extra={
            "x-message": "write the file as it is called in the app's directory, like app.py or src/main.py"
        },
    )
    include: tuple[str, ...] = Field(
        default=(),
        max_length=MAX_INCLUDES,
        description="Directories outside of the app's own that it needs too, from the top of the repository.",
        json_schema_extra={
            "items": _INCLUDE_ITEM,
            "x-kubernetes-list-type": "atomic",
        },
    )
    dockerfile: str | None = Field(
        default=None,
        max_length=512,
        description="The app's own Dockerfile, in its directory; without it a file called Dockerfile is used, if there is one.",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$",
        json_schema_extra={"x-message": "write the file as it is called in the app's directory, like Dockerfile.prod"},
    )


class DataAppSpec(Model):
    """What an author says about an app. Nothing at all is enough where an AppSource brings the manifest with its code."""

    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=512,
        description="A prebuilt image, pinned by digest, instead of code.",
        json_schema_extra=_cel(_IMAGE_RULE),
    )
    source: CodeSource | None = Field(
        default=None,
        description="Where the code is; by default beside the manifest, in the repository that an AppSource has it from.",
    )
    build: BuildOptions | None = None
    app: AppSpec = AppSpec()
    environments: tuple[Environment, ...] = Field(
        default=(),
        max_length=8,
        description="In the order in which a release goes through them; by default those of the classes that have a"
        " defaultPosition.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )

    model_config = Model.model_config | {
        "json_schema_extra": _cel(_IMAGE_OR_CODE_RULE, _IMAGE_FRAMEWORK_RULE, _CPU_RULE)
    }

    @property
    def options(self) -> BuildOptions:
        """What is said about the build; the defaults where nothing is."""
        return self.build or BuildOptions()
