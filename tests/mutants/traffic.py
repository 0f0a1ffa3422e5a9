"""Where visitors are sent: invariants 1 (never to nobody), 2 (to what can carry them), 3 (sums), 9 (one release a visit)."""

from tests.mutants.mutant import GUARD, PLANNED, SWAPPED, Mutant

_ABLE = "    able = scene.any_ready(number) if number == scene.memory.stable else scene.ready(number)\n"
_DECIDED = "    draft.update(intent=intent, step=step)\n"
_DRAINED = '            draft.notes.append(f"{scene.env}: r{entry.release} has drained")\n'

MUTANTS = (
    Mutant(
        1,
        GUARD,
        "upkeep.py",
        old="    if scene.memory.intent is not None and (not able or (only_look and known is not None)):\n",
        new="    if scene.memory.intent is not None and name not in scene.observed.routes:\n",
        why="A release that lost its replicas after the switch was decided gets all visitors nevertheless.",
    ),
    Mutant(
        1,
        GUARD,
        "upkeep.py",
        old="    if number == PAGE:\n        return scene.ready(number)\n",
        new="    if number == PAGE:\n        return True\n",
        why="New visitors are sent to a page that is not there yet.",
    ),
    Mutant(
        1,
        SWAPPED,
        "upkeep.py",
        old="    if left:\n        draft.actions += [delete_route(route)",
        new="    if left and all(slot.gone for slot in scene.slots(number).values()):\n"
        "        draft.actions += [delete_route(route)",
        why="Pods go before the routes that lead to them: whoever carries their cookie meets nobody.",
    ),
    Mutant(
        1,
        PLANNED,
        "environment.py",
        old="        _depart(scene, draft)\n",
        new="        _depart(scene, draft)\n"
        "        then = Scene(scene.observed, scene.environment, cls, draft.memory, scene.host, scene.code)\n"
        "        upkeep.ensure_weights(then, draft, cls)\n",
        why="The route of visitors goes in the pass that only plans to send none; a crash leaves status saying they come.",
    ),
    Mutant(
        2,
        GUARD,
        "growing.py",
        old="min(max(here.replicas, least), whole)\n",
        new="min(here.replicas, whole)\n",
        why="One of three replicas gets 40 % of the new visitors, because its author wrote 1.",
    ),
    Mutant(
        2,
        PLANNED,
        "canary.py",
        old="        if growing.is_grown(scene, draft, number, following):\n",
        new="        if growing.is_grown(scene, draft, number, following) or draft.memory.scales != scene.memory.scales:\n",
        why="The share that more replicas are to carry is decided in the pass in which they are.",
    ),
    Mutant(
        2,
        GUARD,
        "upkeep.py",
        old=_ABLE,
        new="    able = scene.any_ready(number)\n",
        why="One ready replica is enough to get the share of all.",
    ),
    Mutant(
        2,
        SWAPPED,
        "upkeep.py",
        old=_ABLE,
        new="    able = scene.ready(number) if number == scene.memory.stable else scene.any_ready(number)\n",
        why="The way back waits for every replica, and the way forward only for one.",
    ),
    Mutant(
        2,
        PLANNED,
        "canary.py",
        old=_DECIDED,
        new=_DECIDED + "    from dataapp_operator.api.status import Weight\n\n"
        "    draft.update(weights=(Weight(release=number, weight=SCALE),))\n",
        why="The share is noted with the plan, before a gateway has given it and whatever becomes of the replicas.",
    ),
    Mutant(
        3,
        GUARD,
        "routes.py",
        old="number, index), share + (1 if place < rest else 0))\n",
        new="number, index), share)\n",
        why="Three slots share 999 of 1000.",
    ),
    Mutant(
        2,
        SWAPPED,
        "upkeep.py",
        old="    return {memory.stable: SCALE - intent.weight, intent.switch_to: intent.weight}\n",
        new="    return {memory.stable: intent.weight, intent.switch_to: SCALE - intent.weight}\n",
        why="The new release gets the share that was meant to stay with the old one.",
    ),
    Mutant(
        9,
        GUARD,
        "upkeep.py",
        old="    return numbers - shares(memory).keys() - {PAGE}",
        new="    return numbers - {max(shares(memory), default=0), PAGE}",
        why="At a step of a canary, a reload takes whoever is on the old release to another one.",
    ),
    Mutant(
        3,
        SWAPPED,
        "routes.py",
        old="    share, rest = divmod(whole, len(slots))\n",
        new="    rest, share = divmod(whole, len(slots))\n",
        why="Quotient and rest change places: two slots get one each.",
    ),
    Mutant(
        3,
        PLANNED,
        "baking.py",
        old="    draft.update(intent=Intent(switch_to=goal, plan=plan, evict=evict), phase_since=timestamp(scene.now))\n",
        new="    back = tuple(w.model_copy(update={'release': goal}) for w in scene.memory.weights)\n"
        "    intent = Intent(switch_to=goal, plan=plan, evict=evict)\n"
        "    draft.update(intent=intent, phase_since=timestamp(scene.now), weights=back)\n",
        why="A weight that is unknown until the gateway shows it is taken for gone: the failed release may still carry all.",
    ),
    Mutant(
        9,
        GUARD,
        "upkeep.py",
        old="    if memory.weights or memory.intent:\n        numbers |= {n for n in (memory.stable,) if n is not None}\n",
        new="",
        why="The next page of whoever has the old release open is the old release again, after the switch.",
    ),
    Mutant(
        9,
        GUARD,
        "upkeep.py",
        old="    numbers |= {w.release for w in memory.weights}\n"
        "    if memory.stuck is not None:\n"
        "        numbers.add(memory.stuck.release)\n",
        new="",
        why="Whoever has a failed release open gets it again with the next page, after another one took its place.",
    ),
    Mutant(
        9,
        GUARD,
        "upkeep.py",
        old="    if number != memory.candidate or memory.stable is None or over or spec is None:\n",
        new="    if memory.stable is None or spec is None:\n",
        why="Whoever asks by its number for a release that was taken back, or has left, still gets it.",
    ),
    Mutant(
        9,
        SWAPPED,
        "routes.py",
        old='                "backendRefs": [_backend(names.slot(app, environment, number, round_them.get(index, index)), 1)],\n',
        new='                "backendRefs": [_backend(names.slot(app, environment, number, max(slots) - index), 1)],\n',
        why="Two slots change places: a cookie leads to the process that does not have the session.",
    ),
    Mutant(
        9,
        PLANNED,
        "draining.py",
        old=_DRAINED,
        new=_DRAINED + '            pins = scene.observed.routes.get(f"{scene.app}-{scene.env}-{entry.release}")\n'
        "            draft.actions += [upkeep.delete_route(pins)] if pins else []\n",
        why="The cookies of a release lead nowhere as soon as its end is planned.",
    ),
)
