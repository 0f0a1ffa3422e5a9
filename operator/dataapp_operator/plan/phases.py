"""The release machine of one environment: one transition a pass, justified by the memory of the pass before.

Each function handles one persisted phase of the candidate and is a row (or two) of the state table in the design:
what is seen, what is persisted, what is waited for and until when. Anything destructive that follows from a transition
happens in the next pass, when the transition has been persisted. Switch, bake and the unhappy ends have modules of
their own.
"""

from datetime import timedelta

from dataapp_operator.api.base import instant, seconds, timestamp
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import abilities, baking, canary, commands, endings, limits, probing, switching
from dataapp_operator.plan.choosing import CHECK_DEADLINE
from dataapp_operator.plan.facts import GatewayFacts
from dataapp_operator.plan.health import Health, Outlook
from dataapp_operator.plan.scene import PROGRESS_ALLOWANCE, Draft, Scene, lost, since

CHECK_AGAIN = 3
"""Seconds between two tries of a check that could not tell."""


def advance(scene: Scene, draft: Draft, number: int, gateway: GatewayFacts) -> None:
    """One step of the candidate."""
    match scene.memory.phase:
        case Phase.DEPLOYING:
            _deploying(scene, draft, number)
        case Phase.CHECKING:
            _checking(scene, draft, number)
        case Phase.RELEASING | Phase.BAKING if scene.memory.intent is not None:
            switching.advance(scene, draft, number, gateway)
        case Phase.RELEASING if scene.memory.step is not None:
            canary.hold(scene, draft, number, within=switching.ROUTE_DEADLINE)
        case Phase.BAKING:
            baking.advance(scene, draft, number)
        case _:
            # A phase this version does not know (an older operator after a newer one): start its checks again.
            draft.enter(Phase.DEPLOYING, f"{scene.env}: r{number} is looked at again", within=PROGRESS_ALLOWANCE)


def _deploying(scene: Scene, draft: Draft, number: int) -> None:
    spec = scene.spec(number)
    if spec is None:
        endings.drop(
            scene, draft, number, Reason.RECORD_DELETED, "its record (AppRelease) was deleted before it was released"
        )
        return
    # Without a deadline it was somebody else's turn: what the app may take begins now.
    began = since(scene.memory, scene.now) if scene.memory.deadline else scene.now
    states = scene.health(number, began)
    failed = next((h for _, h in states if h.outlook is Outlook.FAILED), None)
    if failed is not None:
        endings.fail_with_log(scene, draft, number, failed)
        return
    if all(h.outlook is Outlook.READY for _, h in states):
        draft.enter(Phase.CHECKING, f"{scene.env}: r{number} runs, opening sessions", within=CHECK_DEADLINE)
        draft.wait(Reason.CHECKING, "opening real sessions on it", until=scene.now + timedelta(seconds=CHECK_DEADLINE))
        return
    blocked = next((h for _, h in states if h.outlook is Outlook.BLOCKED), None)
    if blocked is not None:
        _blocked(draft, number, blocked)
        return
    label, slow = next((label, h) for label, h in states if h.outlook is Outlook.COMING)
    limit = seconds(spec.plan.probe.startup) + PROGRESS_ALLOWANCE
    deadline = instant(scene.memory.deadline) if scene.memory.deadline else scene.now
    created = all(slot.made for slot in scene.needed(number).values())
    if scene.memory.deadline is None or (scene.now >= deadline and not created):
        deadline = scene.now + timedelta(seconds=limit)
        draft.update(phase_since=timestamp(scene.now), deadline=timestamp(deadline))
    if scene.now >= deadline:
        endings.fail_with_log(scene, draft, number, _too_late(slow, limit))
        return
    if slow.reason is Reason.IMAGE_PULL_FAILED:
        draft.stall(slow.reason, slow.message)
        draft.wake_in(10)
        return
    draft.wait(slow.reason, f"r{number} ({label}): {slow.message}", until=deadline, calmly=True)


def _too_late(slow: Health, limit: int) -> Health:
    if slow.message.startswith("the app runs; waiting until it listens"):
        return Health(
            Outlook.FAILED, Reason.PORT_CLOSED, f"{slow.message.replace('the app runs; waiting until it', 'nothing')}"
        )
    return Health(Outlook.FAILED, Reason.DEADLINE, f"it was not ready after {limit} s: {slow.message}")


def _blocked(draft: Draft, number: int, blocked: Health) -> None:
    """Somebody outside the app must act. The deadline does not run; a newer wish may take its place."""
    draft.stall(blocked.reason, f"r{number}: {blocked.message}")
    draft.update(deadline=None)
    draft.wake_in(15)


def _checking(scene: Scene, draft: Draft, number: int) -> None:
    spec = scene.spec(number)
    if spec is None:
        endings.drop(
            scene, draft, number, Reason.RECORD_DELETED, "its record (AppRelease) was deleted before it was released"
        )
        return
    failed = next(
        (h for _, h in scene.health(number, since(scene.memory, scene.now)) if h.outlook is Outlook.FAILED), None
    )
    if failed is not None:
        endings.fail_with_log(scene, draft, number, failed)
        return
    check = probing.of(scene, number)
    if check.verdict is Verdict.PASS and scene.ready(number):
        if not abilities.during(scene, draft, number):
            probing.want(
                scene, draft, number, check, pause=CHECK_DEADLINE
            )  # that it worked must not become an old story
            return
        if not limits.fits(scene, spec):
            why = f"nobody was sent to it: {limits.limit(scene, spec).limited}. The same begins once more like that"
            endings.drop(scene, draft, number, Reason.GATEWAY_UNABLE, why)
            return
        if commands.paused(scene):
            draft.wait(
                Reason.PAUSED, f"r{number} passed its checks and is paused by a person; nobody is sent to it yet"
            )
            return
        step = canary.first_step(scene, number)
        canary.intend(scene, draft, number, step, within=switching.ROUTE_DEADLINE)
        return
    if check.verdict is Verdict.FAIL:
        endings.fail(scene, draft, number, Reason.SESSION_FAILED, check.message, endings.again(scene, number))
        return
    abilities.ahead(scene, draft, number)
    deadline = instant(scene.memory.deadline) if scene.memory.deadline else scene.now
    if scene.now >= deadline and check.verdict is None and (check.running or probing.whom(scene, number)):
        # Nobody was there to look (the operator was away), or the first look is not over: the time begins now.
        deadline = scene.now + timedelta(seconds=CHECK_DEADLINE)
        draft.update(deadline=timestamp(deadline))
    if scene.now >= deadline and (check.verdict is not Verdict.PASS or lost(scene, number)):
        what = check.message or check.measured or "no session could be opened"
        endings.fail(
            scene,
            draft,
            number,
            Reason.SESSION_INCONCLUSIVE,
            f"no working session within {CHECK_DEADLINE} s: {what}",
            endings.again(scene, number),
        )
        return
    probing.want(scene, draft, number, check, pause=CHECK_AGAIN)
    message = "opening real sessions on it"
    if check.verdict is not None and check.message:
        message += f"; so far: {check.message}"
    draft.wait(Reason.CHECKING, message, until=deadline)
