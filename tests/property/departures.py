"""What may be taken apart, and when: checked at every delete, with clocks of its own.

From the moment that status first says that a release gets no new visits, it has ``emptyFor`` to be seen empty and
``drain.max`` to be ended whoever has it open. Both are counted here once more, from what was persisted and what the pods
really had, so that a wrong time in status does not excuse itself.
"""

from dataclasses import dataclass, field
from datetime import datetime

from dataapp_operator.api.base import seconds
from dataapp_operator.api.dataapp import Drain
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import DataAppStatus
from dataapp_operator.plan import names, routes
from dataapp_operator.plan.actions import Delete
from tests.property.alone import AT_LAST, Alone
from tests.property.cluster import Pod, Violation

OVER = {"Failed", "RolledBack", "Superseded", "Aborted", "Retired"}


@dataclass
class Departures(Alone):
    """Deletes of what a release consists of."""

    told: dict[tuple[str, int], datetime] = field(default_factory=dict)
    """Since when status says of a former release that it drains or is kept warm."""
    slots_told: dict[tuple[str, int, str], datetime] = field(default_factory=dict)
    """Since when status says of a single replica that it leaves."""

    def _note_leaving(self, status: DataAppStatus) -> None:
        """Called before a status is persisted: who leaves since now, and who is let go."""
        for memory in status.environments:
            for number in set(memory.removing) - set(self.status.environment(memory.name).removing):
                self._check_let_go(memory.name, number)
            listed = {(memory.name, e.release) for e in (*memory.draining, *memory.warm)}
            kept = {key: since for key, since in self.told.items() if key in listed or key[0] != memory.name}
            whole = self.now.replace(microsecond=0)  # status counts in seconds
            slots = {
                (memory.name, scale.release, f"s{slot.index}") for scale in memory.scales for slot in scale.leaving
            }
            going = {(memory.name, scale.release, f"s{index}") for scale in memory.scales for index in scale.removing}
            left = {
                key: since for key, since in self.slots_told.items() if key in slots | going or key[0] != memory.name
            }
            self.slots_told = dict.fromkeys(slots, whole) | left
            self.told = dict.fromkeys(listed, whole) | kept

    def _check_removal(self, key: tuple[str, int, str]) -> None:
        env, number, label = key
        memory = self.status.environment(env)
        scale = next((s for s in memory.scales if s.release == number), None)
        if scale is not None and int(label[1:]) in scale.removing and number not in memory.removing:
            self._check_slot(key)
            return
        if number not in memory.removing:
            raise Violation(f"r{number} of {env} is taken apart, and the persisted status does not say why")
        stable = None if self._made_room(env, number) else memory.stable
        if number in {stable, *(w.release for w in memory.weights)}:
            raise Violation(f"r{number} of {env} is taken apart while it serves")
        route = names.weights_route("sales", env)
        for spec in (self.routes.get(route, ({},))[0], self.programmed.get(route, {})):
            if any(self._slot_of(backend)[1] == number for backend in routes.backends_of(spec)):
                raise Violation(f"r{number} of {env} is taken apart while visitors are sent to it")
        if names.release("sales", env, number) in self.routes:
            raise Violation(f"r{number} of {env} is taken apart before its pins route is gone")
        for pod in self.pods.values():
            if pod.slot[:2] == (env, number) and not pod.over and not pod.deleting:
                self._check_end(env, number, pod)

    def _check_slot(self, key: tuple[str, int, str]) -> None:
        """A single replica of a release that goes on: no route leads to it any more, and its time was as a release's."""
        env, number, label = key
        routes_ = [spec for spec, *_ in self.routes.values()]
        if not self.gateway_stale:  # one that only says that it has read a route leads whom it likes
            routes_ += self.programmed.values()
        led = {self._slot_of(b["name"]) for spec in routes_ for rule in spec["rules"] for b in rule["backendRefs"]}
        if key in led:
            raise Violation(f"{label} of r{number} in {env} is taken apart while a route leads to it")
        since = self.slots_told.get(key)
        for pod in self.pods.values():
            if pod.slot == key and not pod.over and not pod.deleting and (pod.sessions or since is not None):
                limit = seconds(self._policy(env, number).empty_for)
                quiet = pod.quiet_since is not None and (self.now - pod.quiet_since).total_seconds() >= limit
                lasted = -1.0 if since is None else (self.now - since).total_seconds()
                forced = lasted >= seconds(self._policy(env, number).max)
                if pod.quiet_since == pod.born:
                    continue  # it took the place of another, and nobody ever came to it
                if not forced and (pod.sessions or lasted < limit or not quiet):
                    raise Violation(f"{label} of r{number} in {env} loses {pod.sessions} sessions before its time")

    def _check_end(self, env: str, number: int, pod: Pod) -> None:
        """A pod ends when its time is over, or when nobody has had it open for long enough."""
        if (env, number) not in self.told:
            if pod.sessions:
                raise Violation(f"r{number} of {env} loses {pod.sessions} sessions, and never drained")
            return
        limit = seconds(self._policy(env, number).empty_for)
        quiet = pod.quiet_since is not None and (self.now - pod.quiet_since).total_seconds() >= limit
        quiet = quiet or pod.quiet_since == pod.born  # it took the place of another, and nobody ever came to it
        if not self._forced(env, number) and (pod.sessions or not quiet):
            raise Violation(f"r{number} of {env} loses {pod.sessions} sessions before its time")

    def _check_let_go(self, env: str, number: int) -> None:
        """Whoever was sent to it at the very last has ``emptyFor`` to show up, however empty it was before."""
        since = self.told.get((env, number))
        there = any(pod.slot[:2] == (env, number) and not pod.over for pod in self.pods.values())
        if since is None or not there or self._forced(env, number):
            return
        limit = seconds(self._policy(env, number).empty_for)
        if (self.now - since).total_seconds() < (min(limit, AT_LAST) if self._made_room(env, number) else limit):
            raise Violation(f"r{number} of {env} is let go before it was seen to be empty")

    def _policy(self, env: str, number: int) -> Drain:
        record = self.releases.get((env, number))
        return record[0].plan.drain if record else Drain()

    def _forced(self, env: str, number: int) -> bool:
        """Its time is over; or a person ends the sessions of an app that goes; or sessions are what failed in it."""
        if self.end_sessions and (self.deleting or self.leaving is not None):
            return True
        if self._is_over(env, number, self.told[env, number], self._policy(env, number)):
            return True
        record = self.releases.get((env, number))
        if record is not None and record[0].plan.rollback.sessions == "evict":
            evicted = (record[1].phase, record[1].reason) == (Phase.ROLLED_BACK, Reason.SESSION_FAILED)
        else:
            evicted = False
        return evicted or (self.now - self.told[env, number]).total_seconds() >= seconds(self._policy(env, number).max)

    def _check_forgotten(self, action: Delete) -> None:
        """A record is deleted only when it is history."""
        key = next(k for k, (_, _, uid) in self.releases.items() if uid == action.uid)
        env, number = key
        memory = self.status.environment(env)
        told = {memory.stable, memory.candidate, *memory.removing}
        told |= {e.release for e in (*memory.weights, *memory.draining, *memory.warm, *memory.quarantined)}
        if number in told or any(slot[:2] == key for slot in (*self.replicasets, *self.services)):
            raise Violation(f"the record of r{number} in {env} is deleted, and it is not over")
        if self.releases[key][1].phase not in OVER:
            raise Violation(f"the record of r{number} in {env} is deleted, and it does not say that it is over")
        del self.releases[key]
