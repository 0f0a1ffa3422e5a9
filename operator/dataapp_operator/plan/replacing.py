"""A newer change takes the place of a candidate. A started one is verified to its end, but for three cases.

It cannot even start; it only waits until it is alone; or it failed with visitors on it and cannot be taken back. Then the
next change need not wait for a person.
"""

from dataapp_operator.api.reasons import Phase
from dataapp_operator.plan import choosing, desired, endings, stuck
from dataapp_operator.plan.scene import Draft, Scene
from dataapp_operator.plan.wishes import wish_for


def consider(scene: Scene, draft: Draft, number: int, earlier: str | None) -> None:
    """Let what is newer begin, where the candidate is one of the three and is still there after this pass."""
    if draft.memory.candidate != number or draft.memory.phase != scene.memory.phase or scene.refusals():
        return
    if stuck.is_it(scene, number):
        _mend(scene, draft, number, earlier)
    elif scene.memory.phase == Phase.PENDING:
        _instead_of_waiting(scene, draft, number, earlier)
    else:
        _supersede_if_it_cannot_start(scene, draft, number, earlier)


def _supersede_if_it_cannot_start(scene: Scene, draft: Draft, number: int, earlier: str | None) -> None:
    assert scene.environment is not None  # noqa: S101 - the caller looked
    nothing_else = endings.only_one(scene, number)
    starts = {Phase.DEPLOYING, Phase.CHECKING} if nothing_else else {Phase.DEPLOYING}
    if draft.trouble is None or scene.memory.phase not in starts:
        return
    if nothing_else and _trial(scene, draft, earlier).memory.candidate is None:
        return
    wish, _ = wish_for(scene, earlier)
    if wish is not None and wish.content(scene.environment) != desired.content(scene.memory.artefact(number)):
        draft.trouble = None
        endings.supersede(scene, draft, number)


def _instead_of_waiting(scene: Scene, draft: Draft, number: int, earlier: str | None) -> None:
    """What was promised to those who have the old one open stands: the newer one waits until the same moment."""
    spec = scene.spec(number)
    decided = draft.memory.intent is not None or scene.memory.intent is not None
    if decided or spec is None or spec.cause is not None:  # a person wanted it, or nothing else can serve
        return
    trial = _trial(scene, draft, earlier)
    begun = desired.content(trial.memory.artefact(trial.memory.candidate))
    taken_back = begun is None and trial.memory.waiting_for is None and trial.trouble is None
    if begun == desired.content(scene.memory.artefact(number)):
        return
    if begun is None and (not taken_back or scene.memory.stopped is not None):
        return
    draft.trouble = None
    endings.supersede(scene, draft, number)
    choosing.choose(scene, draft, earlier)
    if draft.memory.candidate is not None and draft.memory.phase == Phase.PENDING:
        draft.update(deadline=scene.memory.deadline)


def _mend(scene: Scene, draft: Draft, number: int, earlier: str | None) -> None:
    """It keeps its visitors until the newer one serves. What is there already mends nothing: only a person goes back."""
    if draft.trouble is None:
        return
    trial = _trial(scene, draft, earlier)
    begun = desired.content(trial.memory.artefact(trial.memory.candidate))
    there = {desired.content(a) for a in scene.memory.artefacts if a.release not in scene.memory.removing}
    # One that waits until it is alone would have to end it first.
    if begun is None or begun in there or trial.memory.phase != Phase.DEPLOYING:
        return
    stuck.park(scene, draft, number)
    choosing.choose(scene, draft, earlier)


def _trial(scene: Scene, draft: Draft, earlier: str | None) -> Draft:
    """What would begin if there were no candidate."""
    free = scene.memory.model_copy(update={"candidate": None, "waiting_for": None})
    trial = Draft(memory=free, now=scene.now, last_number=draft.last_number)
    choosing.choose(scene, trial, earlier)
    return trial
