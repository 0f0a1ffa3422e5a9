"""What the operator sees of the cluster."""

from dataclasses import replace
from datetime import timedelta

from dataapp_operator.api.environmentclass import EnvironmentClassSpec, Floor
from dataapp_operator.plan import names
from dataapp_operator.plan.facts import (
    ContainerFacts,
    DeploymentFacts,
    Exit,
    GatewayAbility,
    GatewayFacts,
    ObjectFacts,
    Observed,
    PodFacts,
    ReleaseFacts,
    ReplicaSetFacts,
    RouteFacts,
    SlotFacts,
)
from tests.property.cluster import CLASS, Cluster, Pod, kind_of


class Sights(Cluster):
    """Observation: a value for one decision."""

    def observe(self) -> Observed:
        slots: dict[tuple[str, int], dict[str, SlotFacts]] = {}
        made = {*self.replicasets, *self.deployments, *self.autoscalers, *(s.slot for s in self.sets.values())}
        for env, number, label in {*made, *self.services, *(p.slot for p in self.pods.values())}:
            slots.setdefault((env, number), {})[label] = self._slot(env, number, label)
        return Observed(
            now=self.now,
            namespace="team",
            name="sales",
            uid="app-uid",
            resource_version=str(self.serial),
            generation=self.generation,
            spec=self.spec,
            status=self.status,
            front_image="lab/front@sha256:" + "f" * 64,
            classes={e.of_class: self._class(e.of_class) for e in self.spec.environments},
            gateways={
                CLASS.gateway: GatewayFacts(
                    exists=True, address="10.96.0.9:8000", uid="gateway-uid", generation=self.gateway_generation
                )
            },
            abilities={CLASS.gateway: self._ability()},
            releases={
                key: ReleaseFacts(name=names.release("sales", *key), uid=uid, resource_version="1", spec=s, status=st)
                for key, (s, st, uid) in self.releases.items()
            },
            slots=slots,
            routes={name: self._route(name) for name in self.routes},
            checks=dict(self.checks),
            views=dict(self.views),
            fronts=dict(self.fronts),
            logs=dict(self.logs),
            promote=self.promote,
            leaving=self.leaving,
            deleting=self.deleting,
            held=self.held,
            retry=self.retry,
            end_sessions=self.end_sessions,
            commands=dict(self.commands),
            suspended=self.suspended,
            budgets=dict(self.budgets),
            cordoned=frozenset(self.cordoned),
        )

    def _ability(self) -> GatewayAbility:
        """What is known of the gateway as it is now; after an hour it is time to ask again."""
        if self.ability_of != self.gateway_generation:
            return GatewayAbility()
        return replace(self.ability, stale=self.now >= self.ability_at + timedelta(hours=1))

    def _class(self, name: str) -> EnvironmentClassSpec:
        floor = self.floors.get(name)
        return self.platform if floor is None else self.platform.model_copy(update={"floor": Floor(promotion=floor)})

    def _slot(self, env: str, number: int, label: str) -> SlotFacts:
        rs = self.replicasets.get((env, number, label))
        service = self.services.get((env, number, label))
        fleet = self.deployments.get((env, number, label))
        index = int(label[1:])
        name = names.slot("sales", env, number, index)
        return SlotFacts(
            replicaset=ReplicaSetFacts(name=name, uid=rs, resource_version="1") if rs else None,
            service=ObjectFacts(name=name, uid=service, resource_version="1") if service else None,
            pods=tuple(self._pod(p) for p in self.pods.values() if p.slot == (env, number, label)),
            deployment=None
            if fleet is None
            else DeploymentFacts(
                name=name, uid=fleet.uid, resource_version="1", replicas=fleet.replicas, asked=fleet.asked
            ),
            sets=tuple(
                ObjectFacts(name=f"{name}-{uid}", uid=uid, resource_version="1")
                for uid, made in self.sets.items()
                if made.slot == (env, number, label)
            ),
            autoscaler=self.autoscalers.get((env, number, label)),
        )

    def _pod(self, pod: Pod) -> PodFacts:
        if not pod.placed:
            return PodFacts(
                name=pod.name,
                uid=pod.uid,
                resource_version="1",
                deleting=pod.deleting,
                over=pod.over,
                slot=pod.slot[2],
                unready_since=pod.born,
                unschedulable="0/3 nodes are available: 3 Insufficient cpu.",
            )
        age = (self.now - pod.born).total_seconds()
        crashing = kind_of(pod.image) == "crash"
        ready = self._ready(pod)
        app = (
            ContainerFacts(restarts=int(age // 6), waiting="CrashLoopBackOff", last_exit=Exit(1, "Error", 0.5))
            if crashing
            else ContainerFacts(
                running=True,
                started=ready or (pod.broken_since is not None and pod.broken_since != pod.crashed_at),
                restarts=0 if pod.crashed_at is None else 1,
                last_exit=None if pod.crashed_at is None else Exit(1, "Error", 60.0, pod.crashed_at),
            )
        )
        return PodFacts(
            name=pod.name,
            uid=pod.uid,
            resource_version="1",
            deleting=pod.deleting,
            over=pod.over,
            slot=pod.slot[2],
            ip="10.244.0.9",
            node=pod.node,
            ready=ready,
            unready_since=None if ready else (pod.broken_since or pod.born),
            ready_since=self._ready_since(pod) if ready else None,
            app=app,
        )

    def _route(self, name: str) -> RouteFacts:
        route_spec, uid, written = self.routes[name]
        answered = (self.now - written).total_seconds() >= 1
        refused = self._refuses(route_spec)
        accepted = None if not answered else self.gateway_accepts and not refused
        words = "UnsupportedValue: no patterns" if refused else "not allowed here"
        return RouteFacts(name=name, uid=uid, resource_version="1", spec=route_spec, accepted=accepted, words=words)
