"""From one environment to the next: by a person, by a tag, held and taken back by a pin; one image all the way.

Two apps of one repository, both of a Dockerfile that builds in seconds. `tides` goes to production, where the class asks
for a person; `moons` goes to a class of the test's own, which asks for nothing, when a tag says so.
"""

import re
import shlex
from collections.abc import Iterator

import pytest

from dataapp_operator.api.base import instant
from tests.harness.cluster import Json, Kube, condition, environment
from tests.harness.commits import Committed, below, own_dockerfile

pytestmark = [pytest.mark.journey, pytest.mark.builds, pytest.mark.must_run, pytest.mark.timeout(600)]

RELEASE = {"bake": "3s", "drain": {"max": "10m", "emptyFor": "5s"}, "keepWarm": {"releases": 0}}
RUNS = {
    "framework": "shiny-r",
    "resources": {"cpu": "20m", "memory": "256Mi"},
    "env": [{"name": "DB", "value": "none"}],
}
SOAK = 10


def manifest(team: Committed, app: str, *environments: Json) -> str:
    """A dataapp.yaml with these environments after the sandbox."""
    all_of_them = [{"name": "sandbox"}, *environments]
    places = [{"host": team.host(f"{app}-{one['name']}"), "release": RELEASE, **one} for one in all_of_them]
    return team.manifest(app, app=RUNS, environments=places)


def production(team: Committed, **more: object) -> str:
    """The manifest of tides. Its author would like production to come by itself."""
    own = {"env": [{"name": "DB", "value": "production"}], "replicas": {"min": 2}}
    return manifest(team, "tides", {"name": "production", "promotion": {"mode": "auto"}, "app": own, **more})


@pytest.fixture(scope="module")
def team(kube: Kube) -> Iterator[Committed]:
    """The repository with its first push, and an EnvironmentClass that asks for nothing."""
    with Committed.make(kube) as made:
        lax = f"{made.namespace}-trial"
        gateway = {"namespace": "gateways", "name": "public", "sectionName": "http"}
        templates = {"hostTemplate": "{app}--{environment}.localhost", "urlTemplate": "http://{host}:8088"}
        templates["previewHostTemplate"] = f"{{app}}--r{{release}}--{{environment}}--{made.namespace}.localhost"
        kind = {"apiVersion": "dataapps.dev/v1alpha1", "kind": "EnvironmentClass", "metadata": {"name": lax}}
        kube.apply({**kind, "spec": {"gateway": gateway, **templates}})
        promotion = {"mode": "tag", "tags": "v*", "soak": f"{SOAK}s"}
        files = below("tides", own_dockerfile()) | below("moons", own_dockerfile())
        files["tides/dataapp.yaml"] = production(made)
        files["moons/dataapp.yaml"] = manifest(made, "moons", {"name": "trial", "class": lax, "promotion": promotion})
        try:
            made.push(files, "Both apps")
            yield made
        finally:
            kube.run("delete", "environmentclass", lax, "--ignore-not-found")


def waits(team: Committed, app: str, env: str, reason: str, *words: str) -> Json:
    """Wait until an environment waits for something in these words; returns what it tells."""

    def so(found: Json) -> bool:
        wait = environment(found, env).get("waitingFor") or {}
        return wait.get("reason") == reason and all(part in wait["message"] for part in words)

    found = team.wait_app(app, so, what=f"{env} waits: {reason} {' '.join(words)}", timeout=180)
    told: Json = environment(found, env)["waitingFor"]
    print(f"\n  {app}: {env} {reason}: {told['message']}")
    return told


def serves(team: Committed, app: str, env: str) -> tuple[int, str, str]:
    """The number, image and commit of what an environment serves."""
    memory = environment(team.app(app), env)
    artefact = next(one for one in memory["artefacts"] if one["release"] == memory["stable"])
    return memory["stable"], artefact["image"], artefact["commit"]


def type_in(team: Committed, message: str) -> None:
    """Run the command of a message as it is printed there."""
    command = re.search(r"kubectl .*", message)
    assert command is not None
    team.kube.run(*shlex.split(command[0])[1:])


def change(team: Committed, app: str, version: str) -> str:
    """Commit another version of an app; returns the commit."""
    return team.push(below(app, own_dockerfile(version)), f"{app} {version}")


def test_production_waits_for_a_person_whatever_its_author_says_and_then_has_the_very_same_image(
    team: Committed,
) -> None:
    team.wait_released("tides", 1, timeout=300)
    commit = team.repo.git("log", "-1", "--format=%H", "--", "tides")
    message = waits(team, "tides", "production", "AwaitingPromotion")["message"]
    command = f"kubectl annotate dataapp tides -n {team.namespace} --overwrite dataapps.dev/promote=production=1"
    assert message == f"r1 ({commit[:7]}) passed in sandbox and waits for a person to promote it: {command}"
    assert message in condition(team.app("tides"), "Ready")["message"]
    assert "stable" not in environment(team.app("tides"), "production")
    type_in(team, message)
    team.wait_released("tides", 1, env="production")
    assert serves(team, "tides", "production") == serves(team, "tides", "sandbox")
    assert serves(team, "tides", "production")[2] == commit
    assert len(team.builds("tides")) == 1
    pods = {
        env: team.kube.list("pods", team.namespace, f"dataapps.dev/app=tides,dataapps.dev/environment={env}")
        for env in ("sandbox", "production")
    }
    assert {env: len(found) for env, found in pods.items()} == {"sandbox": 1, "production": 2}
    for env, value in {"sandbox": "none", "production": "production"}.items():
        for pod in pods[env]:
            assert {"name": "DB", "value": value} in pod["spec"]["containers"][0]["env"], env


def test_a_second_commit_does_not_reach_production_by_itself_and_a_pin_takes_it_back(team: Committed) -> None:
    first = serves(team, "tides", "production")
    commit = change(team, "tides", "v2")
    team.wait_released("tides", 2)
    message = waits(team, "tides", "production", "AwaitingPromotion", f"r2 ({commit[:7]})")["message"]
    assert message.endswith("dataapps.dev/promote=production=2")
    assert serves(team, "tides", "production") == first
    type_in(team, message)
    team.wait_released("tides", 2, env="production")
    second = serves(team, "tides", "production")
    assert second == serves(team, "tides", "sandbox")
    assert second[1:] != first[1:]
    team.wait_retired("tides", 1, env="production")  # while it is still there, it would be gone back to as release 1
    team.push({"tides/dataapp.yaml": production(team, pin=first[2][:7])}, "Back")
    back = team.wait_released("tides", 3, env="production")
    print(f"\n  tides, pinned: {condition(back, 'Ready')['message']}")
    assert serves(team, "tides", "production")[1:] == first[1:]
    assert serves(team, "tides", "sandbox") == second
    assert len(team.builds("tides")) == 2


def test_a_pin_of_a_commit_without_a_release_changes_nothing_and_says_so(team: Committed) -> None:
    before = serves(team, "tides", "production")
    team.push({"tides/dataapp.yaml": production(team, pin="f" * 12)}, "Nowhere")
    message = waits(team, "tides", "production", "PinUnknown")["message"]
    assert "pinned to ffffffffffff, of which there is no release that may come here; what runs here stays" in message
    assert serves(team, "tides", "production") == before


def test_a_tag_lets_code_go_on_once_the_sandbox_has_had_it_for_long_enough(team: Committed) -> None:
    team.wait_released("moons", 1, timeout=300)
    assert waits(team, "moons", "trial", "AwaitingTag")["message"] == "waiting for a tag 'v*' in the repository"
    commit = change(team, "moons", "v2")
    team.repo.tag("v2", message="The second")
    team.repo.push()
    team.ask("moons")
    told = waits(team, "moons", "trial", "Soaking")
    assert told["message"] == f"r2 goes on once sandbox has had it for {SOAK}s"
    assert "until" in told
    team.wait_released("moons", 2, env="trial")
    assert serves(team, "moons", "trial") == serves(team, "moons", "sandbox")
    assert serves(team, "moons", "trial")[2] == commit
    record = team.kube.get("apprelease", "moons-trial-2", team.namespace)
    assert record is not None
    since = environment(team.app("moons"), "sandbox")["stableSince"]
    began = record["status"]["timeline"][0]["at"]
    assert (instant(began) - instant(since)).total_seconds() >= SOAK
