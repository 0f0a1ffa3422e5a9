"""Who stays: invariants 4 (a slot ends empty, or when its time is over) and 5 (stable is whole, and changes by a bake)."""

from tests.mutants.mutant import GUARD, PLANNED, SWAPPED, Mutant

MUTANTS = (
    Mutant(
        4,
        GUARD,
        "draining.py",
        old="f.live == 0 and f.quiet_for is not None and f.quiet_for >= empty_for for f in fronts)\n",
        new="not f.live and (f.quiet_for is None or f.quiet_for >= empty_for) for f in fronts)\n",
        why="A front that cannot be asked counts as empty.",
    ),
    Mutant(
        4,
        GUARD,
        "draining.py",
        old="    return (scene.now - instant(entry.since)).total_seconds() >= empty_for and quiet(scene, entry.release)\n",
        new="    return quiet(scene, entry.release)\n",
        why="What was quiet before it left is let go at once, with whoever was sent to it at the very last.",
    ),
    Mutant(
        4,
        GUARD,
        "recreating.py",
        old="scene.now >= deadline or broken or draining.quiet(scene, serving)\n",
        new="scene.now >= deadline or broken or scene.any_ready(serving)\n",
        why="What is to make room does so at once, whoever has it open.",
    ),
    Mutant(
        4,
        SWAPPED,
        "switching.py",
        old="    limit = 0 if at_once else seconds(upkeep.drain_policy(scene, number).max)\n",
        new="    limit = seconds(upkeep.drain_policy(scene, number).max) if at_once else 0\n",
        why="Sessions are ended at once where they should be waited for, and the other way round.",
    ),
    Mutant(
        4,
        PLANNED,
        "environment.py",
        old="    draining.advance(scene, draft)\n",
        new="    draining.advance(scene, draft)\n"
        "    then = Scene(scene.observed, scene.environment, cls, draft.memory, scene.host, scene.code)\n"
        "    upkeep.remove(then, draft)\n",
        why="A release is taken apart in the pass that only plans its end.",
    ),
    Mutant(
        5,
        GUARD,
        "baking.py",
        old="    done = scene.now >= deadline and proved(scene, number, check) and scene.ready(number)\n",
        new="    done = proved(scene, number, check) and scene.ready(number)\n",
        why="The first session that works ends the bake, and the old release begins to leave.",
    ),
    Mutant(
        5,
        GUARD,
        "draining.py",
        old="    return {stable, memory.candidate, ",
        new="    return {memory.candidate, ",
        why="The stable release is let go while its successor still bakes.",
    ),
    Mutant(
        5,
        GUARD,
        "baking.py",
        old="    if phase is not Phase.ABORTED and stuck.bound(scene, number):\n",
        new="    if phase is not Phase.ABORTED and scene.spec(number) is None:\n",
        why="A release from which it is not safe to go back is taken back as any other.",
    ),
    Mutant(
        5,
        GUARD,
        "environment.py",
        old="    if scene.memory.intent is None and stuck.undecided(scene) is None:\n",
        new="    if scene.memory.intent is None:\n",
        why="While another is to take its place, visitors that may be on a failed release are sent back.",
    ),
    Mutant(
        5,
        GUARD,
        "recreating.py",
        old="    left = _others(scene, number)\n    if left:\n",
        new="    left = _others(scene, number)\n    if scene.memory.draining:\n",
        why="What cannot run twice is started while the one before is still being taken apart.",
    ),
    Mutant(
        5,
        GUARD,
        "upkeep.py",
        old="    if memory.stable is not None and (memory.stopped is None or memory.stopped.release != memory.stable):\n",
        new="    if memory.stable is not None:\n",
        why="What was ended to make room is made again beside its successor.",
    ),
    Mutant(
        5,
        SWAPPED,
        "switching.py",
        old="    draft.update(draining=(*others, *(known or [begin_draining(scene, stable, warm=True)])))\n",
        new="    draft.update(stable=number, draining=(*others, begin_draining(scene, stable, warm=True)))\n",
        why="The role changes with the switch, and the bake comes after it.",
    ),
    Mutant(
        5,
        SWAPPED,
        "switching.py",
        old="                begin_draining(scene, number, at_once=intent.evict),\n",
        new="                begin_draining(scene, goal, at_once=intent.evict),\n",
        why="After a rollback the stable release is the one that leaves.",
    ),
    Mutant(
        5,
        PLANNED,
        "canary.py",
        old="    draft.update(intent=intent, step=step)\n",
        new="    draft.update(intent=intent, step=step)\n"
        "    from dataapp_operator.plan import switching\n\n"
        "    then = Scene(scene.observed, scene.environment, scene.cls, draft.memory, scene.host, scene.code)\n"
        "    switching._switched(then, draft, number)\n",
        why="A switch that is only planned is taken for one that was seen.",
    ),
)
