"""When the next session check of a release is due, and on which pods."""

from datetime import timedelta

from dataapp_operator.api.reasons import Phase
from dataapp_operator.plan.actions import StartCheck, Target
from dataapp_operator.plan.facts import CheckFacts
from dataapp_operator.plan.scene import Draft, Scene, since

SAMPLES = 3
"""Sessions that have to work before a release is shown to anybody."""
MOST = 8
"""Pods of a Deployment that one check asks; the next check asks the next ones."""


def of(scene: Scene, number: int) -> CheckFacts:
    """What the checks of this phase say: what was found before it began is old news, whatever it was."""
    check = scene.observed.checks.get((scene.env, number), CheckFacts())
    old = check.finished_at is not None and check.finished_at < since(scene.memory, scene.now)
    return CheckFacts(attempt=check.attempt, running=check.running) if old else check


def want(scene: Scene, draft: Draft, number: int, check: CheckFacts, *, pause: float, samples: int = SAMPLES) -> None:
    """Ask for the next session check, not before ``pause`` seconds after the last one."""
    spec = scene.spec(number)
    if check.running or spec is None:
        return
    if check.finished_at is not None and pause > 0:
        due = check.finished_at + timedelta(seconds=pause)
        if scene.now < due:
            draft.wake_at.append(due)
            return
    targets = whom(scene, number, attempt=check.attempt)
    if targets:
        draft.background.append(
            StartCheck(
                environment=scene.env,
                number=number,
                attempt=check.attempt + 1,
                framework=spec.plan.probe.framework,
                host=scene.host,
                targets=targets,
                samples=samples,
            )
        )


def whom(scene: Scene, number: int, *, attempt: int = 0) -> tuple[Target, ...]:
    """The living pod of every slot; nobody while one is missing: half a check would prove half of it."""
    if scene.is_fleet(number):
        return _of_fleet(scene, number, attempt)
    slots = scene.needed(number)
    living = {label: slot.pod for label, slot in slots.items()}
    found = [Target(slot=label, pod=pod.name, ip=pod.ip) for label, pod in living.items() if pod and pod.ip]
    return tuple(found) if len(found) == len(slots) else ()


def _of_fleet(scene: Scene, number: int, attempt: int) -> tuple[Target, ...]:
    """The ready pods of a Deployment: those are the ones that requests come to. Before it has visitors, only if it is whole.

    Where none is ready, those that there are: they shall say why.
    """
    if scene.memory.phase == Phase.CHECKING and not scene.ready(number):
        return ()
    living = [pod for pod in scene.slot(number, 0).living if pod.ip]
    pods = sorted([pod for pod in living if pod.ready] or living, key=lambda pod: pod.name)
    begin = attempt * MOST % len(pods) if len(pods) > MOST else 0
    turn = (pods[begin:] + pods[:begin])[:MOST]
    return tuple(Target(slot=pod.slot, pod=pod.name, ip=pod.ip) for pod in turn if pod.ip)
