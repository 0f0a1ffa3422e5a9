"""The switch: decided and written down first, then written into the route, then seen, and only then believed.

The same steps lead forward (to the candidate) and back (to stable): ``intent.switch_to`` says which. Nothing of another
release is touched before the gateway has been seen to send new visits where the intent says.
"""

from datetime import timedelta

from dataapp_operator.api.base import seconds, timestamp
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import SCALE, Draining, Intent, Stopped, Weight
from dataapp_operator.plan import abilities, baking, canary, draining, endings, growing, names, stuck, upkeep, words
from dataapp_operator.plan.actions import ObserveGateway
from dataapp_operator.plan.facts import GatewayFacts
from dataapp_operator.plan.names import PAGE
from dataapp_operator.plan.scene import Draft, Scene, crash, lost, since

ROUTE_DEADLINE = 30
"""Seconds a gateway may take to show a switch before a person is told."""


def advance(scene: Scene, draft: Draft, number: int, gateway: GatewayFacts) -> None:
    """A switch has been decided: write it, see it, and only then go on."""
    intent, cls = scene.memory.intent, scene.cls
    if intent is None or cls is None:
        return
    goal = intent.switch_to
    back = goal != number
    nothing_else = scene.memory.stable is None or endings.only_one(scene, number)
    trouble = None if back or nothing_else else _trouble(scene, number)
    held = not back and stuck.watch(scene, draft, number, trouble)
    if trouble is not None and not held:
        baking.roll_back(scene, draft, number, *trouble)
        return
    if not back and nothing_else and not scene.ready(goal) and lost(scene, goal):
        if scene.spec(goal) is None:  # what is missing cannot be made again: give it up, and begin anew
            draft.update(intent=None)
            endings.drop(
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
    written = upkeep.ensure_weights(scene, draft, cls, only_look=held)
    route = scene.observed.routes.get(name)
    view = scene.observed.views.get(scene.env)
    seen = view is not None and view.plan == intent.plan and view.release == goal and view.seen
    if written and route is not None and route.accepted and seen:
        _switched(scene, draft, number)
        return
    if held and not written:
        return  # nobody new is sent to what has failed
    due = since(scene.memory, scene.now) + timedelta(seconds=ROUTE_DEADLINE)
    draft.wake_at.append(due if scene.now < due else scene.now + timedelta(seconds=5))
    if written and gateway.address:
        draft.background.append(
            ObserveGateway(
                environment=scene.env,
                number=goal,
                plan=intent.plan,
                host=scene.host,
                address=gateway.address,
                among=tuple(upkeep.shares(scene.memory)),
                gateway=abilities.key(scene, cls),
                weigh=abilities.weigh(scene) if intent.weight is not None else (),
            )
        )
    if held:
        return
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
            f"{scene.host} does not show {_called(goal)} yet, {ROUTE_DEADLINE} s after the switch:"
            f" {seen_so_far or gateway.words}",
        )
    else:
        reason = Reason.ROLLING_BACK if back else Reason.SWITCHING
        told = "new visits go" if intent.weight is None else f"{intent.weight * 100 // SCALE} % of new visits go"
        draft.wait(reason, f"{told} to {_called(goal)}; waiting until the gateway shows it", until=due)


def _called(goal: int) -> str:
    return "a page that asks for patience" if goal == PAGE else f"r{goal}"


def _trouble(scene: Scene, number: int) -> tuple[Reason, str] | None:
    """Why a release must not take over after all."""
    crashed = crash(scene, number)
    if crashed is not None:
        return Reason.CRASHED, crashed
    if not scene.ready(number) and lost(scene, number):
        return Reason.NOT_READY, "a replica stopped working while it took over"
    return None


def _switched(scene: Scene, draft: Draft, number: int) -> None:
    """The gateway shows the switch: now, and only now, the others may begin to leave."""
    intent = scene.memory.intent
    if intent is None:
        return
    goal, stable = intent.switch_to, scene.memory.stable
    if intent.weight is not None and stable is not None and goal == number:
        view, ability = scene.observed.views.get(scene.env), abilities.of(scene)
        unable = (view is not None and view.weighs is False) or ability.weighs is False
        # What has failed gets no more visitors, and what is not whole not all of them.
        if unable and not stuck.is_it(scene, number) and growing.is_grown(scene, draft, number, None):
            _unweighed(scene, draft, number, ability.weighed or (view.words if view is not None else ""))
        else:
            _stepped(scene, draft, number, intent)
        return
    if goal == PAGE:
        _cleared(scene, draft, number, intent)
        return
    draft.update(
        plan=intent.plan,
        intent=None,
        weights=(Weight(release=goal, weight=SCALE),),
        warm=tuple(w for w in draft.memory.warm if w.release != goal),
    )
    _others_leave(scene, draft, number, goal)
    if goal != number:  # taken back
        draft.update(
            candidate=None,
            step=None,
            stopped=None,
            draining=(
                *(d for d in draft.memory.draining if d.release not in {goal, number}),
                begin_draining(scene, number, at_once=intent.evict),
            ),
        )
        if scene.memory.phase == Phase.PENDING:  # it has no parts that anybody could have open
            draft.update(draining=tuple(d for d in draft.memory.draining if d.release != number))
        draft.enter(Phase.RELEASED, f"{scene.env}: r{goal} serves everybody again")
        return
    if stable is None or endings.only_one(scene, number):
        left = tuple(d for d in draft.memory.draining if d.release != number)
        draft.update(stable=number, stable_since=timestamp(scene.now), candidate=None, step=None, draining=left)
        draft.update(stopped=None)
        draft.enter(Phase.RELEASED, f"{scene.env}: r{number} is released")
        return
    known = [d for d in draft.memory.draining if d.release == stable]  # what it was promised stands
    others = (d for d in draft.memory.draining if d.release not in {stable, number})
    if scene.memory.stopped is None:  # else it has left before
        draft.update(draining=(*others, *(known or [begin_draining(scene, stable, warm=True)])))
    spec = scene.spec(number)
    bake = seconds(spec.plan.bake) if spec else 0
    draft.enter(Phase.BAKING, f"{scene.env}: r{number} serves everybody and bakes", within=bake)
    baking.say(scene, draft, number)


def _cleared(scene: Scene, draft: Draft, number: int, intent: Intent) -> None:
    """The gateway shows the page: what served may leave now, to make room; or the one that was to and failed."""
    memory = scene.memory
    since_now = Stopped(release=memory.stable or PAGE, since=timestamp(scene.now))
    draft.update(plan=intent.plan, intent=None, weights=(Weight(release=PAGE, weight=SCALE),), stopped=since_now)
    if memory.phase != Phase.PENDING:
        others = (d for d in draft.memory.draining if d.release != number)
        draft.update(candidate=None, step=None, draining=(*others, begin_draining(scene, number, at_once=True)))
        draft.enter(Phase.RELEASED, f"{scene.env}: r{number} leaves, and r{memory.stable} is started again")
        draft.wake_in(0)
        return
    leaving = sorted({w.release for w in memory.weights} - {PAGE})
    soon = timestamp(scene.now + timedelta(seconds=draining.NOTICE))
    until = min(
        memory.deadline or soon, soon
    )  # whoever came at the very last does not keep everybody waiting for hours
    fresh = (begin_draining(scene, n, at_once=n != memory.stable) for n in leaving)
    entries = (d.model_copy(update={"forced_at": min(d.forced_at, until)}) for d in fresh)
    draft.update(draining=(*(d for d in draft.memory.draining if d.release not in leaving), *entries))
    draft.notes.append(f"{scene.env}: new visitors have a page, r{memory.stable} ends for r{number}")
    draft.wait(Reason.RECREATING, f"r{number} starts when r{memory.stable} has ended")
    draft.wake_in(0)


def _others_leave(scene: Scene, draft: Draft, number: int, goal: int) -> None:
    """Whoever had visitors beside the two that a switch is about: what failed and could not be taken back."""
    memory = scene.memory
    had = {w.release for w in memory.weights} | ({memory.stuck.release} if memory.stuck is not None else set())
    left = sorted(had - {PAGE, number, memory.stable} - {d.release for d in memory.draining})
    for other in left:
        stuck.outlived(scene, draft, other, goal)
    fresh = (begin_draining(scene, other) for other in left)
    draft.update(draining=(*draft.memory.draining, *fresh))
    if memory.stuck is not None and memory.stuck.release != number:
        draft.update(stuck=None)


def _stepped(scene: Scene, draft: Draft, number: int, intent: Intent) -> None:
    """The gateway shows a step: it is held from now on. Nobody begins to leave."""
    spec, index = scene.spec(number), scene.memory.step
    share = tuple(Weight(release=n, weight=weight) for n, weight in upkeep.shares(scene.memory).items())
    known = spec is not None and index is not None and index < len(spec.plan.steps)
    held = seconds(spec.plan.steps[index].hold) if known and spec is not None and index is not None else 0
    percent = f"{(intent.weight or 0) * 100 // SCALE} %"
    draft.update(plan=intent.plan, intent=None, weights=share)
    draft.enter(Phase.RELEASING, f"{scene.env}: r{number} has {percent} of the new visitors", within=held)
    draft.wait(Reason.HOLDING, f"r{number} has {percent} of the new visitors", until=draft.memory.deadline)


def _unweighed(scene: Scene, draft: Draft, number: int, seen: str) -> None:
    """The Gateway was seen not to share visitors out as it is told: no step means anything, so all come at once."""
    spec = scene.spec(number)
    canary.intend(scene, draft, number, len(spec.plan.steps) if spec is not None else None, within=ROUTE_DEADLINE)
    draft.notes.append(f"{scene.env}: no further steps for r{number}: {seen}")


def begin_draining(scene: Scene, number: int, *, warm: bool = False, at_once: bool = False) -> Draining:
    """The entry of a release that gets no new visits from now on.

    ``warm``: it served, and may be gone back to; ``at_once``: nobody's session on it is worth waiting for.
    """
    spec = scene.spec(number)
    limit = 0 if at_once else seconds(upkeep.drain_policy(scene, number).max)
    kept = spec.plan.keep_warm if spec is not None and warm else None
    until = None if kept is None or kept.releases == 0 else scene.now + timedelta(seconds=seconds(kept.for_))
    return Draining(
        release=number,
        sessions=scene.sessions(number),
        since=timestamp(scene.now),
        forced_at=timestamp(scene.now + timedelta(seconds=limit)),
        warm_until=timestamp(until) if until else None,
    )
