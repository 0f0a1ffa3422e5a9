"""Apps without sessions, in the other ways in which a release comes to its visitors: held, alone, with no way back."""

import pytest

from dataapp_operator.api.base import seconds
from dataapp_operator.api.dataapp import Replicas
from dataapp_operator.api.status import Weight
from dataapp_operator.plan import deployment
from dataapp_operator.plan.names import PAGE
from tests.unit.plan_rig import World, fresh, image, memory

SERVED_BY_A_PAGE = (Weight(release=PAGE, weight=1000),)


def stateless(how: str, slots: int = 2, **more: object) -> World:
    """An app without sessions, whose first release serves."""
    world = fresh(stateless=True, slots=slots, how=how, **more)
    world.settle()
    return world


def seen(world: World, kind: str = "good", *, steps: int = 150) -> tuple[set[tuple[int, ...]], set[int], set[int]]:
    """Push an image. (Which releases had anything of their own at once, who had visitors, how many may be evicted.)"""
    world.push(image(kind, 2))
    beside: set[tuple[int, ...]] = set()
    visited: set[int] = set()
    evicted: set[int] = set()
    for _ in range(steps):
        world.reconcile()
        world.tick(1)
        parts = [*world.deployments, *(made.slot for made in world.sets.values()), *world.services]
        parts += [pod.slot for pod in world.pods.values()]
        beside.add(tuple(sorted({number for _, number, _ in parts} - {PAGE})))
        visited |= {weight.release for weight in memory(world).weights}
        evicted |= {known.may_go for known in world.budgets.values()}
    world.settle()
    return beside, visited, evicted


@pytest.mark.parametrize(
    ("kind", "serving", "size"),
    [("good", 2, 5), ("session", 3, 5), ("late", 3, 5)],
)
def test_one_deployment_is_gone_with_all_its_pods_before_the_other_is_made(kind: str, serving: int, size: int) -> None:
    world = stateless("alone")
    world.scale(5)
    world.settle()
    beside, visited, _ = seen(world, kind)
    assert all(len(numbers) <= 1 for numbers in beside), beside
    assert PAGE in visited
    assert list(world.deployments) == list(world.services) == [("env0", serving, "s0")]
    assert world.replicasets == {}, "the page is gone"
    assert memory(world).stable == serving
    assert world.deployments["env0", serving, "s0"].replicas == size, "as large as it was before"
    assert world.releases["env0", serving][0].plan.workload == "deployment"


def test_pods_may_be_evicted_one_by_one_but_not_the_page_that_visitors_have() -> None:
    world = stateless("alone")
    assert world.budgets["sales-env0"].may_go == 1
    for call in range(60):
        if call == 1:
            world.push(image("good", 2))
        world.reconcile()
        paged = memory(world).weights == SERVED_BY_A_PAGE
        world.reconcile()
        if paged and memory(world).weights == SERVED_BY_A_PAGE:
            assert world.budgets["sales-env0"].may_go == 0
        elif not paged and memory(world).phase == "Pending":
            assert world.budgets["sales-env0"].may_go == 1, "it only waits, perhaps for hours"
        world.tick(1)
    world.settle()
    assert world.budgets["sales-env0"].may_go == 1


def test_on_a_node_that_is_emptied_it_is_not_released_again() -> None:
    """The cluster evicts its pods one by one, and makes others elsewhere."""
    world = stateless("alone")
    world.cordoned = {"node-a"}
    world.settle()
    assert set(world.releases) == {("env0", 1)}


def test_it_is_held_with_all_its_pods_and_nobody_comes_to_it_before() -> None:
    world = stateless("held")
    world.push(image("good", 2))
    for _ in range(15):
        world.reconcile()
        world.tick(1)
    assert memory(world).hold_until is not None
    assert [weight.release for weight in memory(world).weights] == [1]
    assert {number: known.replicas for (_, number, _), known in world.deployments.items()} == {1: 2, 2: 2}
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


def test_nothing_is_taken_away_from_it_while_it_is_held() -> None:
    spec = stateless("held").releases["env0", 1][0]
    own = Replicas.model_validate({"min": 1, "max": 4, "cpu": 70})
    windows = []
    for hold in ("0s", "10m", "5h"):
        held = spec.model_copy(update={"plan": spec.plan.model_copy(update={"hold": hold})})
        made = deployment.autoscaler(held, own, namespace="team", owned_by={})
        windows.append(made["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"])
    bake = seconds(spec.plan.bake)
    assert windows == [bake + deployment.APART, bake + deployment.APART + 600, deployment.LONGEST]


@pytest.mark.parametrize("how", ["irreversible", "irreversible canary"])
def test_what_cannot_be_taken_back_keeps_its_visitors_and_its_size_until_the_next_serves(how: str) -> None:
    world = stateless(how)
    seen(world, "late")
    assert memory(world).stuck is not None
    assert memory(world).candidate == 2
    assert {number: known.replicas for (_, number, _), known in world.deployments.items()} == {1: 2, 2: 2}
    world.push(image("good", 3))
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")
    assert world.releases["env0", 3][0].plan.workload == "deployment"
    assert list(world.deployments) == [("env0", 3, "s0")]


def test_of_its_pods_none_is_gone_round() -> None:
    """One Service leads to whichever is ready."""
    world = stateless("at once", slots=3)
    world.scale(3)
    world.settle()
    before, calls = dict(world.routes), world.calls
    broken = next(pod for pod in world.pods.values() if pod.slot[1] == 1)
    broken.broken_since, broken.broken_for = world.now, 1e6
    for _ in range(30):
        world.reconcile()
        world.tick(1)
    assert (dict(world.routes), world.calls) == (before, calls)
