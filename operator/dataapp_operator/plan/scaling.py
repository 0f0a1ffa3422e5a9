"""More and fewer replicas of the release that serves, one slot at a time and without a release.

A slot that is added gets visitors once it is ready. One that is too many, or on a node that somebody is about to empty,
gets no new ones from now on and is taken apart when nothing was open on it for ``emptyFor``, or at its stated end; until
then its cookie leads to it. What is persisted in ``scales`` justifies each of these steps, as everywhere.
"""

import math
from collections.abc import Iterable
from datetime import timedelta

from dataapp_operator.api.base import instant, seconds, timestamp
from dataapp_operator.api.dataapp import MAX_SLOTS, Replicas
from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.status import LeavingSlot, Scale
from dataapp_operator.plan import detours, fleet_upkeep, health, limits, names, routes, upkeep
from dataapp_operator.plan.actions import AskFronts
from dataapp_operator.plan.health import Outlook
from dataapp_operator.plan.scene import Draft, Scene

BUSY = 0.8
"""The share of its sessions at which a replica is full enough to start another one."""
CALM = 0.5
"""The share at which the replicas that are left may be, for one to be taken away."""
PATIENCE = 300
"""Seconds for which fewer replicas must have been enough."""
STANDING = 2 * MAX_SLOTS
"""Slots of a release that may exist at once, those that leave included."""
SOON = 2
"""Seconds until a gateway is looked at again that has not yet said that it accepts a route."""
LOOK = 10
"""Seconds between two looks at a slot that starts or leaves."""


def replicas(scene: Scene) -> Replicas:
    """How many the author wants here: what the manifest says now, whatever release it is."""
    assert scene.asked is not None  # noqa: S101 - the caller looked
    return scene.asked


def watches(scene: Scene) -> bool:
    """Whether open sessions decide how many there are: then the fronts are asked all the time."""
    stable = scene.memory.stable
    if scene.environment is None or (stable is not None and scene.is_fleet(stable)):
        return False
    return replicas(scene).most > replicas(scene).min


def advance(scene: Scene, draft: Draft) -> None:
    """One step of every release whose slots are not those it began with; and of the stable one, where it is at rest."""
    known = {scale.release: scale for scale in draft.memory.scales}
    live = upkeep.live(draft.memory)
    stable = draft.memory.stable
    rests = scene.memory.candidate is None and draft.memory.candidate is None and scene.memory.stable == stable
    if rests and stable in live and scene.spec(stable) is not None and scene.environment is not None:
        if scene.is_fleet(stable):
            fleet_upkeep.rescale(scene, draft, stable)
        else:
            known[stable] = _only_one(scene, draft, _toward(scene, draft, _settled(scene, draft, scene.scale(stable))))
    for number, scale in list(known.items()):
        if number not in live:
            del known[number]
        elif not (rests and number == stable):
            known[number] = _settled(
                scene,
                draft,
                scale,
                serves=number in {stable, draft.memory.candidate},
                joins=not limits.is_one_replica(scene.spec(number)),  # it takes a place only as the other leaves it
            )
    begun = {number: scene.spec(number) for number in known}
    draft.update(
        scales=tuple(
            scale
            for number, scale in sorted(known.items())
            if (spec := begun[number]) is None or scale != Scale(release=number, serving=tuple(range(spec.plan.slots)))
        )
    )


def remove(scene: Scene, draft: Draft) -> None:
    """Take slots apart that have been on the list of removals since an earlier pass, and that no route leads to."""
    named = [routes.services_of(route.spec) for route in scene.observed.routes.values()]
    for scale in scene.memory.scales:
        if scale.release in scene.memory.removing:
            continue
        for index in scale.removing:
            service = names.slot(scene.app, scene.env, scale.release, index)
            if not _is_obeyed(scene, scale.release):
                draft.wake_in(SOON)
            elif not any(service in services for services in named):
                upkeep.end_slot(draft, scene.slot(scale.release, index))


def _is_obeyed(scene: Scene, number: int) -> bool:
    """Whether the gateway accepts all routes to a release as they are; else it may still do what was written before."""
    where = (scene.app, scene.env)
    mine = {names.weights_route(*where), names.release(*where, number), names.preview_route(*where, number)}
    return all(route.accepted for name, route in scene.observed.routes.items() if name in mine)


def _gets_visitors(scene: Scene, number: int, index: int) -> bool:
    """Whether new visitors are still sent there: nobody else answered, say, when it was to leave."""
    known = scene.observed.routes.get(names.weights_route(scene.app, scene.env))
    return known is not None and names.slot(scene.app, scene.env, number, index) in routes.backends_of(known.spec)


def _settled(scene: Scene, draft: Draft, scale: Scale, *, serves: bool = True, joins: bool = True) -> Scale:
    """What starts and is ready serves; what leaves and is empty, or whose time is over, is removed; what is gone is gone."""
    number = scale.release
    ready = tuple(
        i for i in scale.starting if serves and joins and detours.has_settled(scene, draft, scene.slot(number, i))
    )
    gone = {i for i in scale.removing if scene.slot(number, i).gone}
    over = tuple(s for s in scale.leaving if _over(scene, number, s))
    given_up = () if serves else scale.starting
    for leaving in scale.leaving:
        draft.wake_at.append(instant(leaving.forced_at))
    if scale.starting or scale.leaving:
        draft.wake_in(LOOK)
    removing = {*scale.removing, *(s.index for s in over), *given_up} - gone
    return scale.model_copy(
        update={
            "serving": tuple(sorted({*scale.serving, *ready})),
            "starting": tuple(i for i in scale.starting if i not in {*ready, *given_up}),
            "leaving": tuple(s for s in scale.leaving if s not in over),
            "removing": tuple(sorted(removing)),
        }
    )


def _over(scene: Scene, number: int, leaving: LeavingSlot) -> bool:
    """Nothing was open on it for the whole of emptyFor, or its stated end has come."""
    slot = scene.slot(number, leaving.index)
    if scene.now >= instant(leaving.forced_at) or not slot.pods:
        return True
    empty_for = seconds(upkeep.drain_policy(scene, number).empty_for)
    lasted = (scene.now - instant(leaving.since)).total_seconds()
    if lasted < empty_for or not _is_obeyed(scene, number) or _gets_visitors(scene, number, leaving.index):
        return False  # somebody may come yet
    said = scene.fronts_of(slot)
    return all(f.live == 0 and f.quiet_for is not None and f.quiet_for >= empty_for for f in said)


def _toward(scene: Scene, draft: Draft, scale: Scale) -> Scale:
    """One step to as many replicas as are wanted, on nodes that are to stay."""
    number = scale.release
    count, fewer_since = _wanted(scene, draft, scale)
    scale = scale.model_copy(update={"fewer_since": fewer_since})
    staying = [i for i in scale.serving if not _cordoned(scene, number, i)]
    coming = [i for i in scale.starting if not _cordoned(scene, number, i)]
    lacking = count - len(staying) - len(coming)
    if lacking > 0:
        return more(scene, draft, scale, lacking)
    if scale.starting:
        _say_starting(scene, draft, scale)
    keep = set(staying[:count])
    if len(keep) < count or not all(scene.slot(number, i).ready for i in keep):
        return scale  # what leaves first needs somebody to take its place
    surplus = [i for i in scale.serving if i not in keep]
    idle = [i for i in scale.starting if len(keep) >= count]
    return _leave(scene, draft, scale, {*surplus, *idle}) if surplus or idle else scale


def _only_one(scene: Scene, draft: Draft, scale: Scale) -> Scale:
    """Never two at once where cookies lead to none: one that works stays, best where nobody is about to empty its node."""
    number = scale.release
    if not limits.is_one_replica(scene.spec(number)) or len(scale.serving) <= 1:
        return scale
    best = min(scale.serving, key=lambda i: (not scene.slot(number, i).ready, _cordoned(scene, number, i)))
    return _leave(scene, draft, scale, set(scale.serving) - {best})


def _leave(scene: Scene, draft: Draft, scale: Scale, going: set[int]) -> Scale:
    """Replicas get no new visitors; those that never had any are removed."""
    number, idle = scale.release, going.intersection(scale.starting)
    draft.notes.append(f"{scene.env}: r{number}: replicas {_names(sorted(going))} leave")
    until = scene.now + timedelta(seconds=seconds(upkeep.drain_policy(scene, number).max))
    leave = [LeavingSlot(index=i, since=timestamp(scene.now), forced_at=timestamp(until)) for i in sorted(going - idle)]
    return scale.model_copy(
        update={
            "serving": tuple(i for i in scale.serving if i not in going),
            "starting": tuple(i for i in scale.starting if i not in idle),
            "leaving": (*scale.leaving, *leave),
            "removing": tuple(sorted({*scale.removing, *idle})),
        }
    )


def more(scene: Scene, draft: Draft, scale: Scale, lacking: int) -> Scale:
    """So many more replicas: take back what leaves and still works, else start new ones."""
    number = scale.release
    back = [
        s.index for s in scale.leaving if scene.slot(number, s.index).ready and not _cordoned(scene, number, s.index)
    ][:lacking]
    taken = {*scale.serving, *scale.starting, *(s.index for s in scale.leaving), *scale.removing}
    existing = {int(label[1:]) for label in scene.slots(number)}
    free = [i for i in range(STANDING) if i not in taken | existing]
    new = free[: lacking - len(back)]
    scale = scale.model_copy(
        update={
            "serving": tuple(sorted({*scale.serving, *back})),
            "starting": tuple(sorted({*scale.starting, *new})),
            "leaving": tuple(s for s in scale.leaving if s.index not in back),
        }
    )
    if back or new:
        draft.notes.append(f"{scene.env}: r{number}: replicas {_names([*back, *new])} are added")
    if scale.starting:
        _say_starting(scene, draft, scale)
    draft.wake_in(0 if back or new else LOOK)
    return scale


def so_many_more(number: int) -> str:
    """In words."""
    return "another replica" if number == 1 else f"{number} more replicas"


def _say_starting(scene: Scene, draft: Draft, scale: Scale) -> None:
    """Say what a replica that is to come waits for, unless something more important is waited for."""
    if draft.memory.waiting_for is not None:
        return
    number = scale.release
    what = f"r{number} gets {so_many_more(len(scale.starting))}"
    since = instant(scene.memory.waiting_for.since) if _waits(scene) and scene.memory.waiting_for else scene.now
    for index in scale.starting:
        state = health.of_slot(scene.slot(number, index), scene.spec(number), since=since, now=scene.now)
        if state.outlook in {Outlook.BLOCKED, Outlook.FAILED}:
            draft.stall(state.reason, f"{what}: {state.message}. Those that serve go on")
            draft.wake_in(LOOK)
            return
    draft.wait(Reason.SCALING, f"{what}; new visitors come to it once it is ready")


def _waits(scene: Scene) -> bool:
    return scene.memory.waiting_for is not None and scene.memory.waiting_for.reason == Reason.SCALING


def _wanted(scene: Scene, draft: Draft, scale: Scale) -> tuple[int, str | None]:
    """(how many replicas, since when fewer would be enough)."""
    if limits.is_one_replica(scene.spec(scale.release)):
        return 1, None
    own = replicas(scene)
    here = min(max(len(scale.serving), own.min), own.most)
    each = own.sessions_per_replica
    if not watches(scene) or each is None:
        return here if own.min < own.most else own.min, None
    live = _open_sessions(scene, scale)  # whoever asks the fronts wakes us when it changes
    if live is None:
        return here, scale.fewer_since
    needed = min(max(math.ceil(live / (each * BUSY)), own.min), own.most)
    if needed > here:
        return needed, None
    enough = min(max(math.ceil(live / (each * CALM)), own.min), here)
    if enough == here:
        return here, None
    since = scale.fewer_since or timestamp(scene.now)
    if (scene.now - instant(since)).total_seconds() >= PATIENCE:
        return enough, None
    draft.wake_at.append(instant(since) + timedelta(seconds=PATIENCE))
    return here, since


def _open_sessions(scene: Scene, scale: Scale) -> int | None:
    """Open on the slots that serve; None where one of them cannot be asked."""
    said = [front for i in scale.serving for front in scene.fronts_of(scene.slot(scale.release, i))]
    live = [front.live for front in said]
    known = [count for count in live if count is not None]
    return sum(known) if said and len(known) == len(live) else None


def ask_fronts(scene: Scene, draft: Draft) -> None:
    """Ask the fronts of what leaves, and where sessions decide how many replicas there are; else nobody."""
    if any(isinstance(work, AskFronts) for work in draft.background):
        return
    numbers = {s.release for s in draft.memory.scales if s.leaving}
    if watches(scene) and draft.memory.stable is not None:
        numbers.add(draft.memory.stable)
    targets = [t for number in sorted(numbers) for t in scene.targets(number)]
    if targets:
        draft.background.append(AskFronts(environment=scene.env, targets=tuple(targets)))


def _cordoned(scene: Scene, number: int, index: int) -> bool:
    """Whether a slot has to be somewhere else. What cannot run twice moves as a release instead."""
    spec = scene.spec(number)
    if spec is not None and spec.plan.strategy == "recreate":
        return False
    pod = scene.slot(number, index).pod
    return pod is not None and pod.node is not None and pod.node in scene.observed.cordoned


def _names(indexes: Iterable[int]) -> str:
    return ", ".join(names.slot_label(i) for i in indexes)
