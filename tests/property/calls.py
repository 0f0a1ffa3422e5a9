"""The calls: what each write does, and what must hold at the very moment it is made."""

import re

from dataapp_operator.api.apprelease import AppReleaseSpec, AppReleaseStatus
from dataapp_operator.api.base import instant, seconds
from dataapp_operator.api.status import SCALE
from dataapp_operator.plan import names, routes
from dataapp_operator.plan.actions import CreateRelease, Delete, Ensure, Hold
from tests.property.cluster import Violation, kind_of
from tests.property.promises import Promises


class Calls(Promises):
    """Writes to objects."""

    def _act(self, action) -> None:
        match action:
            case CreateRelease(manifest=m):
                s = AppReleaseSpec.model_validate(m["spec"])
                key = (s.environment, s.number)
                if key not in self.releases:
                    self._check_new_release(s)
                    self.releases[key] = (s, AppReleaseStatus(), self._uid())
                    self.images[key] = s.image
                elif self.releases[key][0] != s:
                    raise Violation(f"release {key} was given to two different contents")
            case Hold():
                self._hold(action)
            case Ensure(manifest=m):
                self._ensure(m)
            case Delete():
                self._delete(action)

    def _hold(self, action: Hold) -> None:
        """Our finalizer comes before anybody can, and goes when there is nothing left."""
        if action.keep:
            assert not self.deleting, "a finalizer cannot be added to what is being deleted"
            self.held = True
            return
        if not self.deleting:
            raise Violation("the app would not wait for its sessions, and nobody has deleted it")
        left = [*self.pods, *self.replicasets, *self.services, *self.routes]
        if left or self.status.environments:
            raise Violation(f"the app is let go while something is left of it: {left or self.status.environments}")
        self.held, self.gone = False, True

    def _ensure(self, m: dict) -> None:
        name, labels = m["metadata"]["name"], m["metadata"]["labels"]
        if m["kind"] == "HTTPRoute":
            before = self.routes.get(name)
            self._check_route_write(name, labels, m["spec"], before[0] if before else None)
            self.routes[name] = (m["spec"], before[1] if before else self._uid(), self.now)
            return
        if self.deleting:
            raise Violation(f"{name} is made for an app that is being deleted")
        if m["kind"] == "PodDisruptionBudget":
            self.budgets.setdefault(name, self._uid())
            return
        key = (labels[names.LABEL_ENVIRONMENT], int(labels[names.LABEL_RELEASE]), labels[names.LABEL_SLOT])
        if m["kind"] == "Service":
            self.services.setdefault(key, self._uid())
            return
        if key[1] in self.status.environment(key[0]).removing:
            raise Violation(f"r{key[1]} is rebuilt while it is being removed")
        if key not in self.replicasets:
            self.replicasets[key] = self._uid()

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
            case "DataApp":
                self._check_farewell(action.uid)
                self.gone = True
            case "HTTPRoute":
                self._check_route_delete(action.name)
                self.routes.pop(action.name, None)
            case "AppRelease":
                self._check_forgotten(action)
            case "PodDisruptionBudget":
                del self.budgets[action.name]
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

    def _check_forgotten(self, action: Delete) -> None:
        """A record is deleted only when it is history."""
        key = next(k for k, (_, _, uid) in self.releases.items() if uid == action.uid)
        env, number = key
        memory = self.status.environment(env)
        told = {memory.stable, memory.candidate, *memory.removing}
        told |= {e.release for e in (*memory.weights, *memory.draining, *memory.warm, *memory.quarantined)}
        if number in told or any(slot[:2] == key for slot in (*self.replicasets, *self.services)):
            raise Violation(f"the record of r{number} in {env} is deleted, and it is not over")
        if self.releases[key][1].phase not in {"Failed", "RolledBack", "Superseded", "Retired"}:
            raise Violation(f"the record of r{number} in {env} is deleted, and it does not say that it is over")
        del self.releases[key]

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
        draining = next((d for d in (*memory.draining, *memory.warm) if d.release == number), None)
        if draining is None:
            return
        forced = instant(draining.forced_at) <= self.now or self.end_sessions
        record = self.releases.get((env, number))
        limit = seconds(record[0].plan.drain.empty_for) if record else 120
        for pod in self.pods.values():
            quiet = pod.quiet_since is not None and (self.now - pod.quiet_since).total_seconds() >= limit
            quiet = quiet or pod.quiet_since == pod.born  # it took the place of another, and nobody ever came to it
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
