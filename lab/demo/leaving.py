"""How an app ends: its manifest is deleted, or the object itself. Either way the last visitor may finish."""

import asyncio
import json

from lab.demo.stage import NAMESPACE, Stage, release_at, until
from lab.demo.teams import Team, manifest
from lab.demo.visitors import tab_at, tab_of
from tests.harness.cluster import OUT, Json, condition
from tests.harness.live_shiny import LiveShiny
from tests.harness.sessions import LiveSession

_PARTS = "pods,services,httproutes,replicasets,deployments,horizontalpodautoscalers,appreleases,appbuilds"
_TROUT = """library(shiny)
shinyApp(fluidPage(textOutput('fish')), function(input, output) {
  output$fish <- renderText('trout')
})
"""


def manifest_gone(stage: Stage, both: tuple[Team, ...]) -> None:
    """A team deletes what it committed, while somebody has the app open."""
    stage.title("the manifest is deleted, while somebody has the app open")
    asyncio.run(_manifest_gone(stage, both[1]))


async def _manifest_gone(stage: Stage, team: Team) -> None:
    async with tab_of(team) as tab:
        await tab.open()
        # A repository that has no manifest at all any more looks like a mistake, and takes nothing away.
        team.push(
            {f"{team.app}/dataapp.yaml": None, "trout/dataapp.yaml": manifest("trout"), "trout/app.R": _TROUT},
            "trout takes the place of salmon",
        )
        team.look_now(stage)
        await _last_words(stage, team.app, "Leaving", tab)
    await _gone(stage, team.app)


def deleted(stage: Stage, _both: tuple[Team, ...]) -> None:
    """Somebody types `kubectl delete`. The app is one of a prebuilt image, applied by hand: git would bring it back."""
    stage.title("kubectl delete, while somebody has the app open")
    image = json.loads((OUT / "images.json").read_text())["apps"]["shiny-v1"]
    release = {"drain": {"max": "30m", "emptyFor": "10s"}}
    stage.kube.apply(
        {
            "apiVersion": "dataapps.dev/v1alpha1",
            "kind": "DataApp",
            "metadata": {"name": "perch", "namespace": NAMESPACE},
            "spec": {
                "image": image,
                "app": {"framework": "shiny-r"},
                "environments": [{"name": "sandbox", "release": release}],
            },
        }
    )
    stage.released("perch", 1)
    stage.say(f"perch: kubectl apply of a prebuilt image, {image.rpartition('@')[2][:19]}…")
    asyncio.run(_deleted(stage, "perch"))


async def _deleted(stage: Stage, app: str) -> None:
    host = f"{app}--sandbox.localhost"
    async with tab_at(host, LiveShiny) as tab:
        await tab.open()
        stage.kube.run("-n", NAMESPACE, "delete", "dataapp", app, "--wait=false")
        await _last_words(stage, app, "Deleting", tab)
        seconds = until(lambda: release_at(host) is None, timeout=60, what=f"{app} lets nobody in")
        stage.expect(True, f"{app}: a new visitor is not let in any more, {seconds:.1f} s later")
    await _gone(stage, app)


async def _last_words(stage: Stage, app: str, reason: str, tab: LiveSession) -> None:
    """The app says that it goes, and the visitor who is there does not notice."""
    await asyncio.to_thread(
        stage.wait,
        "dataapp",
        app,
        lambda found: condition(found, "Ready").get("reason") == reason,
        what=f"it says that it is {reason}",
    )
    stage.say(f"{app}: Ready is {stage.ready(app)}")
    answer = await tab.set_input(5)
    stage.expect(answer.total == 15, f"{app}: the visitor who has it open goes on: 3 × 5 = {answer.total}")
    stage.expect(not tab.failures, f"{app}: failures the visitor saw: {len(tab.failures)}")


async def _gone(stage: Stage, app: str) -> None:
    """The last tab is closed; the app goes, and what belonged to it."""
    labels = f"dataapps.dev/app={app}"

    def gone() -> bool:
        return not stage.get("dataapp", app) and not stage.kube.list(_PARTS, NAMESPACE, labels)

    records = await asyncio.to_thread(stage.kube.list, "appreleases", NAMESPACE, labels)
    drain = ", ".join(
        f"{spec['environment']} r{spec['number']} ({spec['plan']['drain']['emptyFor']})" for spec in _draining(records)
    )
    stage.say(f"{app}: the tab is closed; each version goes once nobody had it open for its emptyFor: {drain}")
    seconds = await asyncio.to_thread(until, gone, timeout=180, what=f"{app} and its parts are gone")
    stage.expect(True, f"{app}: gone {seconds:.0f} s after the visitor left, with everything that belonged to it")
    stage.figure("the last tab is closed → the app is gone", app, seconds)


def _draining(records: list[Json]) -> list[Json]:
    """The specs of the releases whose pods are still there for somebody."""
    return [record["spec"] for record in records if record.get("status", {}).get("phase") == "Draining"]
