"""Stories for the release machine: one image after the other, undisturbed, or with an operator that is killed once."""

from tests.property.world import World, image


def story(world: World, kinds: tuple[str, ...]) -> None:
    """Push one image after the other, each once the one before has come to its end."""
    world.settle()
    for serial, kind in enumerate(kinds, start=2):
        world.open_session()
        world.push(image(kind, serial))
        world.settle()
        world.close_sessions()
    world.settle()


def world_calls_until(world: World, kinds: tuple[str, ...], point: int) -> None:
    """The same story, but the operator is killed once, right after call number ``point``."""
    died = False
    reconcile = world.reconcile

    def once(*, die_after: int | None = None) -> bool:
        nonlocal died
        if not died and world.calls + world.writes_of_next_pass() >= point >= world.calls:
            died = True
            return reconcile(die_after=point - world.calls)
        return reconcile(die_after=die_after)

    world.reconcile = once  # type: ignore[method-assign]
    story(world, kinds)
    assert died
