"""A replica that does not answer, while another of its release does: visitors go round it until it is back. Pure.

A gateway answers requests for a Service without endpoints with an error of its own, for as long as a rule leads there: a
browser that is pinned to the replica would see nothing else, and of the new visitors every other one. What was open on the
replica is gone with its process; what is loaded now, and its assets, come from another one of the *same* release.
"""

from collections.abc import Mapping
from datetime import timedelta

from dataapp_operator.api.reasons import Phase
from dataapp_operator.plan import names, routes
from dataapp_operator.plan.facts import SlotFacts
from dataapp_operator.plan.scene import Draft, Scene

PATIENCE = 2
"""Seconds for which a replica may be unready: a process that only starts again is not worth two writes."""
SETTLING = 2
"""Seconds for which a replica must be ready before visitors are sent to it: its gateway hears of it by another way."""


def away(scene: Scene, draft: Draft, number: int) -> tuple[int, ...]:
    """The slots that visitors go round. None while nobody could have been on the release yet, or where none answers.

    Of a Deployment neither: it has one Service, whose pods are gone round by whoever leads to it.
    """
    if scene.is_fleet(number):
        return ()
    slots = {index: scene.slot(number, index) for index in scene.pinned(number)}
    if not _has_visitors(scene, number) or not any(slots[i].ready for i in scene.scale(number).serving if i in slots):
        return ()
    starting = scene.scale(number).starting
    return tuple(i for i, slot in slots.items() if i not in starting and _is_away(scene, draft, number, i, slot))


def round_them(scene: Scene, number: int, away: tuple[int, ...]) -> Mapping[int, int]:
    """{slot that is away: the slot to which its cookie leads meanwhile}."""
    there = [i for i in scene.scale(number).serving if i not in away and scene.slot(number, i).ready]
    return {index: there[index % len(there)] for index in away}


def _has_visitors(scene: Scene, number: int) -> bool:
    memory = scene.memory
    return number != memory.candidate or memory.phase in {Phase.RELEASING, Phase.BAKING}


def _is_away(scene: Scene, draft: Draft, number: int, index: int, slot: SlotFacts) -> bool:
    if slot.service is None:
        return False
    if slot.ready:
        return _goes_round(scene, number, index) and not has_settled(scene, draft, slot)
    if slot.pod is None or slot.pod.unready_since is None or _goes_round(scene, number, index):
        return True
    until = slot.pod.unready_since + timedelta(seconds=PATIENCE)
    if scene.now >= until:
        return True
    draft.wake_at.append(until)
    return False


def has_settled(scene: Scene, draft: Draft, slot: SlotFacts) -> bool:
    """Whether a slot has been ready for long enough that a gateway knows of it too, and not only of a route to it."""
    since = slot.pod.ready_since if slot.pod is not None else None
    if not slot.ready or since is None or scene.now >= since + timedelta(seconds=SETTLING):
        return slot.ready
    draft.wake_at.append(since + timedelta(seconds=SETTLING))
    return False


def _goes_round(scene: Scene, number: int, index: int) -> bool:
    """Whether visitors go round it already: its next pod is not there before it is ready."""
    known = scene.observed.routes.get(names.release(scene.app, scene.env, number))
    return known is not None and names.slot(scene.app, scene.env, number, index) not in routes.services_of(known.spec)
