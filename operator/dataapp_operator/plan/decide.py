"""``decide(observed) -> plan``: the one decision about a DataApp, over all its environments. Pure and total."""

from collections.abc import Iterator

from dataapp_operator.api.status import DataAppStatus
from dataapp_operator.plan import environment, summary
from dataapp_operator.plan.actions import Plan, Record
from dataapp_operator.plan.facts import Observed
from dataapp_operator.plan.scene import Draft, Scene, host_of


def decide(observed: Observed) -> Plan:
    """What to do about this app now."""
    if observed.deleting:
        return Plan(status=observed.status)
    pairs: list[tuple[Scene, Draft]] = []
    last_number = max([observed.status.last_number, *(n for _, n in observed.releases)])
    for scene, earlier in _scenes(observed):
        draft = environment.step(scene, last_number=last_number, earlier=earlier)
        last_number = max(last_number, draft.last_number)
        pairs.append((scene, draft))
    drafts = [draft for _, draft in pairs]
    status = DataAppStatus(
        observed_generation=observed.generation,
        last_number=last_number,
        summary=summary.summarise(drafts),
        environments=tuple(d.memory for s, d in pairs if s.environment is not None or _still_there(d)),
        conditions=summary.conditions(pairs),
    )
    wake = [moment for draft in drafts for moment in draft.wake_at]
    return Plan(
        status=status,
        actions=tuple(action for draft in drafts for action in draft.actions),
        records=tuple(record for scene, draft in pairs for record in _records(scene, draft)),
        background=tuple(work for draft in drafts for work in draft.background),
        requeue_after=max((min(wake) - observed.now).total_seconds(), 0.0) if wake else None,
        notes=tuple(note for draft in drafts for note in draft.notes),
    )


def _scenes(observed: Observed) -> Iterator[tuple[Scene, str | None]]:
    """Each environment of the spec in order, then those that the memory still has and the spec no longer."""
    earlier: str | None = None
    wanted = set()
    for env in observed.spec.environments:
        cls = observed.classes.get(env.of_class)
        yield Scene(observed, env, cls, observed.status.environment(env.name), host_of(observed, env)), earlier
        earlier = env.name
        wanted.add(env.name)
    for memory in observed.status.environments:
        if memory.name not in wanted:
            # Which class it had, only the spec knew: its routes stay as they are.
            yield Scene(observed, None, None, memory, memory.host or ""), None


def _still_there(draft: Draft) -> bool:
    memory = draft.memory
    return bool(memory.draining or memory.removing or memory.weights or memory.stable or memory.candidate)


def _records(scene: Scene, draft: Draft) -> Iterator[Record]:
    for number, status in sorted(draft.records.items()):
        release = scene.release(number)
        if release is not None and release.status != status:
            yield Record(
                environment=scene.env,
                number=number,
                name=release.name,
                resource_version=release.resource_version,
                status=status,
            )
