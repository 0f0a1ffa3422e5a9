"""From a commit to a page: apps of one repository, brought by an AppSource, and one that names its code itself.

One repository holds them all: a FastAPI and a Shiny for R app whose story the tests tell in their order (first push, a
change of code, a change of the manifest, a change of neither, a manifest that is gone), and beside them an app with a
Dockerfile of its own, a Shiny for Python app, and code without a manifest. All are pushed at once, so their builds share
the time.
"""

import asyncio
import json
import time
from collections.abc import Iterator

import aiohttp
import pytest

from dataapp_operator.api.base import seconds
from tests.harness.browser import Browser
from tests.harness.cluster import Json, Kube, condition, environment, is_ready
from tests.harness.commits import Committed, below, example, own_dockerfile
from tests.harness.live_shiny import LiveShiny
from tests.harness.visitor import children

pytestmark = [pytest.mark.journey, pytest.mark.builds, pytest.mark.must_run, pytest.mark.timeout(600)]

RUNS = {"resources": {"cpu": "20m", "memory": "256Mi"}}
QUICK_BUILD = 30
"""Seconds that the build of a change of code alone may take: its packages are there already."""


@pytest.fixture(scope="module")
def team(kube: Kube) -> Iterator[Committed]:
    """The repository with its first push."""
    with Committed.make(kube) as made:
        files = below("byhand", example("fastapi-prices", without_manifest=True))
        files |= below("tides", own_dockerfile())
        for name, directory in {
            "prices": "fastapi-prices",
            "salmon": "shiny-r-salmon",
            "waves": "shiny-python-waves",
        }.items():
            files |= below(name, example(directory)) | {f"{name}/dataapp.yaml": made.manifest(name, app=RUNS)}
        options = {"build": {"dockerfile": "Dockerfile"}, "app": {**RUNS, "framework": "shiny-r"}}
        files["tides/dataapp.yaml"] = made.manifest("tides", **options)
        made.push(files, "All apps")
        yield made


def say(what: str, words: str) -> None:
    """Show a sentence that people read, for whoever runs the tests with -s."""
    print(f"\n  {what}: {words}")


def number(team: Committed, app: str) -> int:
    """The newest release number of an app."""
    return int(team.app(app)["status"]["lastNumber"])


async def total(host: str, n: int = 5) -> tuple[int, str]:
    """What the prices app answers: three times a number, and its version."""
    async with Browser(host) as browser:
        text = json.loads(await browser.fetch(f"total?n={n}"))["text"]
    head, _, version = text.removeprefix("total = ").partition(" ")
    return int(head), version.strip("()")


async def uses(host: str) -> str:
    """A person opens a Shiny app, types, fetches a file and uploads one; returns the version that answered."""
    async with Browser(host) as browser:
        session = LiveShiny(browser)
        await session.open()
        answer = await session.set_input(14)
        await session.fetch_asset()
        await session.upload(b"x" * 1000)
        await session.close()
        assert not session.failures, session.failures
        assert answer.total == 42
        return answer.version


def checked(team: Committed, app: str, release: int) -> list[tuple[str, str]]:
    """The checks of a release before anybody saw it, with their verdicts."""
    record = team.kube.get("apprelease", f"{app}-sandbox-{release}", team.namespace)
    assert record is not None
    checks = record["status"]["checks"]
    say(f"{app} r{release}", "; ".join(f"{check['name']}: {check['measured']}" for check in checks))
    return [(check["name"], check["verdict"]) for check in checks]


FOUND = {
    "prices": ("fastapi", "fastapi.object", "main.py", "requirements.txt"),
    "salmon": ("shiny-r", "shiny-r.app-R", "app.R", "DESCRIPTION"),
}


def test_a_push_is_synced_recognised_built_and_released_after_a_real_session(team: Committed) -> None:
    synced = team.wait_source(is_ready, what="the push is synced")
    say("AppSource", condition(synced, "Ready")["message"])
    assert condition(synced, "Ready")["message"] == f"4 apps from main@{team.repo.head[:7]}"
    assert synced["status"]["revision"] == f"main@sha1:{team.repo.head}"
    for name, (framework, rule, file, packages) in FOUND.items():
        app = team.wait_released(name, 1, timeout=300)
        built = condition(app, "Built")
        say(name, built["message"])
        assert built["status"] == "True"
        (build,) = team.builds(name)
        words = f"{team.repo.head[:7]} is {build['metadata']['name']}: {framework}, by the rule {rule} from {file}"
        assert built["message"] == words
        code = app["status"]["code"]
        assert (code["framework"], code["detectedBy"]) == (framework, {"rule": rule, "file": file})
        assert build["spec"]["dependencies"]["from"] == packages
        assert code["image"] == build["status"]["image"]
        assert checked(team, name, 1) == [("session", "pass"), ("gateway", "pass")]
        say(name, f"{build['status']['message']}; Ready: {condition(app, 'Ready')['message']}")
    assert asyncio.run(total(team.host("prices"))) == (15, "v1")
    assert asyncio.run(uses(team.host("salmon"))) == "v1"


def test_a_change_of_one_app_rebuilds_and_releases_that_app_alone(team: Committed) -> None:
    first = team.repo.head
    before, others = team.app("prices"), {name: team.wait_released(name, 1) for name in ("salmon", "tides", "waves")}
    began = time.monotonic()
    commit = team.push(below("prices", example("fastapi-prices", version="v2", without_manifest=True)), "Prices v2")
    build = team.wait_build("prices", commit)
    say("prices, code only", f"{time.monotonic() - began:.0f} s to an image; {build['status']['message']}")
    assert build["status"]["phase"] == "Succeeded"
    assert seconds(build["status"]["took"]["build"]) < QUICK_BUILD, "its packages were installed again"
    app = team.wait_released("prices", 2)
    say("prices, code only", f"{time.monotonic() - began:.0f} s to its release, its bake of 3 s included")
    assert asyncio.run(total(team.host("prices"))) == (15, "v2")
    assert app["metadata"]["annotations"]["dataapps.dev/commit"] == commit
    assert app["metadata"]["generation"] == before["metadata"]["generation"], "its manifest is the same"
    assert len(team.builds("prices")) == 2
    for name, other in others.items():
        assert team.app(name)["metadata"]["resourceVersion"] == other["metadata"]["resourceVersion"], name
        assert other["metadata"]["annotations"]["dataapps.dev/commit"] == first
        assert len(team.builds(name)) == 1


def test_code_that_was_built_before_is_not_built_again(team: Committed) -> None:
    first, second = team.builds("prices")
    team.wait_retired("prices", 1)  # while it is still there, it would be gone back to under its own number
    files = below("prices", example("fastapi-prices", without_manifest=True))
    commit = team.push(files, "Prices as they were")
    app = team.wait_released("prices", 3)
    assert app["status"]["code"]["commit"] == commit
    assert app["status"]["code"]["build"] == first["metadata"]["name"]
    assert [build["metadata"]["uid"] for build in team.builds("prices")] == [
        build["metadata"]["uid"] for build in (first, second)
    ]
    artefact = environment(app)["artefacts"][-1]
    assert artefact["image"] == first["status"]["image"]
    assert asyncio.run(total(team.host("prices"))) == (15, "v1")


def test_a_change_of_the_manifest_alone_builds_nothing_and_releases_once(team: Committed) -> None:
    before, builds = team.app("prices"), team.builds("prices")
    more = {**RUNS, "env": [{"name": "TARIFF", "value": "night"}], "replicas": {"min": 2}}
    team.push({"prices/dataapp.yaml": team.manifest("prices", app=more)}, "Two replicas at night")
    app = team.wait_released("prices", 4)
    for same in ("build", "tree", "image", "framework", "entrypoint"):
        assert app["status"]["code"][same] == before["status"]["code"][same]
    assert [build["metadata"]["resourceVersion"] for build in team.builds("prices")] == [
        build["metadata"]["resourceVersion"] for build in builds
    ]
    pods = team.kube.list("pods", team.namespace, "dataapps.dev/app=prices,dataapps.dev/release=4")
    assert len(pods) == 2
    for pod in pods:
        assert {"name": "TARIFF", "value": "night"} in pod["spec"]["containers"][0]["env"]
    assert number(team, "prices") == 4


def test_a_commit_that_touches_no_app_writes_nothing_to_any(team: Committed) -> None:
    """All parts are settled before; afterwards the source is at the new commit, and no version of anything has moved."""
    team.kube.wait(
        "dataapp", "prices", team.namespace, lambda app: not app["status"]["summary"]["moving"], what="nothing moves"
    )
    kinds = ("dataapps", "appbuilds", "appreleases")

    def versions() -> dict[tuple[str, str], str]:
        return {
            (kind, one["metadata"]["name"]): one["metadata"]["resourceVersion"]
            for kind in kinds
            for one in team.kube.list(kind, team.namespace)
        }

    before = versions()
    commit = team.push({"README.md": "Read me.\n"}, "Words")
    synced = team.wait_source(
        lambda s: is_ready(s) and s["status"]["revision"] == f"main@sha1:{commit}", what="the commit is synced"
    )
    assert commit not in synced["status"]["history"][0]["revision"], "only what changes an app is told there"
    assert versions() == before


@pytest.mark.parametrize(("app", "rule"), [("tides", "dockerfile"), ("waves", "shiny-python.core")])
def test_other_kinds_of_code_are_built_and_a_real_session_works(team: Committed, app: str, rule: str) -> None:
    released = team.wait_released(app, 1, timeout=300)
    say(app, condition(released, "Built")["message"])
    assert rule in released["status"]["code"]["detectedBy"]["rule"]
    assert checked(team, app, 1) == [("session", "pass"), ("gateway", "pass")]
    assert asyncio.run(uses(team.host(app))) == "v1"


def by_hand(team: Committed, interval: str) -> Json:
    """A DataApp that names its code itself, in a directory that has no manifest."""
    manifest: Json = json.loads(team.manifest("byhand", app=RUNS))
    manifest["metadata"]["namespace"] = team.namespace
    source = {"url": team.repo.url, "path": "byhand", "interval": interval, "secretRef": {"name": "git"}}
    return {**manifest, "spec": {**manifest["spec"], "source": source}}


def test_an_app_applied_by_hand_looks_at_its_code_when_asked_and_by_itself(team: Committed) -> None:
    head = team.repo.head
    team.kube.apply(by_hand(team, "1h"))
    app = team.wait_released("byhand", 1)
    say("byhand", f"{condition(app, 'Built')['message']}; Ready: {condition(app, 'Ready')['message']}")
    assert app["status"]["code"]["revision"].endswith(f"@sha1:{head}")
    assert asyncio.run(total(team.host("byhand"))) == (15, "v1")
    code = {
        version: below("byhand", example("fastapi-prices", version=version, without_manifest=True))
        for version in ("v2", "v3")
    }
    second = team.push(code["v2"], "By hand v2", look=False)
    asked = team.ask("byhand")
    looked = team.wait_build("byhand", second, "Succeeded")
    answered = team.wait_released("byhand", 2)
    assert answered["status"]["lastHandledReconcileAt"] == asked
    say("byhand, when asked", looked["status"]["message"])
    team.kube.apply(by_hand(team, "5s"))
    third = team.push(code["v3"], "By hand v3", look=False)
    team.wait_build("byhand", third, "Succeeded")
    last = team.wait_released("byhand", 3)
    assert last["status"]["lastHandledReconcileAt"] == asked
    assert asyncio.run(total(team.host("byhand"))) == (15, "v3")


async def lets_in(host: str) -> bool:
    """Whether a new visitor gets the page."""
    async with Browser(host) as browser:
        try:
            await browser.load_page()
        except aiohttp.ClientResponseError:
            return False
        return True


@pytest.mark.asyncio
async def test_a_manifest_that_is_gone_takes_its_app_away_after_the_last_session(team: Committed) -> None:
    kept = {name: team.app(name)["metadata"]["resourceVersion"] for name in ("prices", "tides", "waves")}
    async with Browser(team.host("salmon")) as browser:
        session = LiveShiny(browser)
        await session.open()
        await asyncio.to_thread(team.push, {"salmon/dataapp.yaml": None}, "No salmon")
        ready = await asyncio.to_thread(team.wait_condition, "salmon", "Ready", "False", "Leaving")
        say("salmon", ready["message"])
        assert f"the repository no longer has the app's manifest (main@{team.repo.head[:7]})" in ready["message"]
        assert "new visitors are not let in, open sessions are kept until their end" in ready["message"]
        source = await asyncio.to_thread(
            team.wait_source,
            lambda s: "gone from git" in condition(s, "Ready").get("message", ""),
            what="the source tells",
        )
        say("AppSource", condition(source, "Ready")["message"])
        assert "gone from git, and ending their sessions: salmon" in condition(source, "Ready")["message"]
        async with asyncio.timeout(20):
            while await lets_in(team.host("salmon")):
                await asyncio.sleep(0.2)  # the gateway takes its time; the condition is above
        draining = await asyncio.to_thread(
            team.wait_app,
            "salmon",
            lambda app: app["status"]["summary"].get("sessions") == 1,
            what="the open session is counted",
        )
        say("salmon", f"MOVING {draining['status']['summary']['moving']}, SESSIONS 1")
        for n in range(8):  # longer than an empty replica would be kept
            assert (await session.set_input(n)).total == 3 * n
            await session.fetch_asset()
            await asyncio.sleep(1)  # a person's pace
        assert await session.upload(b"y" * 5000) == 5000
        await session.close()
        assert not session.failures, session.failures
    await asyncio.to_thread(gone, team, "salmon")
    assert {name: team.app(name)["metadata"]["resourceVersion"] for name in kept} == kept
    source = await asyncio.to_thread(
        team.wait_source, lambda s: condition(s, "Ready")["message"].startswith("3 apps from"), what="three apps"
    )
    say("AppSource", condition(source, "Ready")["message"])
    assert "gone" not in condition(source, "Ready")["message"]
    assert [entry["name"] for entry in source["status"]["inventory"]] == ["prices", "tides", "waves"]


def gone(team: Committed, app: str) -> None:
    """Wait until neither an app nor anything of it is there."""
    until = time.monotonic() + 150
    left: list[str] = []
    while time.monotonic() < until:
        there = team.kube.get("dataapp", app, team.namespace) is not None
        records = [
            one["metadata"]["name"]
            for kind in ("appbuilds", "appreleases")
            for one in team.kube.list(kind, team.namespace, f"dataapps.dev/app={app}")
        ]
        left = [*(["the app"] if there else []), *records, *children(team, app)]
        if not left:
            return
        time.sleep(0.5)  # the pace of looking
    raise AssertionError(f"of {app} there still is {', '.join(left)}")
