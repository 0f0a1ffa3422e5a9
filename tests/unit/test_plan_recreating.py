"""An app that cannot run twice: how room is made, what visitors get meanwhile, and what becomes of it when the new one fails."""

import pytest

from dataapp_operator.api.dataapp import ReleasePolicy
from dataapp_operator.api.status import Weight
from dataapp_operator.plan.actions import Ensure
from dataapp_operator.plan.names import PAGE
from tests.unit.plan_rig import World, condition, decide, env, fresh, image, memory, passes, replace, until

SERVED_BY_A_PAGE = (Weight(release=PAGE, weight=1000),)


def running(world: World) -> set[int]:
    """The releases that have pods."""
    return {pod.slot[1] for pod in world.pods.values()} - {PAGE}


def waiting(world: World | None = None, kind: str = "good") -> World:
    """A second release that waits until the first, which somebody has open, may end."""
    world = world or fresh(how="alone")
    world.settle()
    world.open_session()
    world.push(image(kind, 2))
    return passes(world, 30)


def with_a_page(kind: str = "good") -> World:
    """Room has just been made for a second release: new visitors have a page."""
    world = waiting(kind=kind)
    world.close_sessions()
    return until(world, lambda: memory(world).weights == SERVED_BY_A_PAGE)


def phases(world: World, number: int) -> list[str]:
    return [entry.phase for entry in world.releases["env0", number][1].timeline]


def test_a_release_waits_for_a_moment_in_which_nobody_has_the_old_one_open_and_it_serves_so_long() -> None:
    world = waiting()
    now = memory(world)
    assert (now.candidate, now.phase, now.stable, now.stopped) == (2, "Pending", 1, None)
    assert now.weights == (Weight(release=1, weight=1000),)
    assert running(world) == {1}
    assert now.waiting_for.reason == "MakingRoom"
    assert now.waiting_for.until == now.deadline
    assert now.waiting_for.message == (
        "r2 cannot run beside r1 (strategy: recreate): it starts when nobody has had r1 open for 20s; 2 are open now, or at"
        f" {now.deadline[11:16]} whoever has. From then on new visitors see a page that asks for patience until r2 works"
    )
    assert condition(decide(world.observe()), "Ready").message == "env0 serves r1 (0000000)"
    passes(world, 200)
    assert running(world) == {1}


def test_one_ends_before_the_other_starts_and_visitors_have_a_page_meanwhile() -> None:
    world = with_a_page()
    now = memory(world)
    assert now.stopped.release == now.stable == 1
    ready = condition(decide(world.observe()), "Ready")
    assert (ready.status, ready.reason) == ("False", "Recreating")
    assert ready.message.startswith(
        f"env0: visitors have had a page that asks for patience since {now.stopped.since[11:16]}; "
    )
    assert world.status.summary.released == ""
    seen = []
    while memory(world).weights == SERVED_BY_A_PAGE:
        seen.append(running(world))
        world.reconcile()
        world.tick(1)
    assert [r for i, r in enumerate(seen) if i == 0 or r != seen[i - 1]] == [{1}, set(), {2}]
    assert memory(world).phase == "Baking"
    assert memory(world).waiting_for.message.startswith("r2 serves everybody; if it fails until ")
    assert memory(world).waiting_for.message.endswith(", r1 is started again")
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")
    assert phases(world, 2) == ["Pending", "Deploying", "Checking", "Releasing", "Baking", "Released"]
    assert phases(world, 1)[-2:] == ["Draining", "Retired"]
    assert {slot[1] for slot in world.replicasets} == {2}, "the page is gone too"
    assert memory(world).stopped is None


def test_at_the_end_of_its_time_the_old_one_ends_whoever_has_it_open() -> None:
    world = waiting()
    for pod in world.pods.values():
        pod.clinging = True
    until(world, lambda: memory(world).weights == SERVED_BY_A_PAGE, steps=700)
    began = world.now
    until(world, lambda: running(world) == {2})
    assert (world.now - began).total_seconds() < 15


def test_whoever_came_at_the_very_last_does_not_keep_everybody_waiting() -> None:
    world = with_a_page()
    for pod in world.pods.values():
        if pod.slot[1] == 1:
            pod.sessions, pod.quiet_since, pod.clinging = 1, None, True
    passes(world, 60)
    assert running(world) == {1}
    assert "r1: 2 sessions, forced at " in memory(world).waiting_for.message
    until(world, lambda: running(world) == {2}, steps=700)


def test_a_first_release_waits_for_nobody() -> None:
    world = fresh(how="alone")
    world.settle()
    assert phases(world, 1) == ["Deploying", "Checking", "Releasing", "Released"]
    assert {slot[1] for slot in world.services} == {1}


def test_a_first_release_that_failed_is_gone_before_the_next_starts() -> None:
    world = fresh("session", how="alone")
    world.settle()
    world.push(image("good", 2))
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


@pytest.mark.parametrize("kind", ["session", "crash", "mute", "late", "sick"])
def test_when_the_new_one_fails_the_old_one_is_started_again(kind: str) -> None:
    world = with_a_page(kind)
    world.settle()
    assert world.releases["env0", 2][1].phase == ("RolledBack" if kind in {"late", "sick"} else "Failed")
    spec, status, _ = world.releases["env0", 3]
    assert (spec.image, spec.plan.strategy) == (image("good", 1), "recreate")
    assert spec.cause == "the same as r1, which had been ended for r2"
    assert status.phase == "Released"
    now = memory(world)
    assert (now.stable, now.weights, now.stopped) == (3, (Weight(release=3, weight=1000),), None)
    assert running(world) == {3}
    assert condition(decide(world.observe()), "Ready").status == "True"
    assert now.waiting_for.message.startswith("r2 is not tried again by itself: ")
    world.push(image("good", 4))
    world.settle()
    assert world.end()["env0"] == (image("good", 4), "Released")


def test_what_is_started_again_is_tried_until_it_works_and_a_newer_change_takes_its_place() -> None:
    world = with_a_page("session")
    until(world, lambda: memory(world).candidate == 3)
    world.images["env0", 3] = image("session", 1)  # a database is down, say
    passes(world, 200)
    assert (memory(world).candidate, memory(world).phase) == (3, "Checking")
    stalled = condition(decide(world.observe()), "Stalled")
    assert stalled.reason == "SessionFailed"
    assert stalled.message.endswith("Nothing else can serve, so it is tried again and again")
    world.push(image("good", 5))
    world.settle()
    assert world.end()["env0"] == (image("good", 5), "Released")
    assert world.releases["env0", 3][1].phase == "Superseded"


def test_a_newer_change_waits_in_its_place_until_the_same_moment() -> None:
    world = waiting()
    promised = memory(world).deadline
    passes(world, 50)
    world.push(image("good", 3))
    until(world, lambda: memory(world).candidate == 3)
    passes(world, 3)
    assert (memory(world).phase, memory(world).deadline) == ("Pending", promised)
    assert world.releases["env0", 2][1].phase == "Superseded"
    assert running(world) == {1}
    world.close_sessions()
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")


def test_a_change_that_is_taken_back_while_it_waits_costs_nobody_anything() -> None:
    world = waiting()
    world.push(image("good", 1))
    world.settle()
    assert (memory(world).candidate, memory(world).stable) == (None, 1)
    assert sum(pod.sessions for pod in world.pods.values()) == 2
    assert {slot[1] for slot in world.replicasets} == {1}


@pytest.mark.parametrize("moment", ["waiting", "decided", "with a page"])
def test_a_person_gives_it_up_while_the_old_one_is_whole(moment: str) -> None:
    world = waiting()
    if moment != "waiting":
        world.close_sessions()
        until(world, lambda: memory(world).intent is not None)
    if moment == "with a page":
        until(world, lambda: memory(world).weights == SERVED_BY_A_PAGE)
    pods = {name for name, pod in world.pods.items() if pod.slot[1] == 1}
    world.commands["abort"] = "env0=2"
    world.settle()
    answer = memory(world).answers[0].message
    assert answer == "r2 is given up; " + (
        "nobody was sent to it" if moment == "waiting" else "new visits go back to r1"
    )
    assert memory(world).weights == (Weight(release=1, weight=1000),)
    assert {name for name, pod in world.pods.items() if pod.slot[1] == 1} == pods, "no pod was made, none was ended"
    assert {slot[1] for slot in world.replicasets} == {1}
    assert world.releases["env0", 2][1].phase == "Aborted"
    assert world.releases["env0", 1][1].phase == "Released"


@pytest.mark.parametrize("phase", ["Deploying", "Checking", "Releasing", "Baking"])
def test_a_person_gives_it_up_when_the_old_one_has_ended(phase: str) -> None:
    world = with_a_page()
    until(world, lambda: memory(world).phase == phase)
    world.commands["abort"] = "env0=2"
    world.settle()
    assert "r1 is started again" in memory(world).answers[0].message
    assert world.releases["env0", 2][1].phase == "Aborted"
    assert world.end()["env0"] == (image("good", 1), "Released")
    assert memory(world).stable == 3


def test_a_pause_keeps_the_old_one_and_not_the_page() -> None:
    world = waiting()
    world.commands["pause"] = "env0=2"
    world.close_sessions()
    passes(world, 700)
    assert memory(world).weights == (Weight(release=1, weight=1000),)
    assert memory(world).waiting_for.message == "r2 waits until r1 may end, and is paused by a person"
    del world.commands["pause"]
    until(world, lambda: memory(world).weights == SERVED_BY_A_PAGE)
    world.commands["pause"] = "env0=2"
    passes(world, 60)
    assert memory(world).phase == "Checking", "its checks have passed; nobody is sent to it as long as it is paused"
    assert running(world) == {2}


def test_nothing_ends_before_the_page_is_there() -> None:
    world = waiting()
    for key in [key for key in world.replicasets if key[1] == PAGE]:
        world.meddle("replicaset", list(world.replicasets).index(key))
    world.room = False
    world.close_sessions()
    passes(world, 120)
    assert memory(world).weights == (Weight(release=1, weight=1000),)
    stalled = condition(decide(world.observe()), "Stalled")
    assert stalled.reason == "NoRoom"
    assert "waits for the page" in stalled.message
    world.room = True
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


def test_an_old_one_that_answers_nobody_is_not_waited_for() -> None:
    world = waiting()
    for pod in world.pods.values():
        if pod.slot[1] == 1:
            pod.broken_since, pod.broken_for = world.now, 1e6
    passes(world, 15)
    assert memory(world).weights == SERVED_BY_A_PAGE


def test_former_releases_that_are_kept_warm_end_too() -> None:
    world = fresh(warm=1)
    world.settle()
    world.push(image("good", 2))
    until(world, lambda: bool(memory(world).warm))
    (only,) = world.spec.environments
    policy = only.release.model_copy(update={"strategy": "recreate"})
    world.spec = world.spec.model_copy(update={"environments": (only.model_copy(update={"release": policy}),)})
    world.push(image("good", 3))
    until(world, lambda: memory(world).phase == "Deploying")
    assert running(world) <= {3}
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")


def test_a_restart_ends_it_first_and_has_nothing_else_to_go_back_to() -> None:
    world = fresh(how="alone")
    world.settle()
    world.commands["restart"] = "env0=1"
    world.settle()
    assert memory(world).stable == 2
    assert phases(world, 2) == ["Pending", "Deploying", "Checking", "Releasing", "Released"]
    assert running(world) == {2}


def test_going_back_by_hand_ends_it_first() -> None:
    world = with_a_page()
    world.settle()
    world.commands["rollback"] = "env0=2"
    world.settle()
    assert world.releases["env0", 3][0].plan.strategy == "recreate"
    assert world.end()["env0"] == (image("good", 1), "Released")


def test_on_a_node_that_is_emptied_it_moves_as_a_release() -> None:
    world = fresh(how="alone")
    world.settle()
    world.cordoned.add("node-a")
    world.settle()
    assert "somewhere else: node node-a" in world.releases["env0", 2][0].cause
    assert {pod.node for pod in world.pods.values()} == {"node-b"}
    assert running(world) == {2}


def test_without_the_record_of_what_served_a_person_is_told_and_the_next_change_comes() -> None:
    world = with_a_page("session")
    until(world, lambda: memory(world).phase == "Checking")
    del world.releases["env0", 1]
    passes(world, 60)
    assert condition(decide(world.observe()), "Stalled").reason == "RecordDeleted"
    world.push(image("good", 4))
    world.settle()
    assert world.end()["env0"] == (image("good", 4), "Released")


@pytest.mark.parametrize("moment", ["waiting", "with a page", "Checking", "Baking"])
def test_an_app_that_is_deleted_ends_all_the_same(moment: str) -> None:
    world = waiting() if moment == "waiting" else with_a_page()
    if moment in {"Checking", "Baking"}:
        until(world, lambda: memory(world).phase == moment)
    world.close_sessions()
    world.delete()
    world.settle()
    assert world.gone
    assert world.is_empty()


def test_what_is_exclusive_is_recreated() -> None:
    assert ReleasePolicy.model_validate({"compatibility": "exclusive"}).way == "recreate"
    assert ReleasePolicy.model_validate({"strategy": "canary"}).way == "canary"
    assert ReleasePolicy().way == "blueGreen"
    world = fresh()
    (only,) = world.spec.environments
    policy = only.release.model_copy(update={"compatibility": "exclusive"})
    world.spec = world.spec.model_copy(update={"environments": (only.model_copy(update={"release": policy}),)})
    world.settle()
    assert world.releases["env0", 1][0].plan.strategy == "recreate"


def test_what_cannot_be_taken_back_is_not_ended_for_a_change_that_wants_to_be_alone() -> None:
    world = fresh(how="irreversible")
    world.settle()
    world.push(image("late", 2))
    until(world, lambda: memory(world).stuck is not None)
    (only,) = world.spec.environments
    policy = only.release.model_copy(update={"compatibility": "exclusive"})
    world.spec = world.spec.model_copy(update={"environments": (only.model_copy(update={"release": policy}),)})
    world.push(image("good", 3))
    passes(world, 60)
    assert memory(world).candidate == 2
    world.commands["abort"] = "env0=2"
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")


def test_the_page_is_a_front_without_an_app() -> None:
    world = waiting()
    observed = world.observe()
    slots = {key: slots for key, slots in observed.slots.items() if key[1] != PAGE}
    plan = decide(replace(observed, slots=slots))
    assert env(plan).phase == "Pending"
    made = {a.manifest["kind"]: a.manifest for a in plan.actions if isinstance(a, Ensure)}
    assert {m["metadata"]["name"] for m in made.values()} == {"sales-env0-0-s0"}
    (container,) = made["ReplicaSet"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == observed.front_image
    assert {"name": "DATAAPP_PAGE", "value": "1"} in container["env"]
    labels = made["ReplicaSet"]["spec"]["template"]["metadata"]["labels"]
    assert made["Service"]["spec"]["selector"] == labels
    assert labels["dataapps.dev/release"] == "0"
