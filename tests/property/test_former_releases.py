"""What becomes of a release after its time: drained, kept warm, gone back to, moved away, forgotten; and of a deleted app."""

import pytest

from dataapp_operator.api.base import instant
from tests.property.world import CLASS, World, fresh, image


def released(*, warm: int = 1, slots: int = 2) -> World:
    """Release 1 has made way for release 2."""
    world = fresh(warm=warm, slots=slots)
    world.settle()
    world.push(image("good", 2))
    run_until(world, lambda: world.status.environment("env0").stable == 2)
    return world


def run_until(world: World, holds, *, steps: int = 400, step: float = 1.0) -> None:
    """Passes of the operator and of time, until something is so."""
    for _ in range(steps):
        if holds():
            return
        world.reconcile()
        world.tick(step)
    raise AssertionError(f"it never was so: {world.history[-6:]}")


def memory(world: World):
    return world.status.environment("env0")


def phase(world: World, number: int) -> str:
    return world.releases[("env0", number)][1].phase


def numbers(world: World) -> set[int]:
    """Releases that have pods."""
    return {pod.slot[1] for pod in world.pods.values()}


def test_a_former_release_without_sessions_stays_warm_for_its_time_and_then_goes() -> None:
    world = released()
    run_until(world, lambda: phase(world, 1) == "Warm")
    assert numbers(world) == {1, 2}
    until = instant(memory(world).warm[0].until)
    assert world.releases[("env0", 1)][1].summary.startswith("kept until")
    run_until(world, lambda: numbers(world) == {2})
    assert world.now >= until
    world.settle()
    assert phase(world, 1) == "Retired"


def test_only_so_many_are_kept_warm() -> None:
    world = released()
    for serial in (3, 4):
        world.push(image("good", serial))
        run_until(world, lambda serial=serial: memory(world).stable == serial)
        run_until(world, lambda serial=serial: phase(world, serial - 1) == "Warm")
    run_until(world, lambda: numbers(world) == {3, 4}, steps=120)


@pytest.mark.parametrize("warm", [True, False])
def test_going_back_to_a_release_that_is_still_there_makes_no_pod(*, warm: bool) -> None:
    world = released()
    if warm:
        run_until(world, lambda: phase(world, 1) == "Warm")
    else:
        run_until(world, lambda: phase(world, 1) == "Draining")
    pods = set(world.pods)
    world.push(image("good", 1))
    began = world.now
    run_until(world, lambda: memory(world).weights[0].release == 1)
    assert (world.now - began).total_seconds() <= 10
    assert set(world.pods) == pods
    run_until(world, lambda: memory(world).stable == 1)
    assert set(world.releases) == {("env0", 1), ("env0", 2)}, "its number is the one it had"
    timeline = [entry.phase for entry in world.releases[("env0", 1)][1].timeline]
    assert timeline[-4:] == ["Checking", "Releasing", "Baking", "Released"]
    run_until(world, lambda: phase(world, 2) == "Warm")


def test_a_release_on_its_way_back_that_fails_keeps_who_has_it_open() -> None:
    world = fresh("late", warm=1)
    world.settle()
    world.open_session()
    world.push(image("good", 2))
    run_until(world, lambda: memory(world).stable == 2)
    world.push(image("late", 1))
    run_until(world, lambda: memory(world).phase == "Baking")
    run_until(world, lambda: phase(world, 1) == "RolledBack")
    for _ in range(40):
        world.reconcile()
        world.tick(2)
    assert sum(pod.sessions for pod in world.pods.values() if pod.slot[1] == 1) == 2
    assert memory(world).stable == 2
    world.close_sessions()
    world.settle()
    assert numbers(world) == {2}


def test_whoever_comes_back_to_a_warm_release_has_it_drain_again() -> None:
    world = released()
    run_until(world, lambda: phase(world, 1) == "Warm")
    for pod in world.pods.values():
        if pod.slot[1] == 1:
            pod.sessions, pod.quiet_since = 1, None
    run_until(world, lambda: phase(world, 1) == "Draining")
    assert sum(pod.sessions for pod in world.pods.values()) == 2
    world.close_sessions()
    world.settle()
    assert numbers(world) == {2}


def test_a_failed_release_is_tried_again_once_for_each_time_somebody_says_so() -> None:
    world = fresh()
    world.settle()
    world.push(image("session", 2))
    world.settle()
    assert phase(world, 2) == "Failed"
    assert "dataapps.dev/retry=env0=2" in memory(world).waiting_for.message
    assert "dataapps.dev/retry=env0=2" in world.releases[("env0", 2)][1].next_step
    world.retry = "env0=2"
    world.settle()
    assert set(world.releases) == {("env0", 1), ("env0", 2), ("env0", 3)}
    assert phase(world, 3) == "Failed"
    world.retry = "env0=7"
    world.settle()
    assert len(world.releases) == 3
    world.retry = "env0=3"
    world.settle()
    assert len(world.releases) == 4


def test_a_deleted_app_ends_with_its_last_session_and_lets_nobody_new_in() -> None:
    world = released(warm=1)
    world.open_session()
    world.delete()
    for _ in range(60):
        world.reconcile()
        world.tick(2)
    assert not world.gone
    assert "sales-env0" not in world.routes, "new visitors are not let in"
    assert "sales-env0-2" in world.routes, "who has it open goes on"
    assert sum(pod.sessions for pod in world.pods.values()) == 2
    ready = next(c for c in world.status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "Deleting")
    assert "end-sessions=now" in ready.message
    world.close_sessions()
    world.settle()
    assert world.gone
    assert world.is_empty()


def test_nobody_s_word_but_a_deletion_ends_a_session_on_a_warm_release() -> None:
    world = released()
    run_until(world, lambda: phase(world, 1) == "Warm")
    world.end_sessions = True
    for pod in world.pods.values():
        if pod.slot[1] == 1:
            pod.sessions, pod.quiet_since = 1, None
    run_until(world, lambda: phase(world, 1) == "Draining")
    assert sum(pod.sessions for pod in world.pods.values()) == 2


def test_a_person_can_end_the_sessions_of_a_deleted_app_but_not_of_another() -> None:
    world = released()
    world.open_session()
    world.end_sessions = True
    world.settle()
    assert sum(pod.sessions for pod in world.pods.values()) == 2, "nobody has deleted it"
    world.delete()
    run_until(world, lambda: world.gone, steps=40)


@pytest.mark.parametrize("wanted", ["Deploying", "Checking", "Releasing", "Baking"])
def test_deleted_in_the_middle_of_a_release_it_ends_all_the_same(wanted: str) -> None:
    world = fresh(warm=1)
    world.settle()
    world.open_session()
    world.push(image("good", 2))
    run_until(world, lambda: memory(world).phase == wanted, step=0.5)
    world.delete()
    for _ in range(30):
        world.reconcile()
        world.tick(2)
    assert sum(pod.sessions for pod in world.pods.values() if pod.slot[1] == 1) == 2
    world.close_sessions()
    world.settle()
    assert world.gone


def test_an_app_that_was_never_released_is_deleted_at_once() -> None:
    world = fresh()
    world.delete()
    assert world.gone


def test_what_serves_on_a_node_that_is_emptied_gets_replicas_elsewhere_and_no_other_release() -> None:
    world = released(warm=1)
    run_until(world, lambda: phase(world, 1) == "Warm")
    world.open_session()
    old = set(world.pods)
    world.cordoned.add("node-a")
    run_until(world, lambda: memory(world).scales[:1] and memory(world).scales[0].serving == (2, 3))
    assert {pod.node for pod in world.pods.values() if pod.slot[2] in {"s2", "s3"}} == {"node-b"}
    run_until(world, lambda: numbers(world) == {2})  # a warm one does not keep a node from being emptied
    assert sum(world.pods[name].sessions for name in old & set(world.pods)) == 2
    world.close_sessions()
    world.settle()
    assert {pod.node for pod in world.pods.values()} == {"node-b"}
    assert memory(world).stable == 2
    assert set(world.budgets) == {"sales-env0"}
    calls = world.calls
    world.settle()
    assert world.calls == calls


def test_with_too_many_old_releases_the_oldest_is_told_an_earlier_end() -> None:
    world = fresh()
    world.settle()
    for serial in range(2, 12):
        world.open_session()
        world.push(image("good", serial))
        run_until(world, lambda serial=serial: memory(world).stable == serial)
    world.reconcile()
    ends = {d.release: d.forced_at for d in memory(world).draining}
    assert len(ends) == CLASS.limits.draining + 2
    world.reconcile()
    told = {n for n in ends if (world.releases[("env0", n)][1].message or "").startswith("it ends at")}
    assert told == set()  # 10 minutes are all that they were promised here
    assert world.status.environment("env0").stable == 11


def test_old_records_are_forgotten_and_those_that_count_are_kept() -> None:
    world = fresh()
    world.settle()
    kept = CLASS.retention.releases
    for serial in range(2, kept + 8):
        world.push(image("good" if serial % 3 else "session", serial))
        world.settle()
    left = sorted(number for _, number in world.releases)
    assert len([n for n in left if phase(world, n) in {"Retired", "Failed"}]) <= kept + 8
    assert left[-1] == kept + 7
    assert 1 not in left
    assert {q.release for q in memory(world).quarantined} <= set(left)


def test_an_app_that_ends_by_itself_in_its_bake_is_taken_back_at_once() -> None:
    world = fresh()
    world.settle()
    world.push(image("good", 2))
    run_until(world, lambda: memory(world).phase == "Baking")
    world.tick(2)
    world.crash(max(range(9), key=lambda i: 0 if i >= len(world.pods) else list(world.pods.values())[i].slot[1]))
    began = world.now
    run_until(world, lambda: memory(world).weights[0].release == 1 and memory(world).candidate is None)
    assert (world.now - began).total_seconds() <= 5
    record = world.releases[("env0", 2)][1]
    assert (record.phase, record.reason) == ("RolledBack", "Crashed")
    assert record.users_affected is not None
