"""How a former release leaves: counted, kept as long as somebody has it open, perhaps kept warm, and then let go.

A release that gets no new visits drains until nothing was open on it for ``emptyFor``, or until its stated end. One that
served is then kept *warm* for a while, so that going back to it needs no new pod. Whoever comes back to a warm one (a
laptop that woke up) has it drain again. A front that cannot be asked is unknown, never empty.
"""

from collections.abc import Iterable
from datetime import timedelta

from dataapp_operator.api.base import instant, seconds, timestamp
from dataapp_operator.api.environmentclass import Limits
from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.status import Draining, EnvironmentStatus, Warm
from dataapp_operator.plan import upkeep
from dataapp_operator.plan.actions import AskFronts
from dataapp_operator.plan.names import PAGE
from dataapp_operator.plan.scene import Draft, Scene

NOTICE = 600
"""Seconds that a release is told before it has to end earlier than promised, because too many drain."""
LOOK = 5
"""Seconds between two looks at what has to end before something else begins."""
AT_LAST = 5
"""Seconds in which whoever was sent to a release at the very last shows up, where nobody had it open for long before."""
ASK_WARM = 5
"""Seconds until a warm release whose time is over, and whose fronts do not answer, is looked at again."""


def ask_fronts(scene: Scene, draft: Draft) -> None:
    """Count open sessions while releases change; in the steady state nobody is asked and nothing is written."""
    memory = scene.memory
    if not memory.draining and memory.candidate is None and not _outlived(scene):
        return
    targets = [t for number in sorted(upkeep.live(memory) - {PAGE}) for t in scene.targets(number)]
    if targets:
        draft.background.append(AskFronts(environment=scene.env, targets=tuple(targets)))


def advance(scene: Scene, draft: Draft) -> None:
    """Refresh the counts; let go what is empty, or whose time is over."""
    kept: list[Draining] = []
    warm = list(draft.memory.warm)
    for entry in draft.memory.draining:
        persisted = any(d.release == entry.release for d in scene.memory.draining)
        if not persisted or entry.release in scene.memory.removing:
            kept.append(entry)
            continue
        updated = entry.model_copy(update={"sessions": scene.sessions(entry.release)})
        if entry.release in _staying(scene.memory) | _staying(draft.memory):
            kept.append(updated)  # baking: it must be able to take everybody back; or on its way back itself
            continue
        empty = _empty(scene, entry)
        if empty and _may_stay_warm(scene, entry):
            assert entry.warm_until is not None  # noqa: S101 - it may stay
            warm.append(Warm(release=entry.release, until=entry.warm_until, forced_at=entry.forced_at))
            draft.notes.append(f"{scene.env}: r{entry.release} has drained and is kept until {entry.warm_until}")
            continue
        kept.append(updated)
        draft.wake_at.append(instant(entry.forced_at))
        if empty or _over(scene, entry):
            draft.remove([entry.release])
            draft.notes.append(f"{scene.env}: r{entry.release} has drained")
    draft.update(draining=tuple(_told_earlier(scene, draft, kept)), warm=tuple(warm))
    _cool(scene, draft)


def _staying(memory: EnvironmentStatus) -> set[int | None]:
    """What visitors may be sent to again: not a stable release that makes room, unless they are sent back to it just now."""
    makes_room = memory.stopped is not None and memory.stopped.release == memory.stable
    stable = None if makes_room else memory.stable
    return {stable, memory.candidate, memory.intent.switch_to if memory.intent is not None else None}


def _over(scene: Scene, entry: Draining | Warm) -> bool:
    """Its stated end has come; or the app is to go, and a person does not want to wait for anybody."""
    return instant(entry.forced_at) <= scene.now or (scene.observed.departing and scene.observed.end_sessions)


def _empty(scene: Scene, entry: Draining) -> bool:
    """Nothing was open on any of its pods for the whole of emptyFor. An unreachable front is unknown, not empty."""
    if scene.observed.deleting and not any(slot.pods for slot in scene.slots(entry.release).values()):
        return True  # somebody took its pods (a namespace that is deleted, say), and nobody makes them again
    empty_for = _empty_for(scene, entry.release)
    if scene.memory.stopped is not None and scene.memory.stopped.release == entry.release:
        empty_for = min(empty_for, AT_LAST)  # nobody had it open for emptyFor before either
    return (scene.now - instant(entry.since)).total_seconds() >= empty_for and quiet(scene, entry.release)


def quiet(scene: Scene, number: int) -> bool:
    """Whether nothing has been open on a release for ``emptyFor``, as all of its fronts say."""
    empty_for = _empty_for(scene, number)
    fronts = scene.fronts(number)
    return all(f.live == 0 and f.quiet_for is not None and f.quiet_for >= empty_for for f in fronts)


def _empty_for(scene: Scene, number: int) -> int:
    return seconds(upkeep.drain_policy(scene, number).empty_for)


def _may_stay_warm(scene: Scene, entry: Draining) -> bool:
    """Only what is whole, and not where it stands in somebody's way."""
    if entry.warm_until is None or scene.environment is None or scene.now >= instant(entry.warm_until):
        return False
    return scene.ready(entry.release) and not scene.on_cordoned_node(entry.release)


def _told_earlier(scene: Scene, draft: Draft, entries: list[Draining]) -> Iterable[Draining]:
    """With too many old releases, the oldest end earlier than promised, and it is told before."""
    limit = scene.cls.limits.draining if scene.cls is not None else Limits().draining
    away = {draft.memory.stable, draft.memory.candidate, *draft.memory.removing}
    counted = sorted((e for e in entries if e.release not in away), key=lambda e: (e.since, e.release))
    early = {e.release for e in counted[: max(0, len(counted) - limit)]}
    notice = timestamp(scene.now + timedelta(seconds=NOTICE))
    return [e.model_copy(update={"forced_at": min(e.forced_at, notice)}) if e.release in early else e for e in entries]


def _outlived(scene: Scene) -> list[Warm]:
    """Warm releases whose time is over, or that are too many, or that stand in somebody's way; not one that comes back."""
    memory = scene.memory
    entries = [w for w in memory.warm if w.release not in memory.removing and w.release != memory.candidate]
    return [w for index, w in enumerate(reversed(entries)) if _outlives(scene, w, newer=index)]


def _outlives(scene: Scene, entry: Warm, *, newer: int) -> bool:
    spec = scene.spec(entry.release)
    most = spec.plan.keep_warm.releases if spec is not None else 0
    return (
        newer >= most
        or scene.memory.phase == Phase.PENDING  # somebody waits until it is alone
        or scene.environment is None
        or scene.now >= instant(entry.until)
        or scene.on_cordoned_node(entry.release) is not None
    )


def _cool(scene: Scene, draft: Draft) -> None:
    """Let warm releases go whose time is over, if really nobody has come back to them."""
    over = {w.release for w in _outlived(scene)}
    for entry in scene.memory.warm:
        if entry.release in scene.memory.removing or entry.release in {scene.memory.candidate, draft.memory.candidate}:
            continue
        if entry.release not in over:
            draft.wake_at.append(instant(entry.until))
        elif _over(scene, entry) or quiet(scene, entry.release):
            draft.remove([entry.release])
        elif scene.sessions(entry.release):
            back = Draining(release=entry.release, since=timestamp(scene.now), forced_at=entry.forced_at)
            left = tuple(w for w in draft.memory.warm if w.release != entry.release)
            draft.update(warm=left, draining=(*draft.memory.draining, back))
        else:
            draft.wake_in(ASK_WARM)
