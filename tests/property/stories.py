"""Stories for the release machine: one image after the other, undisturbed, or with an operator that is killed once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.property.world import World, image, twin

Act = Callable[[World], None]


def acts_of(kinds: tuple[str, ...]) -> tuple[Act, ...]:
    """Push one image after the other, each once the one before has come to its end."""
    acts: list[Act] = [World.settle]
    for serial, kind in enumerate(kinds, start=2):
        acts += [World.open_session, partial(_push, name=image(kind, serial)), World.settle, World.close_sessions]
    return (*acts, World.settle)


def _push(world: World, *, name: str) -> None:
    world.push(name)


def story(world: World, kinds: tuple[str, ...]) -> None:
    """Live through such a story, undisturbed."""
    for act in acts_of(kinds):
        act(world)


@dataclass
class Moment:
    """A pass that made calls: the world as it was before, and in which act."""

    act: int
    before: World
    calls: int


def live(world: World, acts: tuple[Act, ...]) -> list[Moment]:
    """Live through a story undisturbed. Returns each moment at which the operator could die half-way."""
    moments: list[Moment] = []
    reconcile, now = world.reconcile, 0

    def remembered(*, die_after: int | None = None) -> bool:
        before = twin(world)
        del before.reconcile  # what it was before this function took its place
        lived = reconcile(die_after=die_after)
        if world.calls > before.calls:
            moments.append(Moment(act=now, before=before, calls=world.calls - before.calls))
        return lived

    world.reconcile = remembered  # type: ignore[method-assign]
    for now, act in enumerate(acts):  # noqa: B007 - `remembered` reads it
        act(world)
    del world.reconcile
    return moments


def deaths(acts: tuple[Act, ...], moments: list[Moment], *, every: int = 1) -> Iterator[tuple[int, World]]:
    """Kill the operator once, right after call 0, 1, 2, … of a story, and live it to its end: (call, the world then).

    What came before its death is not lived through again for each: it is the same every time.
    """
    for moment in moments:
        for call in range(0 if moment is moments[0] else 1, moment.calls + 1):
            point = moment.before.calls + call
            if point % every:
                continue
            world = twin(moment.before)
            assert not world.reconcile(die_after=call), "it was to die"
            world.follow_advice()
            world.tick(2)
            World.settle(world)
            for act in acts[moment.act + 1 :]:
                act(world)
            yield point, world
