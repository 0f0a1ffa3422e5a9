"""What is persisted of the app: each step of the machine's memory is checked against what people could see."""

from dataapp_operator.api.base import instant, seconds
from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.status import DataAppStatus, EnvironmentStatus
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import names, routes
from dataapp_operator.plan.facts import CheckFacts
from tests.property.cluster import Violation
from tests.property.promises import Promises


class Memory(Promises):
    """Writes to DataApp.status."""

    def _persist(self, status: DataAppStatus) -> None:
        for memory in status.environments:
            before = self.status.environment(memory.name)
            if before.stable is not None and memory.stable != before.stable:
                wanted = (
                    self.leaving is None
                    and not self.deleting
                    and any(e.name == memory.name for e in self.spec.environments)
                )
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
        self._note_stable(status)
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
