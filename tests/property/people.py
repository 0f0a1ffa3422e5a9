"""Whoever is not the operator: authors who push, visitors who stay, hands that take things away, apps that misbehave.

None of this is checked here. It is what the operator has to live with.
"""

from dataapp_operator.api.dataapp import Replicas
from dataapp_operator.plan import names, routes
from tests.property.cluster import BLINK, Cluster

FLAP = 20.0
"""Seconds for which a flapping pod is away."""


class People(Cluster):
    """What happens to the cluster from outside."""

    def push(self, image_name: str) -> None:
        """The author commits."""
        self.spec = self.spec.model_copy(update={"image": image_name})
        self.generation += 1

    def resize(self, count: int, most: int | None = None) -> None:
        """The author wants another number of replicas; with ``most``, as sessions ask for them, three in each (or as the
        CPU does, of an app without sessions).
        """
        each = {"cpu": 70} if self.spec.app.sessionless else {"sessionsPerReplica": 3}
        size = {"min": count} | ({} if most is None else {"max": max(most, count), **each})
        app = self.spec.app.model_copy(update={"replicas": Replicas.model_validate(size)})
        self.spec = self.spec.model_copy(update={"app": app})
        self.generation += 1

    def scale(self, count: int) -> None:
        """Somebody else scales every Deployment: a person, or the autoscaler within what it is told."""
        for key, known in self.deployments.items():
            told = self.autoscalers.get(key)
            known.replicas = count if told is None else min(max(count, told.least), told.most)

    def delete(self) -> None:
        """Somebody deletes the app."""
        self.deleting = True
        self.generation += 1
        self.gone = not self.held

    def open_session(self, *, cling: bool = False) -> None:
        """Somebody opens the app of each environment, and perhaps never closes it."""
        for env in self.spec.environments:
            route = self.programmed.get(names.weights_route("sales", env.name))
            if route is None:
                continue
            for backend in routes.backends_of(route):
                for pod in self.pods.values():
                    if pod.slot == self._slot_of(backend) and self._ready(pod) and pod.slot[1] != names.PAGE:
                        pod.sessions += 1
                        pod.quiet_since, pod.clinging = None, pod.clinging or cling

    def close_sessions(self) -> None:
        """Everybody goes home who ever does."""
        for pod in self.pods.values():
            if pod.sessions and not pod.clinging:
                pod.sessions, pod.quiet_since = 0, self.now

    def meddle(self, what: str, choice: int) -> None:
        """Somebody else's hand: a pod, its ReplicaSet, a Service, a route or a record goes; a node gives a pod up."""
        things = {
            "evict": [p for p in self.pods.values() if not p.deleting],
            "give up": [p for p in self.pods.values() if not p.deleting],
            "replicaset": [*self.replicasets, *self.deployments],
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
                self.replicasets.pop(chosen, None)
                self.deployments.pop(chosen, None)
                self.sets = {uid: made for uid, made in self.sets.items() if made.slot != chosen}
                for pod in self.pods.values():
                    if pod.slot == chosen:
                        pod.deleting = True
            case "service":
                del self.services[chosen]
            case "route":
                self.deleted_routes[chosen] = self.routes.pop(chosen)[0]
                self.programmed.pop(chosen, None)
            case "record":
                del self.releases[chosen]

    def crash(self, choice: int) -> None:
        """An app ends by itself, with whoever had it open, and its container is started again."""
        working = [pod for pod in self.pods.values() if self._ready(pod)]
        if working:
            pod = working[choice % len(working)]
            pod.crashed_at = pod.broken_since = self.now
            pod.broken_for, pod.clinging = BLINK, False
            if pod.sessions:
                pod.sessions, pod.quiet_since = 0, self.now

    def blink(self) -> None:
        """Every pod is unready for a moment that is shorter than anybody's patience."""
        for pod in self.pods.values():
            if self._ready(pod):
                pod.broken_since, pod.broken_for = self.now, BLINK

    def flap(self, choice: int) -> None:
        """A pod that goes on running is unready for longer than a blink. Who has it open stays connected."""
        working = [pod for pod in self.pods.values() if self._ready(pod)]
        if working:
            pod = working[choice % len(working)]
            pod.broken_since, pod.broken_for = self.now, FLAP
