"""A release that failed and cannot be taken back: what it keeps, what is said, and what becomes of it."""

import pytest

from dataapp_operator.api.status import Weight
from tests.unit.plan_rig import World, condition, decide, env, fresh, image, memory, passes, until

ABORT = "kubectl annotate dataapp sales -n team --overwrite dataapps.dev/abort=env0=2"


def failed(kind: str = "late", how: str = "irreversible", **options: object) -> World:
    """A second release that has failed with visitors on it."""
    world = fresh(how=how, **options)
    world.settle()
    world.push(image(kind, 2))
    return until(world, lambda: memory(world).stuck is not None)


def stalled(world: World):
    return condition(decide(world.observe()), "Stalled")


def test_it_keeps_its_visitors_and_a_person_is_told_what_failed_and_what_can_be_done() -> None:
    world = passes(failed(), 20)
    now = memory(world)
    assert (now.candidate, now.stable, now.phase, now.intent) == (2, 1, "Baking", None)
    assert now.weights == (Weight(release=2, weight=1000),)
    assert [d.release for d in now.draining] == [1], "it is whole, in case a person goes back to it"
    assert now.waiting_for.reason == stalled(world).reason == "RollbackUnsafe"
    assert stalled(world).message == (
        "env0: r2 failed (SessionFailed: it is broken (there is no package called 'janitor')). It keeps the visitors that it"
        " has, since going back from it is not safe (compatibility: irreversible). Commit a change that mends it: that takes"
        f" its place as soon as its checks have passed. Or go back to r1 all the same: {ABORT}"
    )
    assert condition(decide(world.observe()), "Ready").message == "env0 serves r2 (0000000)"
    record = world.releases["env0", 2][1]
    assert (record.phase, record.reason, record.weight) == ("Baking", "RollbackUnsafe", "100%")


def test_while_it_waits_for_a_person_nothing_is_written_and_it_is_looked_at_now_and_then() -> None:
    world = passes(failed(), 20)
    before, asked = world.calls, world.checks["env0", 2].attempt
    passes(world, 300)
    assert world.calls == before
    assert 15 <= world.checks["env0", 2].attempt - asked <= 20


@pytest.mark.parametrize("kind", ["late", "sick"])
def test_at_a_step_of_a_canary_its_share_stays_as_it_is(kind: str) -> None:
    world = passes(failed(kind, "irreversible canary"), 300)
    assert memory(world).step == 0
    assert memory(world).weights == (Weight(release=1, weight=900), Weight(release=2, weight=100))
    assert stalled(world).reason == "RollbackUnsafe"


def test_a_person_takes_it_back_all_the_same() -> None:
    world = failed()
    world.commands["abort"] = "env0=2"
    world.settle()
    now = memory(world)
    assert (now.stable, now.candidate, now.stuck) == (1, None, None)
    assert now.weights == (Weight(release=1, weight=1000),)
    assert world.releases["env0", 2][1].phase == "Aborted"
    assert stalled(world) is None
    assert condition(decide(world.observe()), "LastReleaseFailed").message.startswith("env0 r2: Aborted")


@pytest.mark.parametrize("how", ["irreversible", "irreversible canary"])
def test_the_next_change_takes_its_place_when_its_checks_have_passed_and_it_keeps_its_visitors_so_long(
    how: str,
) -> None:
    world = failed(how=how)
    weights = memory(world).weights
    world.push(image("good", 3))
    until(world, lambda: memory(world).candidate == 3)
    seen = set()
    while memory(world).phase in {"Deploying", "Checking", "Releasing"}:
        seen.add(memory(world).weights)
        assert condition(decide(world.observe()), "Reconciling") is not None
        world.reconcile()
        world.tick(1)
    assert seen == {weights}, "nobody is sent anywhere before the gateway shows the new one"
    now = memory(world)
    assert now.weights == (Weight(release=3, weight=1000),), "no steps: who waits, waits for the mended one"
    assert (now.stable, now.stuck, {d.release for d in now.draining}) == (1, None, {1, 2})
    plan = world.releases["env0", 3][0].plan
    assert (plan.compatibility, plan.strategy, plan.steps) == ("irreversible", "blueGreen", ())
    record = world.releases["env0", 2][1]
    assert (record.phase, record.reason) == ("Superseded", "SessionFailed")
    assert record.message.endswith("; it could not be taken back, and r3 took its place")
    assert any(check.verdict == "fail" for check in record.checks)
    assert condition(decide(world.observe()), "LastReleaseFailed").message.startswith("env0 r2: SessionFailed")
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")
    assert condition(decide(world.observe()), "LastReleaseFailed") is None


def test_a_change_that_fails_its_checks_leaves_it_where_it_was() -> None:
    world = failed()
    world.push(image("session", 3))
    until(world, lambda: memory(world).candidate == 3)
    assert memory(world).stuck.phase == "Baking"
    assert world.releases["env0", 2][1].weight == "100%"
    until(world, lambda: memory(world).candidate == 2)
    now = memory(world)
    assert (now.phase, now.stable, now.weights[0].release) == ("Baking", 1, 2)
    assert world.releases["env0", 3][1].phase == "Failed"
    passes(world, 100)
    assert stalled(world).reason == "RollbackUnsafe"
    world.commands["abort"] = "env0=2"
    world.settle()
    assert world.end()["env0"][0] == image("good", 1)


def test_a_change_that_takes_its_place_and_fails_too_cannot_be_taken_back_either() -> None:
    world = failed()
    for env_spec in world.spec.environments:
        policy = env_spec.release.model_copy(update={"compatibility": "concurrent"})
        world.spec = world.spec.model_copy(update={"environments": (env_spec.model_copy(update={"release": policy}),)})
    world.push(image("late", 3))
    until(world, lambda: memory(world).stuck is not None and memory(world).stuck.release == 3)
    passes(world, 100)
    now = memory(world)
    assert (now.candidate, now.stable, now.weights[0].release) == (3, 1, 3)
    world.push(image("good", 4))
    world.settle()
    assert world.end()["env0"] == (image("good", 4), "Released")
    assert {n: world.releases["env0", n][1].phase for n in (1, 2, 3)} == {
        1: "Retired",
        2: "Superseded",
        3: "Superseded",
    }


@pytest.mark.parametrize("serial", [1, 2])
def test_what_is_there_already_mends_nothing(serial: int) -> None:
    world = failed()
    world.push(image("good" if serial == 1 else "late", serial))
    passes(world, 100)
    assert memory(world).candidate == 2
    assert stalled(world).reason == "RollbackUnsafe"
    assert set(world.releases) == {("env0", 1), ("env0", 2)}


def test_while_suspended_nothing_takes_its_place() -> None:
    world = failed()
    world.suspended = True
    world.push(image("good", 3))
    passes(world, 60)
    assert memory(world).candidate == 2
    world.suspended = False
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")


@pytest.mark.parametrize("how", ["irreversible", "irreversible canary"])
def test_when_nothing_fails_any_more_it_goes_on_with_a_whole_bake(how: str) -> None:
    world = fresh(how=how)
    world.settle()
    world.push(image("good", 2))
    until(world, lambda: memory(world).phase == ("Baking" if how == "irreversible" else "Releasing"))
    until(world, lambda: memory(world).intent is None)
    world.tick(2)
    world.crash(-1)
    until(world, lambda: memory(world).stuck is not None)
    began = world.now
    until(world, lambda: memory(world).stuck is None)
    assert (world.now - began).total_seconds() >= 60
    assert stalled(world) is None
    assert memory(world).step == (0 if how == "irreversible canary" else None)
    until(world, lambda: memory(world).stable == 2)
    assert (world.now - began).total_seconds() >= 60 + 30
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


def test_each_new_crash_is_waited_for_anew() -> None:
    world = fresh(how="irreversible")
    world.settle()
    world.push(image("good", 2))
    until(world, lambda: memory(world).phase == "Baking")
    world.tick(2)
    for _ in range(4):
        world.crash(-1)
        passes(world, 40)
        assert memory(world).stuck is not None
    passes(world, 40)
    assert memory(world).stuck is None


@pytest.mark.parametrize("kind", ["session", "crash", "mute"])
def test_what_fails_before_anybody_was_sent_to_it_fails_as_any_other(kind: str) -> None:
    world = fresh(how="irreversible")
    world.settle()
    world.push(image(kind, 2))
    world.settle()
    assert world.releases["env0", 2][1].phase == "Failed"
    assert memory(world).stuck is None


def test_a_first_release_has_nothing_to_go_back_to_and_is_never_stuck() -> None:
    world = fresh("late", how="irreversible")
    world.settle()
    assert world.end()["env0"] == (image("late", 1), "Released")


@pytest.mark.parametrize("shown", [True, False])
def test_a_switch_under_way_stays_as_far_as_it_has_come(*, shown: bool) -> None:
    """Nobody has seen yet where visitors are: neither do they go on to what failed, nor back."""
    world = fresh(how="irreversible")
    world.settle()
    world.push(image("good", 2))
    until(world, lambda: memory(world).intent is not None)
    if shown:
        world.gateway_stale = True
        passes(world, 3)
    route = world.routes["sales-env0"][0]
    world.tick(2)
    world.crash(-1)
    passes(world, 30)
    assert memory(world).stuck.release == 2
    assert memory(world).intent.switch_to == 2
    assert world.routes["sales-env0"][0] == route
    assert stalled(world).reason == "RollbackUnsafe"
    world.push(image("good", 3))
    until(world, lambda: memory(world).candidate == 3)
    assert memory(world).stuck.intent.switch_to == 2
    passes(world, 3)
    assert world.routes["sales-env0"][0] == route, "whatever it is"
    world.gateway_stale = False
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")
    assert world.releases["env0", 2][1].phase == "Superseded"


def test_a_switch_under_way_goes_on_when_nothing_fails_any_more() -> None:
    world = fresh(how="irreversible")
    world.settle()
    world.push(image("good", 2))
    until(world, lambda: memory(world).intent is not None)
    world.tick(2)
    world.crash(-1)
    world.settle()
    assert world.end()["env0"] == (image("good", 2), "Released")


def test_its_deleted_record_does_not_make_it_safe_to_go_back() -> None:
    world = fresh(how="irreversible canary")
    world.settle()
    world.push(image("good", 2))
    until(world, lambda: memory(world).step == 0 and memory(world).intent is None)
    del world.releases["env0", 2]
    passes(world, 100)
    assert memory(world).weights[1] == Weight(release=2, weight=100)
    assert "RecordDeleted" in stalled(world).message
    world.push(image("good", 3))
    world.settle()
    assert world.end()["env0"] == (image("good", 3), "Released")


def test_what_failed_and_lost_its_visitors_goes_on_to_no_other_environment() -> None:
    world = failed(environments=2)
    world.push(image("good", 3))
    world.settle()
    assert world.end() == {"env0": (image("good", 3), "Released"), "env1": (image("good", 3), "Released")}
    assert ("env1", 2) not in world.releases


@pytest.mark.parametrize("parked", [True, False])
def test_an_app_that_is_deleted_ends_all_the_same(*, parked: bool) -> None:
    world = failed()
    if parked:
        world.push(image("good", 3))
        until(world, lambda: memory(world).candidate == 3)
    world.delete()
    world.settle()
    assert world.gone
    assert world.is_empty()


def test_giving_up_what_took_its_place_leads_to_the_last_good_one() -> None:
    world = failed()
    world.push(image("good", 3))
    until(world, lambda: memory(world).phase == "Baking" and memory(world).candidate == 3)
    world.commands["abort"] = "env0=3"
    world.settle()
    assert memory(world).weights == (Weight(release=1, weight=1000),)
    assert {n: world.releases["env0", n][1].phase for n in (2, 3)} == {2: "Superseded", 3: "Aborted"}


def test_giving_up_what_is_only_checked_leaves_it_with_its_visitors() -> None:
    world = failed()
    world.push(image("good", 3))
    until(world, lambda: memory(world).candidate == 3)
    world.commands["abort"] = "env0=3"
    until(world, lambda: memory(world).candidate == 2)
    assert memory(world).weights == (Weight(release=2, weight=1000),)
    assert env(decide(world.observe())).answers[0].message == "r3 is given up; nobody was sent to it"
