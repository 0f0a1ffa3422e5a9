"""The calls: what each write to an object does. What must hold at the moment it is made stands beside, by its subject:
where people are sent (``visitors``), what is taken apart (``departures``), what is released at all (``promises``).
"""

from dataapp_operator.api.apprelease import AppReleaseSpec, AppReleaseStatus
from dataapp_operator.api.reasons import Phase
from dataapp_operator.plan import names
from dataapp_operator.plan.actions import CreateRelease, Delete, Ensure, Hold
from dataapp_operator.plan.record import MAX_TIMELINE
from tests.property.cluster import Violation
from tests.property.departures import Departures
from tests.property.visitors import Visitors


class Calls(Visitors, Departures):
    """Writes to objects."""

    def _act(self, action) -> None:
        match action:
            case CreateRelease(manifest=m):
                self._create(AppReleaseSpec.model_validate(m["spec"]))
            case Hold():
                self._hold(action)
            case Ensure(manifest=m):
                self._ensure(m)
            case Delete():
                self._delete(action)

    def _create(self, new: AppReleaseSpec) -> None:
        key = (new.environment, new.number)
        if key in self.releases:
            if self.releases[key][0] != new:
                raise Violation(f"release {key} was given to two different contents")
            return
        for (env, number), (spec, status, _) in self.releases.items():
            same = env == new.environment and spec.model_copy(update={"number": new.number}) == new
            if same and status.phase is None:
                raise Violation(f"r{number} in {env} is created a second time, as r{new.number}")
        self._check_new_release(new)
        self.releases[key] = (new, AppReleaseStatus(), self._uid())
        self.images[key] = new.image

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
        if key[1] in self.status.environment(key[0]).removing:
            raise Violation(f"r{key[1]} is rebuilt while it is being removed")
        made = self.services if m["kind"] == "Service" else self.replicasets
        if key not in made:
            self._check_alone(*key[:2])
            made[key] = self._uid()

    def _delete(self, action: Delete) -> None:
        match action.kind:
            case "DataApp":
                self._check_farewell(action.uid)
                self.gone = True
            case "HTTPRoute":
                self._check_route_delete(action.name)
                self.routes.pop(action.name, None)
                self.programmed.pop(action.name, None)
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

    def _record(self, rec) -> None:
        key = (rec.environment, rec.number)
        if key not in self.releases:
            return  # deleted by hand meanwhile
        s, _, uid = self.releases[key]
        told = rec.status.timeline
        first = {Phase.PENDING, Phase.DEPLOYING} if s.plan.strategy == "recreate" else {Phase.DEPLOYING}
        if told and len(told) < MAX_TIMELINE and told[0].phase not in first:
            raise Violation(f"the story of r{rec.number} begins with {told[0].phase}")
        if [entry.at for entry in told] != sorted(entry.at for entry in told):
            raise Violation(f"the story of r{rec.number} goes back in time")
        self.releases[key] = (s, rec.status, uid)
