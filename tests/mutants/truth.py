"""What is written down: invariants 10 (deeds follow what is persisted), 11 (a crash changes nothing), 12 (Ready is true)."""

from tests.mutants.mutant import GUARD, PLANNED, SWAPPED, Mutant

_FAREWELL = "    if not observed.departing or observed.status.environments or observed.slots or observed.routes:\n"
_ANSWERED = "        last_handled_reconcile_at=view.answered or observed.status.last_handled_reconcile_at,\n"

MUTANTS = (
    Mutant(
        10,
        GUARD,
        "decide.py",
        old=_FAREWELL,
        new="    if not observed.departing or observed.slots or observed.routes:\n",
        why="The app is let go while its memory still says that something of it is there.",
    ),
    Mutant(
        10,
        SWAPPED,
        "upkeep.py",
        old="        elif _remove_one(scene, draft, number):\n",
        new="        elif not _remove_one(scene, draft, number):\n",
        why="The justification is dropped first, and the deed is left half done.",
    ),
    Mutant(
        10,
        PLANNED,
        "canary.py",
        old="    draft.update(intent=intent, step=step)\n",
        new="    draft.update(intent=intent, step=step)\n"
        "    from dataapp_operator.plan import upkeep\n\n"
        "    then = Scene(scene.observed, scene.environment, scene.cls, draft.memory, scene.host, scene.code)\n"
        "    if scene.cls is not None:\n"
        "        upkeep.ensure_weights(then, draft, scene.cls)\n",
        why="Visitors are sent to a release by a plan that no status knows of yet.",
    ),
    Mutant(
        11,
        GUARD,
        "upkeep.py",
        old="    return numbers - set(memory.removing)\n",
        new="    return numbers\n",
        why="What is being removed is made again: the same step is done over and over.",
    ),
    Mutant(
        11,
        SWAPPED,
        "choosing.py",
        old="    if (scene.env, spec.number) not in observed.releases:\n",
        new="    if scene.memory.candidate == spec.number:\n",
        why="The number is stored before the release is made, and after a crash nobody makes it.",
    ),
    Mutant(
        11,
        PLANNED,
        "choosing.py",
        old="if r.status.phase is None and scene.memory.artefact(n) is None}\n",
        new="if r.status.phase is None and scene.memory.candidate == n}\n",
        why="A release that was made by a pass that died is not found again: there are two of it.",
    ),
    Mutant(
        12,
        GUARD,
        "summary.py",
        old="        if not scene.any_ready(number):\n",
        new="        if not scene.needed(number):\n",
        why="Ready is said of a release of which no replica answers.",
    ),
    Mutant(
        12,
        GUARD,
        "summary.py",
        old="        if route is not None and route.accepted is False:\n",
        new="        if route is None:\n",
        why="Ready is said of an app that its gateway does not let in.",
    ),
    Mutant(
        12,
        SWAPPED,
        "decide.py",
        old=_ANSWERED,
        new="        last_handled_reconcile_at=observed.requested or observed.status.last_handled_reconcile_at,\n",
        why="A wish to look now is answered first, and then not looked at.",
    ),
    Mutant(
        12,
        PLANNED,
        "summary.py",
        old="        number = memory.weights[0].release\n",
        new="        number = memory.intent.switch_to if memory.intent else memory.weights[0].release\n",
        why="Ready names the release that is planned to serve, and visitors get another one.",
    ),
)
