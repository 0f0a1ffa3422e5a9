"""What was tested goes on to production by a person's word; and somebody goes back to the version before."""

import time

from lab.demo.stage import NAMESPACE, Stage, release_at, until
from lab.demo.teams import Team
from tests.harness.cluster import Json, environment


def promote(stage: Stage, both: tuple[Team, ...]) -> None:
    """The last release that passed in the sandbox, not the last commit."""
    stage.title("production: the very same image, when a person says so")
    for team in both:
        app = stage.get("dataapp", team.app)
        waiting = environment(app, "production")["waitingFor"]["message"]
        command = waiting[waiting.index("kubectl ") :]
        stage.expect("dataapps.dev/promote=production=2" in command, f"{team.app}: {waiting!r}")
        stage.kube.run(*command.split()[1:])
    for team in both:
        app = stage.released(team.app, 2, "production")
        images = {env: _image(environment(app, env)) for env in ("sandbox", "production")}
        stage.expect(
            len(set(images.values())) == 1,
            f"{team.app}: sandbox and production run {images['production'][:19]}…, built once",
        )


def _image(memory: Json) -> str:
    """The digest of what an environment serves."""
    serving = memory["weights"][0]["release"]
    image = next(artefact["image"] for artefact in memory["artefacts"] if artefact["release"] == serving)
    return str(image).rpartition("@")[2]


def overview(stage: Stage, _both: tuple[Team, ...]) -> None:
    """Where everything is now."""
    for kind in ("appsources", "dataapps", "appbuilds", "appreleases"):
        stage.show("get", kind)


def back_again(stage: Stage, both: tuple[Team, ...]) -> None:
    """`git revert`, to a release whose pods are still there: nothing is built, and no pod is made."""
    stage.title("a change of mind: back to version 1, which is still there")
    team = both[0]
    kept = stage.record(team.app, 1, "Warm", "Draining")
    stage.say(f"{team.app}: r1 is {kept['status']['phase']}: {kept['status']['summary']!r}")
    before = _pods(stage, team, 1)
    code = {path: text for path, text in team.first().items() if not path.endswith("dataapp.yaml")}
    pushed = time.monotonic()
    commit = team.push(code, "Revert to version 1")
    team.look_now(stage)
    until(lambda: release_at(team.host) == "1", timeout=120, what=f"new visitors of {team.app} get r1 again")
    seconds = time.monotonic() - pushed
    stage.say(f"{team.app}: {commit[:7]}: push → new visitors have release {release_at(team.host)}: {seconds:.1f} s")
    after = _pods(stage, team, 1)
    stage.expect(after == before, f"{team.app}: r1 has the pods that it had: {', '.join(after)}")
    stage.figure("back to version 1: push → new visitors", team.app, seconds)


def _pods(stage: Stage, team: Team, number: int) -> list[str]:
    """The names of a release's pods in the sandbox: a new pod has a new name."""
    labels = f"dataapps.dev/app={team.app},dataapps.dev/environment=sandbox,dataapps.dev/release={number}"
    return sorted(pod["metadata"]["name"] for pod in stage.kube.list("pods", NAMESPACE, labels))
