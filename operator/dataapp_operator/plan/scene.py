"""The table a decision about one environment works on.

:class:`Scene` is what it sees; :class:`Draft` is where it notes what to do. The draft starts as the persisted memory;
each step may change it, and what stands in it at the end is written. Actions are justified by ``scene.memory`` (what
was persisted before this pass), never by what the draft has just become.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dataapp_operator.api.apprelease import AppReleaseSpec, AppReleaseStatus
from dataapp_operator.api.base import instant, seconds, timestamp
from dataapp_operator.api.dataapp import Environment, Replicas
from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import EnvironmentStatus, Scale, WaitingFor
from dataapp_operator.plan import fleet, health, names
from dataapp_operator.plan.actions import Action, Background, Target
from dataapp_operator.plan.code import CodeView
from dataapp_operator.plan.facts import FrontFacts, Observed, ReleaseFacts, SlotFacts
from dataapp_operator.plan.fleet import BLINK

HEARSAY = 15
"""Seconds after which what a front said says nothing any more: somebody may have come since."""
CALM = 5
"""Seconds for which a wait is not described more closely."""
PROGRESS_ALLOWANCE = 300
"""Seconds a release may take beyond its start-up time: pulling, scheduling, a slow disk."""


@functools.lru_cache(maxsize=1024)
def _begun(number: int, count: int) -> Scale:
    """The slots that a release begins with: asked for many times in every decision, and always the same."""
    return Scale(release=number, serving=tuple(range(count)))


@dataclass(frozen=True, slots=True)
class Scene:
    """What a decision about one environment sees."""

    observed: Observed
    environment: Environment | None
    """None: the environment is no longer in the spec."""
    cls: EnvironmentClassSpec | None
    memory: EnvironmentStatus
    host: str
    code: CodeView = field(default_factory=CodeView)

    @property
    def now(self) -> datetime:
        """The moment of the decision."""
        return self.observed.now

    @property
    def app(self) -> str:
        """The app's name."""
        return self.observed.name

    @property
    def env(self) -> str:
        """The environment's name."""
        return self.memory.name

    def release(self, number: int | None) -> ReleaseFacts | None:
        """The record of a release, if it is there."""
        return None if number is None else self.observed.releases.get((self.env, number))

    def spec(self, number: int | None) -> AppReleaseSpec | None:
        """The frozen spec of a release, if its record is there."""
        record = self.release(number)
        return record.spec if record else None

    @property
    def asked(self) -> Replicas | None:
        """How many replicas the author wants here, whatever release it is; None where nothing should run."""
        return None if self.environment is None else self.environment.app.replicas or self.observed.spec.app.replicas

    def is_fleet(self, number: int) -> bool:
        """Whether a release is one Deployment, whose pods are all alike."""
        spec = self.spec(number)
        if spec is None:
            return any(slot.deployment is not None for slot in self.slots(number).values())
        return spec.plan.workload == "deployment"

    def replicas(self, number: int) -> int:
        """With how many replicas a release serves."""
        if not self.is_fleet(number):
            return len(self.scale(number).serving)
        known = self.slot(number, 0).deployment
        return 0 if known is None else known.replicas

    def slots(self, number: int) -> dict[str, SlotFacts]:
        """What exists of a release's slots."""
        return dict(self.observed.slots.get((self.env, number), {}))

    def scale(self, number: int) -> Scale:
        """The slots of a release as they are persisted: what it began with, where nothing has changed since.

        Without a record, what it began with is what exists.
        """
        for known in self.memory.scales:
            if known.release == number:
                return known
        spec = self.spec(number)
        return _begun(number, spec.plan.slots if spec else max(len(self.slots(number)), 1))

    def slot(self, number: int, index: int) -> SlotFacts:
        """What exists of one slot."""
        return self.observed.slots.get((self.env, number), {}).get(names.slot_label(index), SlotFacts())

    def needed(self, number: int) -> dict[str, SlotFacts]:
        """The slots that a release needs to serve, existing or not."""
        return {names.slot_label(index): self.slot(number, index) for index in self.scale(number).serving}

    def pinned(self, number: int) -> tuple[int, ...]:
        """The slots to which a cookie leads: those that serve, those that leave, and those whose Service is there."""
        scale = self.scale(number)
        coming = [index for index in scale.starting if self.slot(number, index).service is not None]
        return tuple(sorted({*scale.serving, *coming, *(leaving.index for leaving in scale.leaving)}))

    def ready(self, number: int) -> bool:
        """Every needed slot can take traffic."""
        if self.is_fleet(number):
            return fleet.whole(self.slot(number, 0), self.spec(number))
        return all(slot.ready for slot in self.needed(number).values())

    def any_ready(self, number: int) -> bool:
        """At least one slot can take traffic."""
        return any(slot.ready for slot in self.slots(number).values())

    def health(self, number: int, since: datetime) -> list[tuple[str, health.Health]]:
        """The health of each needed slot."""
        spec, judged = self.spec(number), fleet.outlook if self.is_fleet(number) else health.of_slot
        return [(label, judged(slot, spec, since=since, now=self.now)) for label, slot in self.needed(number).items()]

    def on_cordoned_node(self, number: int) -> str | None:
        """A node that somebody is about to empty, and that has a pod of this release which nobody else moves."""
        if self.is_fleet(number):
            return None  # the cluster evicts its pods one by one, as its budget says
        pods = (pod for slot in self.slots(number).values() for pod in slot.pods if not pod.deleting and not pod.over)
        return next((pod.node for pod in pods if pod.node is not None and pod.node in self.observed.cordoned), None)

    def targets(self, number: int) -> tuple[Target, ...]:
        """The pods of a release that can be asked."""
        found = []
        for label, slot in sorted(self.slots(number).items()):
            found += [Target(slot=label, pod=pod.name, ip=pod.ip) for pod in slot.pods if pod.ip and not pod.over]
        return tuple(found)

    def fronts(self, number: int) -> list[FrontFacts]:
        """What the fronts of a release's pods said just now; an unknown one for a pod that was not asked, or long ago."""
        return [front for slot in self.slots(number).values() for front in self.fronts_of(slot)]

    def fronts_of(self, slot: SlotFacts) -> list[FrontFacts]:
        """The same of one slot."""
        # A pod of a Deployment that never had an address (no room for it, say) never had a visitor.
        pods = [pod for pod in slot.pods if not pod.over and (slot.deployment is None or pod.ip is not None)]
        said = [self.observed.fronts.get(pod.name, FrontFacts()) for pod in pods]
        oldest = self.now - timedelta(seconds=HEARSAY)
        return [front if front.at is not None and front.at >= oldest else FrontFacts() for front in said]

    def refusals(self) -> dict[str, str]:
        """What the API server refused of this environment: "Kind name" and its words."""
        own = names.weights_route(self.app, self.env)
        return {
            what: said
            for what, said in self.observed.rejections.items()
            if what.partition(" ")[2] == own or what.partition(" ")[2].startswith(f"{own}-")
        }

    def sessions(self, number: int) -> int | None:
        """Open sessions of a release; None when any of its fronts could not be asked."""
        live = [front.live for front in self.fronts(number)]
        known = [count for count in live if count is not None]
        return sum(known) if len(known) == len(live) else None


@dataclass(slots=True)
class Draft:
    """What a decision about one environment notes down."""

    memory: EnvironmentStatus
    now: datetime
    actions: list[Action] = field(default_factory=list)
    background: list[Background] = field(default_factory=list)
    records: dict[int, AppReleaseStatus] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    wake_at: list[datetime] = field(default_factory=list)
    last_number: int = 0
    trouble: tuple[Reason, str] | None = None
    """Something a person must mend: becomes the condition Stalled."""

    def update(self, **changes: object) -> None:
        """Change the memory."""
        self.memory = self.memory.model_copy(update=changes)

    def enter(self, phase: Phase, note: str, *, within: float | None = None) -> None:
        """Go to a phase, perhaps with a deadline in so many seconds."""
        deadline = None if within is None else timestamp(self.now + timedelta(seconds=within))
        since = timestamp(self.now)
        self.update(phase=str(phase), phase_since=since, deadline=deadline, hold_until=None, waiting_for=None)
        self.notes.append(note)

    def wait(self, reason: Reason, message: str, *, until: datetime | str | None = None, calmly: bool = False) -> None:
        """Say what is waited for. The beginning of a wait for the same thing is kept.

        ``calmly``: the steps of the first seconds are not told one by one; each would be two writes that nobody reads.
        """
        before = self.memory.waiting_for
        since = before.since if before and before.reason == reason else timestamp(self.now)
        told = instant(since) + timedelta(seconds=CALM)
        if calmly and before and before.reason == reason and self.now < told:
            message = before.message
            self.wake_at.append(told)
        text = timestamp(until) if isinstance(until, datetime) else until
        self.update(waiting_for=WaitingFor(reason=str(reason), message=message[:2048], since=since, until=text))
        if text:
            self.wake_at.append(instant(text))

    def stall(self, reason: Reason, message: str) -> None:
        """Say what a person must mend; it is tried again every little while."""
        self.wait(reason, message)
        self.trouble = (reason, message)

    def wake_in(self, seconds: float) -> None:
        """Look again after so many seconds at the latest."""
        self.wake_at.append(self.now + timedelta(seconds=seconds))

    def remove(self, numbers: Iterable[int]) -> None:
        """Put releases on the list of those whose parts are removed (from the next pass on)."""
        self.update(removing=tuple(sorted({*self.memory.removing, *numbers})))


def host_of(observed: Observed, environment: Environment) -> str:
    """The host of an environment; empty while its class is not there to say."""
    cls = observed.classes.get(environment.of_class)
    if environment.host or cls is None:
        return environment.host or ""
    return names.host(cls, app=observed.name, namespace=observed.namespace, environment=environment.name)


def start_limit(spec: AppReleaseSpec) -> int:
    """Seconds a release may take to start: what its author allows, and what pulling and scheduling take."""
    return seconds(spec.plan.probe.startup) + PROGRESS_ALLOWANCE


def since(memory: EnvironmentStatus, now: datetime) -> datetime:
    """When the current phase began."""
    return instant(memory.phase_since) if memory.phase_since else now


def crash(scene: Scene, number: int) -> str | None:
    """How an app ended by itself since this phase began, in words: with visitors on it, once is once too often."""
    for pod in (pod for slot in scene.needed(number).values() for pod in slot.counted):
        end = pod.app.last_exit
        if end is None or end.at is None or end.at < since(scene.memory, scene.now):
            continue
        if end.reason == "OOMKilled":
            spec = scene.spec(number)
            most = f" ({spec.run.resources.memory})" if spec else ""
            return f"the app needs more memory than it may use{most}: raise spec.app.resources.memory"
        return f"the app ended by itself (exit code {end.code}) while people used it"
    return None


def lost(scene: Scene, number: int) -> bool:
    """A needed replica has been away for longer than a blink."""
    began = since(scene.memory, scene.now)
    if scene.is_fleet(number):
        slot = scene.slot(number, 0)
        return slot.service is not None and fleet.lost(slot, scene.spec(number), since=began, now=scene.now)
    for slot in scene.needed(number).values():
        pod = slot.pod
        if slot.ready or (pod is not None and pod.ready):
            continue  # a Service that somebody deleted is made again in this pass
        if pod is None or pod.unready_since is None:
            return (scene.now - began).total_seconds() > BLINK
        if (scene.now - pod.unready_since).total_seconds() > BLINK:
            return True
    return False
