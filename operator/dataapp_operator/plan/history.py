"""What is forgotten: records of releases that ended long ago, builds that nothing refers to, budgets of nobody.

A record is deleted only when its release has ended, nothing of it is left, and newer ones of its environment are enough
to tell the story. What a decision may still want to read (what serves, drains or is kept warm, what failed and is not
tried again) stays whatever its age.
"""

from collections.abc import Iterator

from dataapp_operator.api.environmentclass import Retention
from dataapp_operator.api.reasons import ENDS
from dataapp_operator.api.status import DataAppStatus, EnvironmentStatus
from dataapp_operator.plan import names, upkeep
from dataapp_operator.plan.actions import Action, Delete
from dataapp_operator.plan.facts import ObjectFacts, Observed, ReleaseFacts

BUILDS = 20
"""Builds of an app that are kept beside those that a record names."""
AT_ONCE = 5
"""Objects that one pass deletes at the most."""
_BUILT = {"Succeeded", "Failed"}


def forget(observed: Observed, status: DataAppStatus) -> Iterator[Action]:
    """Delete what is no longer of use. Justified by the persisted memory; an app that goes takes everything with it."""
    if observed.departing:
        return
    stale = [*_records(observed), *_builds(observed)]
    yield from stale[:AT_ONCE]
    environments = {env.name for env in observed.spec.environments} | {env.name for env in status.environments}
    known = {names.budget(observed.name, env) for env in environments}
    for name, budget in observed.budgets.items():
        if name not in known and not budget.deleting:
            yield Delete(kind="PodDisruptionBudget", name=name, uid=budget.uid)


def _records(observed: Observed) -> Iterator[Delete]:
    for env in {env for env, _ in observed.releases}:
        memory = observed.status.environment(env)
        needed = _needed(memory)
        ended = sorted(
            (number for (where, number), record in observed.releases.items() if where == env and _over(record)),
            reverse=True,
        )
        for number in ended[_most(observed, env) :]:
            record = observed.releases[env, number]
            if number not in needed and not observed.slots.get((env, number)):
                yield _delete("AppRelease", record)


def _needed(memory: EnvironmentStatus) -> set[int]:
    numbers = upkeep.live(memory) | set(memory.removing) | {q.release for q in memory.quarantined}
    return numbers | {n for n in (memory.candidate, memory.stable) if n is not None}


def _over(record: ReleaseFacts) -> bool:
    return record.status.phase in ENDS and not record.deleting


def _most(observed: Observed, env: str) -> int:
    wanted = next((e for e in observed.spec.environments if e.name == env), None)
    cls = observed.classes.get(wanted.of_class) if wanted is not None else None
    return (cls.retention if cls is not None else Retention()).releases


def _builds(observed: Observed) -> Iterator[Delete]:
    """Builds by their last change, which is when they ended."""
    used = {record.spec.build for record in observed.releases.values()}
    used |= {observed.status.code.build if observed.status.code is not None else None}
    ended = sorted(
        (b for name, b in observed.builds.items() if name not in used and b.status.phase in _BUILT and not b.deleting),
        key=lambda build: int(build.resource_version),
        reverse=True,
    )
    for build in ended[BUILDS:]:
        yield _delete("AppBuild", build)


def _delete(kind: str, facts: ObjectFacts) -> Delete:
    return Delete(kind=kind, name=facts.name, uid=facts.uid, resource_version=facts.resource_version)
