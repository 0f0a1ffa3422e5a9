"""The operator is killed while a build fetches its code from it, and while an image is being made.

The build's pod asks the operator itself for the code, with a token of its own; it asks again for a minute, and the next
operator knows the token from the build's Secret. An image that is being made needs no operator at all. The audit log is
the witness that nothing was begun twice.
"""

import time
from collections.abc import Iterator

import pytest

from tests.harness.audit import AuditLog, operator_audit
from tests.harness.cluster import Json, Kube
from tests.harness.commits import Committed, below, example
from tests.harness.operator_pod import OperatorPod

pytestmark = [
    pytest.mark.journey,
    pytest.mark.builds,
    pytest.mark.must_run,
    pytest.mark.alone,
    pytest.mark.timeout(420),
]

BUILDS = "dataapp-builds"
RUNS = {"resources": {"cpu": "20m", "memory": "256Mi"}}


@pytest.fixture(scope="module")
def team(kube: Kube) -> Iterator[Committed]:
    """A repository for both stories."""
    with Committed.make(kube) as made:
        made.push({"README.md": "Nothing yet.\n"}, look=False)
        yield made


@pytest.fixture(scope="module")
def audit() -> AuditLog:
    """The audit log of the lab's API server."""
    return operator_audit()


def fetches(pod: Json) -> bool:
    """Whether a build's pod is there and has not got its code yet."""
    first = (pod["status"].get("initContainerStatuses") or [{}])[0].get("state", {})
    return "terminated" not in first


def builds(pod: Json) -> bool:
    """Whether a build's pod has its code and makes the image."""
    return any("running" in one["state"] for one in pod["status"].get("containerStatuses") or [])


def catch(team: Committed, app: str, what: str) -> str:
    """Wait until the pod of an app's build is so; returns the name of the AppBuild."""
    holds = {"fetching": fetches, "building": builds}[what]
    until = time.monotonic() + 90
    while time.monotonic() < until:
        for build in team.builds(app):
            name: str = build["metadata"]["name"]
            chosen = f"dataapps.dev/build={name},dataapps.dev/build-namespace={team.namespace}"
            if any(holds(pod) for pod in team.kube.list("pods", BUILDS, chosen)):
                return name
    raise AssertionError(f"within 90 s no build of {app} was seen {what}; there are {team.builds(app)}")


@pytest.mark.parametrize(
    ("what", "app", "code"), [("fetching", "salmon", "shiny-r-salmon"), ("building", "prices", "fastapi-prices")]
)
def test_a_build_outlives_the_operator_and_is_released_once(
    team: Committed, audit: AuditLog, what: str, app: str, code: str
) -> None:
    operator, mark = OperatorPod(team.kube), audit.mark()
    commit = team.push(below(app, example(code)) | {f"{app}/dataapp.yaml": team.manifest(app, app=RUNS)}, app)
    name = catch(team, app, what)
    death = operator.kill()
    assert operator.lease()[0] == death.pod, "it had time to give the Lease back: that was no sudden death"
    print(f"\n  {app}: killed while {what}; the next operator works after {operator.wait_back(death):.1f} s")
    build = team.wait_build(app, commit, "Succeeded", "Failed")
    attempts = build["status"]["attempts"]
    print(f"  {build['metadata']['name']}: {build['status']['message']}, attempts: {attempts}")
    assert build["status"]["phase"] == "Succeeded", build["status"]
    assert build["metadata"]["name"] == name
    released = team.wait_released(app, 1)
    assert released["status"]["code"]["image"] == build["status"]["image"]
    assert len(team.builds(app)) == 1
    records = team.kube.list("appreleases", team.namespace, f"dataapps.dev/app={app}")
    assert [record["spec"]["number"] for record in records] == [1]
    calls = [call for call in audit.calls(mark) if call.verb == "create" and call.code == 201]
    jobs = [c for c in calls if c.kind == "jobs" and c.name.startswith(f"{team.namespace}-{app}-")]
    assert len(jobs) == attempts <= 2, "\n".join(map(str, jobs))
