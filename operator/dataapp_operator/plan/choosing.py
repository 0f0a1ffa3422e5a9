"""What an environment without a candidate does next: find out whether something new should be released, and begin."""

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import Artefact, Quarantined
from dataapp_operator.plan import (
    abilities,
    cookies,
    desired,
    endings,
    fleet_upkeep,
    growing,
    limits,
    names,
    promotion,
    scaling,
)
from dataapp_operator.plan.actions import CreateRelease
from dataapp_operator.plan.scene import Draft, Scene, start_limit
from dataapp_operator.plan.wishes import Wish, wish_for

CHECK_DEADLINE = 120
"""Seconds the session check may stay without a verdict."""
LOOK_AGAIN = 15
"""Seconds until something outside that a person must mend is looked at again (its change also wakes us)."""
_SUSPENDED = (
    "something new is ready, and nothing new begins while the app is suspended (annotation dataapps.dev/suspend)"
)
MOST_LEAVING = 24
"""Old releases of an environment that may drain or be removed at once: status holds 32."""


def choose(scene: Scene, draft: Draft, earlier: str | None) -> None:
    """Begin the next release, or say what is waited for."""
    assert scene.environment is not None  # noqa: S101 - the caller looked
    memory = scene.memory
    wish, hold = wish_for(scene, earlier)
    content = None if wish is None else wish.content(scene.environment)
    if wish is None or content is None or content == desired.content(memory.artefact(memory.stable)):
        if memory.stopped is None and _move_away(scene, draft):
            return
        if hold is None:
            draft.update(waiting_for=None)
        else:
            draft.wait(hold.reason, hold.words, until=hold.until)
        return
    failed = _failed(scene, content)
    if failed is not None and promotion.retries(scene) != failed.release:
        again = f"To try it once more as it is: {endings.retry_command(scene, failed.release)}"
        draft.wait(
            Reason.RELEASE_FAILED,
            f"r{failed.release} is not tried again by itself: {failed.reason}. {again}",
        )
        return
    unmeasurable = _unmeasurable(scene)
    if unmeasurable:
        draft.stall(
            Reason.PROMETHEUS_MISSING,
            f"{', '.join(unmeasurable)}: the EnvironmentClass {scene.environment.of_class} names no Prometheus to ask. Ask the"
            " platform team to set spec.prometheus there, or leave the metric out",
        )
        draft.wake_in(LOOK_AGAIN)
        return
    if wish.here(scene.environment).embed and not cookies.is_https(scene.cls):
        draft.stall(Reason.EMBED_NEEDS_HTTPS, cookies.why_not_embedded(scene.environment.of_class))
        draft.wake_in(LOOK_AGAIN)
        return
    if scene.observed.suspended:
        draft.wait(Reason.SUSPENDED, _SUSPENDED)
        return
    if not abilities.before(scene, draft):
        return
    back = way_back(scene, content) if failed is None else None  # another try is another release
    if back is not None:
        come_back(draft, back)
    elif not _in_the_way(scene, draft, content):
        if failed is not None:
            draft.update(quarantined=tuple(q for q in memory.quarantined if q.release != failed.release))
        _begin(scene, draft, _spec_for(scene, wish, last_number=draft.last_number))


def _move_away(scene: Scene, draft: Draft) -> bool:
    """What cannot run twice is on a node that somebody is about to empty: the same is released once more, elsewhere."""
    spec, node = scene.spec(scene.memory.stable), scene.on_cordoned_node(scene.memory.stable or names.PAGE)
    if spec is None or node is None or spec.plan.strategy != "recreate" or scene.observed.suspended:
        return False
    if _failed(scene, desired.content(spec)) is not None:
        return False
    cause = f"the same as r{spec.number}, somewhere else: node {node} takes no new pods and may be emptied"
    if abilities.before(scene, draft):
        once_more(scene, draft, spec, cause)
    return True


def _failed(scene: Scene, content: tuple[str, str]) -> Quarantined | None:
    """The release of this content that failed here, if one did."""
    return next((q for q in scene.memory.quarantined if desired.content(q) == content), None)


def _unmeasurable(scene: Scene) -> list[str]:
    """What the author wants to be measured, and nobody is there to ask for it."""
    assert scene.environment is not None  # noqa: S101 - the caller looked
    if scene.cls is not None and scene.cls.prometheus is not None:
        return []
    return [m.name for m in scene.environment.release.analysis if m.prometheus is not None]


def way_back(scene: Scene, content: tuple[str, str]) -> int | None:
    """The newest former release of this content that is still whole: it need only take its role again."""
    memory = scene.memory
    fitting = (
        n
        for n in memory.former - {memory.stable, *memory.removing}
        if desired.content(memory.artefact(n)) == content
        and scene.spec(n) is not None
        and limits.fits(scene, scene.spec(n))
        and scene.ready(n)
        and scene.on_cordoned_node(n) is None
        and fleet_upkeep.carries(scene, n)
        and not growing.is_unfinished(scene, n)
    )
    return max(fitting, default=None)


def come_back(draft: Draft, number: int) -> None:
    """Check a former release and let it take its role again. Until then it is what it was: who has it open goes on."""
    draft.update(candidate=number, step=None)
    draft.enter(Phase.CHECKING, f"r{number} is still there and comes back", within=CHECK_DEADLINE)
    draft.wait(Reason.CHECKING, f"going back to r{number}, which is still there; opening real sessions on it")
    draft.wake_in(0)


def once_more(scene: Scene, draft: Draft, spec: AppReleaseSpec, cause: str) -> bool:
    """Begin what another release was, as a new one; False: something must go first, and it is told what."""
    if _in_the_way(scene, draft, desired.content(spec)):
        return False
    many = _serving(scene) or spec.plan.replicas or spec.plan.slots
    if spec.limited is not None:  # its Gateway may do everything by now
        many = max(many, scaling.replicas(scene).min)
    cookie = cookies.kind(scene, embed=spec.plan.cookie == "embedded")
    plan = spec.plan.model_copy(update={**desired.sized(spec.plan, many), "cookie": cookie, "pins": True})
    if scene.environment is not None and scene.environment.release.way == "recreate":
        plan = plan.model_copy(update={"strategy": "recreate", "steps": (), "hold": "0s"})
    again = spec.model_copy(update={"cause": cause, "limited": None, "plan": plan})
    made = (known for n, known in _made(scene).items() if limits.same(known, _numbered(again, n)))
    _begin(scene, draft, next(made, None) or limits.limit(scene, _numbered(again, draft.last_number + 1)))
    return True


def _made(scene: Scene) -> dict[int, AppReleaseSpec]:
    """What was created by a pass that did not live to remember it: nothing has happened to it yet."""
    releases = sorted(scene.observed.releases.items())
    own = {number: record for (env, number), record in releases if env == scene.env}
    return {n: r.spec for n, r in own.items() if r.status.phase is None and scene.memory.artefact(n) is None}


def _numbered(spec: AppReleaseSpec, number: int) -> AppReleaseSpec:
    return spec.model_copy(update={"number": number})


def _in_the_way(scene: Scene, draft: Draft, content: tuple[str, str]) -> bool:
    """Something must go first; it is told what."""
    memory = scene.memory
    if scene.observed.strangers and not scene.observed.status.last_number:  # a new app under an old name
        some = ", ".join(scene.observed.strangers[:3])
        draft.wait(
            Reason.STARTING,
            f"waiting until the parts of a deleted app of this name are gone ({some}). The cluster removes them by itself;"
            " where they were kept on purpose, delete them",
        )
        draft.wake_in(LOOK_AGAIN)
        return True
    if any(desired.content(memory.artefact(n)) == content for n in memory.removing):
        # The same number is still being taken apart: a promotion given up and wanted again.
        draft.wait(Reason.STARTING, "waiting until an earlier try of the same release is removed")
        return True
    old = {d.release: d.forced_at for d in memory.draining if d.release not in memory.removing}
    if len(old) + len(memory.removing) >= MOST_LEAVING:
        draft.wait(
            Reason.STARTING,
            f"{len(old) + len(memory.removing)} older releases still have open sessions or are being removed; the next one"
            " begins when one of them has ended",
            until=min(old.values(), default=None),
        )
        return True
    return False


def _begin(scene: Scene, draft: Draft, spec: AppReleaseSpec) -> None:
    observed = scene.observed
    if (scene.env, spec.number) not in observed.releases:
        draft.actions.append(
            CreateRelease(desired.release_manifest(spec, namespace=observed.namespace, app_uid=observed.uid))
        )
    draft.last_number = max(draft.last_number, spec.number)
    draft.update(
        candidate=spec.number,
        step=None,
        # A promotion that was given up, and is wanted again while its sessions go on, is on its way back.
        draining=tuple(d for d in draft.memory.draining if d.release != spec.number),
        artefacts=(
            *(a for a in draft.memory.artefacts if a.release != spec.number),
            Artefact(
                release=spec.number,
                image=spec.image,
                config_hash=spec.config_hash,
                commit=spec.commit,
                irreversible=True if spec.plan.compatibility == "irreversible" else None,
            ),
        ),
    )
    growing.begin(scene, draft, spec)
    if spec.plan.strategy == "recreate" and _is_not_alone(scene, spec.number):
        draft.enter(Phase.PENDING, f"{scene.env}: r{spec.number} is new, and waits until it is alone")
        draft.wait(Reason.MAKING_ROOM, f"r{spec.number} waits until nothing else of the app runs here")
        draft.wake_in(0)
        return
    limit = start_limit(spec)
    draft.enter(Phase.DEPLOYING, f"{scene.env}: r{spec.number} is new, deploying", within=limit)
    draft.wait(Reason.STARTING, f"r{spec.number} is being created", until=draft.memory.deadline)
    draft.wake_in(0)


def _is_not_alone(scene: Scene, number: int) -> bool:
    """Whether anything of another release runs, or visitors are sent anywhere."""
    memory = scene.memory
    there = {n for env, n in scene.observed.slots if env == scene.env and scene.slots(n)} - {number}
    return bool(there or memory.weights or memory.draining or memory.warm or memory.removing)


def _serving(scene: Scene) -> int | None:
    """With how many replicas the stable release serves: its successor has to carry as much.

    One that has ended to make room serves no more: what was to take its place was as large as it was then.
    """
    stable, stopped = scene.memory.stable, scene.memory.stopped
    if stable is None:
        return None
    if stopped is None or stopped.release != stable:
        return scene.replicas(stable)
    begun = {n: r.spec for (env, n), r in scene.observed.releases.items() if env == scene.env and n >= stable}
    plans = {n: spec.plan for n, spec in begun.items() if spec.limited is None}
    last = plans.get(max(plans, default=stable))
    return scene.replicas(stable) if last is None else last.replicas or last.slots


def _spec_for(scene: Scene, wish: Wish, *, last_number: int) -> AppReleaseSpec:
    """The frozen spec of the new release, with its number: the one it has in the environment before, or the next."""
    own = {number: record.spec for (env, number), record in scene.observed.releases.items() if env == scene.env}
    if wish.number is not None:
        spec = _wanted(scene, wish, wish.number)
        taken = desired.content(scene.memory.artefact(wish.number)) not in {None, desired.content(spec)} or _ended(
            scene, wish.number
        )
        known = own.get(wish.number) or limits.limit(scene, spec)
        fits = limits.same(known, spec) and limits.fits(scene, known)
        if fits and wish.number >= max(own, default=0) and not taken:
            return known
    made = (known for number, known in _made(scene).items() if limits.same(known, _wanted(scene, wish, number)))
    return next(made, None) or limits.limit(scene, _wanted(scene, wish, last_number + 1))


def _wanted(scene: Scene, wish: Wish, number: int) -> AppReleaseSpec:
    """What a release of a wish would be here and now, under this number.

    What takes the place of a release that cannot be taken back cannot be taken back either, and nobody waits for it.
    """
    assert scene.environment is not None  # noqa: S101 - the caller looked
    spec = desired.release_spec(
        scene.app,
        wish,
        scene.environment,
        number=number,
        serving=_serving(scene),
        scaled=fleet_upkeep.scaled(scene),
        cookie=cookies.kind(scene, embed=wish.here(scene.environment).embed),
    )
    if scene.memory.stuck is None:
        return spec
    strategy = "recreate" if spec.plan.strategy == "recreate" else "blueGreen"
    at_once = {"strategy": strategy, "steps": (), "hold": "0s", "compatibility": "irreversible"}
    return spec.model_copy(update={"plan": spec.plan.model_copy(update=at_once)})


def _ended(scene: Scene, number: int) -> bool:
    """A release of this number has failed here: another try is another release, with a record of its own."""
    record = scene.release(number)
    return record is not None and record.status.phase in {Phase.FAILED, Phase.ROLLED_BACK, Phase.ABORTED}
