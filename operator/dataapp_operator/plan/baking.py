"""The bake: the new release serves everybody, the old one is kept whole, and sessions are opened again and again.

It ends well only when a session was seen to work; when one fails twice in a row, or a replica goes, new visits are taken
back to the old release, which was never changed.
"""

from datetime import datetime, timedelta

from dataapp_operator.api.base import instant, seconds, timestamp
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import Intent
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import analysis, commands, endings, fleet, growing, probing, record, stuck, upkeep
from dataapp_operator.plan.actions import ReadLog
from dataapp_operator.plan.facts import CheckFacts
from dataapp_operator.plan.names import PAGE
from dataapp_operator.plan.scene import Draft, Scene, crash, lost, since

BAKE_CHECK = 2
"""Seconds between two session checks while baking; one that failed is asked again at once."""
UNPROVED = 300
"""Seconds after its bake in which no session was seen to work, until a person is told."""
SILENCE = 60
"""Seconds after its time in which a metric may still begin to speak, where silence is a failure."""
FAILURES_TO_ROLL_BACK = 2
"""Session checks that fail in a row before a baking release is taken back."""


def say(scene: Scene, draft: Draft, number: int) -> None:
    """Say until when the old release is kept."""
    until = draft.memory.deadline or timestamp(scene.now)
    kept = f"r{draft.memory.stable} is kept until {until[11:16]} in case it fails"
    if draft.memory.stopped is not None:
        kept = f"if it fails until {until[11:16]}, r{draft.memory.stable} is started again"
    draft.wait(Reason.BAKING, f"r{number} serves everybody; {kept}", until=until)


def advance(scene: Scene, draft: Draft, number: int) -> None:
    """One look at a release that bakes: taken back, kept on, or released."""
    found = trouble(scene, number)
    if stuck.watch(scene, draft, number, found):
        return
    if found is not None:
        roll_back(scene, draft, number, *found)
        return
    check = probing.of(scene, number)
    deadline = instant(scene.memory.deadline) if scene.memory.deadline else scene.now
    done = scene.now >= deadline and proved(scene, number, check) and scene.ready(number)
    done = done and not analysis.undecided(analysis.findings(scene, number))
    if done and not commands.paused(scene):
        draft.update(stable=number, stable_since=timestamp(scene.now), candidate=None, step=None, stopped=None)
        draft.enter(Phase.RELEASED, f"{scene.env}: r{number} is released")
        return
    check_again(scene, draft, number, check)
    if commands.paused(scene):
        draft.wait(
            Reason.PAUSED,
            f"r{number} serves everybody and is paused by a person; {_before(scene)} as long as it is",
        )
    elif scene.now < deadline:
        say(scene, draft, number)
    else:
        kept = f"r{number} serves everybody; {_before(scene)}"
        say_unproved(scene, draft, number, kept, since=deadline)


def _before(scene: Scene) -> str:
    """What becomes of the release before, should this one fail."""
    stable = scene.memory.stable
    return f"r{stable} is started again if it fails" if scene.memory.stopped is not None else f"r{stable} is kept"


def trouble(scene: Scene, number: int) -> tuple[Reason, str] | None:
    """Why a release that visitors have come to must be taken back, if it must: the first signal that says so."""
    check = probing.of(scene, number)
    log = scene.observed.logs.get((scene.env, number))
    crashed = crash(scene, number)
    if crashed is not None:
        return Reason.CRASHED, endings.with_cause(crashed, log)
    failed = growing.failed(scene, number)
    if failed is not None:
        return failed.reason, endings.with_cause(failed.message, log)
    if check.failed_in_row >= FAILURES_TO_ROLL_BACK:
        return Reason.SESSION_FAILED, check.message
    if lost(scene, number) or _deaf(scene, number, check):
        return Reason.NOT_READY, "a replica stopped answering on its port"
    found = analysis.findings(scene, number)
    worst = analysis.bad(found) or _too_little(scene, found)
    if worst is None:
        return None
    return Reason.METRIC_FAILED, f"{worst.metric.name}: {worst.measured} (bad is {worst.metric.fail_when})"


def _too_little(scene: Scene, found: list[analysis.Finding]) -> analysis.Finding | None:
    """A metric whose author takes silence for a failure, a minute after its time."""
    if scene.memory.deadline is None:
        return None
    over = scene.now >= instant(scene.memory.deadline) + timedelta(seconds=SILENCE)
    return next((f for f in analysis.undecided(found) if over and f.metric.on_no_data == "fail"), None)


def check_again(scene: Scene, draft: Draft, number: int, check: CheckFacts) -> None:
    """Open another session soon; at once after one that failed. Put the author's own questions, too."""
    analysis.ask(scene, draft, number)
    pause = 0 if check.verdict is Verdict.FAIL else BAKE_CHECK
    probing.want(scene, draft, number, check, pause=pause, samples=1)


def say_unproved(scene: Scene, draft: Draft, number: int, so_far: str, *, since: datetime) -> None:
    """Its time is over, and nobody can say that it works: it stays as it is, and before long a person is told."""
    check = probing.of(scene, number)
    worked = proved(scene, number, check)
    open_ = analysis.undecided(analysis.findings(scene, number))
    if worked and open_:
        first = open_[0]
        few = f"{first.samples} of {first.metric.min_samples} samples"
        told = f"{so_far}, until {first.metric.name} says more: {first.measured} ({few})"
        reason, next_step = (
            Reason.METRIC_INCONCLUSIVE,
            "See why it says nothing, or let it be ignored (onNoData: ignore)",
        )
    else:
        told = f"{so_far}, until a session on r{number} is seen to work"
        told = f"{told}; so far: {check.message}" if check.message else told
        reason, next_step = Reason.SESSION_INCONCLUSIVE, "Open the app and see whether it answers"
    if scene.now >= since + timedelta(seconds=UNPROVED):
        draft.stall(reason, f"{told}. {next_step}")
    else:
        draft.wait(Reason.BAKING if draft.memory.phase == Phase.BAKING else Reason.HOLDING, told)
    draft.wake_in(BAKE_CHECK)


def _deaf(scene: Scene, number: int, check: CheckFacts) -> bool:
    """Two who do not know of each other say so: the kubelet finds nobody on the app's port, and no session worked since."""
    if check.finished_at is None or check.verdict in {None, Verdict.PASS}:
        return False
    pods = [pod for slot in scene.needed(number).values() for pod in slot.counted if pod.app.running]
    if scene.is_fleet(number):  # more pods may be starting at any time, and do not listen yet
        pods = [pod for pod in pods if fleet.listened(pod)]
    since_when = [pod.unready_since for pod in pods if pod.unready_since is not None]
    return any(moment <= check.finished_at for moment in since_when)


def proved(scene: Scene, number: int, check: CheckFacts) -> bool:
    """A session worked since the bake (or the step) began: no news is not good news.

    Without a record there is nothing to ask by.
    """
    spec = scene.spec(number)
    if spec is None:
        return True
    if check.verdict is not Verdict.PASS or check.finished_at is None:
        return False
    return check.finished_at >= since(scene.memory, scene.now) or seconds(spec.plan.bake) == 0


def roll_back(
    scene: Scene,
    draft: Draft,
    number: int,
    reason: Reason,
    message: str,
    *,
    blamed: bool = True,
    phase: Phase = Phase.ROLLED_BACK,
) -> None:
    """Take new visits back to stable. The record says why before anything is written.

    ``blamed``: the same image with the same configuration is not tried again by itself. Where going back is not safe, only
    a person may (``phase``: Aborted).
    """
    stable = scene.memory.stable
    if stable is None:
        return  # a first release has nothing to go back to, and never bakes
    if phase is not Phase.ABORTED and stuck.bound(scene, number):
        stuck.stay(scene, draft, number, reason, message)
        return
    draft.records[number] = record.ended(
        scene,
        number,
        phase=phase,
        reason=reason,
        message=message,
        next_step=endings.again(scene, number) if blamed else "",
    )
    if blamed:
        endings.quarantine(draft, number, f"{reason}: {message}")
    spec = scene.spec(number)
    # Sessions are ended only where they are what fails: nobody loses by it.
    evict = spec is not None and spec.plan.rollback.sessions == "evict" and reason is Reason.SESSION_FAILED
    # What was ended can only be started again when this one has ended.
    goal = PAGE if scene.memory.stopped is not None and scene.memory.phase != Phase.PENDING else stable
    plan = upkeep.next_plan(scene.memory)
    draft.update(intent=Intent(switch_to=goal, plan=plan, evict=evict), phase_since=timestamp(scene.now))
    if stuck.is_it(scene, number):
        draft.update(stuck=None)
    pods = tuple(target.pod for target in scene.targets(number))
    if pods and (scene.env, number) not in scene.observed.logs:  # the way back does not wait for it, the record does
        draft.background.append(ReadLog(environment=scene.env, number=number, pods=pods))
    back = f"new visits go back to r{stable}" if goal != PAGE else f"r{stable} is started again when it has ended"
    draft.wait(Reason.ROLLING_BACK, f"r{number} failed ({message}); {back}")
    draft.notes.append(f"{scene.env}: r{number} failed ({reason}), going back to r{stable}")
