"""What people read of an app: the columns of `kubectl get`, and conditions that tools understand."""

from dataclasses import replace

import pytest

from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.plan.decide import decide
from dataapp_operator.plan.facts import ContainerFacts, GatewayFacts
from tests.property.world import CLASS
from tests.unit.plan_rig import at_phase, change_pods, condition, env, fresh, image, released


def kinds(plan) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in plan.status.conditions}


def test_an_app_that_serves_is_ready_and_nothing_else() -> None:
    plan = decide(released(environments=2).observe())
    assert kinds(plan) == {"Ready": ("True", "Released")}
    digest = f"{1:064x}"[:7]
    assert condition(plan, "Ready").message == f"env0 serves r1 ({digest}), env1 serves r1 ({digest})"
    assert plan.status.summary.model_dump() == {
        "released": "env0 r1, env1 r1",
        "moving": "",
        "waiting_since": None,
        "sessions": None,
        "commit": "",
    }
    assert plan.requeue_after is None


@pytest.mark.parametrize("phase", ["Deploying", "Checking", "Releasing", "Baking"])
def test_while_a_release_moves_the_app_stays_ready_and_says_what_moves(phase: str) -> None:
    plan = decide(at_phase(phase).observe())
    assert kinds(plan)["Ready"] == ("True", "Released")
    assert "Reconciling" in kinds(plan)
    assert "Stalled" not in kinds(plan)
    assert plan.status.summary.moving.startswith("env0 r2 ")
    assert plan.status.summary.waiting_since is not None


def test_the_columns_of_the_walkthrough_during_a_bake() -> None:
    world = at_phase("Baking")
    world.open_session()
    for pod in world.pods.values():
        pod.sessions = 3 if pod.slot[1] == 1 else 0
    world.reconcile()
    plan = decide(world.observe())
    assert plan.status.summary.released == "env0 r2"
    assert plan.status.summary.moving == "env0 r2 baking"
    assert plan.status.summary.sessions == 6
    waiting = env(plan).waiting_for
    assert waiting.message == f"r2 serves everybody; r1 is kept until {waiting.until[11:16]} in case it fails"
    draining = next(r.status for r in plan.records if r.number == 1)
    assert draining.summary.startswith("6 sessions, forced at ")


def test_an_unknown_number_of_sessions_is_no_number() -> None:
    world = at_phase("Baking")
    world.reconcile()
    world.fronts.clear()
    assert decide(world.observe()).status.summary.sessions is None


def test_what_drains_after_a_release_is_still_moving() -> None:
    world = at_phase("Released", world=at_phase("Baking"))
    assert decide(world.observe()).status.summary.moving == "env0 r1 draining"


def test_a_first_release_is_not_ready_until_it_serves() -> None:
    world = fresh()
    world.held = True
    assert condition(decide(world.observe()), "Ready").status == "False"
    seen = set()
    for _ in range(30):
        world.reconcile()
        ready = next(c for c in world.status.conditions if c.type == "Ready")
        serves = bool(world.status.environment("env0").weights)
        assert (ready.status == "True") is serves
        seen.add(ready.reason)
        world.tick(1)
    assert {"Starting", "Checking", "Switching", "Released"} <= seen


def test_an_app_whose_replicas_are_all_away_is_unavailable_and_says_why() -> None:
    observed = released().observe()
    away = change_pods(observed, 1, ready=False)
    ready = condition(decide(away), "Ready")
    assert (ready.status, ready.reason) == ("False", "Unavailable")
    assert "no replica of r1 answers now; `kubectl get pods -l dataapps.dev/app=sales` shows them" in ready.message
    stuck = change_pods(observed, 1, ready=False, unschedulable="0/1 nodes: Insufficient cpu")
    assert "not enough free CPU" in condition(decide(stuck), "Ready").message
    one = change_pods(observed, 1, ready=False, app=ContainerFacts(running=True, started=False))
    assert "waiting until" not in condition(decide(one), "Ready").message


def test_a_person_to_act_is_stalled_and_never_beside_reconciling() -> None:
    world = released(environments=2)
    world.push(image("good", 2))
    world.reconcile()
    world.reconcile()
    plan = decide(replace(world.observe(), rejections={"Service sales-env0-2-s0": "no"}))
    assert kinds(plan)["Stalled"] == ("True", "Refused")
    assert "Reconciling" not in kinds(plan)
    assert kinds(plan)["Ready"][0] == "True", "what served still serves"


def test_a_first_release_that_failed_leaves_nothing_to_wait_for() -> None:
    world = fresh("session")
    world.settle()
    plan = decide(world.observe())
    assert kinds(plan)["Stalled"] == ("True", "ReleaseFailed")
    assert kinds(plan)["Ready"] == ("False", "ReleaseFailed")
    assert "there is no package called 'janitor'" in condition(plan, "LastReleaseFailed").message


def test_the_last_failure_is_told_until_a_later_release_succeeds() -> None:
    world = released()
    for serial, kind in ((2, "session"), (3, "good")):
        world.push(image(kind, serial))
        world.settle()
        found = condition(decide(world.observe()), "LastReleaseFailed")
        assert (found is not None) is (kind == "session")


def test_conditions_are_of_the_generation_that_was_observed() -> None:
    plan = decide(replace(released().observe(), generation=9))
    assert plan.status.observed_generation == 9
    assert {c.observed_generation for c in plan.status.conditions} == {9}


OTHER = EnvironmentClassSpec.model_validate(CLASS.wire() | {"hostTemplate": "{app}_x"})


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"gateway_api": False}, "GatewayAPIMissing", "Ask the platform team to install"),
        ({"classes": {}}, "EnvironmentClassMissing", "there is no EnvironmentClass 'env0'"),
        ({"classes": {}, "unreadable": {"env0": "spec.x: y"}}, "EnvironmentClassMissing", "cannot be read (spec.x: y)"),
        ({"gateways": {}}, "GatewayMissing", "the Gateway gateways/public of this environment does not exist"),
        ({"gateways": {CLASS.gateway: GatewayFacts(exists=False)}}, "GatewayMissing", "does not exist"),
        ({"classes": {"env0": OTHER}}, "HostInvalid", "'sales_x' is not a valid host name"),
        ({"host_holders": {"sales--env0.localhost": "app 'b' in namespace 'n' (prod)"}}, "HostTaken", "app 'b'"),
        ({"host_holders": {"sales--r*--env0.localhost": "app 'b' in namespace 'n'"}}, "HostTaken", "{namespace}"),
    ],
)
def test_what_only_others_can_mend_is_named_and_what_runs_is_left(change, reason: str, words: str) -> None:
    world = fresh()
    plan = decide(replace(world.observe(), **change))
    assert kinds(plan)["Stalled"] == ("True", reason)
    assert kinds(plan)["Ready"] == ("False", reason)
    assert words in condition(plan, "Stalled").message
    assert plan.actions == ()
    assert plan.requeue_after
    served = released()
    assert decide(replace(served.observe(), **change)).actions == ()


def test_an_environment_that_leaves_takes_nothing_from_ready() -> None:
    world = released(environments=2)
    world.open_session()
    world.spec = world.spec.model_copy(update={"environments": world.spec.environments[:1]})
    for _ in range(4):
        world.reconcile()
        world.tick(2)
    plan = decide(world.observe())
    assert env(plan, "env1").draining
    assert kinds(plan)["Ready"] == ("True", "Released")
    assert plan.status.summary.moving == "env1 r1 draining"
