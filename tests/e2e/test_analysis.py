"""What is measured of visitors' answers, on the real cluster: sessions work, pages fail or are slow, and it is noticed."""

import asyncio

import pytest

from tests.harness import breaking
from tests.harness.cluster import Json, Team
from tests.harness.newcomers import arrive
from tests.harness.prober import Prober
from tests.harness.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

APP = "scripted-websocket"
ERRORS: Json = {"name": "errors", "front": "errorRate", "failWhen": "> 0.05"}
P95: Json = {"name": "p95", "front": "latencyP95", "failWhen": "> 1"}


def version(text: str) -> Json:
    """The version that the app shows."""
    return {"env": [{"name": "APP_VERSION", "value": text}]}


def measured(team: Team, number: int, name: str) -> Json:
    """What the record of a release says of a metric."""
    checks = team.record("app", number)["status"]["checks"]
    return next(check for check in checks if check["name"] == name)


@pytest.mark.parametrize(
    ("order", "metrics", "name"),
    [("errors", [ERRORS], "errors"), ("slow", [P95], "p95"), ("errors", [], "answers")],
    ids=["error rate", "latency", "nobody measures anything"],
)
async def test_what_sessions_do_not_show_takes_a_release_back(
    team: Team, order: breaking.Order, metrics: list[Json], name: str
) -> None:
    team.release("app", APP)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with visiting(team, "app", APP) as old, Prober(team.host("app"), rate=20, seconds=120):
        team.release("app", APP, bake="2m", analysis=metrics, app=version("v2"))
        await asyncio.to_thread(team.wait_phase, "app", 2, "Baking")
        await asyncio.sleep(3)  # while it works: the failure has to be seen against good answers
        breaking.tell(team, "app", 2, order)
        record = await asyncio.to_thread(team.wait_phase, "app", 2, "RolledBack", timeout=40)
        await asyncio.to_thread(team.wait_released, "app", 1)
        assert await arrive(team.host("app"), 50) == {1: 50}
        assert old.session.failures == []
    print(f"\n  {order}: {record['status']['message']}")
    assert record["status"]["reason"] == "MetricFailed"
    assert f"{name}: " in record["status"]["message"]
    assert measured(team, 2, name)["verdict"] == "fail"


async def test_a_release_goes_on_once_enough_visitors_were_served_well_and_the_record_says_so(team: Team) -> None:
    team.release("app", APP)
    await asyncio.to_thread(team.wait_released, "app", 1)
    team.release("app", APP, bake="5s", analysis=[ERRORS, P95], app=version("v2"))
    message = await asyncio.to_thread(team.wait_message, "app", "until errors says more")
    assert message.endswith(" of 20 samples)")
    assert await arrive(team.host("app"), 30) == {2: 30}
    await asyncio.to_thread(team.wait_released, "app", 2)
    for name in ("errors", "p95"):
        check = measured(team, 2, name)
        assert (check["verdict"], check["samples"] >= 20) == ("pass", True)
    assert measured(team, 2, "errors")["measured"].startswith("0 % of ")


RATIO = (
    'sum(rate(haproxy_backend_http_responses_total{namespace="{{namespace}}",app="{{app}}",release="{{release}}",'
    'proxy="app",code="5xx"}[10s])) / sum(rate(haproxy_backend_http_responses_total{namespace="{{namespace}}",'
    'app="{{app}}",release="{{release}}",proxy="app"}[10s]))'
)


async def test_an_authors_own_query_takes_a_release_back_and_without_visitors_it_says_nothing(team: Team) -> None:
    """Against the lab's Prometheus, which asks the fronts itself."""
    own: Json = {
        "name": "ratio",
        "prometheus": {"query": RATIO},
        "failWhen": "> 0.05",
        "minSamples": 15,
        "interval": "1s",
        "failureLimit": 2,
    }
    team.release("app", APP)
    await asyncio.to_thread(team.wait_released, "app", 1)
    team.release("app", APP, bake="5s", analysis=[own], app=version("v2"))
    message = await asyncio.to_thread(team.wait_message, "app", "until ratio says more")
    assert message.endswith(" of 15 samples)")  # the operator's own visits make a few, and then there is nobody
    async with Prober(team.host("app"), rate=10, seconds=60):
        await asyncio.to_thread(team.wait_released, "app", 2)
        assert measured(team, 2, "ratio")["verdict"] == "pass"
        team.release("app", APP, bake="2m", analysis=[own], app=version("v3"))
        await asyncio.to_thread(team.wait_phase, "app", 3, "Baking")
        breaking.tell(team, "app", 3, "errors")
        record = await asyncio.to_thread(team.wait_phase, "app", 3, "RolledBack", timeout=40)
    print(f"\n  {record['status']['message']}")
    assert record["status"]["reason"] == "MetricFailed"


async def test_a_query_that_prometheus_does_not_understand_is_told_in_its_words(team: Team) -> None:
    team.release("app", APP)
    await asyncio.to_thread(team.wait_released, "app", 1)
    bad: Json = {"name": "ratio", "prometheus": {"query": "sum(nothing{"}, "failWhen": "> 1", "minSamples": 1}
    team.release("app", APP, bake="5s", analysis=[bad], app=version("v2"))
    message = await asyncio.to_thread(team.wait_message, "app", "Prometheus does not answer the query")
    assert "parse error" in message
    assert await arrive(team.host("app"), 20) == {2: 20}
