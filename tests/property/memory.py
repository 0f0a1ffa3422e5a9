"""What is persisted of the app: each word of status is checked against what people could see at that moment."""

import re
from dataclasses import dataclass

from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.status import DataAppStatus
from dataapp_operator.plan import names
from tests.property.cluster import Violation
from tests.property.departures import Departures
from tests.property.no_way_back import NoWayBack
from tests.property.steps import Steps


@dataclass
class Memory(Steps, NoWayBack, Departures):
    """Writes to DataApp.status."""

    def _persist(self, status: DataAppStatus) -> None:
        for memory in status.environments:
            self._check_steps(self.status.environment(memory.name), memory)
            self._check_moment(self.status.environment(memory.name), memory)
            self._check_no_way_back(self.status.environment(memory.name), memory)
            if memory.candidate is not None and memory.waiting_for is None and memory.phase != Phase.RELEASED:
                raise Violation(f"{memory.name} is {memory.phase} and does not say what it waits for")
        kinds = {c.type for c in status.conditions}
        if {"Reconciling", "Stalled"} <= kinds:
            raise Violation("Reconciling and Stalled together")
        self._check_told(status)
        self._note_stable(status)
        self._note_leaving(status)
        for memory in status.environments:
            self._note_asked(memory)
        self.status = status
        for memory in status.environments:
            self.history.append(f"{memory.name}:{memory.phase}:{memory.candidate}:{memory.stable}")

    def _check_ready(self, status: DataAppStatus) -> None:
        """Ready is said of what is observed: this generation, what visitors get, and replicas that answer.

        Checked in every pass and not only where status changes: what is no longer true must not stay there either.
        """
        ready = next((c for c in status.conditions if c.type == "Ready"), None)
        if ready is None or ready.status != "True" or (status == self.status and not self.held):
            return  # our finalizer comes first; until it is there, nothing else is said
        if {status.observed_generation, ready.observed_generation} != {self.generation}:
            raise Violation("Ready for a generation that was not observed")
        if self.deleting or self.leaving is not None:
            raise Violation("Ready, and nobody new is let in")
        told = {env: int(number) for env, number in re.findall(r"(\w+) serves r(\d+)", ready.message)}
        if told != {m.name: m.weights[0].release for m in status.environments if m.weights and m.name in told}:
            raise Violation(f"Ready, and others serve than it says: {ready.message}")
        for env, number in told.items():
            slots = {slot for slot in self.services if slot[:2] == (env, number)}
            if not any(self._slot_ready(slot) for slot in slots):
                raise Violation(f"Ready, and no replica of r{number} in {env} answers")
            route = self.routes.get(names.weights_route("sales", env))
            if route is not None and (self.now - route[2]).total_seconds() >= 1 and not self.gateway_accepts:
                raise Violation(f"Ready, and the gateway does not accept the route of {env}")
