"""Questions about a world with code, for its tests."""

from tests.property.code_world import CodeWorld


def condition(world: CodeWorld, kind: str):
    return next((c for c in world.status.conditions if c.type == kind), None)


def wait(world: CodeWorld, env: str) -> str | None:
    found = world.status.environment(env).waiting_for
    return found.reason if found else None


def stable(world: CodeWorld, env: str) -> str | None:
    """The commit that an environment has."""
    memory = world.status.environment(env)
    found = memory.artefact(memory.stable)
    return found.commit if found else None


def assert_at_rest(world: CodeWorld, seconds: float = 900) -> None:
    """Nothing is written any more, however long it lasts."""
    before = world.calls
    for _ in range(30):
        world.reconcile()
        world.tick(seconds / 30)
    assert world.calls == before
