"""A canary's steps: a growing share of the new visitors, and who is there stays.

Each step is a switch like any other (decided, written, seen), then held: its sessions are checked again and again as in a
bake, and any failure sends all new visitors back. Nothing is lost at a step: until the last one the release before gets
visitors too, and every browser keeps the release it came to.
"""

from datetime import timedelta

from dataapp_operator.api.base import instant
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import SCALE, Intent
from dataapp_operator.plan import abilities, analysis, baking, commands, growing, probing, stuck, upkeep
from dataapp_operator.plan.scene import Draft, Scene

PERCENT = SCALE // 100


def at_once(scene: Scene, number: int) -> bool:
    """Whether a release that passed its checks gets all new visitors now: it comes back, or a person said so."""
    memory = scene.memory
    comes_back = number in memory.former
    return comes_back or commands.names_candidate(scene, commands.PROMOTE_FULL)


def first_step(scene: Scene, number: int) -> int | None:
    """The step that a release begins with; None: all new visitors come at once.

    So it is with a first release too, where the stable one answers nobody (a share of the visitors for it would be a share
    of errors), and where the Gateway does not share visitors out.
    """
    spec, stable = scene.spec(number), scene.memory.stable
    if spec is None or not spec.plan.steps or stable is None or at_once(scene, number):
        return None
    if abilities.of(scene).weighs is False or not scene.any_ready(stable):
        return None
    return 0


def intend(scene: Scene, draft: Draft, number: int, step: int | None, *, within: float) -> None:
    """Decide a step, or the switch of all (``step`` None, or behind the last); it is written when this is persisted."""
    spec = scene.spec(number)
    steps = spec.plan.steps if spec is not None else ()
    partly = step is not None and step < len(steps)
    share = steps[step].weight if partly and step is not None else 100
    told = f"{share} % of new visits go" if partly else "new visits go"
    draft.enter(Phase.RELEASING, f"{scene.env}: r{number}: {told} to it")
    intent = Intent(switch_to=number, plan=upkeep.next_plan(draft.memory), weight=share * PERCENT if partly else None)
    draft.update(intent=intent, step=step)
    draft.wait(
        Reason.SWITCHING,
        f"{told} to r{number}; waiting until the gateway shows it",
        until=scene.now + timedelta(seconds=within),
    )


def hold(scene: Scene, draft: Draft, number: int, *, within: float) -> None:
    """One look at a release that has its share: taken back, kept there, or on to the next step."""
    trouble = baking.trouble(scene, number)
    if stuck.watch(scene, draft, number, trouble):
        return
    spec, index = scene.spec(number), scene.memory.step
    if trouble is not None:
        baking.roll_back(scene, draft, number, *trouble)
        return
    if spec is None or index is None or index >= len(spec.plan.steps):
        baking.roll_back(
            scene,
            draft,
            number,
            Reason.RECORD_DELETED,
            "its record (AppRelease), which says how it goes on, was deleted",
            blamed=False,
        )
        return
    step, check = spec.plan.steps[index], probing.of(scene, number)
    deadline = instant(scene.memory.deadline) if scene.memory.deadline else scene.now
    at_once = commands.names_candidate(scene, commands.PROMOTE_FULL) or abilities.of(scene).weighs is False
    held = at_once or (scene.now >= deadline and (not step.pause or commands.resumed(scene, index)))
    able = baking.proved(scene, number, check) and scene.ready(number)
    able = able and not analysis.undecided(analysis.findings(scene, number))
    if held and able and not commands.paused(scene):
        following = len(spec.plan.steps) if at_once else index + 1
        if growing.is_grown(scene, draft, number, following):
            intend(scene, draft, number, following, within=within)
        else:
            baking.check_again(scene, draft, number, check)
        return
    baking.check_again(scene, draft, number, check)
    share = f"r{number} has {step.weight} % of the new visitors (step {index + 1} of {len(spec.plan.steps)})"
    if commands.paused(scene):
        draft.wait(Reason.PAUSED, f"{share} and is paused by a person")
    elif scene.now < deadline:
        draft.wait(Reason.HOLDING, share, until=deadline)
    elif step.pause and not held:
        ask = commands.line(scene, commands.RESUME, f"{number}.{index}")
        draft.wait(Reason.PAUSED, f"{share} and waits for a person to say that it may go on: {ask}")
    else:
        baking.say_unproved(scene, draft, number, share, since=deadline)
