"""When a release can be asked for by its number: on its way, beside one that serves, with the time to ask; else never."""

import pytest

from dataapp_operator.plan import routes
from dataapp_operator.plan.decide import decide
from tests.property.world import World
from tests.unit.plan_rig import at_phase, env, fresh, image, released, replace


def asked(world: World, number: int, environment: str = "env0") -> set[str]:
    """The Services that whoever asks for a release in its route gets to."""
    spec = world.routes[f"sales-{environment}-{number}"][0]
    return {
        backend["name"]
        for rule in spec["rules"]
        if "dataapp-release" in str(rule["matches"])
        for backend in rule["backendRefs"]
    }


def paused(world: World | None = None) -> World:
    """A second release that a person keeps where nobody is sent to it yet."""
    world = world or released()
    world.commands["pause"] = "env0=2"
    world = at_phase("Checking", world=world)
    for _ in range(6):
        world.reconcile()
        world.tick(1)
    assert "nobody is sent to it yet" in env(decide(world.observe())).waiting_for.message
    return world


def test_a_release_that_is_paused_can_be_asked_for_and_leads_to_one_replica() -> None:
    world = paused()
    assert asked(world, 2) == {"sales-env0-2-s0"}
    assert asked(world, 1) == set()


@pytest.mark.parametrize("phase", ["Deploying", "Checking", "Releasing"])
def test_one_with_steps_can_be_asked_for_all_along(phase: str) -> None:
    world = fresh(canary=True)
    world.settle()
    world = at_phase(phase, world=world)
    for _ in range(3):
        world.reconcile()
        world.tick(1)
    assert asked(world, 2) == {"sales-env0-2-s0"}


@pytest.mark.parametrize("phase", ["Checking", "Releasing", "Baking"])
def test_one_that_goes_its_way_in_seconds_costs_no_write_for_it(phase: str) -> None:
    world = at_phase(phase)
    world.reconcile()
    assert asked(world, 2) == set()


def test_once_it_may_go_on_it_cannot_be_asked_for_any_more_before_all_visitors_are_sent_to_it() -> None:
    world = paused()
    del world.commands["pause"]
    while world.status.environment("env0").intent is None:
        world.reconcile()
    assert asked(world, 2) == set()
    assert set(routes.backends_of(world.routes["sales-env0"][0])) == {"sales-env0-1-s0", "sales-env0-1-s1"}
    world.settle()
    before = world.calls
    world.settle()
    assert world.calls == before


def test_a_first_release_has_its_preview_host() -> None:
    world = fresh()
    for _ in range(20):
        world.reconcile()
        world.tick(1)
        if "sales-env0-1" in world.routes:
            assert asked(world, 1) == set()
    assert "sales-env0-1" in world.routes


def test_one_that_is_taken_back_cannot_be_asked_for_before_visitors_are_elsewhere() -> None:
    world = fresh(canary=True)
    world.settle()
    world = at_phase("Releasing", kind="late", world=world)
    for _ in range(30):
        world.reconcile()
        intent = world.status.environment("env0").intent
        if intent is not None and intent.switch_to == 1:
            break
        world.tick(1)
    assert asked(world, 2) == {"sales-env0-2-s0"}
    plan = decide(world.observe())
    written = [a.manifest for a in plan.actions if hasattr(a, "manifest") and a.manifest["kind"] == "HTTPRoute"]
    assert [m["metadata"]["name"] for m in written] == ["sales-env0-2", "sales-env0"]
    assert "dataapp-release" not in str(written[0]["spec"])


def test_one_that_fails_before_anybody_came_is_gone_with_its_route() -> None:
    world = released()
    world.push(image("session", 2))
    world.settle()
    assert "sales-env0-2" not in world.routes


def test_an_api_is_asked_over_all_its_replicas() -> None:
    world = released()
    app = world.spec.app.model_copy(update={"framework": "fastapi"})
    world.spec = world.spec.model_copy(update={"app": app, "image": image("good", 2)})
    paused(world)
    assert asked(world, 2) == {"sales-env0-2-s0"}, "its one Service leads to all of them"


@pytest.mark.parametrize("pins", ["led", "not led"])
def test_at_a_step_the_release_before_can_be_named_too_in_the_route_that_is_written_anyway(pins: str) -> None:
    world = fresh(canary=True)
    world.spec = world.spec.model_copy(update={"app": world.spec.app.model_copy(update={"framework": "fastapi"})})
    world.pins = pins
    world.settle()
    world.push(image("good", 2))
    for _ in range(60):
        world.reconcile()
        world.tick(1)
        if len(routes.backends_of(world.routes["sales-env0"][0])) == 2:
            break
    named = {
        header["value"]: {backend["name"] for backend in rule["backendRefs"]}
        for rule in world.routes["sales-env0"][0]["rules"]
        for match in rule["matches"]
        for header in match.get("headers", ())
        if header["name"] == "X-DataApp-Release"
    }
    stable, candidate = (world.status.environment("env0").stable, world.status.environment("env0").candidate)
    both = {str(n): {f"sales-env0-{n}-s0"} for n in (stable, candidate)}
    if pins == "led":
        del both[str(candidate)]  # its own route has it
    assert named == both


def test_a_release_whose_record_is_gone_is_not_asked_for() -> None:
    world = paused()
    observed = world.observe()
    without = replace(observed, releases={key: r for key, r in observed.releases.items() if key != ("env0", 2)})
    for action in decide(without).actions:
        assert "dataapp-release" not in str(getattr(action, "manifest", ""))
