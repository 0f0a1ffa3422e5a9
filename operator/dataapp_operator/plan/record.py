"""AppRelease.status: the record that author and platform team both believe.

It is a projection of the environment's memory plus evidence. Evidence is added and kept, never taken back: a restart of
the operator forgets what it measured, the record does not.
"""

from dataapp_operator.api.apprelease import AppReleaseStatus, CheckStatus, SlotStatus, TimelineEntry
from dataapp_operator.api.base import instant, seconds, timestamp
from dataapp_operator.api.reasons import ENDS, NOT_RELEASED, Phase, Reason
from dataapp_operator.api.status import SCALE, Draining
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import abilities, analysis, names, upkeep
from dataapp_operator.plan.facts import CheckFacts
from dataapp_operator.plan.scene import Draft, Scene

MAX_TIMELINE = 32
GATEWAY = "gateway"
"""The name of the check of what the Gateway does."""
_EXPECTED_OF_GATEWAY = "a visitor's cookie leads to one replica, shares are kept, and a switch can be seen"


def ended(scene: Scene, number: int, *, phase: Phase, reason: Reason, message: str, next_step: str) -> AppReleaseStatus:
    """The record of a release that ended without being released, with the evidence there is."""
    had_visitors = scene.memory.phase in {Phase.RELEASING, Phase.BAKING}
    record = scene.release(number)
    before = record.status if record else AppReleaseStatus()
    check = scene.observed.checks.get((scene.env, number))
    log = scene.observed.logs.get((scene.env, number))
    lines = (check.log if check and check.log else ()) or (log.lines if log else ())
    return before.model_copy(
        update={
            "phase": str(phase),
            "commit": _commit(scene, number),
            "reason": str(reason),
            "message": message[:4096],
            "next_step": next_step,
            "summary": f"{reason}: {message}"[:512],
            "weight": "0",
            "sessions": None if had_visitors else 0,
            "users_affected": scene.sessions(number) if had_visitors else before.users_affected,
            "slots": (),
            "checks": _measured(_checks(before.checks, check), scene, number, last=True)
            if had_visitors
            else _checks(before.checks, check),
            "log": lines[-20:] or before.log,
            "timeline": _timeline(before, phase, scene, number),
        }
    )


def project(scene: Scene, draft: Draft) -> None:
    """Bring the records of all live releases up to what the draft's memory says."""
    memory = draft.memory
    numbers = upkeep.live(memory) | set(memory.removing) | set(scene.memory.removing)
    for number in sorted(numbers | {n for n in (memory.candidate,) if n is not None}):
        record = scene.release(number)
        if record is not None and number not in draft.records:
            draft.records[number] = _status(scene, draft, number, record.status)


def _status(scene: Scene, draft: Draft, number: int, before: AppReleaseStatus) -> AppReleaseStatus:
    memory = draft.memory
    removed = number in scene.memory.removing and number not in memory.removing
    phase = _phase(draft, number, before, removed=removed)
    draining = next((d for d in memory.draining if d.release == number), None)
    warm = next((w for w in memory.warm if w.release == number), None)
    weight = next((w.weight for w in memory.weights if w.release == number), 0)
    leaving = number in scene.memory.removing
    parked = memory.stuck is not None and number == memory.stuck.release != memory.candidate
    shown = number == memory.candidate and memory.phase in {Phase.RELEASING, Phase.BAKING}
    update: dict[str, object] = {
        "phase": phase,
        "commit": _commit(scene, number),
        "weight": f"{weight * 100 // SCALE}%" if weight else "0",
        "sessions": 0
        if removed
        else before.sessions
        if leaving
        else scene.sessions(number)
        if draining is not None or shown or parked
        else None,
        "summary": before.summary,
        "slots": ()
        if removed or phase in ENDS
        else before.slots  # being taken apart: what it was is of more interest than each step
        if leaving
        else tuple(SlotStatus(name=label, ready=slot.ready) for label, slot in scene.needed(number).items()),
        "timeline": _timeline(before, phase, scene, number),
    }
    if removed:
        update["preview_url"] = None
    elif scene.cls is not None and phase != Phase.PENDING:
        update["preview_url"] = names.url(scene.cls, upkeep.preview_host(scene, number, scene.cls))
    if phase in NOT_RELEASED:
        return before.model_copy(update=update | _found_later(scene, number, before))
    if parked:
        return before.model_copy(update=update)  # why it failed stands there, until another one has its visitors
    update["next_step"] = None
    if number == memory.candidate:
        update["step"] = before.step if memory.step is None else memory.step
        checks = _checks(before.checks, scene.observed.checks.get((scene.env, number)))
        update["checks"] = _gateway(_measured(checks, scene, number), scene) if shown else checks
        wait = memory.waiting_for
        update["reason"] = wait.reason if wait else None
        update["message"] = wait.message if wait else None
        update["summary"] = _until(memory.waiting_for.message, memory.waiting_for.until) if memory.waiting_for else ""
    elif number == scene.memory.candidate and number == memory.stable:
        update |= {"reason": None, "message": None, "summary": ""}
        update["checks"] = _measured(before.checks, scene, number, last=True)
    elif removed:
        update |= {"reason": None, "message": None, "summary": "its parts are removed; this record stays"}
    elif warm is not None:
        told = f"kept until {warm.until[11:16]}, to be gone back to without a new pod"
        update |= {"reason": None, "message": None, "summary": told}
    elif draining is not None:
        count = "unknown number of" if draining.sessions is None else str(draining.sessions)
        what = "session" if draining.sessions == 1 else "sessions"
        summary = f"{count} {what}, forced at {draining.forced_at[11:16]}"
        update |= {"reason": None, "message": _why_so_early(scene, draining), "summary": summary}
    else:
        update |= {"reason": None, "message": None, "summary": ""}
    return before.model_copy(update=update)


def _found_later(scene: Scene, number: int, before: AppReleaseStatus) -> dict[str, object]:
    """What the log of a failed release says, where there was no time to read it before visitors were taken back."""
    log = scene.observed.logs.get((scene.env, number))
    if (
        log is None
        or log.running
        or before.log
        or not log.lines
        or before.phase not in {Phase.FAILED, Phase.ROLLED_BACK}
    ):
        return {}
    update: dict[str, object] = {"log": log.lines[-20:]}
    if log.cause and before.message and log.cause not in before.message:
        message = f"{log.cause} ({before.message})"
        update |= {"message": message[:4096], "summary": f"{before.reason}: {message}"[:512]}
    return update


def _why_so_early(scene: Scene, draining: Draining) -> str | None:
    """A release that has to end before its time is told why."""
    promised = seconds(upkeep.drain_policy(scene, draining.release).max)
    if (instant(draining.forced_at) - instant(draining.since)).total_seconds() >= promised:
        return None
    return (
        f"it ends at {draining.forced_at[11:16]}, earlier than its drain.max, because too many old releases are in use"
    )


def _commit(scene: Scene, number: int) -> str | None:
    spec = scene.spec(number)
    return spec.commit[:7] if spec is not None and spec.commit else None


def _phase(draft: Draft, number: int, before: AppReleaseStatus, *, removed: bool) -> str:
    memory = draft.memory
    going_back = memory.intent is not None and memory.intent.switch_to != number
    if before.phase in NOT_RELEASED and (number != memory.candidate or going_back):
        return str(before.phase)
    if removed:
        return str(Phase.RETIRED)
    if number == memory.candidate:
        return str(memory.phase)
    if any(d.release == number for d in memory.draining):
        return str(Phase.DRAINING)
    if any(w.release == number for w in memory.warm):
        return str(Phase.WARM)
    return str(Phase.RELEASED if number == memory.stable else before.phase or Phase.PENDING)


def _checks(before: tuple[CheckStatus, ...], check: CheckFacts | None) -> tuple[CheckStatus, ...]:
    """The session check's evidence. A repeated pass changes nothing: a record is not a heartbeat."""
    if check is None or check.verdict is None:
        return before
    known = next((c for c in before if c.name == "session"), None)
    if known is not None and known.verdict == check.verdict == Verdict.PASS:
        return before
    new = CheckStatus(
        name="session",
        verdict=str(check.verdict),
        measured=(check.measured or check.message)[:1024],
        expected=check.expected[:1024],
        samples=check.samples,
    )
    return (*(c for c in before if c.name != "session"), new)


def _gateway(before: tuple[CheckStatus, ...], scene: Scene) -> tuple[CheckStatus, ...]:
    """What its Gateway was seen to do, once visitors come by it. It stands last: first of all an app has to work."""
    ability = abilities.of(scene)
    if ability.pins is None and ability.marks is not False:
        return before
    able = ability.pins and ability.marks and ability.weighs is not False
    verdict = str(Verdict.PASS if able else Verdict.FAIL)
    others, known = [c for c in before if c.name != GATEWAY], [c for c in before if c.name == GATEWAY]
    if known and known[0].verdict == verdict:
        return (*others, *known)
    measured = "; ".join(said for said in (ability.words, ability.weighed) if said)
    new = CheckStatus(name=GATEWAY, verdict=verdict, measured=measured[:1024], expected=_EXPECTED_OF_GATEWAY)
    return (*others[:15], new)


def _measured(
    before: tuple[CheckStatus, ...], scene: Scene, number: int, *, last: bool = False
) -> tuple[CheckStatus, ...]:
    """What the metrics say, beside the session check: written when a verdict changes, and at the end as it is then."""
    checks = {check.name: check for check in before}
    for found in analysis.findings(scene, number) if scene.release(number) is not None else ():
        known, name = checks.get(found.metric.name), found.metric.name
        silent = found.verdict not in {Verdict.PASS, Verdict.FAIL}
        usual = found.metric is analysis.USUAL and found.verdict is not Verdict.FAIL
        if usual or (not last and (silent or (known is not None and known.verdict == found.verdict))):
            continue
        checks[name] = CheckStatus(
            name=name,
            verdict=str(found.verdict),
            measured=found.measured[:1024],
            expected=found.expected + (" (only recorded)" if found.metric.dry_run else ""),
            samples=found.samples,
        )
    return tuple(checks.values())[:16]


def _timeline(before: AppReleaseStatus, phase: str, scene: Scene, number: int) -> tuple[TimelineEntry, ...]:
    known = before.timeline or _begin(scene, number)
    if known and known[-1].phase == phase:
        return known
    return (*known, TimelineEntry(phase=str(phase), at=timestamp(scene.now)))[-MAX_TIMELINE:]


def _begin(scene: Scene, number: int) -> tuple[TimelineEntry, ...]:
    """What the memory tells of a release whose record is still empty.

    The record is created in the pass that begins the release and is written to in the next. An operator that dies
    between the two, or finds its pods ready at once, is in another phase by then: the story begins all the same where
    the release began.
    """
    memory = scene.memory
    if number != memory.candidate or memory.phase_since is None:
        return ()
    here = TimelineEntry(phase=str(memory.phase), at=memory.phase_since)
    if memory.phase in {Phase.PENDING, Phase.DEPLOYING}:  # it begins with the one if it must wait until it is alone
        return (here,)
    return (TimelineEntry(phase=str(Phase.DEPLOYING), at=memory.phase_since), here)


def _until(message: str, until: str | None) -> str:
    return f"until {until[11:16]}" if until and not message else message[:512]
