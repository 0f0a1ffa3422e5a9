"""From manifests, as the store has them, to facts. The only place that knows where Kubernetes keeps what."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dataapp_operator.api.apprelease import AppReleaseSpec, AppReleaseStatus
from dataapp_operator.api.base import instant
from dataapp_operator.api.environmentclass import GatewayRef
from dataapp_operator.plan import names
from dataapp_operator.plan.facts import (
    AutoscalerFacts,
    BudgetFacts,
    ContainerFacts,
    DeploymentFacts,
    Exit,
    GatewayFacts,
    ObjectFacts,
    PodFacts,
    ReleaseFacts,
    ReleaseKey,
    ReplicaSetFacts,
    RouteFacts,
    SlotFacts,
)

Json = dict[str, Any]


def release_key(manifest: Json) -> ReleaseKey | None:
    """(environment, number) of a child, from its labels; None when it has none of a release."""
    labels = manifest["metadata"].get("labels") or {}
    number = labels.get(names.LABEL_RELEASE, "")
    return (labels.get(names.LABEL_ENVIRONMENT, ""), int(number)) if number.isdigit() else None


def belongs_to(manifest: Json, uid: str) -> bool:
    """Whether an object is owned by the one with this uid (and not by an earlier one of the same name)."""
    return any(owner.get("uid") == uid for owner in manifest["metadata"].get("ownerReferences") or [])


def is_orphan(manifest: Json) -> bool:
    """Nobody owns it: a pod that outlives its ReplicaSet, as we wanted."""
    return not manifest["metadata"].get("ownerReferences")


def budget(manifest: Json) -> BudgetFacts:
    """A disruption budget. What is not a number (somebody's percentage) is none of ours, and is read as none."""
    may_go = (manifest.get("spec") or {}).get("maxUnavailable")
    return BudgetFacts(**_object(manifest), may_go=may_go if isinstance(may_go, int) else 0)


def is_of_deployment(manifest: Json) -> bool:
    """Whether a Deployment has made this ReplicaSet."""
    return names.LABEL_TEMPLATE in (manifest["metadata"].get("labels") or {})


def _plain(manifest: Json) -> ObjectFacts:
    return ObjectFacts(**_object(manifest))


def _object(manifest: Json) -> dict[str, Any]:
    metadata = manifest["metadata"]
    return {
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resource_version": metadata["resourceVersion"],
        "deleting": "deletionTimestamp" in metadata,
    }


def slots(
    replicasets: Iterable[Json],
    services: Iterable[Json],
    pods: Iterable[Json],
    deployments: Iterable[Json] = (),
    autoscalers: Iterable[Json] = (),
) -> Mapping[ReleaseKey, Mapping[str, SlotFacts]]:
    """Everything that exists of the slots of one app. ``replicasets``: also those that its Deployments have made."""
    found: dict[tuple[ReleaseKey, str], dict[str, Any]] = {}
    listed = list(replicasets)
    single: tuple[tuple[str, Iterable[Json], Callable[[Json], Any]], ...] = (
        ("replicaset", (m for m in listed if not is_of_deployment(m)), replicaset),
        ("service", services, _plain),
        ("deployment", deployments, deployment),
        ("autoscaler", autoscalers, autoscaler),
    )
    many: tuple[tuple[str, Iterable[Json], Callable[[Json], Any]], ...] = (
        ("pods", pods, pod),
        ("sets", (m for m in listed if is_of_deployment(m)), _plain),
    )

    def place(manifest: Json) -> dict[str, Any]:
        key = release_key(manifest)
        label = (manifest["metadata"].get("labels") or {}).get(names.LABEL_SLOT)
        fresh: dict[str, Any] = {"pods": [], "sets": []}
        return fresh if key is None or label is None else found.setdefault((key, label), fresh)

    for part, manifests, read in single:
        for manifest in manifests:
            place(manifest)[part] = read(manifest)
    for part, manifests, read in many:
        for manifest in manifests:
            place(manifest)[part].append(read(manifest))
    out: dict[ReleaseKey, dict[str, SlotFacts]] = {}
    for (key, label), parts in found.items():
        lists = {"pods": tuple(parts["pods"]), "sets": tuple(parts["sets"])}
        out.setdefault(key, {})[label] = SlotFacts(**parts | lists)
    return out


def replicaset(manifest: Json) -> ReplicaSetFacts:
    """A slot's ReplicaSet."""
    return ReplicaSetFacts(**_object(manifest), **_size(manifest))


def deployment(manifest: Json) -> DeploymentFacts:
    """The Deployment of a release without sessions."""
    asked = (manifest["metadata"].get("annotations") or {}).get(names.ANNOTATION_REPLICAS, "")
    return DeploymentFacts(**_object(manifest), **_size(manifest), asked=int(asked) if asked.isdigit() else None)


def _size(manifest: Json) -> dict[str, Any]:
    conditions = (manifest.get("status") or {}).get("conditions") or []
    failure = next(
        (c.get("message") for c in conditions if c["type"] == "ReplicaFailure" and c["status"] == "True"), None
    )
    return {
        "replicas": manifest["spec"].get("replicas", 1),
        "create_failure": failure,
        "nudge": (manifest["metadata"].get("annotations") or {}).get(names.ANNOTATION_NUDGE, ""),
    }


def autoscaler(manifest: Json) -> AutoscalerFacts:
    """The HorizontalPodAutoscaler of one. What somebody else has made of it is read as zeroes."""
    spec = manifest["spec"]
    metrics = [m.get("containerResource") or {} for m in spec.get("metrics") or []]
    target = (metrics[0].get("target") or {}) if len(metrics) == 1 else {}
    return AutoscalerFacts(
        **_object(manifest),
        least=spec.get("minReplicas") or 0,
        most=spec.get("maxReplicas") or 0,
        cpu=target.get("averageUtilization") or 0,
    )


def pod(manifest: Json) -> PodFacts:
    """A slot's pod."""
    status = manifest.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    ready = conditions.get("Ready", {})
    is_ready = ready.get("status") == "True"
    since = ready.get("lastTransitionTime") or manifest["metadata"].get("creationTimestamp")
    scheduled = conditions.get("PodScheduled", {})
    lost = status.get("phase") in {"Failed", "Succeeded"}
    return PodFacts(
        **_object(manifest),
        slot=(manifest["metadata"].get("labels") or {}).get(names.LABEL_SLOT, ""),
        over=lost,
        ip=status.get("podIP"),
        node=(manifest.get("spec") or {}).get("nodeName"),
        ready=is_ready and not lost,
        unready_since=None if is_ready or not since else instant(since),
        ready_since=instant(since) if is_ready and since else None,
        app=_container(status.get("containerStatuses"), "app"),
        front=_container(status.get("initContainerStatuses"), "front"),
        unschedulable=scheduled.get("message") if scheduled.get("reason") == "Unschedulable" else None,
    )


def _container(statuses: Iterable[Json] | None, name: str) -> ContainerFacts:
    status = next((s for s in statuses or () if s["name"] == name), None)
    if status is None:
        return ContainerFacts()
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = (status.get("lastState") or {}).get("terminated") or state.get("terminated")
    return ContainerFacts(
        running="running" in state,
        started=bool(status.get("started")),
        restarts=status.get("restartCount", 0),
        waiting=waiting.get("reason"),
        waiting_message=waiting.get("message", ""),
        last_exit=_exit(ended) if ended else None,
    )


def _exit(ended: Json) -> Exit:
    began, over = ended.get("startedAt"), ended.get("finishedAt")
    ran = (instant(over) - instant(began)).total_seconds() if began and over else 0.0
    at = instant(over) if over else None
    return Exit(code=ended.get("exitCode", 0), reason=ended.get("reason", ""), ran_for=ran, at=at)


def release(manifest: Json) -> ReleaseFacts:
    """An AppRelease. Raises pydantic's ValidationError for one that is not ours to read."""
    return ReleaseFacts(
        **_object(manifest),
        spec=AppReleaseSpec.model_validate(manifest["spec"]),
        status=AppReleaseStatus.model_validate(manifest.get("status") or {}),
    )


def route(manifest: Json) -> RouteFacts:
    """An HTTPRoute, with what its gateway says about this generation of it."""
    accepted, words = _verdict(manifest)
    return RouteFacts(**_object(manifest), spec=manifest["spec"], accepted=accepted, words=words)


def _verdict(manifest: Json) -> tuple[bool | None, str]:
    generation = manifest["metadata"].get("generation")
    answers = []
    for parent in (manifest.get("status") or {}).get("parents") or []:
        current = {
            c["type"]: c
            for c in parent.get("conditions") or []
            if c.get("observedGeneration", generation) == generation
        }
        refusals = [c for c in current.values() if c["type"] in {"Accepted", "ResolvedRefs"} and c["status"] == "False"]
        if refusals:
            answers.append(
                (False, "; ".join(f"{c.get('reason')}: {c.get('message') or ''}".rstrip(": ") for c in refusals))
            )
        elif all(current.get(kind, {}).get("status") == "True" for kind in ("Accepted", "ResolvedRefs")):
            answers.append((True, ""))
    if any(yes for yes, _ in answers):
        return True, ""
    return next(((False, words) for _, words in answers), (None, ""))


def gateway(manifest: Json | None, ref: GatewayRef) -> GatewayFacts:
    """A Gateway, and where this class's listener of it can be reached from inside the cluster."""
    if manifest is None:
        return GatewayFacts(exists=False)
    known = {
        "exists": True,
        "uid": manifest["metadata"]["uid"],
        "generation": manifest["metadata"].get("generation", 0),
    }
    if ref.address:
        return GatewayFacts(**known, address=ref.address)
    listeners = manifest["spec"].get("listeners") or []
    chosen = next((li for li in listeners if ref.section_name in {None, li["name"]}), None)
    addresses = (manifest.get("status") or {}).get("addresses") or []
    if chosen is None or not addresses:
        words = "the Gateway has no address yet" if chosen else f"the Gateway has no listener {ref.section_name!r}"
        return GatewayFacts(**known, words=words)
    scheme = "https://" if chosen.get("protocol") == "HTTPS" else ""
    return GatewayFacts(**known, address=f"{scheme}{addresses[0]['value']}:{chosen['port']}")
