"""A release that failed with visitors on it and cannot be taken back: it keeps what it has, and a person is told.

Its author says that going back from it is not safe (``compatibility: irreversible``): a database was changed, say. So
nobody is sent anywhere by us. It goes on being looked at, and goes on by itself once nothing has failed for a while and
its sessions work. Otherwise a person aborts it all the same, or a newer change takes its place: meanwhile it is *parked*,
with its visitors, and takes its role again if the newer one fails. ``stable`` stays what it was until a bake ends well.
"""

from datetime import timedelta

from dataapp_operator.api.base import seconds, timestamp
from dataapp_operator.api.reasons import ENDS, Phase, Reason
from dataapp_operator.api.status import Intent, Stuck
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import analysis, commands, endings, probing, record
from dataapp_operator.plan.actions import ReadLog
from dataapp_operator.plan.facts import CheckFacts
from dataapp_operator.plan.scene import Draft, Scene, since

STILL = 60
"""Seconds in which nothing may fail, until a release that failed goes on as any other."""
LOOK_EVERY = 15
"""Seconds between two looks at one that waits for a person."""


def bound(scene: Scene, number: int) -> bool:
    """Whether only a person may go back from a release. Its record says so, and the memory where that is gone."""
    spec, known = scene.spec(number), scene.memory.artefact(number)
    if spec is not None:
        return spec.plan.compatibility == "irreversible"
    return known is not None and bool(known.irreversible)


def is_it(scene: Scene, number: int) -> bool:
    """Whether a release has failed and keeps what it has."""
    return scene.memory.stuck is not None and scene.memory.stuck.release == number


def stay(scene: Scene, draft: Draft, number: int, reason: Reason, message: str) -> None:
    """It has failed now: write that down, and leave everything as it is."""
    entry = Stuck(release=number, reason=str(reason), message=message[:1024], since=timestamp(scene.now))
    draft.update(stuck=entry, deadline=None)
    _from_now_on(draft)
    pods = tuple(target.pod for target in scene.targets(number))
    if pods and (scene.env, number) not in scene.observed.logs:
        draft.background.append(ReadLog(environment=scene.env, number=number, pods=pods))
    draft.notes.append(f"{scene.env}: r{number} failed ({reason}) and stays: going back is not safe")
    _say(scene, draft, entry)


def watch(scene: Scene, draft: Draft, number: int, trouble: tuple[Reason, str] | None) -> bool:
    """One look at a release that may have failed before. True: it has, and nothing else is done about it in this pass."""
    entry = scene.memory.stuck
    if entry is None or entry.release != number:
        return False
    if trouble is not None and trouble[0] is Reason.CRASHED:
        _from_now_on(draft)
    raw, check = scene.observed.checks.get((scene.env, number), CheckFacts()), probing.of(scene, number)
    still = scene.now - timedelta(seconds=STILL)
    quiet = (
        trouble is None
        and since(scene.memory, scene.now) <= still
        and (raw.failed_at is None or raw.failed_at <= still)
    )
    works = check.verdict is Verdict.PASS and scene.ready(number)
    if scene.memory.intent is None:  # else nobody may have come to it yet, who could be counted
        works = works and not analysis.undecided(analysis.findings(scene, number))
    if quiet and works:
        _go_on(scene, draft, number)
        return True
    analysis.ask(scene, draft, number)
    probing.want(scene, draft, number, check, pause=LOOK_EVERY)
    log = scene.observed.logs.get((scene.env, number))
    if log is not None and log.cause and log.cause not in entry.message:
        entry = entry.model_copy(update={"message": endings.with_cause(entry.message, log)[:1024]})
        draft.update(stuck=entry)
    _say(scene, draft, entry)
    return True


def park(scene: Scene, draft: Draft, number: int) -> None:
    """It makes room for a newer candidate, and keeps its visitors. The same is not released again by itself."""
    memory, entry = draft.memory, scene.memory.stuck
    assert entry is not None  # noqa: S101 - the caller looked
    where = {"phase": scene.memory.phase, "step": scene.memory.step, "intent": scene.memory.intent}
    draft.update(stuck=entry.model_copy(update=where), candidate=None, step=None, intent=None)
    draft.trouble = None
    endings.quarantine(draft, number, f"{entry.reason}: {entry.message}")
    draft.notes.append(f"{memory.name}: r{number} keeps its visitors until a newer change takes its place")


def take_up(scene: Scene, draft: Draft) -> bool:
    """What was to take its place is gone: the parked one is the candidate again. True: that decided this pass."""
    entry = scene.memory.stuck
    if entry is None or scene.memory.candidate is not None:
        return False
    phase = Phase(entry.phase) if entry.phase in set(Phase) else Phase.BAKING
    draft.enter(phase, f"{scene.env}: r{entry.release} still has its visitors, and nothing newer takes its place")
    alone = entry.model_copy(update={"phase": None, "step": None, "intent": None})
    draft.update(candidate=entry.release, step=entry.step, intent=entry.intent, stuck=alone)
    _say(scene, draft, alone)
    return True


def undecided(scene: Scene) -> Intent | None:
    """A switch to the parked release that nobody has seen: its route stays as it is, whatever it is."""
    memory = scene.memory
    return memory.stuck.intent if memory.stuck is not None else None


def outlived(scene: Scene, draft: Draft, number: int, by: int) -> None:
    """Another release has its visitors now: its record says so, unless it has told its end before."""
    known = scene.release(number)
    if known is None or known.status.phase in ENDS:
        return
    why = next((q.reason for q in draft.memory.quarantined if q.release == number), "it failed")
    reason = Reason(why.partition(":")[0]) if why.partition(":")[0] in set(Reason) else Reason.SUPERSEDED
    message = f"{why.partition(': ')[2] or why}; it could not be taken back, and r{by} took its place"
    ended = record.ended(scene, number, phase=Phase.SUPERSEDED, reason=reason, message=message, next_step="")
    draft.records[number] = ended.model_copy(update={"checks": known.status.checks})  # as they were when it failed


def _from_now_on(draft: Draft) -> None:
    """What was seen up to now is old news; a crash of this very second too."""
    draft.update(phase_since=timestamp(draft.now + timedelta(seconds=1)))


def _go_on(scene: Scene, draft: Draft, number: int) -> None:
    """Nothing fails any more: from the beginning of where it is."""
    memory, spec = scene.memory, scene.spec(number)
    draft.update(stuck=None, quarantined=tuple(q for q in memory.quarantined if q.release != number))
    steps = spec.plan.steps if spec is not None else ()
    within = seconds(spec.plan.bake) if spec is not None else 0
    if memory.phase == Phase.RELEASING and memory.step is not None and memory.step < len(steps):
        within = seconds(steps[memory.step].hold)
    phase = Phase.BAKING if memory.phase == Phase.BAKING else Phase.RELEASING
    draft.enter(phase, f"{scene.env}: r{number} works again and goes on", within=within)
    reason = Reason.BAKING if phase is Phase.BAKING else Reason.HOLDING
    draft.wait(reason, f"r{number} works again and goes on", until=draft.memory.deadline)
    draft.wake_in(0)


def _say(scene: Scene, draft: Draft, entry: Stuck) -> None:
    number, stable = entry.release, scene.memory.stable
    back = commands.line(scene, commands.ABORT, str(number))
    draft.stall(
        Reason.ROLLBACK_UNSAFE,
        f"r{number} failed ({entry.reason}: {entry.message}). It keeps the visitors that it has, since going back from it is"
        " not safe (compatibility: irreversible). Commit a change that mends it: that takes its place as soon as its checks"
        f" have passed. Or go back to r{stable} all the same: {back}",
    )
    draft.wake_in(LOOK_EVERY)
