"""Releases from which nobody may go back but by a person's word: checked at every write to a route, and to status.

Whether a release is one of them is read from its frozen plan, and a person's word from what was ever said.
"""

import re
from dataclasses import dataclass, field

from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import DataAppStatus, EnvironmentStatus
from dataapp_operator.plan import routes
from tests.property.cluster import Violation
from tests.property.promises import Promises


@dataclass
class NoWayBack(Promises):
    """What must hold of a release that was frozen as irreversible, from its first visitor to the end of its bake."""

    aborted: set[tuple[str, int]] = field(default_factory=set)
    """What a person has ever given up."""

    def _hear(self) -> None:
        """Called at each pass of the operator: who was given up by a person until now."""
        said = re.findall(r"(\w+)=r?(\d+)", self.commands.get("abort", ""))
        self.aborted |= {(env, int(number)) for env, number in said}

    def _is_bound(self, env: str, number: int | None) -> bool:
        record = self.releases.get((env, number))
        return record is not None and record[0].plan.compatibility == "irreversible"

    def _check_no_way_back(self, before: EnvironmentStatus, memory: EnvironmentStatus) -> None:
        """It is not left, moved on or taken back by a decision of ours."""
        name, number = memory.name, before.candidate
        if not self._is_bound(name, number) or before.phase not in {Phase.RELEASING, Phase.BAKING}:
            return
        if not any(e.name == name for e in self.spec.environments) or self.deleting or self.leaving is not None:
            return
        back = memory.intent is not None and memory.intent.switch_to != number and memory.candidate == number
        if back and memory.intent != before.intent and (name, number) not in self.aborted:
            raise Violation(f"r{number} in {name} is taken back, and nobody said so")
        was_back = before.intent is not None and before.intent.switch_to != number
        parked = memory.stuck is not None and memory.stuck.release == number
        if number not in {memory.candidate, memory.stable} and not was_back and not parked:
            raise Violation(f"r{number} in {name} is forgotten while it may have visitors")
        if before.stuck is not None and before.stuck.release == number == memory.candidate and memory.stuck is not None:
            seen = memory.intent is None and before.intent is not None  # the gateway has shown what was decided before
            if memory.step != before.step or (memory.weights != before.weights and not seen):
                raise Violation(f"r{number} in {name} has failed, and gets more visitors")
        if before.stuck is not None and memory.stable == number != before.stable:
            raise Violation(f"r{number} in {name} is released, and has failed")

    def _check_nobody_goes_back(self, name: str, env: str, old: dict | None, new: dict) -> None:
        """Visitors of such a release are sent to a later one, or to none."""
        had, have = self._by_release(old), self._by_release(new)
        losing = [n for n in had if have.get(n, 0) < had[n] and self._is_bound(env, n)]
        gaining = [n for n in have if have[n] > had.get(n, 0)]
        stable, stuck = self.status.environment(env).stable, self.status.environment(env).stuck
        if stuck is not None and old is not None and have.get(stuck.release, 0) > had.get(stuck.release, 0):
            raise Violation(f"{name} sends more visitors to r{stuck.release}, which has failed")
        for number in losing:
            said = any(env == where and of >= number for where, of in self.aborted)
            if number != stable and min(gaining, default=number) < number and not said:
                raise Violation(f"{name} sends the visitors of r{number} back to {gaining}, and nobody said so")

    def _by_release(self, spec: dict | None) -> dict[int, int]:
        shares: dict[int, int] = {}
        for backend, weight in routes.backends_of(spec or {}).items():
            number = self._slot_of(backend)[1]
            shares[number] = shares.get(number, 0) + weight
        return shares

    @staticmethod
    def _check_told(status: DataAppStatus) -> None:
        """A person is told of what only a person can decide."""
        waits = any(
            memory.stuck is not None
            and memory.stuck.release == memory.candidate
            and memory.waiting_for is not None
            and memory.waiting_for.reason == Reason.ROLLBACK_UNSAFE
            for memory in status.environments
        )
        if waits and not any(c.type == "Stalled" for c in status.conditions):
            raise Violation("a release waits for a person, and no condition says so")
