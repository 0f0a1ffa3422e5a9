"""The release machine of one environment: one transition a pass, justified by the memory of the pass before.

Each function handles one persisted phase of the candidate and is a row (or two) of the state table in the design:
what is seen, what is persisted, what is waited for and until when. Anything destructive that follows from a transition
happens in the next pass, when the transition has been persisted.
"""

from datetime import timedelta

from dataapp_operator.api.base import instant, seconds, timestamp
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import SCALE, Draining, Intent, Quarantined, Weight
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import names, record, upkeep, words
from dataapp_operator.plan.actions import ObserveGateway, ReadLog, StartCheck, Target
from dataapp_operator.plan.facts import CheckFacts, GatewayFacts, LogFacts
from dataapp_operator.plan.health import Health, Outlook
from dataapp_operator.plan.scene import PROGRESS_ALLOWANCE, Draft, Scene, since

CHECK_DEADLINE = 120
"""Seconds the session check may stay without a verdict."""
CHECK_AGAIN = 3
"""Seconds between two tries of a check that could not tell."""
ROUTE_DEADLINE = 30
"""Seconds a gateway may take to show a switch before a person is told."""
BAKE_CHECK = 5
"""Seconds between two session checks while baking."""
BAKE_UNREADY = 10
"""Seconds a replica may be not ready while baking."""
UNPROVED = 300
"""Seconds after its bake in which no session was seen to work, until a person is told."""
FAILURES_TO_ROLL_BACK = 2
"""Session checks that fail in a row before a baking release is taken back."""

_PUSH = "Mend the app and release a new image; this one is not tried again by itself."


def advance(scene: Scene, draft: Draft, number: int, gateway: GatewayFacts) -> None:
    """One step of the candidate."""
    match scene.memory.phase:
        case Phase.DEPLOYING:
            _deploying(scene, draft, number)
        case Phase.CHECKING:
            _checking(scene, draft, number)
        case Phase.RELEASING | Phase.BAKING if scene.memory.intent is not None:
            _switching(scene, draft, number, gateway)
        case Phase.BAKING:
            _baking(scene, draft, number)
        case _:
            # A phase this version does not know (an older operator after a newer one): start its checks again.
            draft.enter(Phase.DEPLOYING, f"{scene.env}: r{number} is looked at again", within=PROGRESS_ALLOWANCE)


def _deploying(scene: Scene, draft: Draft, number: int) -> None:
    spec = scene.spec(number)
    if spec is None:
        _drop(scene, draft, number, Reason.RECORD_DELETED, "its record (AppRelease) was deleted before it was released")
        return
    # Without a deadline it was somebody else's turn: what the app may take begins now.
    began = since(scene.memory, scene.now) if scene.memory.deadline else scene.now
    states = scene.health(number, began)
    failed = next((h for _, h in states if h.outlook is Outlook.FAILED), None)
    if failed is not None:
        _fail_with_log(scene, draft, number, failed)
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
    created = all(slot.replicaset is not None for slot in scene.needed(number).values())
    if scene.memory.deadline is None or (scene.now >= deadline and not created):
        deadline = scene.now + timedelta(seconds=limit)
        draft.update(phase_since=timestamp(scene.now), deadline=timestamp(deadline))
    if scene.now >= deadline:
        _fail_with_log(scene, draft, number, _too_late(slow, limit))
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
        _drop(scene, draft, number, Reason.RECORD_DELETED, "its record (AppRelease) was deleted before it was released")
        return
    failed = next(
        (h for _, h in scene.health(number, since(scene.memory, scene.now)) if h.outlook is Outlook.FAILED), None
    )
    if failed is not None:
        _fail_with_log(scene, draft, number, failed)
        return
    check = scene.observed.checks.get((scene.env, number), CheckFacts())
    if check.verdict is Verdict.PASS and scene.ready(number):
        _begin_switch(scene, draft, number)
        return
    if check.verdict is Verdict.FAIL:
        _fail(scene, draft, number, Reason.SESSION_FAILED, check.message, _PUSH)
        return
    deadline = instant(scene.memory.deadline) if scene.memory.deadline else scene.now
    if scene.now >= deadline and check.verdict is None and (check.running or _whom(scene, number)):
        # Nobody was there to look (the operator was away), or the first look is not over: the time begins now.
        deadline = scene.now + timedelta(seconds=CHECK_DEADLINE)
        draft.update(deadline=timestamp(deadline))
    if scene.now >= deadline:
        what = check.message or check.measured or "no session could be opened"
        _fail(
            scene,
            draft,
            number,
            Reason.SESSION_INCONCLUSIVE,
            f"no working session within {CHECK_DEADLINE} s: {what}",
            _PUSH,
        )
        return
    _want_check(scene, draft, number, check, pause=CHECK_AGAIN)
    message = "opening real sessions on it"
    if check.verdict is not None and check.message:
        message += f"; so far: {check.message}"
    draft.wait(Reason.CHECKING, message, until=deadline)


def _want_check(scene: Scene, draft: Draft, number: int, check: CheckFacts, *, pause: float) -> None:
    """Ask for the next session check, not before ``pause`` seconds after the last one."""
    spec = scene.spec(number)
    if check.running or spec is None:
        return
    if check.finished_at is not None:
        due = check.finished_at + timedelta(seconds=pause)
        if scene.now < due:
            draft.wake_at.append(due)
            return
    targets = _whom(scene, number)
    if targets:
        draft.background.append(
            StartCheck(
                environment=scene.env,
                number=number,
                attempt=check.attempt + 1,
                framework=spec.plan.probe.framework,
                host=scene.host,
                targets=targets,
            )
        )


def _whom(scene: Scene, number: int) -> tuple[Target, ...]:
    """The living pod of every slot; nobody while one is missing: half a check would prove half of it."""
    slots = scene.needed(number)
    living = {label: slot.pod for label, slot in slots.items()}
    found = [Target(slot=label, pod=pod.name, ip=pod.ip) for label, pod in living.items() if pod and pod.ip]
    return tuple(found) if len(found) == len(slots) else ()


def _begin_switch(scene: Scene, draft: Draft, number: int) -> None:
    plan = draft.memory.plan + 1
    draft.enter(Phase.RELEASING, f"{scene.env}: r{number} passed its checks, switching new visits to it")
    draft.update(intent=Intent(switch_to=number, plan=plan))
    draft.wait(
        Reason.SWITCHING,
        f"new visits go to r{number}; waiting until the gateway shows it",
        until=scene.now + timedelta(seconds=ROUTE_DEADLINE),
    )


def _switching(scene: Scene, draft: Draft, number: int, gateway: GatewayFacts) -> None:
    """A switch has been decided: write it, see it, and only then go on."""
    intent, cls = scene.memory.intent, scene.cls
    if intent is None or cls is None:
        return
    goal = intent.switch_to
    back = goal != number
    if not back and not scene.ready(goal) and _lost(scene, goal):
        if scene.memory.stable is not None:
            _roll_back(scene, draft, number, Reason.NOT_READY, "a replica stopped working while it took over")
            return
        if scene.spec(goal) is None:  # what is missing cannot be made again: give it up, and begin anew
            draft.update(intent=None)
            _drop(
                scene,
                draft,
                number,
                Reason.RECORD_DELETED,
                "its record (AppRelease) was deleted, and a replica is gone",
            )
            return
        draft.stall(Reason.NOT_READY, f"r{goal} stopped being ready before anybody was sent to it; waiting for it")
        draft.wake_in(5)
        return
    name = names.weights_route(scene.app, scene.env)
    written = upkeep.ensure_weights(scene, draft, cls)
    route = scene.observed.routes.get(name)
    view = scene.observed.views.get(scene.env)
    seen = view is not None and view.plan == intent.plan and view.release == goal and view.seen
    if written and route is not None and route.accepted and seen:
        _switched(scene, draft, number)
        return
    due = since(scene.memory, scene.now) + timedelta(seconds=ROUTE_DEADLINE)
    draft.wake_at.append(due if scene.now < due else scene.now + timedelta(seconds=5))
    if written and gateway.address:
        draft.background.append(
            ObserveGateway(
                environment=scene.env, number=goal, plan=intent.plan, host=scene.host, address=gateway.address
            )
        )
    if route is not None and route.accepted is False:
        draft.stall(
            Reason.GATEWAY_REJECTED,
            f"the Gateway {cls.gateway.namespace}/{cls.gateway.name} does not accept the app's route for {scene.host}:"
            f" {words.gateway(route.words)}. Ask the platform team to let it in, or choose another host or class",
        )
    elif scene.now >= due:
        seen_so_far = (view.words if view and view.words else "") or (
            ""
            if route and route.accepted
            else f"nobody has answered for the route: does a gateway controller serve the Gateway"
            f" {cls.gateway.namespace}/{cls.gateway.name}?"
        )
        draft.stall(
            Reason.GATEWAY_SILENT,
            f"{scene.host} does not show r{goal} yet, {ROUTE_DEADLINE} s after the switch: {seen_so_far or gateway.words}",
        )
    else:
        reason = Reason.ROLLING_BACK if back else Reason.SWITCHING
        draft.wait(reason, f"new visits go to r{goal}; waiting until the gateway shows it", until=due)


def _lost(scene: Scene, number: int) -> bool:
    """A needed replica has been away for longer than a blink."""
    for slot in scene.needed(number).values():
        pod = slot.pod
        if slot.ready or (pod is not None and pod.ready):
            continue  # a Service that somebody deleted is made again in this pass
        if pod is None or pod.unready_since is None:
            return (scene.now - since(scene.memory, scene.now)).total_seconds() > BAKE_UNREADY
        if (scene.now - pod.unready_since).total_seconds() > BAKE_UNREADY:
            return True
    return False


def _switched(scene: Scene, draft: Draft, number: int) -> None:
    """The gateway shows the switch: now, and only now, the others may begin to leave."""
    intent = scene.memory.intent
    if intent is None:
        return
    goal, stable = intent.switch_to, scene.memory.stable
    draft.update(plan=intent.plan, intent=None, weights=(Weight(release=goal, weight=SCALE),))
    if goal != number:  # taken back
        draft.update(
            candidate=None,
            draining=(
                *(d for d in draft.memory.draining if d.release not in {goal, number}),
                begin_draining(scene, number),
            ),
        )
        draft.enter(Phase.RELEASED, f"{scene.env}: r{goal} serves everybody again")
        return
    if stable is None:
        draft.update(stable=number, candidate=None)
        draft.enter(Phase.RELEASED, f"{scene.env}: r{number} is released")
        return
    draft.update(draining=(*(d for d in draft.memory.draining if d.release != stable), begin_draining(scene, stable)))
    spec = scene.spec(number)
    bake = seconds(spec.plan.bake) if spec else 0
    draft.enter(Phase.BAKING, f"{scene.env}: r{number} serves everybody, r{stable} is kept", within=bake)
    _say_baking(scene, draft, number)


def begin_draining(scene: Scene, number: int) -> Draining:
    limit = seconds(upkeep.drain_policy(scene, number).max)
    return Draining(
        release=number,
        sessions=scene.sessions(number),
        since=timestamp(scene.now),
        forced_at=timestamp(scene.now + timedelta(seconds=limit)),
    )


def _say_baking(scene: Scene, draft: Draft, number: int) -> None:
    until = draft.memory.deadline or timestamp(scene.now)
    draft.wait(
        Reason.BAKING,
        f"r{number} serves everybody; r{draft.memory.stable} is kept until {until[11:16]} in case it fails",
        until=until,
    )


def _baking(scene: Scene, draft: Draft, number: int) -> None:
    check = scene.observed.checks.get((scene.env, number), CheckFacts())
    failed = next(
        (h for _, h in scene.health(number, since(scene.memory, scene.now)) if h.outlook is Outlook.FAILED), None
    )
    if failed is not None:
        log = scene.observed.logs.get((scene.env, number))
        _roll_back(scene, draft, number, failed.reason, _with_cause(failed.message, log))
        return
    if check.failed_in_row >= FAILURES_TO_ROLL_BACK:
        _roll_back(scene, draft, number, Reason.SESSION_FAILED, check.message)
        return
    if _lost(scene, number):
        _roll_back(scene, draft, number, Reason.NOT_READY, "a replica stopped answering on its port")
        return
    deadline = instant(scene.memory.deadline) if scene.memory.deadline else scene.now
    if scene.now >= deadline and _proved(scene, number, check) and scene.ready(number):
        draft.update(stable=number, candidate=None)
        draft.enter(Phase.RELEASED, f"{scene.env}: r{number} is released")
        return
    _want_check(scene, draft, number, check, pause=BAKE_CHECK)
    if scene.now < deadline:
        _say_baking(scene, draft, number)
        return
    kept = f"r{number} serves everybody; r{scene.memory.stable} is kept until a session on r{number} is seen to work"
    told = f"{kept}; so far: {check.message}" if check.message else kept
    if scene.now >= deadline + timedelta(seconds=UNPROVED):
        draft.stall(Reason.SESSION_INCONCLUSIVE, f"{told}. Open the app and see whether it answers")
    else:
        draft.wait(Reason.BAKING, told)
    draft.wake_in(BAKE_CHECK)


def _proved(scene: Scene, number: int, check: CheckFacts) -> bool:
    """A session worked since the bake began: no news is not good news. (Without a record there is nothing to ask by.)"""
    spec = scene.spec(number)
    if spec is None:
        return True
    if check.verdict is not Verdict.PASS or check.finished_at is None:
        return False
    return check.finished_at >= since(scene.memory, scene.now) or seconds(spec.plan.bake) == 0


def _roll_back(scene: Scene, draft: Draft, number: int, reason: Reason, message: str) -> None:
    """Take new visits back to stable. The record says why before anything is written."""
    stable = scene.memory.stable
    if stable is None:
        return  # a first release has nothing to go back to, and never bakes
    draft.records[number] = record.ended(
        scene, number, phase=Phase.ROLLED_BACK, reason=reason, message=message, next_step=_PUSH
    )
    _quarantine(draft, number, f"{reason}: {message}")
    draft.update(intent=Intent(switch_to=stable, plan=draft.memory.plan + 1), phase_since=timestamp(scene.now))
    if scene.memory.intent is not None:
        draft.update(intent=Intent(switch_to=stable, plan=scene.memory.intent.plan + 1))
    draft.wait(Reason.ROLLING_BACK, f"r{number} failed ({message}); new visits go back to r{stable}")
    draft.notes.append(f"{scene.env}: r{number} failed ({reason}), going back to r{stable}")


def _fail_with_log(scene: Scene, draft: Draft, number: int, why: Health) -> None:
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
    _fail(scene, draft, number, why.reason, _with_cause(why.message, log), _PUSH)


def _with_cause(message: str, log: LogFacts | None) -> str:
    return f"{log.cause} ({message})" if log is not None and log.cause else message


def _fail(scene: Scene, draft: Draft, number: int, reason: Reason, message: str, next_step: str) -> None:
    """No user ever saw it: record why, do not try the same again, remove its parts."""
    draft.records[number] = record.ended(
        scene, number, phase=Phase.FAILED, reason=reason, message=message, next_step=next_step
    )
    _quarantine(draft, number, f"{reason}: {message}")
    draft.notes.append(f"{scene.env}: r{number} failed ({reason}): {message}")
    _leave(draft, number, Phase.FAILED)


def _drop(scene: Scene, draft: Draft, number: int, reason: Reason, message: str) -> None:
    """Give a candidate up without holding anything against its image."""
    draft.records[number] = record.ended(
        scene, number, phase=Phase.SUPERSEDED, reason=reason, message=message, next_step=""
    )
    draft.notes.append(f"{scene.env}: r{number} is given up: {message}")
    _leave(draft, number, Phase.SUPERSEDED)


def supersede(scene: Scene, draft: Draft, number: int) -> None:
    """A newer wish takes the place of a candidate that cannot come."""
    _drop(scene, draft, number, Reason.SUPERSEDED, "a newer change took its place while it could not start")


def _leave(draft: Draft, number: int, phase: Phase) -> None:
    draft.update(
        candidate=None,
        phase=str(Phase.RELEASED if draft.memory.stable is not None else phase),
        phase_since=timestamp(draft.now),
        deadline=None,
        waiting_for=None,
    )
    draft.remove([number])


def _quarantine(draft: Draft, number: int, why: str) -> None:
    artefact = draft.memory.artefact(number)
    if artefact is None:
        return
    entry = Quarantined(release=number, image=artefact.image, config_hash=artefact.config_hash, reason=why[:4096])
    others = tuple(q for q in draft.memory.quarantined if q.release != number)
    draft.update(quarantined=(*others, entry)[-8:])
