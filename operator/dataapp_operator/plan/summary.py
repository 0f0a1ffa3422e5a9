"""What people and tools read of a DataApp: the summary columns and the conditions. Never read back by a decision."""

from collections.abc import Sequence

from dataapp_operator.api.base import timestamp
from dataapp_operator.api.conditions import (
    BUILT,
    LAST_RELEASE_FAILED,
    LIMITED,
    READY,
    RECONCILING,
    STALLED,
    Condition,
    settle,
)
from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.status import SCALE, EnvironmentStatus, Summary, WaitingFor
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan import names, record, words
from dataapp_operator.plan.code import CodeView
from dataapp_operator.plan.facts import Observed
from dataapp_operator.plan.health import Outlook
from dataapp_operator.plan.scene import Draft, Scene, since

_NOWHERE = (
    "the app has no environment to run in: list some in spec.environments, or ask the platform team to give a"
    " defaultPosition to the EnvironmentClasses that every app should go through"
)

_PATIENT = {Reason.AWAITING_PROMOTION, Reason.AWAITING_TAG, Reason.SOAKING, Reason.PIN_UNKNOWN}
"""An environment that has never had a release and waits for one of these takes nothing from an app that works elsewhere."""


def summarise(pairs: Sequence[tuple[Scene, Draft]]) -> Summary:
    """The columns of ``kubectl get dataapps``."""
    memories = [draft.memory for _, draft in pairs]
    serving = [(m.name, m.weights[0].release) for m in memories if m.weights and m.weights[0].release != names.PAGE]
    moving = [f"{m.name} r{m.candidate} {_how_far(m)}" for m in memories if m.candidate is not None]
    moving += [f"{m.name} r{d.release} draining" for m in memories for d in m.draining if d.release != m.stable]
    waits = [m.waiting_for.since for m in memories if m.waiting_for]
    counts = [d.sessions for m in memories for d in m.draining]
    return Summary(
        released=", ".join(f"{name} r{number}" for name, number in serving)[:512],
        moving=", ".join(moving)[:512],
        waiting_since=min(waits) if waits else None,
        sessions=sum(c for c in counts if c is not None) if counts and None not in counts else None,
        commit=_commits(memories),
    )


def _how_far(memory: EnvironmentStatus) -> str:
    share = next((w.weight for w in memory.weights if w.release == memory.candidate), 0)
    phase = str(memory.phase).lower()
    return f"{phase} {share * 100 // SCALE}%" if 0 < share < SCALE else phase


def _commits(memories: Sequence[EnvironmentStatus]) -> str:
    """The commit that the last environment serves, of those that serve one."""
    artefacts = [m.artefact(m.weights[0].release) for m in memories if m.weights]
    commits = [artefact.commit for artefact in artefacts if artefact is not None and artefact.commit]
    return commits[-1][:7] if commits else ""


def conditions(observed: Observed, pairs: Sequence[tuple[Scene, Draft]], code: CodeView) -> tuple[Condition, ...]:
    """Ready always; Reconciling or Stalled only while True, never both; LastReleaseFailed until one succeeds.

    Built, for an app that is code: whether what was committed last became an image.
    """
    ready = _leaving(observed, pairs) or _ready(pairs, code)
    wanted = [ready]
    if not observed.departing and (code.status is not None or code.image is None):
        wanted.append(_built(code))
    stalled = next((_trouble(d) for _, d in pairs if d.trouble), None) or _code_trouble(code)
    stalled = stalled or _nothing_to_wait_for(pairs) or _nowhere(observed, pairs)
    waiting = [d.memory for _, d in pairs if d.memory.waiting_for is not None and _moves(d.memory)]
    if stalled is not None:
        wanted.append(("True", STALLED, stalled[0], stalled[1]))
    elif waiting:
        wait = waiting[0].waiting_for
        assert wait is not None  # noqa: S101 - filtered above
        wanted.append(("True", RECONCILING, wait.reason, f"{waiting[0].name}: {wait.message}"))
    elif observed.departing:
        wanted.append(("True", RECONCILING, ready[2], ready[3]))
    elif code.image is None:
        wanted.append(("True", RECONCILING, code.reason, code.words))
    failed = _last_failed([d.memory for _, d in pairs])
    if failed is not None:
        wanted.append(("True", LAST_RELEASE_FAILED, Reason.RELEASE_FAILED, failed))
    limits = [told for scene, draft in pairs if (told := _limit(scene, draft.memory)) is not None]
    if limits:
        wanted.append(("True", LIMITED, Reason.GATEWAY_UNABLE, "; ".join(limits)))
    return settle(
        (
            Condition.model_validate(
                {
                    "type": kind,
                    "status": status,
                    "reason": str(reason),
                    "message": message[:4096],
                    "observedGeneration": observed.generation,
                    "lastTransitionTime": timestamp(observed.now),
                }
            )
            for status, kind, reason, message in wanted
        ),
        observed.status.conditions,
    )


def _limit(scene: Scene, memory: EnvironmentStatus) -> str | None:
    """What a release that serves, or is on its way, does without because of its Gateway; told from its record."""
    for number in (memory.candidate, memory.stable):
        facts = scene.release(number)
        if facts is None:
            continue
        failed = next((c for c in facts.status.checks if c.name == record.GATEWAY and c.verdict == Verdict.FAIL), None)
        told = facts.spec.limited or (failed.measured if failed is not None else None)
        if told is not None:
            return f"{memory.name} r{number}: {told}"
    return None


def _leaving(observed: Observed, pairs: Sequence[tuple[Scene, Draft]]) -> tuple[str, str, str, str] | None:
    if not observed.departing:
        return None
    last = max((d.forced_at for _, draft in pairs for d in draft.memory.draining), default=None)
    if observed.deleting:
        until = f" (until {last[11:16]} at the latest)" if last else ""
        now = f"kubectl annotate dataapp {observed.name} -n {observed.namespace} {names.ANNOTATION_END_SESSIONS}=now"
        message = (
            f"the app is being deleted: new visitors are not let in, open sessions are kept until their end{until}, then it"
            f" is removed. To end them now: {now}"
        )
        return ("False", READY, Reason.DELETING, message)
    assert observed.leaving is not None  # noqa: S101 - why else would it depart
    where, _, commit = observed.leaving.rpartition("sha1:")
    message = (
        f"the repository no longer has the app's manifest ({where}{commit[:7]}): new visitors are not let in, open sessions"
        " are kept until their end, then the app is removed"
    )
    return ("False", READY, Reason.LEAVING, message)


def _built(code: CodeView) -> tuple[str, str, str, str]:
    if code.image is None:
        return ("False" if code.stalled else "Unknown", BUILT, code.reason, code.words)
    assert code.status is not None  # noqa: S101 - an image without code has no such condition
    what = code.status
    found = f"{what.framework}, by the rule {what.detected_by.rule} from {what.detected_by.file}"
    return ("True", BUILT, Reason.BUILT, f"{what.commit[:7]} is {what.build}: {found}")


def _code_trouble(code: CodeView) -> tuple[str, str] | None:
    return (code.reason, code.words) if code.stalled else None


def _nowhere(observed: Observed, pairs: Sequence[tuple[Scene, Draft]]) -> tuple[str, str] | None:
    somewhere = any(scene.environment is not None for scene, _ in pairs)
    return None if somewhere or observed.departing else (Reason.CLASS_MISSING, _NOWHERE)


def _ready(pairs: Sequence[tuple[Scene, Draft]], code: CodeView) -> tuple[str, str, str, str]:
    serving: list[str] = []
    waits: list[str] = []
    patient: list[WaitingFor] = []
    for scene, draft in pairs:
        if scene.environment is None:
            continue
        memory = draft.memory
        if not memory.weights:
            if draft.trouble is not None:
                return ("False", READY, *_trouble(draft))
            wait = memory.waiting_for
            if wait is not None and wait.reason in _PATIENT and memory.candidate is None:
                patient.append(wait)
                waits.append(f"{memory.name}: {wait.message}")
                continue
            if code.image is None and memory.candidate is None and not serving:
                return ("False", READY, code.reason, code.words)
            reason = wait.reason if wait else Reason.STARTING
            return ("False", READY, reason, f"{memory.name}: {wait.message if wait else 'the first release begins'}")
        number = memory.weights[0].release
        if number == names.PAGE:
            return ("False", READY, *_renewing(draft))
        if not scene.any_ready(number):
            return (
                "False",
                READY,
                Reason.UNAVAILABLE,
                f"{memory.name}: no replica of r{number} answers now{_because(scene, number)}",
            )
        route = scene.observed.routes.get(names.weights_route(scene.app, scene.env))
        if route is not None and route.accepted is False:
            why = f"the gateway does not accept the app's route: {words.gateway(route.words)}"
            return ("False", READY, Reason.GATEWAY_REJECTED, f"{memory.name}: {why}")
        what = memory.artefact(number)
        digest = (what.commit or what.image.rsplit("@sha256:", 1)[-1])[:7] if what else ""
        serving.append(f"{memory.name} serves r{number}" + (f" ({digest})" if digest else ""))
    if patient and not serving:
        return ("False", READY, patient[0].reason, waits[0])
    if not serving:
        return ("False", READY, Reason.CLASS_MISSING, _NOWHERE)
    return ("True", READY, Reason.RELEASED, "; ".join((", ".join(serving), *waits)))


def _renewing(draft: Draft) -> tuple[str, str]:
    """Nobody is served: since when, and what is waited for."""
    memory = draft.memory
    if draft.trouble is not None:
        return _trouble(draft)
    since_when = f" since {memory.stopped.since[11:16]}" if memory.stopped is not None else ""
    told = f"; {memory.waiting_for.message}" if memory.waiting_for is not None else ""
    return Reason.RECREATING, f"{memory.name}: visitors have had a page that asks for patience{since_when}{told}"


def _trouble(draft: Draft) -> tuple[str, str]:
    """What a person must mend, and in which environment."""
    assert draft.trouble is not None  # noqa: S101 - the caller looked
    reason, message = draft.trouble
    return reason, f"{draft.memory.name}: {message}"


def _because(scene: Scene, number: int) -> str:
    """Why a release that served has no replica, where that is known; else where to look."""
    for _, health in scene.health(number, since(scene.memory, scene.now)):
        if health.outlook in {Outlook.BLOCKED, Outlook.FAILED} or health.reason is not Reason.STARTING:
            return f": {health.message}"
    return f"; `kubectl get pods -l dataapps.dev/app={scene.app}` shows them"


def _moves(memory: EnvironmentStatus) -> bool:
    if memory.candidate is not None:
        return True
    return memory.waiting_for is not None and memory.waiting_for.reason in {
        Reason.EARLIER_ENVIRONMENT,
        Reason.STARTING,
        Reason.PROVING_GATEWAY,
    }


def _nothing_to_wait_for(pairs: Sequence[tuple[Scene, Draft]]) -> tuple[Reason, str] | None:
    """The first release of an environment failed: nothing serves, and only a new release helps."""
    for _, draft in pairs:
        wait = draft.memory.waiting_for
        failed = wait is not None and wait.reason == Reason.RELEASE_FAILED
        if failed and wait is not None and not draft.memory.weights:
            return Reason.RELEASE_FAILED, f"{draft.memory.name}: {wait.message}"
    return None


def _last_failed(memories: Sequence[EnvironmentStatus]) -> str | None:
    for memory in memories:
        if memory.quarantined:
            last = max(memory.quarantined, key=lambda q: q.release)
            if last.release > (memory.stable or 0):
                return f"{memory.name} r{last.release}: {last.reason}"
    return None
