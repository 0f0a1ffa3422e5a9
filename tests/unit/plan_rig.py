"""A table to set up situations on: one observed app, made of the parts that a test names."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from dataapp_operator.api.base import timestamp
from dataapp_operator.api.status import EnvironmentStatus
from dataapp_operator.plan.actions import Delete, Ensure, Plan
from dataapp_operator.plan.decide import decide
from dataapp_operator.plan.facts import Observed, PodFacts, SlotFacts
from tests.property.world import START, World, fresh, image

__all__ = ["START", "World", "after", "at_phase", "decide", "env", "fresh", "image", "released", "replace", "written"]


def released(*, environments: int = 1, slots: int = 2) -> World:
    """An app whose first release serves."""
    world = fresh(environments=environments, slots=slots)
    world.settle()
    return world


def at_phase(phase: str, *, kind: str = "good", world: World | None = None, step: float = 1.0) -> World:
    """A second release that has just come to a phase."""
    world = world or released()
    world.push(image(kind, 2))
    for _ in range(400):
        if world.status.environment("env0").phase == phase:
            return world
        world.reconcile()
        world.tick(step)
    raise AssertionError(f"it never was {phase}: {world.history}")


def memory(world: World) -> EnvironmentStatus:
    """What is persisted of the first environment."""
    return world.status.environment("env0")


def passes(world: World, count: int, *, step: float = 1.0) -> World:
    """So many passes of the operator, and the time between them."""
    for _ in range(count):
        world.reconcile()
        world.tick(step)
    return world


def until(world: World, holds: Callable[[], object], *, steps: int = 300) -> World:
    """Passes, a second apart, until something is so."""
    for _ in range(steps):
        if holds():
            return world
        world.reconcile()
        world.tick(1)
    raise AssertionError(f"it never was so: {world.history[-6:]}")


def env(plan: Plan, name: str = "env0") -> EnvironmentStatus:
    """The new memory of an environment."""
    return next(e for e in plan.status.environments if e.name == name)


def condition(plan: Plan, kind: str):
    """A condition of the plan's status, or None."""
    return next((c for c in plan.status.conditions if c.type == kind), None)


def after(world: World, seconds: float) -> str:
    """A timestamp so many seconds from the world's now."""
    return timestamp(world.now + timedelta(seconds=seconds))


def remember(world: World, name: str = "env0", **changes: object) -> None:
    """Change what is persisted about an environment."""
    environments = tuple(e.model_copy(update=changes) if e.name == name else e for e in world.status.environments)
    world.status = world.status.model_copy(update={"environments": environments})


def with_slot(observed: Observed, number: int, label: str, slot: SlotFacts, name: str = "env0") -> Observed:
    """The same, with one slot replaced."""
    slots: dict[tuple[str, int], Mapping[str, SlotFacts]] = dict(observed.slots)
    slots[(name, number)] = {**slots.get((name, number), {}), label: slot}
    return replace(observed, slots=slots)


def change_pods(observed: Observed, number: int, name: str = "env0", **changes: object) -> Observed:
    """The same, with every pod of a release changed."""
    for label, slot in observed.slots[(name, number)].items():
        pods: tuple[PodFacts, ...] = tuple(replace(pod, **changes) for pod in slot.pods)
        observed = with_slot(observed, number, label, replace(slot, pods=pods), name)
    return observed


def written(plan: Plan, kind: str) -> list[str]:
    """The names of the objects of a kind that the plan applies."""
    return [
        a.manifest["metadata"]["name"] for a in plan.actions if isinstance(a, Ensure) and a.manifest["kind"] == kind
    ]


def deleted(plan: Plan) -> list[tuple[str, str]]:
    """(kind, name) of everything the plan deletes."""
    return [(a.kind, a.name) for a in plan.actions if isinstance(a, Delete)]
