"""``decide(observed) -> plan``: the one decision about a DataApp, over all its environments. Pure and total."""

from collections.abc import Iterator
from dataclasses import replace

from dataapp_operator.api.status import DataAppStatus
from dataapp_operator.plan import code, environment, history, summary
from dataapp_operator.plan.actions import Action, Delete, Hold, Plan, Record
from dataapp_operator.plan.code import CodeView
from dataapp_operator.plan.facts import Observed
from dataapp_operator.plan.scene import Draft, Scene, host_of


def decide(observed: Observed) -> Plan:
    """What to do about this app now."""
    if observed.deleting and not observed.held:
        return Plan(status=observed.status)  # nobody waits for us: the cluster is collecting what belonged to it
    hold = Hold(name=observed.name, uid=observed.uid, resource_version=observed.resource_version)
    pairs: list[tuple[Scene, Draft]] = []
    last_number = max([observed.status.last_number, *(n for _, n in observed.releases)])
    view = CodeView(status=observed.status.code) if observed.departing else code.consider(observed)
    for scene, earlier in _scenes(observed, view):
        draft = environment.step(scene, last_number=last_number, earlier=earlier)
        last_number = max(last_number, draft.last_number)
        pairs.append((scene, draft))
    drafts = [draft for _, draft in pairs]
    if not observed.held and observed.holdable and any(_still_there(draft) for draft in drafts):
        return Plan(status=observed.status, actions=(hold,), requeue_after=0.0)  # before there is anything to lose
    status = DataAppStatus(
        observed_generation=observed.generation,
        last_handled_reconcile_at=view.answered or observed.status.last_handled_reconcile_at,
        code=view.status,
        last_number=last_number,
        summary=summary.summarise(pairs),
        environments=tuple(d.memory for s, d in pairs if s.environment is not None or _still_there(d)),
        conditions=summary.conditions(observed, pairs, view),
    )
    wake = [moment for draft in drafts for moment in draft.wake_at]
    return Plan(
        status=status,
        actions=(
            *view.actions,
            *(action for draft in drafts for action in draft.actions),
            *history.forget(observed, status),
            *_farewell(observed, hold),
        ),
        records=tuple(record for scene, draft in pairs for record in _records(scene, draft)),
        background=(*view.background, *(work for draft in drafts for work in draft.background)),
        requeue_after=max((min(wake) - observed.now).total_seconds(), 0.0) if wake else None,
        notes=tuple(note for draft in drafts for note in draft.notes),
    )


def _farewell(observed: Observed, hold: Hold) -> Iterator[Action]:
    """The app is to go, and nothing of it is left, as the persisted memory says: the object goes too."""
    if not observed.departing or observed.status.environments or observed.slots or observed.routes:
        return
    if observed.status.observed_generation != observed.generation:
        return  # not a word of this app is persisted yet
    if observed.deleting:
        yield replace(hold, keep=False)
        return
    yield Delete(
        kind="DataApp",
        name=observed.name,
        uid=observed.uid,
        resource_version=observed.resource_version,
        propagation="Background",
    )


def _scenes(observed: Observed, view: CodeView) -> Iterator[tuple[Scene, str | None]]:
    """Each environment of the spec in order, then those that the memory still has and the spec no longer.

    An app whose manifest is gone has no environment that it should be in.
    """
    earlier: str | None = None
    wanted = set()
    for env in () if observed.departing else observed.spec.environments:
        cls = observed.classes.get(env.of_class)
        memory = observed.status.environment(env.name)
        yield Scene(observed, env, cls, memory, host_of(observed, env), view), earlier
        earlier = env.name
        wanted.add(env.name)
    for memory in observed.status.environments:
        if memory.name not in wanted:
            # Which class it had, only the spec knew: its routes stay as they are.
            yield Scene(observed, None, None, memory, memory.host or ""), None


def _still_there(draft: Draft) -> bool:
    memory = draft.memory
    return bool(
        memory.draining or memory.warm or memory.removing or memory.weights or memory.stable or memory.candidate
    )


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
