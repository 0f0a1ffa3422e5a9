"""The pin over HTTPS, inside pages of other sites, and through the change of a class from HTTP to HTTPS.

The lab's gateway speaks plain HTTP. So what a browser would do with a cookie that it takes over HTTPS only is done here by
hand: what comes with an answer is read, and sent back.
"""

import asyncio
import json
from collections.abc import Iterator

import aiohttp
import pytest

from tests.e2e.test_former_releases import somebody, version
from tests.harness.cluster import Json, Team, environment
from tests.harness.watcher import Watcher

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

KEY, PORT = "scripted-streamlit", 8088
PLAIN, SECURE = "dataapp-app-sandbox", "__Host-dataapp-app-sandbox"


@pytest.fixture
def https(team: Team) -> Iterator[str]:
    """A class that says that its apps are reached over HTTPS."""
    name = f"{team.namespace}-https"
    team.kube.apply(environment_class(name, "https://{host}"))
    yield name
    team.kube.run("delete", "environmentclass", name, "--ignore-not-found")


def environment_class(name: str, url_template: str) -> Json:
    """A class behind the lab's gateway."""
    return {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "EnvironmentClass",
        "metadata": {"name": name},
        "spec": {
            "gateway": {"namespace": "gateways", "name": "public", "sectionName": "http"},
            "hostTemplate": "{app}--{namespace}.localhost",
            "previewHostTemplate": "{app}--r{release}--{environment}--{namespace}.localhost",
            "urlTemplate": url_template,
        },
    }


async def release(team: Team, of_class: str, *, app: Json | None = None, **options: object) -> None:
    """Release an app in an environment of this class."""
    manifest = team.manifest("app", KEY, app=app, **options)
    manifest["spec"]["environments"][0]["class"] = of_class
    await asyncio.to_thread(team.kube.apply, manifest)


async def load(host: str, cookie: str = "", *, path: str = "/") -> tuple[int, list[str]]:
    """A page load with this Cookie header: the release that answers, and the Set-Cookie lines of ours."""
    headers = {"Host": f"{host}:{PORT}", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    if cookie:
        headers["Cookie"] = cookie
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        client.get(f"http://127.0.0.1:{PORT}{path}", headers=headers) as answer,
    ):
        lines = [line for line in answer.headers.getall("Set-Cookie", []) if "dataapp-" in line.partition("=")[0]]
        return int(answer.headers["X-DataApp-Release"]), lines


async def test_over_https_the_cookie_is_for_this_host_alone_and_leads_to_its_replica(team: Team, https: str) -> None:
    host = team.host("app")
    await release(team, https, replicas=2)
    app = await asyncio.to_thread(team.wait_released, "app", 1)
    assert environment(app)["url"].startswith("https://")
    number, (line,) = await load(host)
    pair, *attributes = line.split("; ")
    assert number == 1
    assert pair.startswith(f"{SECURE}=1.")
    assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
    for _ in range(10):
        assert await load(host, f"a=b; {pair}") == (1, []), "it led to the replica that set it"
    check = next(c for c in team.record("app", 1)["status"]["checks"] if c["name"] == "gateway")
    assert check["verdict"] == "pass"


async def test_inside_pages_of_other_sites_the_cookie_is_sent_and_kept_apart(team: Team, https: str) -> None:
    host = team.host("app")
    await release(team, https)
    await asyncio.to_thread(team.wait_released, "app", 1)
    _, (before,) = await load(host)
    await release(team, https, app={"embed": True})
    await asyncio.to_thread(team.wait_released, "app", 2)
    number, lines = await load(host, before.partition(";")[0])
    assert number == 2
    assert lines == [
        f"{SECURE}=; Path=/; Secure; Max-Age=0",
        f"{SECURE}=2.0; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
    ], "the one of before ends where it was kept, and the new one begins in the other jar"


async def test_an_app_for_other_sites_waits_where_there_is_no_https(team: Team) -> None:
    await asyncio.to_thread(team.release, "app", KEY, app={"embed": True})
    message = await asyncio.to_thread(team.wait_condition, "app", "Stalled", "EmbedNeedsHTTPS")
    print(f"\n  {message}")
    assert "urlTemplate: https://{host}" in message
    await asyncio.to_thread(team.release, "app", KEY)
    await asyncio.to_thread(team.wait_released, "app", 1)


async def test_a_class_that_goes_over_to_https_costs_nobody_their_session(team: Team, https: str) -> None:
    host = team.host("app")
    team.kube.apply(environment_class(https, "http://{host}:8088"))
    await release(team, https)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with Watcher(team.kube.kubeconfig, team.namespace) as watcher, somebody(team, KEY) as tab:
        patch = json.dumps({"spec": {"urlTemplate": "https://{host}"}})
        team.kube.run("patch", "environmentclass", https, "--type=merge", "-p", patch)
        await asyncio.to_thread(
            team.kube.wait,
            "dataapp",
            "app",
            team.namespace,
            lambda app: environment(app).get("url", "").startswith("https://"),
            what="its address is the new one",
        )
        assert environment(team.app("app"))["stable"] == 1, "the address is no reason for a release"
        await release(team, https, app=version("v2"))
        await asyncio.to_thread(team.wait_released, "app", 2)
        assert (await tab.set_input(3)).version == "v1"
        await tab.upload(b"x" * 1000)
        await tab.fetch_asset()
        assert tab.failures == []
        number, lines = await load(host, f"{PLAIN}=1.0")
        assert number == 2, "a page load is a new visit, whatever the name of its cookie"
        assert {line.partition(";")[0] for line in lines} == {f"{PLAIN}=", f"{SECURE}=2.0"}
        assert await load(host, f"{SECURE}=2.0") == (2, [])
    assert watcher.found == []
