"""How a candidate ends without being released: failed, given up, superseded.

The record says why, with the evidence, before anything is taken apart; what failed is quarantined, what was only given up
is not. Removal itself is justified by the persisted memory and so happens in a later pass.
"""

from dataapp_operator.api.base import timestamp
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import Draining, Quarantined
from dataapp_operator.plan import desired, names, record
from dataapp_operator.plan.actions import ReadLog
from dataapp_operator.plan.facts import LogFacts
from dataapp_operator.plan.health import Health
from dataapp_operator.plan.scene import Draft, Scene

ONCE_MORE = 15
"""Seconds until what has to come is looked at again."""
_PUSH = "Mend the app and release a new image; this one is not tried again by itself."


def again(scene: Scene, number: int) -> str:
    """What to do after a failure."""
    return f"{_PUSH} If the cause was elsewhere: {retry_command(scene, number)}"


def retry_command(scene: Scene, number: int) -> str:
    """The line that a person types to have a failed release tried once more."""
    wanted = f"{names.ANNOTATION_RETRY}={scene.env}={number}"
    return f"kubectl annotate dataapp {scene.app} -n {scene.observed.namespace} --overwrite {wanted}"


def only_one(scene: Scene, number: int) -> bool:
    """Whether a candidate is what served before, and was ended: there is nothing else to go back to."""
    memory = scene.memory
    mine, before = desired.content(memory.artefact(number)), desired.content(memory.artefact(memory.stable))
    return memory.stopped is not None and number != memory.stable and mine is not None and mine == before


def fail_with_log(scene: Scene, draft: Draft, number: int, why: Health) -> None:
    """Fail, but read the log first: the true cause is often only there."""
    log = scene.observed.logs.get((scene.env, number))
    pods = tuple(t.pod for t in scene.targets(number))
    if log is None and pods and why.reason is not Reason.IMAGE_PULL_FAILED:
        draft.background.append(ReadLog(environment=scene.env, number=number, pods=pods))
        draft.wait(why.reason, f"r{number}: {why.message}; reading its log")
        return
    if log is not None and log.running:
        draft.wait(why.reason, f"r{number}: {why.message}; reading its log")
        return
    fail(scene, draft, number, why.reason, with_cause(why.message, log), again(scene, number))


def with_cause(message: str, log: LogFacts | None) -> str:
    """The cause found in the log first, what Kubernetes saw behind it."""
    return f"{log.cause} ({message})" if log is not None and log.cause else message


def fail(scene: Scene, draft: Draft, number: int, reason: Reason, message: str, next_step: str) -> None:
    """No user ever saw it: record why, do not try the same again, remove its parts.

    Unless it is all there is: then it is tried again and again, as what serves is.
    """
    if only_one(scene, number):
        draft.stall(reason, f"r{number}: {message}. Nothing else can serve, so it is tried again and again")
        draft.wake_in(ONCE_MORE)
        return
    draft.records[number] = record.ended(
        scene, number, phase=Phase.FAILED, reason=reason, message=message, next_step=next_step
    )
    quarantine(draft, number, f"{reason}: {message}")
    draft.notes.append(f"{scene.env}: r{number} failed ({reason}): {message}")
    _leave(draft, number, Phase.FAILED)


def drop(scene: Scene, draft: Draft, number: int, reason: Reason, message: str) -> None:
    """Give a candidate up without holding anything against its image."""
    draft.records[number] = record.ended(
        scene, number, phase=Phase.SUPERSEDED, reason=reason, message=message, next_step=""
    )
    draft.notes.append(f"{scene.env}: r{number} is given up: {message}")
    _leave(draft, number, Phase.SUPERSEDED)


def abort(scene: Scene, draft: Draft, number: int) -> None:
    """A person gives up a candidate that no visitor was sent to; it is not tried again by itself."""
    message = "a person gave it up before anybody was sent to it"
    draft.records[number] = record.ended(
        scene,
        number,
        phase=Phase.ABORTED,
        reason=Reason.ABORTED,
        message=message,
        next_step=f"To try it once more: {retry_command(scene, number)}",
    )
    quarantine(draft, number, f"{Reason.ABORTED}: {message}")
    draft.notes.append(f"{scene.env}: r{number} is given up by a person")
    _leave(draft, number, Phase.ABORTED)


def supersede(scene: Scene, draft: Draft, number: int) -> None:
    """A newer wish takes the place of a candidate that cannot come."""
    drop(scene, draft, number, Reason.SUPERSEDED, "a newer change took its place while it could not start")


def _leave(draft: Draft, number: int, phase: Phase) -> None:
    draft.update(
        candidate=None,
        step=None,
        phase=str(Phase.RELEASED if draft.memory.stable is not None else phase),
        phase_since=timestamp(draft.now),
        deadline=None,
        hold_until=None,
        waiting_for=None,
    )
    if number in {d.release for d in draft.memory.draining}:
        return  # it was on its way back: whoever still has it open goes on
    comes_back = next((w for w in draft.memory.warm if w.release == number), None)
    if comes_back is None:
        draft.remove([number])
        return
    entry = Draining(release=number, since=timestamp(draft.now), forced_at=comes_back.forced_at)
    draft.update(
        warm=tuple(w for w in draft.memory.warm if w.release != number), draining=(*draft.memory.draining, entry)
    )


def quarantine(draft: Draft, number: int, why: str) -> None:
    """The same image with the same configuration is not tried again here by itself."""
    artefact = draft.memory.artefact(number)
    if artefact is None:
        return
    entry = Quarantined(release=number, image=artefact.image, config_hash=artefact.config_hash, reason=why[:4096])
    others = tuple(q for q in draft.memory.quarantined if q.release != number)
    draft.update(quarantined=(*others, entry)[-8:])
