"""What a Deployment and its autoscaler are made of."""

from typing import Any

import pytest

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.dataapp import Replicas
from dataapp_operator.plan import deployment, desired, workload
from dataapp_operator.plan.facts import AutoscalerFacts, DeploymentFacts
from dataapp_operator.plan.wishes import Wish
from tests.property.world import image
from tests.property.world import spec as app_spec

ABOUT: dict[str, Any] = {"namespace": "team", "owned_by": workload.owner("sales", "u")}
KNOWN = DeploymentFacts(name="sales-env0-14-s0", uid="d", resource_version="7")


def frozen(*, serving: int | None = None, scaled: int = 0, **replicas: int) -> AppReleaseSpec:
    """The frozen spec of release 14 of an app without sessions."""
    wanted = app_spec(image("good", 14), slots=2, stateless=True)
    app = wanted.app.model_copy(update={"replicas": Replicas(**{"min": 2, **replicas})})
    wish = Wish(wanted.image or "", app)
    return desired.release_spec("sales", wish, wanted.environments[0], number=14, serving=serving, scaled=scaled)


def made(**more: Any) -> dict[str, Any]:
    return deployment.manifest(frozen(), **ABOUT, front_image="front@sha256:1", replicas=3, asked=2, **more)


def test_a_deployment_has_the_pods_of_a_slot_and_lets_none_go_before_another_works() -> None:
    found = made()
    slot = workload.replicaset(frozen(), index=0, **ABOUT, front_image="front@sha256:1")
    assert found["metadata"]["name"] == slot["metadata"]["name"] == "sales-env0-14-s0"
    assert found["spec"]["template"] == slot["spec"]["template"]
    assert found["spec"]["selector"] == slot["spec"]["selector"]
    assert found["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert (found["spec"]["replicas"], found["metadata"]["annotations"]) == (3, {"dataapps.dev/replicas": "2"})
    service = workload.service(frozen(), index=0, **ABOUT)
    assert service["spec"]["selector"].items() <= found["spec"]["template"]["metadata"]["labels"].items()


def test_a_part_of_it_is_written_to_exactly_this_deployment_and_says_nothing_else() -> None:
    size = deployment.size(KNOWN, namespace="team", replicas=4)
    assert size["spec"] == {"replicas": 4}
    assert size["metadata"] == {
        "name": KNOWN.name,
        "namespace": "team",
        "uid": "d",
        "annotations": {"dataapps.dev/replicas": "4"},
    }
    assert "spec" not in deployment.nudge(KNOWN, namespace="team", value="9")


@pytest.mark.parametrize(
    ("replicas", "serving", "scaled", "begins", "why"),
    [
        ({}, None, 0, 2, "its author's number"),
        ({}, 5, 5, 5, "somebody has scaled what serves"),
        ({}, 1, 1, 2, "but not below what its author says"),
        ({}, 30, 30, 30, "an autoscaler of somebody else's may know no limit of ours"),
        ({}, 3, 0, 2, "what serves has its author's old number"),
        ({"max": 4, "cpu": 70}, 3, 3, 3, "an autoscaler has scaled it"),
        ({"max": 4, "cpu": 70}, 9, 9, 4, "its author's max is less by now"),
    ],
)
def test_a_release_begins_as_large_as_what_it_takes_over_from(
    replicas: dict[str, int], serving: int | None, scaled: int, begins: int, why: str
) -> None:
    plan = frozen(serving=serving, scaled=scaled, **replicas).plan
    assert (plan.workload, plan.slots, plan.replicas) == ("deployment", 1, begins), why


def test_an_autoscaler_keeps_what_it_has_while_visitors_may_come_back() -> None:
    found = deployment.autoscaler(frozen(), Replicas(min=2, max=6, cpu=70), **ABOUT)["spec"]
    assert found["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "sales-env0-14-s0"}
    assert (found["minReplicas"], found["maxReplicas"]) == (2, 6)
    (metric,) = found["metrics"]
    assert metric["containerResource"]["container"] == "app", "the front has its own CPU"
    assert metric["containerResource"]["target"]["averageUtilization"] == 70
    assert found["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 30 + 300


@pytest.mark.parametrize(
    ("known", "own", "fits"),
    [
        (None, Replicas(min=2), True),
        (None, Replicas(min=2, max=2), True),
        (None, Replicas(min=2, max=6, cpu=80), False),
        (None, Replicas(min=2, max=6, sessions_per_replica=9), True),
        ((2, 6, 80), Replicas(min=2, max=6, cpu=80), True),
        ((2, 6, 80), Replicas(min=2, max=6, cpu=70), False),
        ((2, 6, 80), Replicas(min=3, max=6, cpu=80), False),
        ((2, 6, 80), Replicas(min=2), False),
    ],
)
def test_an_autoscaler_is_there_where_its_author_wants_one(
    known: tuple[int, int, int] | None, own: Replicas, *, fits: bool
) -> None:
    facts = None
    if known is not None:
        least, most, cpu = known
        facts = AutoscalerFacts(name="x", uid="x", resource_version="1", least=least, most=most, cpu=cpu)
    assert deployment.fits(facts, own) is fits
