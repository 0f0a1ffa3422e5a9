"""The release machine of one environment: one transition a pass, justified by the memory of the pass before.

Each function handles one persisted phase of the candidate and is a row (or two) of the state table in the design:
what is seen, what is persisted, what is waited for and until when. Anything destructive that follows from a transition
happens in the next pass, when the transition has been persisted. Switch, bake and the unhappy ends have modules of
their own.
"""

from datetime import timedelta

from dataapp_operator.api.base import instant, timestamp
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import (
    abilities,
    baking,
    canary,
    commands,
    endings,
    growing,
    holding,
    limits,
    probing,
    recreating,
    switching,
)
from dataapp_operator.plan.choosing import CHECK_DEADLINE
from dataapp_operator.plan.facts import CheckFacts, GatewayFacts
from dataapp_operator.plan.health import Health, Outlook
from dataapp_operator.plan.scene import PROGRESS_ALLOWANCE, Draft, Scene, lost, since, start_limit

CHECK_AGAIN = 3
"""Seconds between two tries of a check that could not tell."""


def advance(scene: Scene, draft: Draft, number: int, gateway: GatewayFacts) -> None:
    """One step of the candidate."""
    match scene.memory.phase:
        case Phase.PENDING if scene.memory.intent is not None:
            switching.advance(scene, draft, number, gateway)
        case Phase.PENDING:
            recreating.advance(scene, draft, number)
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
    limit = start_limit(spec)
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
    failed = growing.failed(scene, number)
    if failed is not None:
        endings.fail_with_log(scene, draft, number, failed)
        return
    check = probing.of(scene, number)
    passed = check.verdict is Verdict.PASS and scene.ready(number)
    if passed and not _is_kept(scene, draft, number, check):
        return
    over = check.verdict is Verdict.FAIL
    if over:
        endings.fail(scene, draft, number, Reason.SESSION_FAILED, check.message, endings.again(scene, number))
    elif commands.paused(scene):
        draft.update(deadline=None)
    elif not passed:
        over = _too_long(scene, draft, number, check)
    if draft.memory.candidate is None:
        return
    probing.want(scene, draft, number, check, pause=holding.LOOK_EVERY if passed or over else CHECK_AGAIN)
    if not over:
        abilities.ahead(scene, draft, number)
    if not passed and not over:
        _say_checking(scene, draft, number, check)


def _is_kept(scene: Scene, draft: Draft, number: int, check: CheckFacts) -> bool:
    """Whether a release that passed its checks is only looked at for now; else it was decided how it goes on."""
    if not (holding.running(scene, draft) or _gateway_is_known(scene, draft, number, check)):
        return False
    if limits.begin_again(scene, draft, number):
        return False
    if holding.kept(scene, draft, number, grace=CHECK_DEADLINE):
        return True
    if _gateway_is_known(scene, draft, number, check):
        step = canary.first_step(scene, number)
        if not growing.is_grown(scene, draft, number, step):
            return True
        canary.intend(scene, draft, number, step, within=switching.ROUTE_DEADLINE)
    return False


def _gateway_is_known(scene: Scene, draft: Draft, number: int, check: CheckFacts) -> bool:
    """Whether visitors may be sent anywhere. Else no time of the app's runs, and that it worked must not become an old story."""
    if abilities.during(scene, draft, number):
        return True
    draft.update(deadline=None)
    probing.want(scene, draft, number, check, pause=CHECK_DEADLINE)
    return False


def _too_long(scene: Scene, draft: Draft, number: int, check: CheckFacts) -> bool:
    """Whether no session was seen to work for too long: then it has failed. One that has worked may blink."""
    deadline = instant(scene.memory.deadline) if scene.memory.deadline else None
    unseen = check.verdict is None and (check.running or probing.whom(scene, number))
    if deadline is None or (scene.now >= deadline and unseen):
        # Nobody was there to look (the operator was away), or the first look is not over: the time begins now.
        deadline = scene.now + timedelta(seconds=CHECK_DEADLINE)
        draft.update(deadline=timestamp(deadline))
    if scene.now < deadline or (check.verdict is Verdict.PASS and not lost(scene, number)):
        return False
    what = check.message or check.measured or "no session could be opened"
    told = f"no working session within {CHECK_DEADLINE} s: {what}"
    endings.fail(scene, draft, number, Reason.SESSION_INCONCLUSIVE, told, endings.again(scene, number))
    return True


def _say_checking(scene: Scene, draft: Draft, number: int, check: CheckFacts) -> None:
    if holding.running(scene, draft):
        holding.say(scene, draft, number, check)
        return
    message = "opening real sessions on it"
    if check.verdict is not None and check.message:
        message += f"; so far: {check.message}"
    draft.wait(Reason.CHECKING, message, until=draft.memory.deadline)
