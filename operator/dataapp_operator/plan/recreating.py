"""``strategy: recreate``, for apps that cannot run twice: the release before ends before the new one starts.

The candidate is `Pending` until it is alone. First a moment is waited for in which nobody has the old one open, until its
drain.max at the latest; it serves everybody so long. Then new visitors get a page that asks for patience (a switch like any
other: decided, written, seen), the old one drains and is taken apart, and only then the new one starts. The old one stays
``stable``, and ``stopped``: if the new one fails, a release of the same content is begun, since there is nothing to go back to.
"""

from datetime import datetime, timedelta

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.base import instant, seconds, timestamp
from dataapp_operator.api.dataapp import Environment
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import Intent
from dataapp_operator.plan import abilities, choosing, commands, draining, endings, limits, upkeep
from dataapp_operator.plan.health import Outlook
from dataapp_operator.plan.names import PAGE
from dataapp_operator.plan.scene import Draft, Scene, lost, since, start_limit

PAGE_DEADLINE = 60
"""Seconds the page may take until a person is told."""


def advance(scene: Scene, draft: Draft, number: int) -> None:
    """One step of a candidate that waits until it is alone."""
    spec, memory = scene.spec(number), scene.memory
    if spec is None:
        told = "its record (AppRelease) was deleted before it was released"
        endings.drop(scene, draft, number, Reason.RECORD_DELETED, told)
        return
    if {w.release for w in memory.weights} - {PAGE}:
        _make_room(scene, draft, number)
        return
    left = _others(scene, number)
    if left:
        _say_leaving(scene, draft, number, left)
        return
    limit = start_limit(spec)
    draft.enter(Phase.DEPLOYING, f"{scene.env}: r{number} is alone, deploying", within=limit)
    draft.wait(Reason.RECREATING, f"r{number} is being started", until=draft.memory.deadline)


def _make_room(scene: Scene, draft: Draft, number: int) -> None:
    """Wait for a moment in which what serves may end, with a page for new visitors at hand."""
    memory, deadline = scene.memory, _deadline(scene)
    serving = max({w.release for w in memory.weights} - {PAGE})
    left = _others(scene, number) - {serving}
    if memory.deadline is None:
        draft.update(deadline=timestamp(deadline))
    draft.wake_in(draining.LOOK)
    if limits.begin_again(scene, draft, number):
        return
    if not abilities.makes_room(scene, draft, number, serving):
        return
    if commands.paused(scene):
        draft.wait(Reason.PAUSED, f"r{number} waits until r{serving} may end, and is paused by a person")
    elif left:
        _say_leaving(scene, draft, number, left)
    elif not _may_end(scene, serving, deadline):
        _say_waiting(scene, draft, number, serving, deadline)
    elif not scene.ready(PAGE):
        _say_page(scene, draft, number)
    else:
        intent = Intent(switch_to=PAGE, plan=upkeep.next_plan(memory))
        draft.update(intent=intent, phase_since=timestamp(scene.now))
        draft.wait(
            Reason.RECREATING, "new visits go to a page that asks for patience; waiting until the gateway shows it"
        )
        draft.notes.append(f"{scene.env}: r{serving} makes room for r{number}")


def bring_back(scene: Scene, draft: Draft) -> None:
    """What was ended for a release that failed is released once more, unless something newer is on its way."""
    stopped = scene.memory.stopped
    if stopped is None or scene.memory.candidate is not None or draft.memory.candidate is not None:
        return
    spec = scene.spec(stopped.release)
    if spec is None:
        draft.stall(
            Reason.RECORD_DELETED,
            f"nobody is served: r{stopped.release} was ended to make room, and its record (AppRelease), which says what to"
            " start again, was deleted. Release something new",
        )
        return
    draft.trouble = None
    failed = max((q.release for q in scene.memory.quarantined if q.release > stopped.release), default=None)
    why = f" for r{failed}" if failed is not None else ""
    choosing.once_more(scene, draft, alone(spec), f"the same as r{stopped.release}, which had been ended{why}")


def alone(spec: AppReleaseSpec) -> AppReleaseSpec:
    """The same release, begun only when the others have ended, and with nothing before its switch."""
    at_once = {"strategy": "recreate", "steps": (), "hold": "0s"}
    return spec.model_copy(update={"plan": spec.plan.model_copy(update=at_once)})


def can_turn_back(scene: Scene) -> bool:
    """Whether what was to make room is still whole: then visitors need only be sent there again."""
    memory = scene.memory
    if memory.phase != Phase.PENDING or memory.stable is None or memory.stable in memory.removing:
        return False
    on_the_way = memory.intent is not None and memory.intent.switch_to == PAGE
    gone = not on_the_way and {w.release for w in memory.weights} != {PAGE}
    there = memory.stable in upkeep.live(memory)
    return there and not gone and scene.any_ready(memory.stable)


def tidy(scene: Scene, draft: Draft) -> None:
    """The page goes when nobody wants it any more (and, see ``upkeep``, no route leads there)."""
    if scene.slots(PAGE) and PAGE not in {*draft.memory.removing, *upkeep.live(draft.memory)}:
        draft.remove([PAGE])


def is_asked_for(environment: Environment | None) -> bool:
    """Whether the author says now that releases must not run side by side."""
    return environment is not None and environment.release.way == "recreate"


def _others(scene: Scene, number: int) -> set[int]:
    """The other releases of which anything runs, or may run."""
    memory = scene.memory
    told = memory.former | set(memory.removing)
    there = {n for env, n in scene.observed.slots if env == scene.env and scene.slots(n)}
    return (told | there | upkeep.live(memory)) - {number, PAGE}


def _deadline(scene: Scene) -> datetime:
    """Until when what serves may stay whoever has it open."""
    if scene.memory.deadline is not None:
        return instant(scene.memory.deadline)
    limit = upkeep.drain_policy(scene, scene.memory.stable or PAGE).max
    return since(scene.memory, scene.now) + timedelta(seconds=seconds(limit))


def _may_end(scene: Scene, serving: int, deadline: datetime) -> bool:
    """Nobody has had it open for ``emptyFor``; or its time is over; or it failed, or answers nobody anyway."""
    broken = not scene.any_ready(serving) and lost(scene, serving)
    return serving != scene.memory.stable or scene.now >= deadline or broken or draining.quiet(scene, serving)


def _say_waiting(scene: Scene, draft: Draft, number: int, serving: int, deadline: datetime) -> None:
    policy, sessions = upkeep.drain_policy(scene, serving), scene.sessions(serving)
    has = {None: "", 0: "; nobody has now", 1: "; one session is open now"}.get(sessions, f"; {sessions} are open now")
    draft.wait(
        Reason.MAKING_ROOM,
        f"r{number} cannot run beside r{serving} (strategy: recreate): it starts when nobody has had r{serving} open for"
        f" {policy.empty_for}{has}, or at {timestamp(deadline)[11:16]} whoever has. From then on new visitors see a page that"
        f" asks for patience until r{number} works",
        until=deadline,
    )


def _say_leaving(scene: Scene, draft: Draft, number: int, left: set[int]) -> None:
    draining_now = [d for d in scene.memory.draining if d.release in left and d.release not in scene.memory.removing]
    which = ", ".join(f"r{n}" for n in sorted(left))
    told = f"r{number} starts when {which} has ended" if len(left) == 1 else f"r{number} starts when {which} have ended"
    for entry in draining_now:
        count = "an unknown number of sessions" if entry.sessions is None else f"{entry.sessions} sessions"
        told += f"; r{entry.release}: {count}, forced at {entry.forced_at[11:16]}"
    draft.wait(Reason.RECREATING, told, until=max((d.forced_at for d in draining_now), default=None))
    draft.wake_in(draining.LOOK)


def _say_page(scene: Scene, draft: Draft, number: int) -> None:
    """The page is not there yet: nothing ends before it is."""
    state = next(health for _, health in scene.health(PAGE, scene.now))
    told = (
        f"r{number} waits for the page that new visitors are to see while r{scene.memory.stable} ends: {state.message}"
    )
    if state.outlook is Outlook.BLOCKED:
        draft.stall(state.reason, told)
        return
    draft.wait(Reason.RECREATING, told)
    waits = draft.memory.waiting_for
    if waits is not None and scene.now >= instant(waits.since) + timedelta(seconds=PAGE_DEADLINE):
        draft.trouble = (Reason.RECREATING, told)
