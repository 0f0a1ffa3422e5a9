"""What must exist of a release that is one Deployment, how many pods it is told to have, and its orderly end.

How many there are is written in two moments only: when the Deployment is made, and when the author changes the number in
the manifest. Between those it belongs to whoever scales it: a person, or the autoscaler that is kept here where the author
says so. A successor begins with as many as serve, so that it need not be scaled while visitors come to it.
"""

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.plan import deployment, workload
from dataapp_operator.plan.actions import Create, Delete, Ensure
from dataapp_operator.plan.facts import ObjectFacts, SlotFacts
from dataapp_operator.plan.names import PAGE
from dataapp_operator.plan.scene import Draft, Scene

NUDGE, SIZE = "nudge", "size"
"""The parts of a Deployment that are written by themselves."""
_KEEPS = (
    "replicas.cpu is for apps that keep no sessions, and this one keeps them: a busy replica may have no visitor, and an idle"
    " one many. Say in replicas.sessionsPerReplica how many sessions one copy carries, and leave cpu out"
)
_EARLIER = "replicas.cpu holds from the next release on: r{number} was made of single replicas, which nobody scales by their CPU"


def ensure(scene: Scene, draft: Draft, spec: AppReleaseSpec, *, nudge: str) -> None:
    """Make what is missing; keep the autoscaler as the author wants it."""
    slot, known = scene.slot(spec.number, deployment.SLOT), scene.slot(spec.number, deployment.SLOT).deployment
    namespace, owned_by = scene.observed.namespace, workload.owner(scene.app, scene.observed.uid)
    if slot.service is None:
        service = workload.service(spec, index=deployment.SLOT, namespace=namespace, owned_by=owned_by)
        draft.actions.append(Ensure(service))
    if known is None:
        draft.actions.append(
            Create(
                deployment.manifest(
                    spec,
                    namespace=namespace,
                    owned_by=owned_by,
                    front_image=scene.observed.front_image,
                    replicas=spec.plan.replicas or 1,
                    asked=_asked(scene, spec),
                )
            )
        )
    elif nudge != known.nudge:
        draft.actions.append(Ensure(deployment.nudge(known, namespace=namespace, value=nudge), part=NUDGE))
    if scene.asked is None or deployment.fits(slot.autoscaler, scene.asked):
        return
    if scene.asked.by_cpu:
        draft.actions.append(Ensure(deployment.autoscaler(spec, scene.asked, namespace=namespace, owned_by=owned_by)))
    elif spec.number not in {scene.memory.stable, scene.memory.candidate}:
        _delete(draft, "HorizontalPodAutoscaler", slot.autoscaler)


def _asked(scene: Scene, spec: AppReleaseSpec) -> int:
    """The number that a new Deployment takes for the author's.

    A new release may begin with more than that, since what serves was scaled. One that is made again because somebody has
    deleted it begins as it once did, and what the author says by now is written once it rests.
    """
    begins = spec.number == scene.memory.candidate and scene.memory.phase == Phase.DEPLOYING
    return scene.asked.min if begins and scene.asked is not None else spec.plan.replicas or 1


def rescale(scene: Scene, draft: Draft, number: int) -> None:
    """Write the author's number where it is a new one, and where an autoscaler had its place until now."""
    slot, own = scene.slot(number, deployment.SLOT), scene.asked
    if slot.deployment is None or slot.deployment.deleting or own is None or own.by_cpu:
        return
    if slot.autoscaler is None and slot.deployment.asked == own.min:
        return
    draft.actions.append(
        Ensure(deployment.size(slot.deployment, namespace=scene.observed.namespace, replicas=own.min), part=SIZE)
    )
    _delete(draft, "HorizontalPodAutoscaler", slot.autoscaler)
    draft.notes.append(f"{scene.env}: r{number} is to have {own.min} pods")


def scaled(scene: Scene) -> int:
    """To how many pods somebody else has scaled what serves; 0 where nobody has."""
    stable = scene.memory.stable
    known = None if stable is None else scene.slot(stable, deployment.SLOT)
    if known is None or known.deployment is None:
        return 0
    by_others = known.autoscaler is not None or known.deployment.replicas != known.deployment.asked
    return known.deployment.replicas if by_others else 0


def carries(scene: Scene, number: int) -> bool:
    """Whether a former release is as large as what serves: else it would have to be scaled while everybody comes back."""
    stable = scene.memory.stable
    return not scene.is_fleet(number) or stable is None or scene.replicas(number) >= scene.replicas(stable)


def may_go(scene: Scene, numbers: set[int]) -> int:
    """How many pods of an environment others may evict at a time: none, as long as one of them may have sessions.

    The page for visitors has none, but it has only one pod: that stays while it is shown.
    """
    shown = PAGE in {weight.release for weight in scene.memory.weights}
    return 1 if not shown and all(scene.is_fleet(number) for number in numbers - {PAGE}) else 0


def end(draft: Draft, slot: SlotFacts) -> bool:
    """One step of taking a Deployment apart, and what it has made; its pods stay. True: there was something to do.

    Only pods that nobody owns are ended as those of slots are, by us and with our grace: what the cluster ends by itself it
    gives the whole grace of the pod.
    """
    _delete(draft, "HorizontalPodAutoscaler", slot.autoscaler)
    if slot.deployment is not None:
        _orphan(draft, "Deployment", slot.deployment)
        return True
    for made in slot.sets:
        _orphan(draft, "ReplicaSet", made)
    return bool(slot.sets)


def _orphan(draft: Draft, kind: str, known: ObjectFacts) -> None:
    """Delete it, and leave what it has made."""
    if not known.deleting:
        version = known.resource_version
        draft.actions.append(
            Delete(kind=kind, name=known.name, uid=known.uid, resource_version=version, propagation="Orphan")
        )


def _delete(draft: Draft, kind: str, known: ObjectFacts | None) -> None:
    if known is not None and not known.deleting:
        draft.actions.append(Delete(kind=kind, name=known.name, uid=known.uid))


def complain(scene: Scene, draft: Draft) -> None:
    """``replicas.cpu`` says nothing of slots (of an app that turned out to keep sessions); its author is told so, at rest."""
    number, own = draft.memory.stable, scene.asked
    spec = None if number is None else scene.spec(number)
    if own is None or own.cpu is None or number is None or spec is None or scene.is_fleet(number):
        return
    if draft.memory.candidate is not None or draft.memory.waiting_for is not None:
        return  # there is something of more interest
    if scene.memory.waiting_for is not None and scene.memory.waiting_for.reason == Reason.NO_CPU_SCALING:
        draft.update(waiting_for=scene.memory.waiting_for)  # it has been waited for since then
    draft.stall(Reason.NO_CPU_SCALING, _EARLIER.format(number=number) if spec.sessionless else _KEEPS)
