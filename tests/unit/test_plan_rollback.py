"""What takes a release back in its bake, what does not, and what becomes of who has it open."""

from datetime import timedelta

import pytest

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.plan.actions import ReadLog, StartCheck
from dataapp_operator.plan.facts import CheckFacts, ContainerFacts, Exit
from tests.unit.plan_rig import World, at_phase, change_pods, decide, env, released, replace


def baking(world: World | None = None, kind: str = "good") -> World:
    """A second release that has baked for ten seconds."""
    world = at_phase("Baking", kind=kind, world=world)
    world.tick(10)
    return world


def judged(world: World, verdict: Verdict, *, ago: float, failed: int = 0):
    """What is observed when the last check of the baking release said this so many seconds ago."""
    facts = CheckFacts(
        attempt=9, verdict=verdict, message="no", failed_in_row=failed, finished_at=world.now - timedelta(seconds=ago)
    )
    return replace(world.observe(), checks={("env0", 2): facts})


def goes_back(observed) -> bool:
    """Whether the decision is to send new visitors to the release before."""
    intent = env(decide(observed)).intent
    return intent is not None and intent.switch_to == 1


@pytest.mark.parametrize(
    ("verdict", "unready_for", "back", "why"),
    [
        (Verdict.ERROR, 3.0, True, "the kubelet and a session agree that nobody listens"),
        (Verdict.INCONCLUSIVE, 3.0, True, "no session works and the kubelet finds nobody"),
        (Verdict.PASS, 3.0, False, "a session has worked since"),
        (Verdict.ERROR, 0.0, False, "a session that could not be tried is no news where all is ready"),
        (Verdict.ERROR, 0.5, False, "the session was tried before the kubelet found nobody"),
    ],
)
def test_a_replica_that_listens_no_more_is_believed_when_two_say_so(
    verdict: Verdict, unready_for: float, *, back: bool, why: str
) -> None:
    world = baking()
    observed = judged(world, verdict, ago=1.0)
    if unready_for:
        since = world.now - timedelta(seconds=unready_for)
        observed = change_pods(observed, 2, ready=False, unready_since=since, app=ContainerFacts(running=True))
    assert goes_back(observed) is back, why


def test_one_failed_session_is_asked_again_at_once_and_the_second_takes_it_back() -> None:
    world = baking()
    once = decide(judged(world, Verdict.FAIL, ago=0.0, failed=1))
    assert env(once).intent is None
    assert [work.samples for work in once.background if isinstance(work, StartCheck)] == [1]
    assert goes_back(judged(world, Verdict.FAIL, ago=0.0, failed=2))


def test_what_a_check_said_before_the_bake_is_old_news() -> None:
    world = baking()
    assert not goes_back(judged(world, Verdict.FAIL, ago=3600.0, failed=5))


@pytest.mark.parametrize(("ended", "back"), [(2.0, True), (600.0, False)])
def test_an_app_that_ended_by_itself_since_the_switch_is_taken_back(ended: float, *, back: bool) -> None:
    world = baking()
    end = Exit(1, "Error", 60.0, world.now - timedelta(seconds=ended))
    observed = change_pods(
        world.observe(), 2, app=ContainerFacts(running=True, started=True, last_exit=end, restarts=1)
    )
    assert goes_back(observed) is back
    wants_log = any(isinstance(work, ReadLog) for work in decide(observed).background)
    assert wants_log is back, "the way back does not wait for the log, and the record gets it"


def test_a_log_that_was_read_after_the_way_back_joins_the_record() -> None:
    world = baking()
    world.crash(next(i for i, pod in enumerate(world.pods.values()) if pod.slot[1] == 2))
    for _ in range(4):
        world.reconcile()
        world.tick(1)
    status = world.releases["env0", 2][1]
    assert status.phase == "RolledBack"
    assert status.message.startswith("it is broken (the app ended by itself (exit code 1)")
    assert status.log == ("it is broken",)


def test_who_has_a_failed_release_open_may_go_on_or_is_moved_as_the_plan_says() -> None:
    for how, left in (("drain", 2), ("evict", 0)):
        world = released()
        (only,) = world.spec.environments
        policy = only.release.model_copy(
            update={"rollback": only.release.rollback.model_copy(update={"sessions": how})}
        )
        world.spec = world.spec.model_copy(update={"environments": (only.model_copy(update={"release": policy}),)})
        world = at_phase("Baking", kind="late", world=world)
        world.open_session()
        for _ in range(20):
            world.reconcile()
            world.tick(1)
        assert world.status.environment("env0").stable == 1
        assert sum(pod.sessions for pod in world.pods.values() if pod.slot[1] == 2) == left, how


def test_sessions_are_never_evicted_for_another_failure_than_theirs() -> None:
    world = baking()
    end = Exit(1, "Error", 60.0, world.now)
    observed = change_pods(world.observe(), 2, app=ContainerFacts(running=True, started=True, last_exit=end))
    release = observed.releases["env0", 2]
    plan = release.spec.plan.model_copy(
        update={"rollback": release.spec.plan.rollback.model_copy(update={"sessions": "evict"})}
    )
    spec = release.spec.model_copy(update={"plan": plan})
    observed = replace(observed, releases={**observed.releases, ("env0", 2): replace(release, spec=spec)})
    intent = env(decide(observed)).intent
    assert intent is not None
    assert (intent.switch_to, intent.evict) == (1, False)
