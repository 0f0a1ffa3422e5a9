"""One environment, one pass: keep what must exist, take apart what may go, move the candidate one step, choose the next.

The order matters. Actions come from the persisted memory; the new memory is noted beside them and becomes the
justification of the next pass.
"""

import re

from dataapp_operator.api.base import timestamp
from dataapp_operator.api.dataapp import Environment
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan import (
    abilities,
    choosing,
    draining,
    fleet_upkeep,
    hands,
    names,
    phases,
    record,
    recreating,
    replacing,
    scaling,
    stuck,
    switching,
    upkeep,
    words,
)
from dataapp_operator.plan.choosing import LOOK_AGAIN
from dataapp_operator.plan.facts import GatewayFacts
from dataapp_operator.plan.scene import Draft, Scene, host_of

_HOST = re.compile(r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")


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
        draft.wake_in(LOOK_AGAIN)
        return draft
    if cls is not None:
        draft.update(host=scene.host, url=names.url(cls, scene.host))
    upkeep.ensure(scene, draft, cls)
    if scene.memory.intent is None and stuck.undecided(scene) is None:
        upkeep.ensure_weights(scene, draft, cls)
    upkeep.remove(scene, draft)
    scaling.remove(scene, draft)
    if scene.environment is None:
        _depart(scene, draft)
    elif scene.memory.candidate is not None:
        if not hands.abort(scene, draft, scene.memory.candidate):
            phases.advance(scene, draft, scene.memory.candidate, gateway)
            replacing.consider(scene, draft, scene.memory.candidate, earlier)
    elif stuck.take_up(scene, draft):
        pass
    elif not scene.refusals() and not hands.begin(scene, draft):
        choosing.choose(scene, draft, earlier)
        recreating.bring_back(scene, draft)
    if scene.environment is not None:
        hands.answer_rest(scene, draft)
    draining.advance(scene, draft)
    scaling.advance(scene, draft)
    draining.ask_fronts(scene, draft)
    scaling.ask_fronts(scene, draft)
    recreating.tidy(scene, draft)
    abilities.tidy(scene, draft)
    fleet_upkeep.complain(scene, draft)
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
    previews = names.preview_hosts(cls, app=scene.app, namespace=scene.observed.namespace, environment=scene.env)
    holder = scene.observed.host_holders.get(previews)
    if holder is not None:
        return (
            Reason.HOST_TAKEN,
            (
                f"releases could not be looked at before they serve: the hosts {previews} belong to {holder} already. Ask the"
                " platform team to put {namespace} into previewHostTemplate in the EnvironmentClass, or give the app another name"
            ),
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


def _depart(scene: Scene, draft: Draft) -> None:
    """The environment is no longer wanted: no new visits, open sessions until their end, then nothing."""
    memory = scene.memory
    leaving = {n for n in (memory.stable, memory.candidate) if n is not None} | {w.release for w in memory.weights}
    leaving |= {memory.stuck.release} if memory.stuck is not None else set()
    leaving -= {d.release for d in memory.draining} | {names.PAGE}
    leaving -= {memory.stopped.release} if memory.stopped is not None else set()
    if leaving or memory.weights or memory.intent:
        fresh = [switching.begin_draining(scene, n) for n in sorted(leaving - set(memory.removing))]
        draft.update(
            stable=None,
            stable_since=None,
            candidate=None,
            step=None,
            intent=None,
            stuck=None,
            stopped=None,
            weights=(),
            draining=(*draft.memory.draining, *fresh),
            phase=None,
            phase_since=timestamp(scene.now),
            deadline=None,
            hold_until=None,
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
    numbers = upkeep.live(memory) | set(memory.removing) | {memory.candidate, memory.stable}
    draft.update(artefacts=tuple(a for a in memory.artefacts if a.release in numbers))
