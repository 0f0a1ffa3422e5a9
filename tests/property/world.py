"""A small cluster in memory, for the machine's properties: it decides nothing, it only does what controllers do.

It stands in for time, pods, a gateway and visitors, so that a plan can be cut off after any single call and the next
pass begins with nothing but what was written. Every call is checked against the invariants at the moment it is made.
The proof that a real cluster behaves like this is in ``tests/apiserver`` and ``tests/e2e``.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from dataapp_operator.api.apprelease import AppReleaseSpec, AppReleaseStatus
from dataapp_operator.api.base import instant, seconds
from dataapp_operator.api.dataapp import DataAppSpec
from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.status import SCALE, DataAppStatus, EnvironmentStatus
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import names, routes
from dataapp_operator.plan.actions import (
    AskFronts,
    CreateRelease,
    Delete,
    Ensure,
    ObserveGateway,
    Plan,
    ReadLog,
    StartCheck,
)
from dataapp_operator.plan.decide import decide
from dataapp_operator.plan.facts import (
    CheckFacts,
    ContainerFacts,
    Exit,
    FrontFacts,
    GatewayFacts,
    LogFacts,
    ObjectFacts,
    Observed,
    PodFacts,
    ReleaseFacts,
    ReplicaSetFacts,
    RouteFacts,
    SlotFacts,
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
KINDS = ("good", "crash", "session", "silent", "late")
"""What an image does: works; ends at start; fails in a session; gives no verdict; works and fails in its bake."""


def image(kind: str, serial: int) -> str:
    """An image whose behaviour can be read from its name."""
    return f"lab/{kind}-{serial}@sha256:{serial:064x}"


def kind_of(image_name: str) -> str:
    return re.match(r"lab/([a-z]+)-", image_name).group(1)


def spec(image_name: str, *, environments: int = 1, slots: int = 2) -> DataAppSpec:
    """A DataApp of one framework with short times."""
    policy = {"bake": "30s", "drain": {"max": "10m", "emptyFor": "20s"}}
    return DataAppSpec.model_validate(
        {
            "image": image_name,
            "app": {"framework": "streamlit", "replicas": {"min": slots}, "probe": {"startup": "30s"}},
            "environments": [{"name": f"env{i}", "release": policy} for i in range(environments)],
        }
    )


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
    deleting: bool = False
    over: bool = False


@dataclass
class World:
    """The cluster. ``status`` is what is persisted; ``memory`` is what dies with the operator."""

    spec: DataAppSpec
    now: datetime = START
    status: DataAppStatus = field(default_factory=DataAppStatus)
    generation: int = 1
    serial: int = 0
    releases: dict[tuple[str, int], tuple[AppReleaseSpec, AppReleaseStatus, str]] = field(default_factory=dict)
    images: dict[tuple[str, int], str] = field(default_factory=dict)
    """What each release was made from, for pods that outlive its record."""
    replicasets: dict[tuple[str, int, str], str] = field(default_factory=dict)
    services: dict[tuple[str, int, str], str] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    routes: dict[str, tuple[dict, str, datetime]] = field(default_factory=dict)
    checks: dict[tuple[str, int], CheckFacts] = field(default_factory=dict)
    views: dict[str, ViewFacts] = field(default_factory=dict)
    logs: dict[tuple[str, int], LogFacts] = field(default_factory=dict)
    fronts: dict[str, FrontFacts] = field(default_factory=dict)
    gateway_accepts: bool = True
    fronts_answer: bool = True
    calls: int = 0
    history: list[str] = field(default_factory=list)
    deleted_routes: dict[str, dict] = field(default_factory=dict)
    """Routes that somebody deleted by hand, as they were."""
    exposed: set[tuple[str, int]] = field(default_factory=set)
    _last_plan: Plan | None = None

    # ---- what the operator sees -------------------------------------------------------------------------------

    def observe(self) -> Observed:
        slots: dict[tuple[str, int], dict[str, SlotFacts]] = {}
        for env, number, label in {*self.replicasets, *self.services, *(p.slot for p in self.pods.values())}:
            slots.setdefault((env, number), {})[label] = self._slot(env, number, label)
        return Observed(
            now=self.now,
            namespace="team",
            name="sales",
            uid="app-uid",
            resource_version=str(self.serial),
            generation=self.generation,
            spec=self.spec,
            status=self.status,
            front_image="lab/front@sha256:" + "f" * 64,
            classes={e.of_class: CLASS for e in self.spec.environments},
            gateways={CLASS.gateway: GatewayFacts(exists=True, address="10.96.0.9:8000")},
            releases={
                key: ReleaseFacts(name=names.release("sales", *key), uid=uid, resource_version="1", spec=s, status=st)
                for key, (s, st, uid) in self.releases.items()
            },
            slots=slots,
            routes={name: self._route(name) for name in self.routes},
            checks=dict(self.checks),
            views=dict(self.views),
            fronts=dict(self.fronts),
            logs=dict(self.logs),
        )

    def _slot(self, env: str, number: int, label: str) -> SlotFacts:
        rs = self.replicasets.get((env, number, label))
        service = self.services.get((env, number, label))
        index = int(label[1:])
        name = names.slot("sales", env, number, index)
        return SlotFacts(
            replicaset=ReplicaSetFacts(name=name, uid=rs, resource_version="1") if rs else None,
            service=ObjectFacts(name=name, uid=service, resource_version="1") if service else None,
            pods=tuple(self._pod(p) for p in self.pods.values() if p.slot == (env, number, label)),
        )

    def _pod(self, pod: Pod) -> PodFacts:
        age = (self.now - pod.born).total_seconds()
        crashing = kind_of(pod.image) == "crash"
        ready = self._ready(pod)
        app = (
            ContainerFacts(restarts=int(age // 6), waiting="CrashLoopBackOff", last_exit=Exit(1, "Error", 0.5))
            if crashing
            else ContainerFacts(running=True, started=ready)
        )
        return PodFacts(
            name=pod.name,
            uid=pod.uid,
            resource_version="1",
            deleting=pod.deleting,
            over=pod.over,
            slot=pod.slot[2],
            ip="10.244.0.9",
            ready=ready,
            unready_since=None if ready else (pod.broken_since or pod.born),
            app=app,
        )

    def _ready(self, pod: Pod) -> bool:
        if kind_of(pod.image) == "crash" or pod.deleting or pod.over or pod.broken_since is not None:
            return False
        return (self.now - pod.born).total_seconds() >= 3

    def _route(self, name: str) -> RouteFacts:
        route_spec, uid, written = self.routes[name]
        answered = (self.now - written).total_seconds() >= 1
        accepted = None if not answered else self.gateway_accepts
        return RouteFacts(
            name=name, uid=uid, resource_version="1", spec=route_spec, accepted=accepted, words="not allowed here"
        )

    # ---- one pass of the operator -----------------------------------------------------------------------------

    def reconcile(self, *, die_after: int | None = None) -> bool:
        """One pass. With ``die_after`` = k the operator dies after its k-th call. True when it lived."""
        plan = decide(self.observe())
        left = die_after
        for call in self._calls(plan):
            if left == 0:
                self.die()
                return False
            call()
            self.calls += 1
            if left is not None:
                left -= 1
        for work in plan.background:
            self._start(work)
        if left == 0:
            self.die()
            return False
        self._last_plan = plan
        return True

    def _calls(self, plan: Plan):
        for action in plan.actions:
            yield lambda action=action: self._act(action)
        for rec in plan.records:
            yield lambda rec=rec: self._record(rec)
        if plan.status != self.status:
            yield lambda: self._persist(plan.status)

    def writes_of_next_pass(self) -> int:
        return sum(1 for _ in self._calls(decide(self.observe())))

    def die(self) -> None:
        """The operator is killed: everything it only remembered is gone."""
        self.checks.clear()
        self.views.clear()
        self.logs.clear()
        self.fronts.clear()

    def _uid(self) -> str:
        self.serial += 1
        return f"uid-{self.serial}"

    def _act(self, action) -> None:
        match action:
            case CreateRelease(manifest=m):
                s = AppReleaseSpec.model_validate(m["spec"])
                key = (s.environment, s.number)
                if key not in self.releases:
                    self.releases[key] = (s, AppReleaseStatus(), self._uid())
                    self.images[key] = s.image
                elif self.releases[key][0] != s:
                    raise Violation(f"release {key} was given to two different contents")
            case Ensure(manifest=m):
                self._ensure(m)
            case Delete():
                self._delete(action)

    def _ensure(self, m: dict) -> None:
        name, labels = m["metadata"]["name"], m["metadata"]["labels"]
        if m["kind"] == "HTTPRoute":
            before = self.routes.get(name)
            self._check_route_write(name, labels, m["spec"], before[0] if before else None)
            self.routes[name] = (m["spec"], before[1] if before else self._uid(), self.now)
            return
        key = (labels[names.LABEL_ENVIRONMENT], int(labels[names.LABEL_RELEASE]), labels[names.LABEL_SLOT])
        if m["kind"] == "Service":
            self.services.setdefault(key, self._uid())
            return
        if key[1] in self.status.environment(key[0]).removing:
            raise Violation(f"r{key[1]} is rebuilt while it is being removed")
        if key not in self.replicasets:
            self.replicasets[key] = self._uid()

    def _backends_ready(self, route_spec: dict) -> int:
        ready = 0
        for name in routes.backends_of(route_spec):
            key = self._slot_of(name)
            if key in self.services:
                ready += sum(self._ready(p) for p in self.pods.values() if p.slot == key)
        return ready

    def _slot_ready(self, key: tuple[str, int, str]) -> bool:
        return any(self._ready(p) for p in self.pods.values() if p.slot == key)

    @staticmethod
    def _slot_of(service: str) -> tuple[str, int, str]:
        _, env, number, label = service.rsplit("-", 3)
        return env, int(number), label

    def _check_route_write(self, name: str, labels: dict, new: dict, old: dict | None) -> None:
        if names.LABEL_RELEASE in labels:
            return
        backends = routes.backends_of(new)
        if sum(backends.values()) != SCALE:
            raise Violation(f"weights of {name} sum to {sum(backends.values())}")
        old = old or self.deleted_routes.get(name)
        moved = old is None or routes.backends_of(old) != backends
        if moved and not self._backends_ready(new):
            raise Violation(f"{name} is pointed at a release without a ready replica")
        env = labels[names.LABEL_ENVIRONMENT]
        for backend in backends:
            number = self._slot_of(backend)[1]
            memory = self.status.environment(env)
            justified = {w.release for w in memory.weights} | ({memory.intent.switch_to} if memory.intent else set())
            if number not in justified:
                raise Violation(f"{name} sends people to r{number}, which the persisted status does not justify")
            if number in memory.removing:
                raise Violation(f"{name} sends people to r{number}, which is being removed")
            if kind_of(self.images[(env, number)]) in {"crash", "session", "silent"}:
                raise Violation(f"people are sent to r{number}, which never passed its checks")
            if moved and number != memory.stable and not self._slot_ready(self._slot_of(backend)):
                raise Violation(f"{name} gives r{number} a share that its ready replicas cannot carry")
            self.exposed.add((env, number))

    def _delete(self, action: Delete) -> None:
        match action.kind:
            case "HTTPRoute":
                self._check_route_delete(action.name)
                self.routes.pop(action.name, None)
            case "ReplicaSet":
                key = next(k for k, uid in self.replicasets.items() if uid == action.uid)
                self._check_removal(key)
                assert action.propagation == "Orphan"
                del self.replicasets[key]
                for pod in self.pods.values():
                    if pod.slot == key:
                        pod.owned = False
            case "Pod":
                pod = self.pods[action.name]
                self._check_removal(pod.slot)
                pod.deleting = True
            case "Service":
                key = next(k for k, uid in self.services.items() if uid == action.uid)
                self._check_removal(key)
                del self.services[key]

    def _check_route_delete(self, name: str) -> None:
        if name.endswith(".preview") or re.search(r"-\d+$", name):
            env, number = name.removesuffix(".preview").rsplit("-", 2)[1:]
            if int(number) not in self.status.environment(env).removing:
                raise Violation(f"the route of {name} is deleted, and the persisted status does not say why")
            return
        memory = self.status.environment(name.rsplit("-", 1)[1])
        if memory.weights or memory.intent:
            raise Violation(f"{name} is deleted while the persisted status sends people through it")

    def _check_removal(self, key: tuple[str, int, str]) -> None:
        env, number, _ = key
        memory = self.status.environment(env)
        if number not in memory.removing:
            raise Violation(f"r{number} of {env} is taken apart, and the persisted status does not say why")
        if number in {memory.stable, *(w.release for w in memory.weights)}:
            raise Violation(f"r{number} of {env} is taken apart while it serves")
        route = self.routes.get(names.weights_route("sales", env))
        if route and any(self._slot_of(b)[1] == number for b in routes.backends_of(route[0])):
            raise Violation(f"r{number} of {env} is taken apart while the route points at it")
        if names.release("sales", env, number) in self.routes:
            raise Violation(f"r{number} of {env} is taken apart before its pins route is gone")
        draining = next((d for d in memory.draining if d.release == number), None)
        if draining is None:
            return
        forced = instant(draining.forced_at) <= self.now
        record = self.releases.get((env, number))
        limit = seconds(record[0].plan.drain.empty_for) if record else 120
        for pod in self.pods.values():
            quiet = pod.quiet_since is not None and (self.now - pod.quiet_since).total_seconds() >= limit
            if (
                pod.slot[:2] == (env, number)
                and not pod.over
                and not pod.deleting
                and not forced
                and not (pod.sessions == 0 and quiet)
            ):
                raise Violation(f"r{number} of {env} loses {pod.sessions} sessions before its time")

    def _record(self, rec) -> None:
        key = (rec.environment, rec.number)
        if key not in self.releases:
            return  # deleted by hand meanwhile
        s, _, uid = self.releases[key]
        self.releases[key] = (s, rec.status, uid)

    def _persist(self, status: DataAppStatus) -> None:
        for memory in status.environments:
            before = self.status.environment(memory.name)
            if before.stable is not None and memory.stable != before.stable:
                wanted = any(e.name == memory.name for e in self.spec.environments)
                if wanted and (before.candidate != memory.stable or before.phase != Phase.BAKING):
                    raise Violation(
                        f"stable of {memory.name} went from r{before.stable} to r{memory.stable} without a bake"
                    )
            if memory.plan != before.plan:
                self._check_switch(memory)
            if before.phase == Phase.BAKING and memory.phase == Phase.RELEASED and before.intent is None:
                self._check_bake(before)
            if memory.candidate is not None and memory.waiting_for is None and memory.phase != Phase.RELEASED:
                raise Violation(f"{memory.name} is {memory.phase} and does not say what it waits for")
        ready = next(c for c in status.conditions if c.type == "Ready")
        if ready.status == "True" and status.observed_generation != self.generation:
            raise Violation("Ready for a generation that was not observed")
        kinds = {c.type for c in status.conditions}
        if {"Reconciling", "Stalled"} <= kinds:
            raise Violation("Reconciling and Stalled together")
        self.status = status
        for memory in status.environments:
            self.history.append(f"{memory.name}:{memory.phase}:{memory.candidate}:{memory.stable}")

    def _check_switch(self, memory: EnvironmentStatus) -> None:
        """A switch that status calls done is one that visitors see."""
        route = self.routes.get(names.weights_route("sales", memory.name))
        served = {self._slot_of(b)[1] for b in routes.backends_of(route[0])} if route else set()
        if route is None or served != {memory.weights[0].release} or self._plan_of(route[0]) != memory.plan:
            raise Violation(f"{memory.name} says plan {memory.plan} is done, and the route is another one")
        if not self.gateway_accepts or (self.now - route[2]).total_seconds() < 1:
            raise Violation(f"{memory.name} says plan {memory.plan} is done, and the gateway has not accepted it")
        view = self.views.get(memory.name)
        if view is None or not view.seen or (view.plan, view.release) != (memory.plan, memory.weights[0].release):
            raise Violation(f"{memory.name} says plan {memory.plan} is done, and nobody has seen it")

    def _check_bake(self, before: EnvironmentStatus) -> None:
        """A bake ends well after its whole time, with a session that worked since it began, on ready replicas."""
        record = self.releases.get((before.name, before.candidate))
        if record is None:
            return
        began = instant(before.phase_since)
        if (self.now - began).total_seconds() < seconds(record[0].plan.bake):
            raise Violation(f"r{before.candidate} ended its bake too early")
        check = self.checks.get((before.name, before.candidate), CheckFacts())
        if check.verdict is not Verdict.PASS or check.finished_at < began:
            raise Violation(f"r{before.candidate} ended its bake without a session that worked")
        for slot in {k for k in self.replicasets if k[:2] == (before.name, before.candidate)}:
            if not any(self._ready(p) for p in self.pods.values() if p.slot == slot):
                raise Violation(f"r{before.candidate} ended its bake while a replica is away")

    # ---- slow work ------------------------------------------------------------------------------------------

    def _start(self, work) -> None:
        match work:
            case StartCheck():
                self._check(work)
            case ObserveGateway():
                route = self.routes.get(names.weights_route("sales", work.environment))
                seen = (
                    route is not None
                    and self.gateway_accepts
                    and all(self._slot_of(b)[1] == work.number for b in routes.backends_of(route[0]))
                    and self._plan_of(route[0]) == work.plan
                    and self._backends_ready(route[0]) > 0
                )
                self.views[work.environment] = ViewFacts(plan=work.plan, release=work.number, seen=seen, words="502")
            case ReadLog():
                self.logs[(work.environment, work.number)] = LogFacts(cause="it is broken", lines=("it is broken",))
            case AskFronts():
                for target in work.targets:
                    pod = self.pods.get(target.pod)
                    if pod is not None and self.fronts_answer:
                        quiet = (self.now - pod.quiet_since).total_seconds() if pod.quiet_since else 0.0
                        self.fronts[pod.name] = FrontFacts(live=pod.sessions, quiet_for=quiet)
                    else:
                        self.fronts[target.pod] = FrontFacts()

    @staticmethod
    def _plan_of(route_spec: dict) -> int:
        return int(route_spec["rules"][-1]["filters"][0]["responseHeaderModifier"]["set"][0]["value"])

    def _check(self, work: StartCheck) -> None:
        key = (work.environment, work.number)
        behaviour = kind_of(self.images[key])
        baking = self.status.environment(work.environment).phase == Phase.BAKING
        verdict = {
            "good": Verdict.PASS,
            "late": Verdict.FAIL if baking else Verdict.PASS,
            "session": Verdict.FAIL,
            "silent": Verdict.INCONCLUSIVE,
        }.get(behaviour, Verdict.ERROR)
        before = self.checks.get(key, CheckFacts())
        self.checks[key] = CheckFacts(
            attempt=work.attempt,
            verdict=verdict,
            measured="output total = 3",
            expected="an output",
            message="" if verdict is Verdict.PASS else "there is no package called 'janitor'",
            samples=3,
            failed_in_row=before.failed_in_row + 1 if verdict is Verdict.FAIL else 0,
            finished_at=self.now,
        )

    # ---- the world moves -------------------------------------------------------------------------------------

    def tick(self, by: float) -> None:
        """Time passes; controllers and visitors do their part."""
        self.now += timedelta(seconds=by)
        for key, _ in list(self.replicasets.items()):
            if not any(p.slot == key and p.owned and not p.deleting and not p.over for p in self.pods.values()):
                self.serial += 1
                name = f"pod-{self.serial}"
                img = self.images[key[:2]]
                self.pods[name] = Pod(
                    name=name, uid=self._uid(), slot=key, image=img, born=self.now, quiet_since=self.now
                )
        for name, pod in list(self.pods.items()):
            if pod.deleting:
                del self.pods[name]
            elif pod.broken_since is not None and (self.now - pod.broken_since).total_seconds() > 4:
                pod.broken_since = None

    def push(self, image_name: str) -> None:
        """The author commits."""
        self.spec = self.spec.model_copy(update={"image": image_name})
        self.generation += 1

    def open_session(self) -> None:
        """Somebody opens the app of each environment."""
        for env in self.spec.environments:
            route = self.routes.get(names.weights_route("sales", env.name))
            if route is None:
                continue
            for backend in routes.backends_of(route[0]):
                for pod in self.pods.values():
                    if pod.slot == self._slot_of(backend) and self._ready(pod):
                        pod.sessions += 1
                        pod.quiet_since = None

    def close_sessions(self) -> None:
        """Everybody goes home."""
        for pod in self.pods.values():
            if pod.sessions:
                pod.sessions, pod.quiet_since = 0, self.now

    def meddle(self, what: str, choice: int) -> None:
        """Somebody else's hand: a pod, its ReplicaSet, a Service, a route or a record goes; a node gives a pod up."""
        things = {
            "evict": [p for p in self.pods.values() if not p.deleting],
            "give up": [p for p in self.pods.values() if not p.deleting],
            "replicaset": list(self.replicasets),
            "service": list(self.services),
            "route": list(self.routes),
            "record": list(self.releases),
        }[what]
        if not things:
            return
        chosen = things[choice % len(things)]
        match what:
            case "evict":
                chosen.deleting = True
            case "give up":
                chosen.over, chosen.sessions = True, 0
            case "replicaset":
                del self.replicasets[chosen]
                for pod in self.pods.values():
                    if pod.slot == chosen:
                        pod.deleting = True
            case "service":
                del self.services[chosen]
            case "route":
                self.deleted_routes[chosen] = self.routes.pop(chosen)[0]
            case "record":
                del self.releases[chosen]

    def blink(self) -> None:
        """Every pod is unready for a moment that is shorter than anybody's patience."""
        for pod in self.pods.values():
            if self._ready(pod):
                pod.broken_since = self.now

    def settle(self, *, steps: int = 400) -> None:
        """Undisturbed until nothing more is written for a while."""
        quiet = 0
        for _ in range(steps):
            before = self.calls
            self.reconcile()
            wake = self._last_plan.requeue_after if self._last_plan else None
            quiet = quiet + 1 if self.calls == before else 0
            if quiet > 6 and wake is None:
                return
            # Nothing moves but the clock: go to the moment the machine waits for.
            self.tick(max(2.0, wake) if quiet > 6 and wake is not None else 2.0)
        raise Violation(f"it never comes to rest: {self.history[-6:]}")

    def end(self) -> dict[str, tuple[str | None, str | None]]:
        """Per environment: what serves, and how the newest release there ended. Independent of numbers."""
        out = {}
        for env in self.spec.environments:
            memory = self.status.environment(env.name)
            stable = memory.artefact(memory.stable)
            newest = max((n for e, n in self.releases if e == env.name), default=None)
            phase = self.releases[(env.name, newest)][1].phase if newest else None
            out[env.name] = (stable.image if stable else None, phase)
        return out


def fresh(kind: str = "good", *, environments: int = 1, slots: int = 2) -> World:
    """A world with one new app."""
    return World(spec=spec(image(kind, 1), environments=environments, slots=slots))


def copy_pod(pod: Pod) -> Pod:
    return replace(pod)
