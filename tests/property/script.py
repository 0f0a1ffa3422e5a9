"""The hostile script: what may happen to an app whose releases go on, in any order, and how a world lives through it.

Everything that lies or fails is in it: an operator that dies between any two calls, pods that are never ready, flap or
are deleted, a cluster without room, a gateway that refuses or only says that it has done something, fronts that do not
answer, visitors who never go home, commits in bursts, and people who promote, retry, delete and lose patience.
"""

import functools
import random
from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

from dataapp_operator.api.reasons import Phase
from dataapp_operator.plan.commands import ABORT, COMMANDS, RESTART, ROLLBACK
from dataapp_operator.plan.names import PAGE
from tests.property.cluster import HOWS
from tests.property.world import KINDS, World, fresh, image, twin

# Records are not in it: without one, what is missing cannot be made again (tests/unit/test_plan_record.py has each phase).
HANDS = ("evict", "give up", "replicaset", "service", "route")
HARM = {*HANDS, "crash", "flap", ABORT, ROLLBACK}
"""What may rightly make the operator take a release back that works."""
PATIENCE = 20
"""Seconds after which somebody looks at status, and does what it says that a person has to."""
_CHOICES: tuple[tuple[Sequence[str], Sequence[object]], ...] = (
    (["push"], KINDS),
    (["push"], ["good", "good", "good", "late"]),
    (["burst"], [2, 3, 4]),
    (["again"], range(1, 10)),
    (["back"], range(10)),
    (["resize"], [1, 2, 3, 4]),
    (["elastic"], [1, 2, 3]),
    (["tick"], [0.5, 2.0, 11.0, 45.0]),
    (["run"], [5, 20, 60]),
    (["die"], range(13)),
    (["away"], [60.0, 700.0]),
    (HANDS, range(10)),
    (["crash", "flap", "flap"], range(10)),
    (["retry", "promote", "promote"], range(10)),
    (COMMANDS, range(10)),
    (["take back", "take back", "suspend", *["unsuspend"] * 3], COMMANDS),
    (["cordon", "uncordon"], ["node-a", "node-b"]),
    (["open", "open", "cling", "close", "blink"], [None]),
    (["refuse", "stale", "accept", "full", "room", "deaf", "hear"], [None]),
    (["accept", "room", "hear", "close", "end sessions", "delete"], [None]),
)
"""What may happen, and with which values."""
_EVENTS = st.one_of(*(st.tuples(st.sampled_from(what), st.sampled_from(value)) for what, value in _CHOICES))
_PLOTS = (
    (("push", "good"), ("run", 60)),
    (("accept", None), ("room", None), ("push", "good"), ("run", 60), ("run", 60), ("back", 0), ("run", 5)),
    (("accept", None), ("room", None), ("open", None), ("push", "good"), ("run", 60), ("back", 0), ("run", 10)),
    (("cling", None), ("push", "good"), ("run", 60), ("away", 700.0)),
    (("push", "good"), ("run", 8)),
    (("push", "late"), ("run", 20)),
    (("full", None), ("push", "good"), ("run", 5), ("push", "good"), ("room", None)),
    (("push", "good"), ("stale", None), ("run", 20)),
    (("promote", 0), ("run", 20)),
    (("accept", None), ("room", None), ("push", "late"), ("run", 20), ("push", "good"), ("run", 20)),
    (
        *(("accept", None), ("room", None), ("run", 60), ("push", "good"), ("stale", None), ("run", 20)),
        *(("crash", -1), ("run", 5), ("push", "good"), ("run", 20), ("accept", None), ("run", 20)),
    ),
    (("push", "good"), ("run", 20), ("pause", 0), ("run", 20), ("take back", "pause")),
    (("accept", None), ("push", "good"), ("run", 20), ("abort", 0), ("run", 20)),
    (("accept", None), ("room", None), ("push", "good"), ("run", 20), ("promote-full", 0), ("run", 60)),
    (("accept", None), ("room", None), ("push", "good"), ("run", 60), ("run", 60), ("rollback", 0), ("run", 60)),
    (("accept", None), ("room", None), ("run", 60), ("run", 60), ("restart", 0), ("run", 60)),
    (("accept", None), ("room", None), ("run", 60), ("resize", 3), ("run", 20), ("resize", 1), ("run", 20)),
    (("accept", None), ("room", None), ("cling", None), ("run", 60), ("resize", 1), ("run", 20), ("resize", 3)),
    (("accept", None), ("room", None), ("hear", None), ("elastic", 1), ("open", None), ("open", None), ("run", 60)),
    (("accept", None), ("room", None), ("run", 60), ("uncordon", "node-b"), ("cordon", "node-a"), ("run", 60)),
    (("accept", None), ("hear", None), ("run", 60), ("cordon", "node-a"), ("uncordon", "node-c"), ("run", 60)),
    (("accept", None), ("run", 60), ("suspend", "all"), ("push", "good"), ("run", 5), ("unsuspend", "all")),
)
"""What events alone seldom lead to. Whatever comes before and after is still up to chance."""
_ENDS = (
    (),
    (),
    (),
    (("delete", None), ("run", 5)),
    (("open", None), ("delete", None), ("run", 20), ("end sessions", None)),
)
Script = list[tuple[str, object]]


def dealt(number: int) -> Script:
    """The script of a number: scenes by evenly thrown dice. A generator that looks for trouble keeps to what it knows."""
    dice = random.Random(number)
    scenes: Script = []
    for _ in range(dice.randint(10, 20)):
        what, value = dice.choice(_CHOICES)
        event = (dice.choice(list(what)), dice.choice(list(value)))
        scenes += dice.choice(_PLOTS) if dice.random() < 0.6 else (event,)
    return [*scenes, *dice.choice(_ENDS)]


SCRIPTS = st.one_of(
    st.integers(0, 10**9).map(dealt),
    st.builds(
        lambda scenes, end: [event for scene in (*scenes, end) for event in scene],
        st.lists(
            st.one_of(_EVENTS.map(lambda event: (event,)), st.sampled_from(_PLOTS)),
            min_size=12,
            max_size=30,
        ),
        st.sampled_from(_ENDS),
    ),
)
Way = tuple[int, int, int, bool, str]
WAYS = st.tuples(
    st.integers(1, 2), st.integers(1, 3), st.sampled_from([0, 1, 1, 2]), st.booleans(), st.sampled_from(sorted(HOWS))
)
"""Environments, slots, releases kept warm, whether a person promotes to the second environment, and how releases come."""
PLACES = (
    *("stuck", "mending", "undecided", "making room", "page", "brought back"),
    *(
        "stepping",
        "held",
        "aborted",
        "growing",
        "growing on its way",
        "shrinking",
        "replaced",
        "gone back",
        "restarted",
        "paused",
        "suspended",
    ),
    *("baking", "rolled back", "warm", "returning", "removing", "deleting with stable"),
)
"""Where it is interesting: a script that seldom comes there proves little."""


@functools.cache
def _begun(
    environments: int,
    slots: int,
    warm: int,
    *,
    manual: bool,
    how: str,
    pins: str,
    weighs: bool,
    stateless: bool,
) -> World:
    world = fresh(environments=environments, slots=slots, warm=warm, manual=manual, how=how, stateless=stateless)
    world.pins, world.weighs = pins, weighs
    world.settle()
    return world


def begin(way: Way, *, pins: str = "led", weighs: bool = True, stateless: bool = False) -> World:
    """A world whose first release serves, behind a gateway that can or cannot lead cookies and weigh."""
    environments, slots, warm, manual, how = way
    kind = {"manual": manual, "how": how, "pins": pins, "weighs": weighs, "stateless": stateless}
    begun = _begun(environments, slots, warm, **kind)
    return twin(begun)


def play(world: World, script: list[tuple[str, object]]) -> tuple[list[str], set[str]]:
    """Live through a script. Returns every image that was ever pushed, the first included, and where it led."""
    images, seen = [world.spec.image], set()
    for what, value in script:
        happen(world, images, what, value)
        seen |= set(places(world))
        world.reconcile()
        world.tick(1)
        seen |= set(places(world))
    return images, seen


def places(world: World) -> Iterator[str]:
    """Where a world is now."""
    if world.deleting and any(env.stable is not None for env in world.status.environments):
        yield "deleting with stable"
    if any(status.phase == Phase.ROLLED_BACK for _, status, _ in world.releases.values()):
        yield "rolled back"
    if any(status.phase == Phase.SUPERSEDED for _, status, _ in world.releases.values()):
        yield "superseded"
    if any(status.phase == Phase.ABORTED for _, status, _ in world.releases.values()):
        yield "aborted"
    if any("restarted" in (spec.cause or "") for spec, _, _ in world.releases.values()):
        yield "restarted"
    if any("which had been ended" in (spec.cause or "") for spec, _, _ in world.releases.values()):
        yield "brought back"
    for env in world.status.environments:
        for scale in env.scales:
            if scale.starting:
                yield "growing on its way" if scale.release == env.candidate else "growing"
            if scale.leaving:
                yield "shrinking"
                if (
                    world.cordoned
                    and len(scale.serving) > 0
                    and max(scale.serving) > min(s.index for s in scale.leaving)
                ):
                    yield "replaced"
        if env.phase == Phase.RELEASING and env.intent is None:
            yield "stepping"
        if env.hold_until is not None:
            yield "held"
        if env.phase == Phase.PENDING:
            yield "making room"
        if PAGE in {w.release for w in env.weights}:
            yield "page"
        if env.stuck is not None:
            yield "stuck" if env.stuck.release == env.candidate else "mending"
            if env.stuck.intent is not None:
                yield "undecided"
        if any("going back" in answer.message for answer in env.answers):
            yield "gone back"
        if env.waiting_for is not None and env.waiting_for.reason in {"Paused", "Suspended"}:
            yield env.waiting_for.reason.lower()
        if env.phase == Phase.BAKING:
            yield "baking"
        if env.warm:
            yield "warm"
        if env.removing:
            yield "removing"
        if env.candidate in {entry.release for entry in (*env.draining, *env.warm)} and env.phase == Phase.CHECKING:
            yield "returning"
        if env.intent is not None and world.gateway_stale:
            yield "not shown"
        if any(entry.release in env.removing and entry.sessions for entry in env.draining):
            yield "forced"
        if env.name != "env0" and world.promote and env.candidate is not None:
            yield "promoted"


def happen(world: World, images: list[str], what: str, value: object) -> None:
    """One event. ``images`` is all that was ever pushed."""
    number = int(value) if isinstance(value, int | float) else 0
    match what:
        case "resize" | "elastic":
            world.resize(number, 4 if what == "elastic" else None)
        case "scale":
            world.scale(number)
        case "push" | "burst" | "again" | "back" | "promote" | "retry" | "delete" | "end sessions":
            _ask(world, images, what, value, number)
        case _ if what in COMMANDS:
            _say(world, what, number)
        case "take back":
            world.commands.pop(str(value), None)
        case "suspend" | "unsuspend":
            world.suspended = what == "suspend"
        case "tick":
            world.tick(float(value))  # type: ignore[arg-type]
        case "run":
            for _ in range(0, number, 2):
                world.reconcile()
                world.tick(2)
                if number > PATIENCE:
                    world.follow_advice()
        case "die":
            world.reconcile(die_after=number)
        case "away":
            world.die()
            world.tick(float(value))  # type: ignore[arg-type]
        case "crash":
            world.crash(number)
        case "flap":
            world.flap(number)
        case "blink":
            world.blink()
        case "cordon":
            world.cordoned.add(str(value))
        case "uncordon":
            world.cordoned.discard(str(value))
        case "open" | "cling":
            world.open_session(cling=what == "cling")
        case "close":
            world.close_sessions()
        case "refuse" | "stale" | "accept":
            world.gateway_accepts, world.gateway_stale = what != "refuse", what == "stale"
            world.program()
        case "full" | "room":
            world.room = what == "room"
        case "deaf" | "hear":
            world.fronts_answer = what == "hear"
        case _:
            world.meddle(what, number)


def _say(world: World, command: str, number: int) -> None:
    """A person says something to the release on its way (or to the one that serves), or to one that they imagine."""
    said = []
    for env in world.status.environments:
        means = env.candidate if env.candidate is not None and command not in {ROLLBACK, RESTART} else env.stable
        word = str(means if number < 7 and means is not None else number)
        if command == "resume":
            word += f".{env.step or 0}"
        if command == "rollback" and number % 3 == 2:
            word += f":{number}"
        said.append(f"{env.name}={word}" + ("@again" if number % 2 else ""))
    world.commands[command] = ",".join(said)


def _ask(world: World, images: list[str], what: str, value: object, number: int) -> None:
    """What authors and operators ask for."""
    match what:
        case "push":
            world.push(image(str(value), len(images) + 1))
            images.append(world.spec.image)
        case "burst":
            for _ in range(number):
                world.push(image("good", len(images) + 1))
                images.append(world.spec.image)
                world.reconcile()
        case "again":
            world.push(images[-1 - number % len(images)])
        case "back":
            memory = world.status.environment("env0")
            former = [entry.release for entry in (*memory.draining, *memory.warm)]
            if former:
                world.push(world.images["env0", former[number % len(former)]])
        case "promote":
            world.annotate(f"env1={number or world.status.environment('env0').stable}")
        case "retry":
            world.retry = f"env0={number},env1={number}"
        case "delete":
            world.delete()
        case "end sessions":
            world.end_sessions = True
