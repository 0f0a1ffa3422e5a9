"""What people and tools read of a DataApp: the summary columns and the conditions. Never read back by a decision."""

from collections.abc import Sequence

from dataapp_operator.api.base import timestamp
from dataapp_operator.api.conditions import LAST_RELEASE_FAILED, READY, RECONCILING, STALLED, Condition, settle
from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.status import EnvironmentStatus, Summary
from dataapp_operator.plan import names, words
from dataapp_operator.plan.health import Outlook
from dataapp_operator.plan.scene import Draft, Scene, since


def summarise(drafts: Sequence[Draft]) -> Summary:
    """The columns of ``kubectl get dataapps``."""
    memories = [draft.memory for draft in drafts]
    serving = [(m.name, m.weights[0].release) for m in memories if m.weights]
    moving = [f"{m.name} r{m.candidate} {str(m.phase).lower()}" for m in memories if m.candidate is not None]
    moving += [f"{m.name} r{d.release} draining" for m in memories for d in m.draining if d.release != m.stable]
    waits = [m.waiting_for.since for m in memories if m.waiting_for]
    counts = [d.sessions for m in memories for d in m.draining]
    return Summary(
        released=", ".join(f"{name} r{number}" for name, number in serving)[:512],
        moving=", ".join(moving)[:512],
        waiting_since=min(waits) if waits else None,
        sessions=sum(c for c in counts if c is not None) if counts and None not in counts else None,
    )


def conditions(pairs: Sequence[tuple[Scene, Draft]]) -> tuple[Condition, ...]:
    """Ready always; Reconciling or Stalled only while True, never both; LastReleaseFailed until one succeeds."""
    observed = pairs[0][0].observed
    ready = _ready(pairs)
    wanted = [ready]
    stalled = next((_trouble(d) for _, d in pairs if d.trouble), None) or _nothing_to_wait_for(pairs)
    waiting = [d.memory for _, d in pairs if d.memory.waiting_for is not None and _moves(d.memory)]
    if stalled is not None:
        wanted.append(("True", STALLED, stalled[0], stalled[1]))
    elif waiting:
        wait = waiting[0].waiting_for
        assert wait is not None  # noqa: S101 - filtered above
        wanted.append(("True", RECONCILING, wait.reason, f"{waiting[0].name}: {wait.message}"))
    failed = _last_failed([d.memory for _, d in pairs])
    if failed is not None:
        wanted.append(("True", LAST_RELEASE_FAILED, Reason.RELEASE_FAILED, failed))
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


def _ready(pairs: Sequence[tuple[Scene, Draft]]) -> tuple[str, str, str, str]:
    serving = []
    for scene, draft in pairs:
        if scene.environment is None:
            continue
        memory = draft.memory
        if not memory.weights:
            if draft.trouble is not None:
                return ("False", READY, *_trouble(draft))
            wait = memory.waiting_for
            reason = wait.reason if wait else Reason.STARTING
            return ("False", READY, reason, f"{memory.name}: {wait.message if wait else 'the first release begins'}")
        number = memory.weights[0].release
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
        image = memory.artefact(number)
        digest = f" ({image.image.rsplit('@sha256:', 1)[-1][:7]})" if image else ""
        serving.append(f"{memory.name} serves r{number}{digest}")
    return ("True", READY, Reason.RELEASED, ", ".join(serving))


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
    return memory.waiting_for is not None and memory.waiting_for.reason in {Reason.EARLIER_ENVIRONMENT, Reason.STARTING}


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
