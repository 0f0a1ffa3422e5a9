"""A broken app is never called healthy: it answers 200 over HTTP, and no visitor is ever sent to it."""

import asyncio

import pytest

from tests.harness.cluster import Team, condition, environment
from tests.harness.prober import Prober

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

CAUSES = {
    "streamlit-broken-import": ("SessionFailed", "No module named 'jinja3'"),
    "streamlit-broken-session": ("SessionFailed", "ValueError"),
    "shiny-broken-import": ("Crashed", "there is no package called ‘janitor’"),
    "shiny-broken-session": ("SessionFailed", "column 'price' is not in the price list"),
}


@pytest.mark.parametrize("image_key", CAUSES)
async def test_a_broken_second_release_is_stopped_with_its_true_cause_and_nobody_sees_it(
    team: Team, image_key: str
) -> None:
    healthy = f"{image_key.split('-', maxsplit=1)[0]}-v1"
    team.release("app", healthy)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with Prober(team.host("app"), rate=5.0, seconds=200) as prober:
        team.release("app", image_key)
        record = await asyncio.to_thread(team.wait_phase, "app", 2, "Failed")
    reason, words = CAUSES[image_key]
    status = record["status"]
    assert status["reason"] == reason
    assert words in status["message"]
    assert words in status["summary"]
    assert status["nextStep"]
    assert any(words in line for line in status["log"]), status["log"]
    assert [entry["phase"] for entry in status["timeline"]][-1] == "Failed"
    assert prober.report.failed == 0, prober.report
    assert {seen.release for seen in prober.report.seen} == {1}, "somebody was sent to the broken release"
    app = team.app("app")
    assert environment(app)["stable"] == 1
    assert condition(app, "Ready")["status"] == "True"
    assert words in condition(app, "LastReleaseFailed")["message"]


async def test_a_broken_first_release_stalls_with_its_cause_and_the_fix_is_released(team: Team) -> None:
    team.release("app", "streamlit-broken-session")
    message = await asyncio.to_thread(team.wait_condition, "app", "Stalled", "ReleaseFailed")
    assert "ValueError" in message
    assert condition(team.app("app"), "Ready")["status"] == "False"
    assert team.kube.list("pods", team.namespace, "dataapps.dev/release=1") == [] or await asyncio.to_thread(
        _gone, team, "1"
    )
    team.release("app", "streamlit-v1")
    app = await asyncio.to_thread(team.wait_released, "app", 2)
    assert condition(app, "Stalled") == {}
    assert condition(app, "LastReleaseFailed") == {}


def _gone(team: Team, release: str) -> bool:
    team.kube.run(
        "wait", "-n", team.namespace, "pods", "-l", f"dataapps.dev/release={release}", "--for=delete", "--timeout=60s"
    )
    return True


async def test_kubectl_wait_and_columns_work_as_documented(team: Team) -> None:
    team.release("app", "streamlit-v1")
    told = await asyncio.to_thread(
        team.kube.run, "wait", "-n", team.namespace, "--for=condition=Ready", "dataapp/app", "--timeout=120s"
    )
    assert "condition met" in told
    apps = team.kube.run("get", "dataapps", "-n", team.namespace).splitlines()
    assert apps[0].split() == ["NAME", "RELEASED", "MOVING", "WAITING", "SESSIONS", "COMMIT", "READY", "AGE"]
    assert apps[1].split()[:3] == ["app", "sandbox", "r1"]
    releases = team.kube.run("get", "appreleases", "-n", team.namespace).splitlines()
    assert releases[0].split() == ["NAME", "ENV", "RELEASE", "PHASE", "WEIGHT", "SESSIONS", "COMMIT", "REASON", "AGE"]
    assert releases[1].split()[:5] == ["app-sandbox-1", "sandbox", "1", "Released", "100%"]
