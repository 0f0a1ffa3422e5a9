"""One environment, one pass: keep what must exist, take apart what may go, move the candidate one step, choose the next.

The order matters. Actions come from the persisted memory; the new memory is noted beside them and becomes the
justification of the next pass.
"""

import re

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.base import seconds, timestamp
from dataapp_operator.api.dataapp import Environment
from dataapp_operator.api.reasons import Phase, Reason
from dataapp_operator.api.status import Artefact
from dataapp_operator.plan import desired, endings, names, phases, record, switching, upkeep, words
from dataapp_operator.plan.actions import CreateRelease
from dataapp_operator.plan.facts import GatewayFacts
from dataapp_operator.plan.scene import PROGRESS_ALLOWANCE, Draft, Scene, host_of

_HOST = re.compile(r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
_LOOK_AGAIN = 15
"""Seconds until something outside that a person must mend is looked at again (its change also wakes us)."""
MOST_LEAVING = 24
"""Old releases of an environment that may drain or be removed at once: status holds 32."""


def step(scene: Scene, *, last_number: int, earlier: str | None) -> Draft:
    """What to do about one environment. ``earlier``: the environment that must have a release first."""
    draft = Draft(memory=scene.memory, now=scene.now, last_number=last_number)
    cls = scene.cls
    gateway = (
        scene.observed.gateways.get(cls.gateway, GatewayFacts(exists=False)) if cls else GatewayFacts(exists=False)
    )
    trouble = None if scene.environment is None else _outside_trouble(scene, scene.environment, gateway)
    if trouble is not None:
        draft.stall(*trouble)
        draft.wake_in(_LOOK_AGAIN)
        return draft
    if cls is not None:
        draft.update(host=scene.host, url=names.url(cls, scene.host))
    upkeep.ensure(scene, draft, cls)
    if scene.memory.intent is None:
        upkeep.ensure_weights(scene, draft, cls)
    upkeep.remove(scene, draft)
    if scene.environment is None:
        _depart(scene, draft)
    elif scene.memory.candidate is not None:
        phases.advance(scene, draft, scene.memory.candidate, gateway)
        _supersede_if_stuck(scene, draft, scene.memory.candidate, earlier)
    elif not scene.refusals():
        _choose(scene, draft, earlier)
    upkeep.drain(scene, draft)
    upkeep.ask_fronts(scene, draft)
    _refused(scene, draft)
    _forget(draft)
    record.project(scene, draft)
    return draft


def _outside_trouble(scene: Scene, environment: Environment, gateway: GatewayFacts) -> tuple[Reason, str] | None:
    """What only people outside the app can mend, before anything is done for it."""
    cls = scene.cls
    if cls is None:
        return Reason.CLASS_MISSING, _no_class(scene, environment.of_class)
    ref = f"{cls.gateway.namespace}/{cls.gateway.name}"
    if not scene.observed.gateway_api:
        return (
            Reason.GATEWAY_API_MISSING,
            (
                "the cluster has no Gateway API, through which apps are reached. Ask the platform team to install the Gateway"
                " API's definitions (standard channel) and a gateway; the operator notices by itself"
            ),
        )
    if not gateway.exists:
        return (
            Reason.GATEWAY_MISSING,
            (
                f"the Gateway {ref} of this environment does not exist. Ask the platform team to create it, or to name the"
                f" right one in the EnvironmentClass"
            ),
        )
    if not _HOST.match(scene.host) or len(scene.host) > 253:  # noqa: PLR2004 - the length of a DNS name
        return (
            Reason.HOST_INVALID,
            (
                f"{scene.host!r} is not a valid host name. Set environments[].host, or ask the platform team to mend hostTemplate"
                " in the EnvironmentClass"
            ),
        )
    preview = upkeep.preview_host(scene, scene.observed.status.last_number + 1, cls)
    if not _HOST.match(preview) or len(preview) > 253:  # noqa: PLR2004
        return (
            Reason.HOST_INVALID,
            (
                f"{preview!r}, where releases could be looked at before anybody else sees them, is not a valid host name. Ask the"
                " platform team to mend previewHostTemplate in the EnvironmentClass, or give the app a shorter name"
            ),
        )
    holder = scene.observed.host_holders.get(scene.host) or _sibling(scene, environment)
    if holder is not None:
        return (
            Reason.HOST_TAKEN,
            f"the host {scene.host} belongs to {holder} already; the first claim wins. Choose another host",
        )
    return None


def _no_class(scene: Scene, name: str) -> str:
    if name in scene.observed.unreadable:
        return (
            f"the EnvironmentClass {name!r} cannot be read ({scene.observed.unreadable[name]}). Ask the platform team to"
            " mend it"
        )
    known = ", ".join(sorted(scene.observed.classes)) or "there is none yet"
    return (
        f"there is no EnvironmentClass {name!r}. Choose one of those that `kubectl get environmentclasses` lists"
        f" ({known}), or ask the platform team for it"
    )


def _sibling(scene: Scene, environment: Environment) -> str | None:
    """Another environment of this app that has the host: it had it before, or it comes first in the list."""
    mine, before = scene.memory.host == scene.host, True
    for other in scene.observed.spec.environments:
        if other.name == environment.name:
            before = False
        elif host_of(scene.observed, other) == scene.host:
            theirs = scene.observed.status.environment(other.name).host == scene.host
            if theirs > mine or (theirs == mine and before):
                return f"environment {other.name} of this app"
    return None


def _choose(scene: Scene, draft: Draft, earlier: str | None) -> None:
    """Find out whether something new should be released here, and begin."""
    assert scene.environment is not None  # noqa: S101 - the caller looked
    memory, observed = scene.memory, scene.observed
    source = None if earlier is None else observed.status.environment(earlier)
    wish = wanted_here(scene, earlier)
    if wish is None:
        assert earlier is not None  # noqa: S101 - only a promotion can have nothing to promote
        draft.wait(Reason.EARLIER_ENVIRONMENT, f"waiting until {earlier} has a release that passed its checks")
        return
    if wish == desired.content(memory.artefact(memory.stable)):
        draft.update(waiting_for=None)
        return
    failed = next((q for q in memory.quarantined if (q.image, q.config_hash) == wish), None)
    if failed is not None:
        draft.wait(Reason.RELEASE_FAILED, f"r{failed.release} failed and is not tried again: {failed.reason}")
        return
    if scene.observed.strangers and not observed.status.last_number:  # a new app under an old name
        some = ", ".join(scene.observed.strangers[:3])
        draft.wait(
            Reason.STARTING,
            f"waiting until the parts of a deleted app of this name are gone ({some}). The cluster removes them by itself;"
            " where they were kept on purpose, delete them",
        )
        draft.wake_in(_LOOK_AGAIN)
        return
    if _same_still_here(scene, wish):
        draft.wait(Reason.STARTING, "waiting until an earlier try of the same release is removed")
        return
    old = {d.release: d.forced_at for d in memory.draining if d.release not in memory.removing}
    if len(old) + len(memory.removing) >= MOST_LEAVING:
        draft.wait(
            Reason.STARTING,
            f"{len(old) + len(memory.removing)} older releases still have open sessions or are being removed; the next one"
            " begins when one of them has ended",
            until=min(old.values(), default=None),
        )
        return
    spec = _spec_for(scene, source.stable if source else None, earlier)
    if spec is None:
        draft.wait(
            Reason.EARLIER_ENVIRONMENT, f"the record of the release in {earlier} is gone; the next release goes on"
        )
        return
    if (scene.env, spec.number) not in observed.releases:
        draft.actions.append(
            CreateRelease(desired.release_manifest(spec, namespace=observed.namespace, app_uid=observed.uid))
        )
    draft.last_number = max(draft.last_number, spec.number)
    draft.update(
        candidate=spec.number,
        # A promotion that was given up, and is wanted again while its sessions go on, is on its way back.
        draining=tuple(d for d in draft.memory.draining if d.release != spec.number),
        artefacts=(
            *(a for a in draft.memory.artefacts if a.release != spec.number),
            Artefact(release=spec.number, image=spec.image, config_hash=spec.config_hash),
        ),
    )
    limit = seconds(spec.plan.probe.startup) + PROGRESS_ALLOWANCE
    draft.enter(Phase.DEPLOYING, f"{scene.env}: r{spec.number} is new, deploying", within=limit)
    draft.wait(Reason.STARTING, f"r{spec.number} is being created", until=draft.memory.deadline)
    draft.wake_in(0)


def wanted_here(scene: Scene, earlier: str | None) -> tuple[str, str] | None:
    """(image, config hash) that should run here: the author's wish, or what the earlier environment has proved."""
    if earlier is None:
        return desired.wanted(scene.observed.spec)
    source = scene.observed.status.environment(earlier)
    return desired.content(source.artefact(source.stable))


def _same_still_here(scene: Scene, wish: tuple[str, str]) -> bool:
    """The same number in this environment is still being taken apart (a promotion given up and wanted again)."""
    return any(desired.content(scene.memory.artefact(n)) == wish for n in scene.memory.removing)


def _spec_for(scene: Scene, source_number: int | None, earlier: str | None) -> AppReleaseSpec | None:
    """The frozen spec of the new release, with its number."""
    observed, environment = scene.observed, scene.environment
    assert environment is not None  # noqa: S101 - the caller looked
    if earlier is not None:
        if source_number is None:
            return None
        source = observed.releases.get((earlier, source_number))
        if source is None:
            if observed.status.environment(earlier).artefact(source_number) is None:
                return None
            wish = wanted_here(scene, earlier)
            if wish != desired.wanted(observed.spec):
                return None
            return desired.release_spec(scene.app, observed.spec, environment, number=source_number)
        return desired.promoted_spec(source.spec, environment)
    given = observed.status.last_number
    for (env, number), known in sorted(observed.releases.items()):
        if env != scene.env or number <= given:
            continue
        spec = desired.release_spec(scene.app, observed.spec, environment, number=number)
        if spec == known.spec:
            return spec  # created by a pass that did not live to remember it
    number = max([given, *(n for _, n in observed.releases)]) + 1
    return desired.release_spec(scene.app, observed.spec, environment, number=number)


def _supersede_if_stuck(scene: Scene, draft: Draft, number: int, earlier: str | None) -> None:
    """A started candidate is verified to its end, unless it cannot even start: then a newer wish takes its place."""
    still = draft.memory.candidate == number and draft.memory.phase == scene.memory.phase == Phase.DEPLOYING
    if not still or draft.trouble is None:
        return
    wish = wanted_here(scene, earlier)
    if wish is not None and wish != desired.content(scene.memory.artefact(number)):
        draft.trouble = None
        endings.supersede(scene, draft, number)


def _depart(scene: Scene, draft: Draft) -> None:
    """The environment is no longer wanted: no new visits, open sessions until their end, then nothing."""
    memory = scene.memory
    leaving = {n for n in (memory.stable, memory.candidate) if n is not None} | {w.release for w in memory.weights}
    leaving -= {d.release for d in memory.draining}
    if leaving or memory.weights or memory.intent:
        fresh = [switching.begin_draining(scene, n) for n in sorted(leaving - set(memory.removing))]
        draft.update(
            stable=None,
            candidate=None,
            intent=None,
            weights=(),
            draining=(*draft.memory.draining, *fresh),
            phase=None,
            phase_since=timestamp(scene.now),
            deadline=None,
            waiting_for=None,
        )
        draft.notes.append(f"{scene.env}: no longer wanted; open sessions are kept until their end")


def _refused(scene: Scene, draft: Draft) -> None:
    """Objects that the API server refuses for what they say: a person must act, nothing is retried in a hurry."""
    for what, said in sorted(scene.refusals().items()):
        quota = words.quota(said)
        if quota is not None:
            draft.stall(Reason.QUOTA_EXCEEDED, quota)
        else:
            draft.stall(Reason.REFUSED, f"the cluster refuses {what}: {said}")
        draft.wake_in(60)


def _forget(draft: Draft) -> None:
    """Drop the artefacts of releases that are nowhere any more."""
    memory = draft.memory
    numbers = upkeep.live(memory) | set(memory.removing) | {n for n in (memory.candidate,) if n is not None}
    draft.update(artefacts=tuple(a for a in memory.artefacts if a.release in numbers))
