"""The calls: what each write to an object does. What must hold at the moment it is made stands beside, by its subject:
where people are sent (``visitors``), what is taken apart (``departures``), what is released at all (``promises``).
"""

from dataapp_operator.api.apprelease import AppReleaseSpec, AppReleaseStatus
from dataapp_operator.api.reasons import Phase
from dataapp_operator.plan import names
from dataapp_operator.plan.actions import Create, CreateRelease, Delete, Ensure, Hold
from dataapp_operator.plan.facts import AutoscalerFacts, BudgetFacts
from dataapp_operator.plan.record import MAX_TIMELINE
from tests.property.cluster import Fleet, Violation
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
            case Create(manifest=m):
                self._make_fleet(m)
            case Ensure(manifest=m, part=str()):
                self._resize_fleet(m)
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
        left = self.parts()
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
            uid = self.budgets[name].uid if name in self.budgets else self._uid()
            may_go = m["spec"]["maxUnavailable"]
            self.budgets[name] = BudgetFacts(name=name, uid=uid, resource_version="1", may_go=may_go)
            return
        key = self._key(m)
        if m["kind"] == "HorizontalPodAutoscaler":
            told = AutoscalerFacts(
                name=name,
                uid=self.autoscalers[key].uid if key in self.autoscalers else self._uid(),
                resource_version="1",
                least=m["spec"]["minReplicas"],
                most=m["spec"]["maxReplicas"],
                cpu=m["spec"]["metrics"][0]["containerResource"]["target"]["averageUtilization"],
            )
            self.autoscalers[key] = told
            return
        if m["kind"] not in {"Service", "ReplicaSet"}:
            raise Violation(f"{m['kind']} {name} is applied as a whole: what others say of it is lost")
        made = self.services if m["kind"] == "Service" else self.replicasets
        if key not in made:
            self._check_alone(*key[:2])
            made[key] = self._uid()

    def _key(self, m: dict) -> tuple[str, int, str]:
        """The slot that a part belongs to, which must not be on its way out."""
        labels = m["metadata"]["labels"]
        key = (labels[names.LABEL_ENVIRONMENT], int(labels[names.LABEL_RELEASE]), labels[names.LABEL_SLOT])
        if key[1] in self.status.environment(key[0]).removing:
            raise Violation(f"r{key[1]} is rebuilt while it is being removed")
        return key

    def _make_fleet(self, m: dict) -> None:
        """A Deployment is posted: one that is there stays as it is."""
        if self.deleting:
            raise Violation(f"{m['metadata']['name']} is made for an app that is being deleted")
        key, asked = self._key(m), int(m["metadata"]["annotations"][names.ANNOTATION_REPLICAS])
        if key not in self.deployments:
            self._check_alone(*key[:2])
            self.deployments[key] = Fleet(uid=self._uid(), slot=key, replicas=m["spec"]["replicas"], asked=asked)

    def _resize_fleet(self, m: dict) -> None:
        """The author's new number, of what serves and at rest; else others decide how many there are."""
        key = next(k for k, known in self.deployments.items() if known.uid == m["metadata"]["uid"])
        known, memory = self.deployments[key], self.status.environment(key[0])
        own = next(e.app.replicas or self.spec.app.replicas for e in self.spec.environments if e.name == key[0])
        if known.asked == own.min and key not in self.autoscalers:
            raise Violation(f"r{key[1]} of {key[0]} is scaled, and its author has said nothing new")
        if own.by_cpu or memory.stable != key[1] or memory.candidate is not None:
            raise Violation(f"r{key[1]} of {key[0]} is scaled by us, and that is somebody else's business now")
        known.replicas = known.asked = m["spec"]["replicas"]

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
            case "HorizontalPodAutoscaler":
                key = next(k for k, told in self.autoscalers.items() if told.uid == action.uid)
                del self.autoscalers[key]
            case "Deployment":
                key = next(k for k, known in self.deployments.items() if known.uid == action.uid)
                self._check_removal(key)
                assert action.propagation == "Orphan"
                del self.deployments[key]
            case "ReplicaSet" if action.uid in self.sets:
                key = self.sets[action.uid].slot
                self._check_removal(key)
                assert action.propagation == "Orphan"
                if key in self.deployments:
                    raise Violation(f"{action.name} is deleted, and its Deployment would make another one")
                del self.sets[action.uid]
                for pod in self.pods.values():
                    pod.owned = pod.owned and pod.maker != action.uid
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
                if pod.owned and any(made.slot == pod.slot for made in self.sets.values()):
                    raise Violation(f"{action.name} is ended, and its ReplicaSet would make another one")
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
