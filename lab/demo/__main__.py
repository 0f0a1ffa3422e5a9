"""The story: two teams, from `git push` to a page. A surprise ends it with exit 1.

A Python team and an R team commit an app and a three-line manifest. Each is recognised, built, checked by a real session
and released; one line of code changed is there half a minute later, while a visitor keeps the version they had open; a
commit that cannot run, and one that cannot be built, reach nobody; a person promotes what was tested; a manifest that is
deleted lets the last visitor finish.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lab.context import Lab
from lab.demo.stage import NAMESPACE, Stage, SurpriseError, release_at, until
from lab.demo.teams import EXAMPLES, SHORT, Team, let_in, look_now, teams
from tests.harness.browser import Browser
from tests.harness.cluster import OUT, Kube, condition, environment
from tests.harness.gitrepo import GitServer
from tests.harness.sessions import LiveSession

POLL = "20s"


def prepare(stage: Stage, all_teams: tuple[Team, ...]) -> None:
    """A clean beginning: what an earlier demo left is removed."""
    stage.title("the platform")
    kube = stage.kube
    if kube.get("namespace", NAMESPACE) is None:
        kube.run("create", "namespace", NAMESPACE)
    kube.run("-n", NAMESPACE, "delete", "appsources", "--all", "--timeout=60s")
    kube.run("-n", NAMESPACE, "delete", "dataapps", "--all", "--cascade=foreground", "--timeout=180s")
    nodes = kube.run("get", "nodes", "--no-headers").split()
    stage.expect(nodes[1] == "Ready", f"the cluster has a node {nodes[0]!r}, {nodes[1]}, Kubernetes {nodes[4]}")
    operator = kube.get("deployment", "dataapp-operator", "dataapp-system") or {}
    replicas = (operator.get("status") or {}).get("readyReplicas", 0)
    stage.expect(replicas == 1, f"the operator runs as a pod from its chart: readyReplicas {replicas}")
    for team in all_teams:
        let_in(stage, team, interval=POLL)
        stage.say(f"team {team.name}: AppSource {team.source()} reads {team.repo.url} every {POLL}")


def first(stage: Stage, all_teams: tuple[Team, ...]) -> None:
    """The first commit: code, what it needs, and three lines."""
    stage.title("the first commit")
    pushed = {}
    for team in all_teams:
        manifest = (EXAMPLES / team.example / "dataapp.yaml").read_text()
        commit = team.push(team.files(), "our app")
        pushed[team.app] = time.monotonic()
        stage.say(f"{team.name}: git push of {commit[:7]}; its dataapp.yaml says {manifest.splitlines()[-1]!r}")
        look_now(stage, team)
    for team in all_teams:
        app = stage.released(team.app, 1, timeout=600)
        seconds = time.monotonic() - pushed[team.app]
        code = app["status"]["code"]
        build = stage.get("appbuild", code["build"])["status"]
        stage.expect(
            condition(app, "Built").get("status") == "True",
            f"{team.app}: recognised and built: {condition(app, 'Built')['message']!r}",
        )
        check = stage.record(team.app, 1)["status"]["checks"][0]
        stage.expect(check["verdict"] == "pass", f"{team.app}: a real session was opened: {check['measured']!r}")
        stage.say(
            f"{team.app}: cold build {build['took']['build']}; push → visitors {seconds:.0f} s (two teams at once)"
        )
    app = all_teams[0].app
    stage.show(
        "describe",
        "dataapp",
        app,
        only=lambda line: any(word in line for word in ("Detected", "Rule:", "File:", "Framework:", "Revision:")),
    )


def tell_short_times(stage: Stage, all_teams: tuple[Team, ...]) -> None:
    """A change of the manifest alone."""
    stage.title("a commit that changes only the manifest")
    for team in all_teams:
        before = stage.get("dataapp", team.app)["status"]["code"]["build"]
        commit = team.push({f"{team.app}/dataapp.yaml": SHORT.format(app=team.app)}, "shorter times")
        look_now(stage, team)
        app = stage.wait(
            "dataapp",
            team.app,
            lambda found, commit=commit: (
                found["metadata"]["annotations"].get("dataapps.dev/commit") == commit
                and found["status"].get("observedGeneration") == found["metadata"]["generation"]
                and found["spec"].get("environments")
            ),
            what=f"it is synced with {commit[:7]}",
        )
        build = app["status"]["code"]["build"]
        stage.expect(build == before, f"{team.app}: the same code is the same build, {build}: nothing is built")


async def change(stage: Stage, all_teams: tuple[Team, ...]) -> None:
    """One line of code, while somebody has the app open."""
    stage.title("one line of code changed, while a visitor has the app open")
    for team, how in zip(all_teams, ("told to look (requestedAt)", f"by poll, every {POLL}"), strict=True):
        async with tab_of(team) as tab:
            answer = await tab.open()
            stage.expect(answer.version == "v1", f"{team.app}: a visitor has it open: {answer}")
            pushed = time.monotonic()
            commit = team.push(team.version("v1", "v2"), "version 2")
            if "poll" not in how:
                look_now(stage, team)
            await asyncio.to_thread(
                until,
                lambda team=team: release_at(team.preview(2)) == "2",
                timeout=180,
                what=f"the preview of {team.app} r2",
            )
            preview = time.monotonic() - pushed
            await asyncio.to_thread(stage.released, team.app, 2)
            released = time.monotonic() - pushed - preview
            stage.say(
                f"{team.app}: {commit[:7]}, {how}: push → preview {preview:.1f} s, preview → released {released:.1f} s"
            )
            answer = await tab.set_input(14)
            stage.expect(
                answer.version == "v1" and answer.total == 42,
                f"{team.app}: the open session still computes with {answer.version}: 3 × 14 = {answer.total}",
            )
            answer = await tab.reload()
            stage.expect(answer.version == "v2", f"{team.app}: after a reload the same visitor has {answer.version}")
            stage.expect(not tab.failures, f"{team.app}: failures the visitor saw: {len(tab.failures)}")
    for team in all_teams:
        await asyncio.to_thread(stage.settled, team.app, 2)


@asynccontextmanager
async def tab_of(team: Team) -> AsyncIterator[LiveSession]:
    """A visitor's tab."""
    browser = Browser(team.host)
    tab = team.live(browser)
    try:
        yield tab
    finally:
        await tab.close()
        await browser.close()


def broken(stage: Stage, all_teams: tuple[Team, ...]) -> None:
    """Commits that must reach nobody."""
    stage.title("a commit that answers 200 and cannot run, and one that cannot be built")
    good = {team.app: (Path(team.repo.work) / team.app / team.code).read_bytes() for team in all_teams}
    for team in all_teams:
        text = (EXAMPLES.parent / "apps" / team.broken / team.code).read_bytes()
        team.push({f"{team.app}/{team.code}": text}, "a slip of the hand")
        look_now(stage, team)
    for team in all_teams:
        record = stage.wait(
            "apprelease",
            f"{team.app}-sandbox-3",
            lambda r: (r.get("status") or {}).get("phase") == "Failed",
            what="r3 is Failed",
        )
        stage.expect(
            record["status"]["reason"] == "SessionFailed",
            f"{team.app}: r3 was never released: {record['status']['message']!r}",
        )
        seen = release_at(team.host)
        stage.expect(seen == "2", f"{team.app}: a new visitor still gets release {seen}")
    python = all_teams[0]
    python.push({f"{python.app}/requirements.txt": "streamlit==1.67.0\nstreamlitt-extras-of-mine==1.0\n"}, "a package")
    look_now(stage, python)
    app = stage.wait(
        "dataapp",
        python.app,
        lambda found: condition(found, "Built").get("reason") == "PackageNotFound",
        what="the build fails for its package",
    )
    stage.expect(
        condition(app, "Ready")["status"] == "True", f"{python.app}: {condition(app, 'Built')['message'][:220]!r}"
    )
    files = python.files()
    python.push(
        {
            f"{python.app}/{python.code}": good[python.app],
            f"{python.app}/requirements.txt": files[f"{python.app}/requirements.txt"],
        },
        "back to what worked",
    )
    look_now(stage, python)
    stage.wait(
        "dataapp", python.app, lambda found: condition(found, "Built").get("status") == "True", what="it is mended"
    )


def promote(stage: Stage, all_teams: tuple[Team, ...]) -> None:
    """What was tested goes on, by a person's word."""
    stage.title("production: the very same image, when a person says so")
    for team in all_teams:
        app = stage.get("dataapp", team.app)
        waiting = environment(app, "production")["waitingFor"]["message"]
        command = waiting[waiting.index("kubectl ") :]
        stage.expect("dataapps.dev/promote=production=2" in command, f"{team.app}: {waiting!r}")
        stage.kube.run(*command.split()[1:])
    for team in all_teams:
        app = stage.released(team.app, 2, "production")
        images = {
            env: environment(app, env)["artefacts"][-1]["image"].rpartition("@")[2] for env in ("sandbox", "production")
        }
        stage.expect(
            len(set(images.values())) == 1,
            f"{team.app}: sandbox and production run {images['production'][:19]}…, built once",
        )


async def leave(stage: Stage, team: Team) -> None:
    """A manifest is deleted while somebody has the app open."""
    stage.title("the manifest is deleted")
    async with tab_of(team) as tab:
        await tab.open()
        # A repository that has no manifest at all any more looks like a mistake, and takes nothing away.
        team.push(
            {
                f"{team.app}/dataapp.yaml": None,
                "trout/dataapp.yaml": SHORT.format(app="trout"),
                "trout/app.R": "library(shiny)\nshinyApp(fluidPage(textOutput('fish')), function(input, output) {\n"
                "  output$fish <- renderText('trout')\n})\n",
            },
            "trout takes the place of salmon",
        )
        look_now(stage, team)
        await asyncio.to_thread(
            stage.wait,
            "dataapp",
            team.app,
            lambda found: condition(found, "Ready").get("reason") == "Leaving",
            what="it leaves",
        )
        stage.say(f"{team.app}: Ready is {stage.ready(team.app)}")
        answer = await tab.set_input(5)
        stage.expect(answer.total == 15, f"{team.app}: the visitor who has it open goes on: 3 × 5 = {answer.total}")
    gone = await asyncio.to_thread(
        until, lambda: not stage.get("dataapp", team.app), timeout=120, what=f"{team.app} is gone"
    )
    stage.expect(True, f"{team.app}: gone {gone:.0f} s after the visitor left, with everything that belonged to it")


def main() -> int:
    """Tell the story. Returns the exit code."""
    lab = Lab.here()
    if not (OUT / "git.json").exists():
        print("The demo begins with a commit and needs the lab's own git server: run it with LAB=native.")
        return 1
    stage = Stage(Kube(str(lab.binary("kubectl")), Path(OUT / "kubeconfig")))
    all_teams = teams(GitServer.of_lab())
    try:
        prepare(stage, all_teams)
        first(stage, all_teams)
        tell_short_times(stage, all_teams)
        asyncio.run(change(stage, all_teams))
        broken(stage, all_teams)
        promote(stage, all_teams)
        for kind in ("appsources", "dataapps", "appbuilds", "appreleases"):
            stage.show("get", kind)
        asyncio.run(leave(stage, all_teams[1]))
    except (SurpriseError, AssertionError) as error:
        stage.say(f"✘ {error}")
        print("The demo stopped here. `make lab-status` says where the logs are.")
        return 1
    finally:
        for team in all_teams:
            team.repo.close()
    stage.say("that was all of it. The cluster stays up:")
    stage.say("open http://penguins.localhost:8088/ in a browser of this machine")
    stage.say("`python3 -m lab git antarctica apps` says how to clone and push to its repository yourself")
    stage.say("`make lab-down` removes all of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
