"""Releases that must not run side by side: checked when anything of them is made, and when room is made for them.

Here is, as narrow as it is, what is different for them: their stable release may be ended before its successor serves,
and visitors may be sent to a page instead of a release. Whether a release is one of them is read from its frozen plan.
"""

from dataclasses import dataclass, field
from datetime import datetime

from dataapp_operator.api.base import seconds
from dataapp_operator.api.dataapp import Drain
from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.status import EnvironmentStatus
from dataapp_operator.plan.names import PAGE
from tests.property.cluster import Violation
from tests.property.promises import Promises

AT_LAST, NOTICE = 5, 600
"""Seconds: for whom was sent to a release at the very last, where nobody had it open before; and for who came then."""


@dataclass
class Alone(Promises):
    """What must hold of a release that was frozen with the strategy recreate."""

    asked: dict[tuple[str, int], datetime] = field(default_factory=dict)
    """Since when status says of a stable release that somebody waits until it has ended."""

    def _is_alone(self, env: str, number: int | None) -> bool:
        record = self.releases.get((env, number))
        return record is not None and record[0].plan.strategy == "recreate"

    def _check_alone(self, env: str, number: int) -> None:
        """Called when anything of a release is made that was not there."""
        if not self._is_alone(env, number):
            return
        slots = [*self.replicasets, *self.deployments, *(made.slot for made in self.sets.values())]
        slots += [pod.slot for pod in self.pods.values() if not pod.over]
        beside = {slot[1] for slot in slots if slot[0] == env} - {number, PAGE}
        if beside:
            raise Violation(f"r{number} in {env} is started beside {sorted(beside)}")

    def _note_asked(self, memory: EnvironmentStatus) -> None:
        """Called when a status is persisted."""
        leaving = {d.release for d in memory.draining} | set(memory.removing)
        if memory.phase == Phase.PENDING and self._is_alone(memory.name, memory.candidate):
            leaving.add(memory.stable)
            self.asked.setdefault((memory.name, memory.stable), self.now.replace(microsecond=0))
        self.asked = {key: at for key, at in self.asked.items() if key[0] != memory.name or key[1] in leaving}

    def _check_moment(self, before: EnvironmentStatus, memory: EnvironmentStatus) -> None:
        """Room is made when nobody has had it open for long enough, as far as anybody can know; or at its end."""
        decided = memory.intent is not None and memory.intent.switch_to == PAGE and memory.intent != before.intent
        if not decided or memory.phase != Phase.PENDING or memory.stable is None:
            return
        record = self.releases.get((memory.name, memory.stable))
        policy = record[0].plan.drain if record is not None else Drain()
        waited = (self.now - self.asked.get((memory.name, memory.stable), self.now)).total_seconds()
        mine = [pod for pod in self.pods.values() if pod.slot[:2] == (memory.name, memory.stable) and not pod.over]
        if waited >= seconds(policy.max) or not any(self._ready(pod) for pod in mine):
            return
        said = [self.fronts.get(pod.name) for pod in mine]
        if not all(f is not None and f.live == 0 and (f.quiet_for or 0.0) >= seconds(policy.empty_for) for f in said):
            raise Violation(f"r{memory.stable} of {memory.name} is to make room, and somebody has it open")

    def _check_page(self, env: str) -> None:
        """Visitors get a page only where room is made for such a release, or one of them has failed."""
        memory = self.status.environment(env)
        makes_room = memory.phase == Phase.PENDING and self._is_alone(env, memory.candidate)
        if not makes_room and memory.stopped is None:
            raise Violation(f"visitors of {env} are sent to a page, and nothing is renewed")

    def _made_room(self, env: str, number: int) -> bool:
        """Whether a release was stable and has been asked to end."""
        stopped = self.status.environment(env).stopped
        return stopped is not None and stopped.release == number

    def _is_over(self, env: str, number: int, told: datetime, policy: Drain) -> bool:
        """Its time is over: it has made room for as long as it may; or it failed, and another cannot start beside it."""
        asked = self.asked.get((env, number))
        if asked is not None:
            waited = (self.now - asked).total_seconds()
            return waited >= seconds(policy.max) or (self.now - told).total_seconds() >= NOTICE
        record = self.releases.get((env, number))
        gone = record is not None and record[1].phase in {Phase.ROLLED_BACK, Phase.ABORTED}
        return gone and self._is_alone(env, number) and self.status.environment(env).stopped is not None
