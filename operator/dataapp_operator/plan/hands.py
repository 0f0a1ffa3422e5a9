"""What a person's commands do to the release machine: abort, rollback and restart, each once.

Rollback and restart are releases like any other: checked, switched to, baked. Going back to one that is still there needs
no new pod. What a person went back from is not tried again by itself, however much the manifest still asks for it.
"""

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.plan import abilities, baking, choosing, commands, desired, endings, recreating
from dataapp_operator.plan.names import PAGE
from dataapp_operator.plan.scene import Draft, Scene

_SERVED = {Phase.DRAINING, Phase.WARM, Phase.RETIRED}


def abort(scene: Scene, draft: Draft, number: int) -> bool:
    """Give up what is on its way, if a person says so. True: that decided this pass."""
    said = commands.fresh(scene, commands.ABORT)
    if said is None or said.number != number or commands.misread(commands.ABORT, said, scene):
        return False
    memory = scene.memory
    makes_room = memory.phase == Phase.PENDING and memory.intent is not None and memory.intent.switch_to == PAGE
    if memory.intent is not None and memory.intent.switch_to != number and not makes_room:
        commands.answer(draft, commands.ABORT, said, f"nothing was done: r{number} is being taken back already")
        return False
    serves = memory.phase in {Phase.RELEASING, Phase.BAKING} and memory.stable is not None
    whole = recreating.can_turn_back(scene)
    if (serves and not endings.only_one(scene, number)) or whole:
        baking.roll_back(scene, draft, number, Reason.ABORTED, "a person gave it up", phase=Phase.ABORTED)
        back = f"new visits go back to r{memory.stable}"
        if memory.stopped is not None and not whole:
            back = f"r{memory.stable} is started again when it has ended"
        commands.answer(draft, commands.ABORT, said, f"r{number} is given up; {back}")
        return True
    if memory.phase == Phase.RELEASING:
        told = f"nothing was done: r{number} is the first release here, and visitors are on their way to it"
        commands.answer(draft, commands.ABORT, said, told)
        return False
    endings.abort(scene, draft, number)
    again = f"; r{memory.stable} is started again" if memory.stopped is not None else ""
    commands.answer(draft, commands.ABORT, said, f"r{number} is given up; nobody was sent to it{again}")
    return True


def begin(scene: Scene, draft: Draft) -> bool:
    """Begin what a person's command asks for, where nothing is on its way. True: that decided this pass."""
    for command, do in ((commands.ROLLBACK, _roll_back), (commands.RESTART, _restart)):
        said = commands.fresh(scene, command)
        stable = scene.memory.stable
        if said is None or stable is None or said.number != stable or commands.misread(command, said, scene):
            continue
        spec = scene.spec(stable)
        if spec is None:
            commands.answer(draft, command, said, f"nothing was done: the record (AppRelease) of r{stable} is gone")
            continue
        if not abilities.before(scene, draft) or do(scene, draft, said, spec):
            return True
    return False


def answer_rest(scene: Scene, draft: Draft) -> None:
    """Answer what was said and means nothing now, or goes on meaning something."""
    commands.answer_standing(scene, draft)
    for command in (commands.ABORT, commands.ROLLBACK, commands.RESTART):
        said = commands.fresh(scene, command)
        if said is None or any(a.command == command and a.word == said.said for a in draft.memory.answers):
            continue
        wrong = commands.misread(command, said, scene)
        if wrong is None and command == commands.ABORT:
            wrong = commands.elsewhere(scene, said)
        elif wrong is None:
            wrong = _not_serving(scene, said)
        if wrong is not None:
            commands.answer(draft, command, said, wrong)


def _not_serving(scene: Scene, said: commands.Word) -> str | None:
    memory = scene.memory
    if memory.candidate is not None:
        return f"nothing was done: r{memory.candidate} is on its way; abort it first, or wait for its end"
    if memory.stable is None:
        return "nothing was done: nothing serves here yet"
    if memory.stable != said.number:
        return f"nothing was done: r{memory.stable} serves, not r{said.number}"
    return None


def _roll_back(scene: Scene, draft: Draft, said: commands.Word, spec: AppReleaseSpec) -> bool:
    number = _former(scene, spec) if said.to is None else said.to
    former = scene.spec(number)
    if former is None or number == spec.number:
        which = "no earlier release" if said.to is None else f"no record (AppRelease) of r{said.to}"
        commands.answer(draft, commands.ROLLBACK, said, f"nothing was done: there is {which} to go back to")
        return False
    content = desired.content(former)
    if content == desired.content(spec):
        told = f"nothing was done: r{number} is the same as r{spec.number}"
        commands.answer(draft, commands.ROLLBACK, said, told)
        return False
    back = choosing.way_back(scene, content)
    told = f"going back from r{spec.number} to r{number}"
    if back is not None:
        choosing.come_back(draft, back)
        told += ", which is still there" if back == number else f", of which r{back} is still there"
    else:
        # It has proved itself here: no steps and no hold, as with every way back.
        alone = "recreate" in {former.plan.strategy, spec.plan.strategy}
        strategy = "recreate" if alone else "blueGreen"
        plan = former.plan.model_copy(update={"strategy": strategy, "steps": (), "hold": "0s"})
        cause = f"the same as r{number}: a person went back to it from r{spec.number}"
        if not choosing.once_more(scene, draft, former.model_copy(update={"plan": plan}), cause):
            return True  # it begins when that has gone
        told += f", released once more as r{draft.memory.candidate}"
    draft.update(quarantined=tuple(q for q in draft.memory.quarantined if desired.content(q) != content))
    endings.quarantine(draft, spec.number, f"{Reason.TAKEN_BACK}: a person went back to r{number}")
    commands.answer(draft, commands.ROLLBACK, said, told)
    return True


def _former(scene: Scene, spec: AppReleaseSpec) -> int | None:
    """The newest release that served here before, and was something else."""
    bad = {desired.content(q) for q in scene.memory.quarantined} | {desired.content(spec)}
    served = (
        number
        for (env, number), record in scene.observed.releases.items()
        if env == scene.env and record.status.phase in _SERVED and desired.content(record.spec) not in bad
    )
    return max(served, default=None)


def _restart(scene: Scene, draft: Draft, said: commands.Word, spec: AppReleaseSpec) -> bool:
    if not choosing.once_more(scene, draft, spec, f"the same as r{spec.number}: a person had it restarted"):
        return True  # it begins when that has gone
    commands.answer(
        draft, commands.RESTART, said, f"r{spec.number} is released once more, as r{draft.memory.candidate}"
    )
    return True
