"""The hold of a blue-green release: its checks have passed, and for a while people only look at it.

It has its preview host, nobody else is sent to it, and its sessions are opened now and then: what fails meanwhile fails as
in its checks, since no visitor saw it. When the hold ends is written down as it begins. So an operator that was away
neither begins it anew nor leaves it out; and the switch that follows still needs a session that was seen to work.
"""

from datetime import datetime, timedelta

from dataapp_operator.api.base import instant, seconds, timestamp
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan import canary, commands, names, upkeep
from dataapp_operator.plan.facts import CheckFacts
from dataapp_operator.plan.scene import Draft, Scene, lost

LOOK_EVERY = 15
"""Seconds between two session checks of a release that has passed and is not released yet."""


def kept(scene: Scene, draft: Draft, number: int, *, grace: float) -> bool:
    """Whether a release that has passed its checks stays where it is; what it waits for is said.

    ``grace``: seconds after the hold in which a session must be seen to work once more.
    """
    until = _until(scene, draft, number, grace=grace)
    if commands.paused(scene):
        seen = f", can be looked at under {_preview(scene, number)}" if until is not None else ""
        draft.wait(
            Reason.PAUSED, f"r{number} passed its checks{seen} and is paused by a person; nobody is sent to it yet"
        )
        return True
    if until is None or scene.now >= until:
        return False
    say(scene, draft, number)
    return True


def running(scene: Scene, draft: Draft) -> bool:
    """Whether its hold has begun and is not over."""
    until = draft.memory.hold_until
    return until is not None and scene.now < instant(until)


def say(scene: Scene, draft: Draft, number: int, check: CheckFacts | None = None) -> None:
    """Say where it can be looked at, and until when. ``check``: the last one, if it could not tell."""
    until = draft.memory.hold_until or timestamp(scene.now)
    told = (
        f"r{number} can be looked at under {_preview(scene, number)} until {until[11:16]}, then new visitors go to it"
    )
    if check is not None and check.verdict is not None and check.message:
        told += f"; the last session could not tell whether it works: {check.message}"
    draft.wait(Reason.HOLDING, told, until=until)


def _until(scene: Scene, draft: Draft, number: int, *, grace: float) -> datetime | None:
    """When its hold ends, which is decided once; None: there is none, or none any more."""
    spec, stable = scene.spec(number), scene.memory.stable
    hold = seconds(spec.plan.hold) if spec is not None else 0
    if hold == 0 or stable is None or canary.at_once(scene, number) or _nobody_answers(scene, stable):
        return None
    if scene.memory.hold_until is None:
        over = scene.now + timedelta(seconds=hold)
        late = over + timedelta(seconds=grace)
        draft.update(hold_until=timestamp(over), deadline=timestamp(late))
        draft.notes.append(f"{scene.env}: r{number} passed its checks and is held until {timestamp(over)}")
        return over
    return instant(scene.memory.hold_until)


def _nobody_answers(scene: Scene, stable: int) -> bool:
    """What serves is broken, for longer than a blink: nobody gains by waiting."""
    return not scene.any_ready(stable) and lost(scene, stable)


def _preview(scene: Scene, number: int) -> str:
    if scene.cls is None:
        return "its preview host"
    return names.url(scene.cls, upkeep.preview_host(scene, number, scene.cls))
