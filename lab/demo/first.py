"""The first commit: code, the file that names its packages, and three lines. And one that changes only the manifest."""

import time

from lab.demo.stage import Stage
from lab.demo.teams import EXAMPLES, Team, manifest
from tests.harness.cluster import Json, condition

_CODE = ("Detected", "Rule:", "File:", "Framework:", "Revision:")


def first(stage: Stage, both: tuple[Team, ...]) -> None:
    """From nothing to visitors."""
    stage.title("commit 1: an app and three lines")
    pushed = {}
    for team in both:
        said = (EXAMPLES / team.example / "dataapp.yaml").read_text().splitlines()[-1]
        commit = team.push(team.first(), "our app")
        pushed[team.app] = time.monotonic()
        stage.say(f"{team.name}: git push of {commit[:7]}; its dataapp.yaml says {said!r}")
        team.look_now(stage)
    for team in both:
        app = stage.released(team.app, 1, timeout=600)
        seconds = time.monotonic() - pushed[team.app]
        _explain(stage, team, app)
        stage.figure("commit 1: push → visitors, two builds at once", team.app, seconds)
    stage.show("describe", "dataapp", both[0].app, only=lambda line: any(word in line for word in _CODE))


def _explain(stage: Stage, team: Team, app: Json) -> None:
    """What was found out, built and checked."""
    built = condition(app, "Built")
    stage.expect(built.get("status") == "True", f"{team.app}: recognised and built: {built['message']!r}")
    check = stage.record(team.app, 1)["status"]["checks"][0]
    stage.expect(check["verdict"] == "pass", f"{team.app}: a real session was opened: {check['measured']!r}")
    build = stage.get("appbuild", app["status"]["code"]["build"])["status"]
    stage.say(f"{team.app}: the build took {build['took']['build']}")


def shorter_times(stage: Stage, both: tuple[Team, ...]) -> None:
    """A change of the manifest alone: the demo has no time for a bake of two minutes."""
    stage.title("in between: a commit that changes only the manifest")
    for team in both:
        before = stage.get("dataapp", team.app)["status"]["code"]["build"]
        commit = team.push({f"{team.app}/dataapp.yaml": manifest(team.app)}, "shorter times")
        team.look_now(stage)
        app = stage.synced(team.app, commit)
        build = app["status"]["code"]["build"]
        stage.expect(build == before, f"{team.app}: the same code is the same build, {build}: nothing is built")
