"""How a release goes on: invariants 6 (one step at a time), 7 (a reason and an end to every wait; rest is rest), 8 (proof)."""

from tests.mutants.mutant import GUARD, PLANNED, SWAPPED, Mutant

_ENTER = (
    '        draft.enter(Phase.CHECKING, f"{scene.env}: r{number} runs, opening sessions", within=CHECK_DEADLINE)\n'
)
_WAIT = (
    '        draft.wait(Reason.CHECKING, "opening real sessions on it",'
    " until=scene.now + timedelta(seconds=CHECK_DEADLINE))\n"
)
_ADVANCE = "            phases.advance(scene, draft, scene.memory.candidate, gateway)\n"

MUTANTS = (
    Mutant(
        6,
        GUARD,
        "canary.py",
        old="    held = at_once or (scene.now >= deadline and (not step.pause or commands.resumed(scene, index)))\n",
        new="    held = at_once or not step.pause or commands.resumed(scene, index)\n",
        why="A step is not held: the next one comes with the first session that works.",
    ),
    Mutant(
        6,
        GUARD,
        "canary.py",
        old="    held = at_once or (scene.now >= deadline and (not step.pause or commands.resumed(scene, index)))\n",
        new="    held = at_once or scene.now >= deadline\n",
        why="A pausing step does not wait for a person.",
    ),
    Mutant(
        6,
        GUARD,
        "canary.py",
        old="    if held and able and not commands.paused(scene):\n",
        new="    if held and able:\n",
        why="A release that a person has paused takes its next step.",
    ),
    Mutant(
        6,
        GUARD,
        "holding.py",
        old="    if until is None or scene.now >= until:\n",
        new="    if until is not None:\n",
        why="Nobody gets the time to look at a release before it is switched to.",
    ),
    Mutant(
        6,
        PLANNED,
        "holding.py",
        old="    if scene.memory.hold_until is None:\n",
        new="    if scene.memory.hold_until is None or scene.now < instant(scene.memory.hold_until):\n",
        why="Each pass plans the hold anew and none keeps the one that was persisted.",
    ),
    Mutant(
        6,
        GUARD,
        "switching.py",
        old="    written = upkeep.ensure_weights(scene, draft, cls, only_look=held)\n",
        new="    written = upkeep.ensure_weights(scene, draft, cls)\n",
        why="What failed while it took over gets its visitors all the same.",
    ),
    Mutant(
        6,
        SWAPPED,
        "canary.py",
        old="len(spec.plan.steps) if at_once else index + 1\n",
        new="index + 1 if at_once else len(spec.plan.steps)\n",
        why="Steps are left out where nobody said so, and taken where a person left them out.",
    ),
    Mutant(
        6,
        GUARD,
        "phases.py",
        old=_ENTER + _WAIT,
        new="        canary.intend(scene, draft, number, None, within=30)\n",
        why="What runs is released: the checks are left out.",
    ),
    Mutant(
        6,
        GUARD,
        "upkeep.py",
        old="for intent in decided if intent is not None)]) + 1\n",
        new="for intent in decided if intent is not None)]) + 0\n",
        why="The way back has the number of the way there: an answer to the one is taken for the other.",
    ),
    Mutant(
        6,
        SWAPPED,
        "phases.py",
        old="            _deploying(scene, draft, number)\n"
        "        case Phase.CHECKING:\n"
        "            _checking(scene, draft, number)\n",
        new="            _checking(scene, draft, number)\n"
        "        case Phase.CHECKING:\n"
        "            _deploying(scene, draft, number)\n",
        why="The second step comes first.",
    ),
    Mutant(
        6,
        PLANNED,
        "environment.py",
        old=_ADVANCE,
        new=_ADVANCE
        + "            if draft.memory.candidate is not None and draft.memory.phase != scene.memory.phase:\n"
        "                then = Scene(scene.observed, scene.environment, cls, draft.memory, scene.host, scene.code)\n"
        "                phases.advance(then, draft, draft.memory.candidate, gateway)\n",
        why="A step that is only planned is followed by the next in the same pass.",
    ),
    Mutant(
        7,
        GUARD,
        "decide.py",
        old="        if release is not None and release.status != status:\n",
        new="        if release is not None:\n",
        why="Every pass writes every record: nothing is ever at rest.",
    ),
    Mutant(
        7,
        GUARD,
        "phases.py",
        old="    draft.update(deadline=None)\n    draft.wake_in(15)\n",
        new="    draft.wake_in(15)\n",
        why="The time in which the cluster has no room for a release counts as its own, and fails it.",
    ),
    Mutant(
        7,
        SWAPPED,
        "phases.py",
        old=_ENTER + _WAIT,
        new=_WAIT + _ENTER,
        why="The reason is said first and forgotten by the step that follows it.",
    ),
    Mutant(
        7,
        PLANNED,
        "phases.py",
        old="    if deadline is None or (scene.now >= deadline and unseen):\n",
        new="    if deadline is None or scene.now < deadline or unseen:\n",
        why="Each pass plans a new deadline and none keeps the one that was persisted: it never comes.",
    ),
    Mutant(
        8,
        GUARD,
        "baking.py",
        old="    if check.verdict is not Verdict.PASS or check.finished_at is None:\n        return False\n",
        new="    if check.verdict is not Verdict.PASS or check.finished_at is None:\n        return True\n",
        why="No news is good news.",
    ),
    Mutant(
        8,
        GUARD,
        "probing.py",
        old="check.finished_at < since(scene.memory, scene.now)\n",
        new="check.finished_at < scene.now - timedelta(days=1)\n",
        why="What a session said before the release came back is taken for what it says now.",
    ),
    Mutant(
        8,
        GUARD,
        "probing.py",
        old="pause: float, samples: int = SAMPLES)",
        new="pause: float, samples: int = 1)",
        why="One session is enough.",
    ),
)
