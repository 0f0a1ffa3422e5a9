"""A canary whose steps say ``replicas``: a new release starts with what its first step needs, and grows before the next one.

Growing comes before the share, never after it: a step is decided when as many replicas are ready as its share of the
visitors needs. What an author asks for less is raised to that; what is there stays. So a release never has a greater part
of the visitors than of the replicas it is to have in the end. Of a Deployment none of this holds: whoever scales it does.
"""

import math
from datetime import datetime, timedelta

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.base import instant
from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.status import Scale
from dataapp_operator.plan import health, scaling
from dataapp_operator.plan.health import Health, Outlook
from dataapp_operator.plan.scene import Draft, Scene, since, start_limit


def grows(spec: AppReleaseSpec | None) -> bool:
    """Whether a release has fewer replicas at some of its steps than in the end."""
    return spec is not None and spec.plan.workload == "slots" and any(s.replicas is not None for s in spec.plan.steps)


def count(spec: AppReleaseSpec, step: int | None) -> int:
    """How many replicas a release needs at a step; all of them where all visitors come (``step`` None, or behind the last)."""
    steps, whole = spec.plan.steps, spec.plan.slots
    if not grows(spec) or step is None or step >= len(steps):
        return whole
    here = steps[step]
    least = math.ceil(here.weight * whole / 100)
    return whole if here.replicas is None else min(max(here.replicas, least), whole)


def begin(scene: Scene, draft: Draft, spec: AppReleaseSpec) -> None:
    """Note how many replicas a new release begins with, where those are not all.

    A first release begins with all of them, as all visitors come at once; one that is there already keeps what it has.
    """
    number, first = spec.number, count(spec, 0)
    known = scene.slots(number) or any(scale.release == number for scale in draft.memory.scales)
    if first < spec.plan.slots and scene.memory.stable is not None and not known:
        _note(draft, Scale(release=number, serving=tuple(range(first))))


def is_unfinished(scene: Scene, number: int) -> bool:
    """Whether a former release was given up before it had all its replicas: it cannot take everybody back."""
    spec, served = scene.spec(number), {warm.release for warm in scene.memory.warm}
    if spec is None or not grows(spec) or number in served:
        return False
    return len(scene.scale(number).serving) < spec.plan.slots


def is_grown(scene: Scene, draft: Draft, number: int, step: int | None) -> bool:
    """Whether a release has the replicas for a step; else those that are missing are started, and it is said."""
    spec = scene.spec(number)
    if spec is None or not grows(spec) or number in scene.memory.former:
        return True
    needed, scale = count(spec, step), scene.scale(number)
    if len(scale.serving) >= needed:
        return True
    lacking = needed - len(scale.serving) - len(scale.starting)
    if lacking > 0:
        _note(draft, scaling.more(scene, draft, scale, lacking))
    states = _of_starting(scene, number)
    blocked = next((state for state in states if state.outlook is Outlook.BLOCKED), None)
    what = (
        f"r{number} gets {scaling.so_many_more(needed - len(scale.serving))} before more of the new visitors come to it"
    )
    if blocked is not None:
        draft.stall(blocked.reason, f"{what}: {blocked.message}. Who is on it stays, and so do the shares")
        draft.wake_in(scaling.LOOK)
        return False
    draft.wait(Reason.SCALING, what, until=_began(scene) + timedelta(seconds=start_limit(spec)))
    return False


def failed(scene: Scene, number: int) -> Health | None:
    """The first replica that will not come: of those that serve, and of those that a step waits for."""
    serving = [state for _, state in scene.health(number, since(scene.memory, scene.now))]
    states = (*serving, *_of_starting(scene, number))
    return next((state for state in states if state.outlook is Outlook.FAILED), None)


def _note(draft: Draft, scale: Scale) -> None:
    """Put the slots of a release down in place of what was known of them."""
    others = (known for known in draft.memory.scales if known.release != scale.release)
    draft.update(scales=tuple(sorted((*others, scale), key=lambda one: one.release)))


def _of_starting(scene: Scene, number: int) -> list[Health]:
    """The health of the replicas that a step waits for. One that does not come within its time has failed."""
    spec, began = scene.spec(number), _began(scene)
    if spec is None or not grows(spec):
        return []
    states = [
        health.of_slot(scene.slot(number, index), spec, since=began, now=scene.now)
        for index in scene.scale(number).starting
    ]
    limit = start_limit(spec)
    late = scene.now >= began + timedelta(seconds=limit)
    return [_too_late(state, limit) if late and state.outlook is Outlook.COMING else state for state in states]


def _too_late(state: Health, limit: int) -> Health:
    return Health(
        Outlook.FAILED, Reason.DEADLINE, f"another replica of it was not ready after {limit} s: {state.message}"
    )


def _began(scene: Scene) -> datetime:
    waits = scene.memory.waiting_for
    return instant(waits.since) if waits is not None and waits.reason == Reason.SCALING else scene.now
