"""What must exist for the persisted memory, and the orderly end of what is no longer needed.

Nothing here decides how a release goes on: given the memory of the last pass, it keeps alive what that memory names
(``ensure``), and takes apart, piece by piece, what has been on the list of removals since an earlier pass (``remove``);
``draining`` decides what comes onto that list. A release is removed in the order *routes, ReplicaSet (its pod
stays), pod, Service*, each step only once the one before has been observed: no route ever points at nothing.
"""

from dataapp_operator.api.base import seconds
from dataapp_operator.api.dataapp import Drain
from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.status import SCALE, EnvironmentStatus
from dataapp_operator.plan import commands, cookies, detours, fleet_upkeep, names, page, routes, workload
from dataapp_operator.plan.actions import Delete, Ensure
from dataapp_operator.plan.facts import DeploymentFacts, ReplicaSetFacts, RouteFacts, SlotFacts
from dataapp_operator.plan.names import PAGE
from dataapp_operator.plan.scene import Draft, Scene

POD_GRACE = 30
"""Seconds a pod that we end may take: it is empty, or its time is over."""

MOST_RULES = 16
"""Rules that an HTTPRoute may have."""

NUDGE_EVERY = 30
"""Seconds between two tries to create a pod that the cluster refused."""

_BUILT = {Phase.DEPLOYING, Phase.CHECKING, Phase.RELEASING, Phase.BAKING}


def live(memory: EnvironmentStatus) -> set[int]:
    """The releases whose parts must exist."""
    numbers = memory.former | {w.release for w in memory.weights}
    if memory.stable is not None and (memory.stopped is None or memory.stopped.release != memory.stable):
        numbers.add(memory.stable)
    if memory.stuck is not None:
        numbers.add(memory.stuck.release)
    if _wants_page(memory):
        numbers.add(PAGE)
    if memory.candidate is not None and memory.phase in _BUILT:
        numbers.add(memory.candidate)
    return numbers - set(memory.removing)


def _wants_page(memory: EnvironmentStatus) -> bool:
    """New visitors have a page instead of the app, or are about to; or will have, should the new release fail."""
    waits = memory.phase == Phase.PENDING and memory.candidate is not None and bool(memory.weights)
    return waits or memory.stopped is not None or (memory.intent is not None and memory.intent.switch_to == PAGE)


def shares(memory: EnvironmentStatus) -> dict[int, int]:
    """The share of new visits, of SCALE, that each release must get according to the memory."""
    intent = memory.intent
    if intent is None:
        return {w.release: w.weight for w in memory.weights}
    if intent.weight is None or memory.stable is None:
        return {intent.switch_to: SCALE}
    return {memory.stable: SCALE - intent.weight, intent.switch_to: intent.weight}


def next_plan(memory: EnvironmentStatus) -> int:
    """The number of the next switch: no other one that was decided has it."""
    decided = [memory.intent, memory.stuck.intent if memory.stuck is not None else None]
    return max([memory.plan, *(intent.plan for intent in decided if intent is not None)]) + 1


def leaving(memory: EnvironmentStatus) -> set[int]:
    """The releases whose browsers get another release on their next page load."""
    numbers = memory.former
    numbers |= {w.release for w in memory.weights}
    if memory.stuck is not None:
        numbers.add(memory.stuck.release)
    if memory.weights or memory.intent:
        numbers |= {n for n in (memory.stable,) if n is not None}
    if memory.intent or memory.phase in {Phase.RELEASING, Phase.BAKING}:
        numbers |= {n for n in (memory.candidate,) if n is not None}
    return numbers - shares(memory).keys() - {PAGE}  # which gives no cookie


def leaving_slots(memory: EnvironmentStatus) -> list[tuple[int, int]]:
    """(release, slot) of the single replicas whose browsers get another one on their next page load."""
    going = shares(memory).keys()
    return [
        (scale.release, index)
        for scale in memory.scales
        if scale.release in going
        for index in (*(slot.index for slot in scale.leaving), *scale.removing)
        if index not in scale.serving
    ]


def ensure(scene: Scene, draft: Draft, cls: EnvironmentClassSpec | None) -> None:
    """Keep the workload and routes of every live release as they should be; without a class, routes as they are.

    What is missing of an app that is being deleted is not made again: its namespace may be going too.
    """
    if scene.observed.deleting:
        return
    _ensure_budget(scene, draft)
    for number in sorted(live(scene.memory)):
        if number == PAGE:
            page.ensure(scene, draft)
            continue
        _ensure_workload(scene, draft, number)
        if cls is not None and all(slot.service is not None for slot in scene.needed(number).values()):
            _ensure_release_routes(scene, draft, number, cls)


def _ensure_budget(scene: Scene, draft: Draft) -> None:
    """No pod that works is evicted by others: on a node that is to be emptied, sessions end before their pod does.

    Pods without sessions may be evicted, one at a time.
    """
    numbers = live(scene.memory)
    known, may_go = scene.observed.budgets.get(names.budget(scene.app, scene.env)), fleet_upkeep.may_go(scene, numbers)
    if not numbers or (known is not None and known.may_go == may_go):
        return
    namespace, owned_by = scene.observed.namespace, workload.owner(scene.app, scene.observed.uid)
    budget = workload.budget(
        app=scene.app, environment=scene.env, namespace=namespace, owned_by=owned_by, may_go=may_go
    )
    draft.actions.append(Ensure(budget))


def ensure_weights(scene: Scene, draft: Draft, cls: EnvironmentClassSpec | None, *, only_look: bool = False) -> bool:
    """Keep the weights route as the memory says. True when it already is. ``only_look``: if it is there, it stays."""
    wanted_shares = shares(scene.memory)
    name = names.weights_route(scene.app, scene.env)
    known = scene.observed.routes.get(name)
    if not wanted_shares:
        if known is not None and not known.deleting:
            draft.actions.append(delete_route(known))
        return False
    if cls is None:
        return False
    wanted = routes.weights_spec(
        app=scene.app,
        environment=scene.env,
        host=scene.host,
        gateway=cls.gateway,
        shares=wanted_shares,
        slots={number: _receiving(scene, draft, number, known) for number in wanted_shares},
        leaving_slots=[(number, index) for number, index in leaving_slots(scene.memory) if _leads(scene, number)],
        leaving={number for number in leaving(scene.memory) if _leads(scene, number)},
        plan=scene.memory.intent.plan if scene.memory.intent else scene.memory.plan,
        named=[n for n in wanted_shares if len(wanted_shares) > 1 and not (_leads(scene, n) and _asked(scene, n))],
    )
    able = all(_can_take(scene, number) for number in wanted_shares)
    if scene.memory.intent is not None and (not able or (only_look and known is not None)):
        # Weight only for a release that can take it: it lost a slot (or its pins) since the switch was decided. Wait.
        return known is not None and known.spec == wanted
    if known is not None and _answers(scene, known.spec) and not _answers(scene, wanted):
        return False  # whoever was to take over has gone meanwhile: visitors stay where somebody answers
    return ensure_route(scene, draft, name, names.labels(scene.app, scene.env), wanted)


def _answers(scene: Scene, spec: dict[str, object]) -> bool:
    """Whether one of the slots that a weights route leads to is ready."""
    led = routes.backends_of(spec)
    return any(
        slot.service is not None and slot.service.name in led and slot.ready
        for (env, _), slots in scene.observed.slots.items()
        if env == scene.env
        for slot in slots.values()
    )


def _receiving(scene: Scene, draft: Draft, number: int, known: RouteFacts | None) -> tuple[int, ...]:
    """The slots that share a release's new visits: those that serve; what is away is gone round as long as another answers."""
    away = detours.away(scene, draft, number)
    serving = tuple(index for index in scene.scale(number).serving if index not in away)
    there = routes.backends_of(known.spec) if known is not None else {}
    names_ = {index: names.slot(scene.app, scene.env, number, index) for index in serving}
    if not any(name in there for name in names_.values()):
        return serving
    return tuple(i for i in serving if names_[i] in there or scene.slot(number, i).ready)


def _can_take(scene: Scene, number: int) -> bool:
    """Whether a release can be given new visits: its slots are there, and the cookies they set lead to them."""
    if number == PAGE:
        return scene.ready(number)
    able = scene.any_ready(number) if number == scene.memory.stable else scene.ready(number)
    return able and (not _leads(scene, number) or names.release(scene.app, scene.env, number) in scene.observed.routes)


def _leads(scene: Scene, number: int) -> bool:
    """Whether cookies lead to a release. A Gateway that does not obey such rules gets none: it might refuse the route."""
    spec = scene.spec(number)
    return spec is None or spec.plan.pins


def _ensure_workload(scene: Scene, draft: Draft, number: int) -> None:
    spec = scene.spec(number)
    if spec is None:
        return  # its record was deleted by somebody: what runs goes on, what is missing cannot be rebuilt
    if scene.is_fleet(number):
        known = scene.slot(number, 0).deployment
        # An autoscaler that wants more than the quota may go on wanting: pods enough are not nudged.
        enough = known is not None and scene.ready(number)
        nudge = known.nudge if known is not None and enough else _nudge(scene, draft, known)
        fleet_upkeep.ensure(scene, draft, spec, nudge=nudge)
        return
    owned_by = workload.owner(scene.app, scene.observed.uid)
    scale = scene.scale(number)
    for index in (*scale.serving, *scale.starting):  # what leaves is not made again
        slot = scene.slot(number, index)
        if slot.service is None:
            draft.actions.append(
                Ensure(workload.service(spec, index=index, namespace=scene.observed.namespace, owned_by=owned_by))
            )
        nudge = _nudge(scene, draft, slot.replicaset)
        if slot.replicaset is None or slot.replicaset.replicas != 1 or nudge != slot.replicaset.nudge:
            draft.actions.append(
                Ensure(
                    workload.replicaset(
                        spec,
                        index=index,
                        namespace=scene.observed.namespace,
                        owned_by=owned_by,
                        front_image=scene.observed.front_image,
                        nudge=nudge,
                    )
                )
            )


def _nudge(scene: Scene, draft: Draft, known: ReplicaSetFacts | DeploymentFacts | None) -> str:
    """The annotation that who makes pods should have: a new one every little while as long as its pod is refused.

    Its controller waits twice as long after every refusal, up to 17 minutes, and does not notice a raised quota.
    """
    if known is None or known.create_failure is None:
        return known.nudge if known else ""
    draft.wake_in(NUDGE_EVERY)
    return str(int(scene.now.timestamp()) // NUDGE_EVERY)


def _ensure_release_routes(scene: Scene, draft: Draft, number: int, cls: EnvironmentClassSpec) -> None:
    serving, pinned = scene.scale(number).serving, scene.pinned(number)
    labels = names.labels(scene.app, scene.env, number)
    if _leads(scene, number):
        away = detours.away(scene, draft, number)
        asked = tuple(index for index in _asked(scene, number) if index not in away)
        pins = routes.pins_spec(
            app=scene.app,
            environment=scene.env,
            host=scene.host,
            gateway=cls.gateway,
            number=number,
            slots=pinned,
            cookie=cookies.name(scene, number),
            asked=asked if len(pinned) < MOST_RULES else (),
            round_them=detours.round_them(scene, number, away),
        )
        ensure_route(scene, draft, names.release(scene.app, scene.env, number), labels, pins)
    preview = routes.preview_spec(
        app=scene.app,
        environment=scene.env,
        host=preview_host(scene, number, cls),
        gateway=cls.gateway,
        number=number,
        slot=next(iter(serving), 0),
    )
    ensure_route(scene, draft, names.preview_route(scene.app, scene.env, number), labels, preview)


def _asked(scene: Scene, number: int) -> tuple[int, ...]:
    """The slots for whoever asks for a release by its number: some while it is on its way, and others than it serve too.

    Sessions stay with the first, without a pin and whatever pin they bring. There are some only where anybody has the time
    to ask: a new release with steps or a hold, or one that a person has paused. When all visitors come to it, or when it is
    taken back, its number means nothing any more.
    """
    memory, spec, intent = scene.memory, scene.spec(number), scene.memory.intent
    over = memory.phase == Phase.BAKING or (
        intent is not None and (intent.switch_to != number or intent.weight is None)
    )
    if number != memory.candidate or memory.stable is None or over or spec is None:
        return ()
    comes_back = number in memory.former
    takes_time = not comes_back and (spec.plan.steps or seconds(spec.plan.hold))
    if not takes_time and not commands.paused(scene):
        return ()
    serving = scene.scale(number).serving
    return serving if spec.sessionless else serving[:1]


def preview_host(scene: Scene, number: int, cls: EnvironmentClassSpec) -> str:
    """The preview host of a release of this environment."""
    return names.preview_host(
        cls, app=scene.app, namespace=scene.observed.namespace, environment=scene.env, number=number
    )


def ensure_route(scene: Scene, draft: Draft, name: str, labels: dict[str, str], spec: dict[str, object]) -> bool:
    """Keep a route as it should be. True when it already is."""
    known = scene.observed.routes.get(name)
    if known is not None and known.spec == spec:
        return True
    manifest = routes.route(
        name=name,
        namespace=scene.observed.namespace,
        labels=labels,
        owned_by=workload.owner(scene.app, scene.observed.uid),
        spec=spec,
    )
    if known is not None:
        manifest["metadata"]["resourceVersion"] = known.resource_version
    draft.actions.append(Ensure(manifest))
    return False


def remove(scene: Scene, draft: Draft) -> None:
    """Take apart what has been on the list of removals since an earlier pass."""
    for number in scene.memory.removing:
        if number == PAGE and page.has_visitors(scene):
            draft.wake_in(NUDGE_EVERY)
        elif _remove_one(scene, draft, number):
            draft.update(
                removing=tuple(n for n in draft.memory.removing if n != number),
                draining=tuple(d for d in draft.memory.draining if d.release != number),
                warm=tuple(w for w in draft.memory.warm if w.release != number),
            )
            draft.notes.append(f"{scene.env}: r{number} is removed")


def drain_policy(scene: Scene, number: int) -> Drain:
    """The drain policy a release was frozen with; the API's default when its record is gone."""
    spec = scene.spec(number)
    return spec.plan.drain if spec else Drain()


def _remove_one(scene: Scene, draft: Draft, number: int) -> bool:
    """One step of taking a release apart. True once nothing is left."""
    mine = (
        names.proof_route(scene.app, scene.env, number),
        names.preview_route(scene.app, scene.env, number),
        names.release(scene.app, scene.env, number),
    )
    left = [scene.observed.routes[name] for name in mine if name in scene.observed.routes]
    if left:
        draft.actions += [delete_route(route) for route in left if not route.deleting]
        return False
    slots = scene.slots(number)
    for slot in slots.values():
        end_slot(draft, slot)
    return all(slot.gone for slot in slots.values())


def end_slot(draft: Draft, slot: SlotFacts) -> None:
    """One step of taking a slot apart to which no route leads any more."""
    if fleet_upkeep.end(draft, slot):
        return
    if slot.replicaset is not None:
        if not slot.replicaset.deleting:
            draft.actions.append(
                Delete(
                    kind="ReplicaSet",
                    name=slot.replicaset.name,
                    uid=slot.replicaset.uid,
                    resource_version=slot.replicaset.resource_version,
                    propagation="Orphan",
                )
            )
        return
    draft.actions += [
        Delete(kind="Pod", name=pod.name, uid=pod.uid, grace_seconds=POD_GRACE) for pod in slot.pods if not pod.deleting
    ]
    if not slot.pods and slot.service is not None and not slot.service.deleting:
        draft.actions.append(Delete(kind="Service", name=slot.service.name, uid=slot.service.uid))


def delete_route(route: RouteFacts) -> Delete:
    """The end of a route, of exactly this incarnation."""
    return Delete(kind="HTTPRoute", name=route.name, uid=route.uid, resource_version=route.resource_version)
