"""A small cluster in memory, for the machine's properties: it decides nothing, it only does what controllers do.

It stands in for time, pods, a gateway and visitors, so that a plan can be cut off after any single call and the next
pass begins with nothing but what was written. Every call is checked against the invariants at the moment it is made.
The proof that a real cluster behaves like this is in ``tests/apiserver`` and ``tests/e2e``.
"""

import copy
import re
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from dataapp_operator.api.status import EnvironmentStatus
from dataapp_operator.plan import names
from dataapp_operator.plan.actions import Plan
from dataapp_operator.plan.decide import decide
from tests.property.calls import Calls
from tests.property.cluster import CLASS, KINDS, PAGE_IMAGE, START, Fleet, Pod, Violation, image, kind_of, spec
from tests.property.memory import Memory
from tests.property.people import People
from tests.property.sights import Sights
from tests.property.slow_work import SlowWork

__all__ = [
    "CLASS",
    "KINDS",
    "START",
    "Pod",
    "Violation",
    "World",
    "copy_pod",
    "fresh",
    "image",
    "kind_of",
    "spec",
    "twin",
]


class World(Sights, Calls, Memory, SlowWork, People):
    """The cluster, the operator in it, and the time that passes."""

    # ---- one pass of the operator -----------------------------------------------------------------------------

    def reconcile(self, *, die_after: int | None = None) -> bool:
        """One pass. With ``die_after`` = k the operator dies after its k-th call. True when it lived."""
        if self.gone:
            self._last_plan = None
            return True
        self.answering = {slot[:2] for slot in self.services if self._slot_ready(slot)}
        self._hear()
        plan = decide(self.observe())
        self._check_wakes(plan)
        self._check_ready(plan.status)
        left = die_after
        for call in self._calls(plan):
            if left == 0:
                self.die()
                return False
            if not self.gone:  # what comes after the object's own end finds nothing to write to
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

    def _check_wakes(self, plan: Plan) -> None:
        """Whoever waits for something is woken for it: by its own write, by slow work that ends, or by the clock."""
        if plan.actions or plan.background or plan.status != self.status or plan.requeue_after is not None:
            return
        for env in plan.status.environments:
            if env.candidate is not None or {entry.release for entry in env.draining} - set(env.removing):
                raise Violation(f"{env.name} waits, and nothing will ever wake the operator")

    def _calls(self, plan: Plan):
        for action in plan.actions:
            yield lambda action=action: self._act(action)
        for rec in plan.records:
            yield lambda rec=rec: self._record(rec)
        if plan.status != self.status:
            yield lambda: self._persist(plan.status)

    def is_empty(self) -> bool:
        """Nothing that the operator made is left."""
        return not self.parts()

    def writes_of_next_pass(self) -> int:
        return 0 if self.gone else sum(1 for _ in self._calls(decide(self.observe())))

    # ---- the world moves -------------------------------------------------------------------------------------

    def tick(self, by: float) -> None:
        """Time passes; controllers and visitors do their part."""
        self.now += timedelta(seconds=by)
        for key, _ in list(self.replicasets.items()):
            if not any(p.slot == key and p.owned and not p.deleting and not p.over for p in self.pods.values()):
                self._make_pod(key)
        self._make_fleets()
        for name, pod in list(self.pods.items()):
            if pod.deleting:
                del self.pods[name]
            elif self.room and not pod.placed:
                pod.placed, pod.born, pod.quiet_since = True, self.now, self.now
            elif pod.broken_since is not None and (self.now - pod.broken_since).total_seconds() > pod.broken_for:
                pod.broken_since, pod.mended_at = None, self.now
        self.program()

    def _make_pod(self, key: tuple[str, int, str], *, maker: str = "") -> None:
        self.serial += 1
        name, img = f"pod-{self.serial}", self.images.get(key[:2], PAGE_IMAGE)
        node = next((n for n in ("node-a", "node-b", "node-c") if n not in self.cordoned), "node-a")
        self.pods[name] = Pod(
            name=name, uid=self._uid(), slot=key, image=img, born=self.now, quiet_since=self.now, node=node, maker=maker
        )
        self.pods[name].placed = self.room

    def _make_fleets(self) -> None:
        """Each Deployment has a ReplicaSet, and each of those as many pods as it is told; also one that is left alone."""
        for key, known in self.deployments.items():
            made = next((s for s in self.sets.values() if s.slot == key), None)
            if made is None:
                made = Fleet(uid=self._uid(), slot=key, replicas=known.replicas)
                self.sets[made.uid] = made
            made.replicas = known.replicas
        for uid, made in self.sets.items():
            own = [p for p in self.pods.values() if p.maker == uid and p.owned and not p.deleting and not p.over]
            for _ in range(made.replicas - len(own)):
                self._make_pod(made.slot, maker=uid)
            for pod in own[made.replicas :]:
                pod.deleting = True

    def program(self) -> None:
        """The gateway does what the routes say, a second after they were written; unless it does not."""
        for name, (route, _, written) in self.routes.items():
            late = (self.now - written).total_seconds() < 1
            if self.gateway_accepts and not self.gateway_stale and not late and not self._refuses(route):
                self.programmed[name] = route

    def settle(self, *, steps: int = 400) -> None:
        """Undisturbed until nothing more is written for a while."""
        quiet = 0
        for _ in range(steps):
            before = self.calls
            self.reconcile()
            self.follow_advice()
            wake = self._last_plan.requeue_after if self._last_plan else None
            quiet = quiet + 1 if self.calls == before else 0
            if quiet > 6 and wake is None:
                return
            if quiet > 40 and all(at_rest(env) for env in self.status.environments):
                return  # what has failed is looked at again and again, and waits for a person
            # Nothing moves but the clock: go to the moment the machine waits for.
            self.tick(max(2.0, wake) if quiet > 6 and wake is not None else 2.0)
        raise Violation(f"it never comes to rest: {self.history[-6:]}")

    def follow_advice(self) -> None:
        """A person does what status says that a pausing step waits for."""
        for env in self.status.environments:
            said = re.search(r"dataapps.dev/(resume)=(\S+)$", env.waiting_for.message) if env.waiting_for else None
            if said is not None:
                self.commands[said[1]] = said[2]

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


def at_rest(memory: EnvironmentStatus) -> bool:
    """Nothing is on its way, but for what has failed and waits for a person."""
    if memory.stopped is not None or names.PAGE in {w.release for w in memory.weights}:
        return False
    if memory.stuck is not None:
        return memory.stuck.release == memory.candidate and {d.release for d in memory.draining} <= {memory.stable}
    return memory.candidate is None and not memory.removing and not memory.draining


def fresh(
    kind: str = "good",
    *,
    environments: int = 1,
    slots: int = 2,
    warm: int = 0,
    manual: bool = False,
    canary: bool = False,
    how: str = "at once",
    stateless: bool = False,
) -> World:
    """A world with one new app."""
    shape = {"manual": manual, "canary": canary, "how": how, "stateless": stateless}
    return World(spec=spec(image(kind, 1), environments=environments, slots=slots, warm=warm, **shape))


def copy_pod(pod: Pod) -> Pod:
    return replace(pod)


W = TypeVar("W", bound=World)


def twin(world: W) -> W:
    """A world like this one, which goes its own way from here. What nobody can change, they share."""
    findings = (world.checks, world.views, world.logs, world.fronts, world.autoscalers, world.budgets)
    frozen: list[object] = [world.spec, world.status, world.platform, world.ability, world._last_plan]
    frozen += [part for release in world.releases.values() for part in release]
    frozen += [fact for found in findings for fact in found.values()]
    return copy.deepcopy(world, {id(thing): thing for thing in frozen})
