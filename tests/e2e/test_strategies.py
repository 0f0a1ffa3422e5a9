"""What is different from a plain switch, on the real cluster: a hold, no way back by ourselves, and one before the other."""

import asyncio
import time
from datetime import datetime
from urllib.parse import urlsplit

import aiohttp
import pytest

from dataapp_operator.front.settings import RELEASE_HEADER
from tests.harness import breaking
from tests.harness.browser import Browser
from tests.harness.cluster import Json, Kube, Team, environment
from tests.harness.live import session_of
from tests.harness.newcomers import arrive
from tests.harness.operator_pod import OperatorPod
from tests.harness.prober import Prober
from tests.harness.visitor import sees, visiting
from tests.harness.watcher import Watcher

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

KEY = "scripted-websocket"
HELD = {"blueGreen": {"hold": "25s"}}


def version(text: str) -> Json:
    """The version that the app shows."""
    return {"env": [{"name": "APP_VERSION", "value": text}]}


async def held(team: Team, name: str, number: int) -> tuple[str, float]:
    """Wait until a release can be looked at; where (a host), and until when (seconds since the epoch)."""
    message = await asyncio.to_thread(team.wait_message, name, f"r{number} can be looked at under ")
    memory, record = environment(team.app(name)), team.record(name, number)["status"]
    assert record["previewUrl"] in message
    assert record["phase"] == memory["phase"] == "Checking"
    host = urlsplit(record["previewUrl"]).hostname
    assert host is not None
    return host, datetime.fromisoformat(memory["holdUntil"]).timestamp()


async def shows(host: str) -> str | None:
    """The version that somebody sees who opens a session under a host."""
    async with Browser(host) as browser:
        tab = session_of(KEY)(browser, timeout=30)
        seen = await tab.open()
        await tab.close()
        return seen.version


async def test_a_held_release_can_be_looked_at_and_visitors_come_when_its_time_is_over(team: Team) -> None:
    name = "held"
    team.release(name, KEY, policy=HELD)
    began = time.monotonic()
    await asyncio.to_thread(team.wait_released, name, 1)
    assert time.monotonic() - began < 25, "a first release is not held: nobody would be spared anything"
    async with (
        Watcher(team.kube.kubeconfig, team.namespace) as watcher,
        visiting(team, name, KEY) as old,
        Prober(team.host(name), rate=10, seconds=120) as prober,
    ):
        team.release(name, KEY, policy=HELD, app=version("v2"))
        preview, until = await held(team, name, 2)
        assert await shows(preview) == "v2"
        assert await sees(team, name) == "1"
        await asyncio.to_thread(team.wait_released, name, 2)
        assert old.session.failures == []
    assert watcher.found == []
    assert prober.report.failed == 0
    assert [seen.release for seen in prober.report.changes()] == [1, 2]
    first = min(seen.at for seen in prober.report.seen if seen.release == 2)
    print(f"\n  the first new visitor came {first - until:.1f} s after the hold's end")
    assert 0 <= first - until < 30


async def test_what_breaks_while_it_is_held_was_seen_by_no_visitor(team: Team) -> None:
    name = "heldbad"
    long = {"blueGreen": {"hold": "10m"}}
    team.release(name, KEY, policy=long)
    await asyncio.to_thread(team.wait_released, name, 1)
    async with Prober(team.host(name), rate=5, seconds=120) as prober:
        team.release(name, KEY, policy=long, app=version("v2"))
        await held(team, name, 2)
        breaking.tell(team, name, 2, "session")
        await asyncio.to_thread(team.wait_phase, name, 2, "Failed", timeout=40)
        await asyncio.to_thread(team.wait_released, name, 1)
    assert prober.report.failed == 0
    assert {seen.release for seen in prober.report.seen} == {1}
    assert team.record(name, 2)["status"]["reason"] == "SessionFailed"


async def test_promote_full_ends_a_hold(team: Team) -> None:
    name = "heldfull"
    long = {"blueGreen": {"hold": "10m"}}
    team.release(name, KEY, policy=long)
    await asyncio.to_thread(team.wait_released, name, 1)
    team.release(name, KEY, policy=long, app=version("v2"))
    await held(team, name, 2)
    answer = await asyncio.to_thread(team.say, name, "pause", "2")
    assert "no further step of r2" in answer
    await asyncio.to_thread(team.wait_message, name, "is paused by a person")
    answer = await asyncio.to_thread(team.say, name, "promote-full", "2")
    assert answer == "r2 gets all new visitors without a hold, once its checks have passed"
    await asyncio.sleep(5)  # time enough to go on wrongly
    assert await arrive(team.host(name), 10) == {1: 10}, "it is paused all the same"
    team.kube.run("annotate", "dataapp", name, "-n", team.namespace, "dataapps.dev/pause-")
    await asyncio.to_thread(team.wait_released, name, 2)


@pytest.mark.alone
async def test_an_operator_killed_during_a_hold_neither_begins_it_anew_nor_leaves_it_out(
    kube: Kube, team: Team
) -> None:
    name, operator = "heldkill", OperatorPod(kube)
    minute = {"blueGreen": {"hold": "60s"}}
    team.release(name, KEY, policy=minute)
    await asyncio.to_thread(team.wait_released, name, 1)
    async with Prober(team.host(name), rate=10, seconds=150) as prober:
        team.release(name, KEY, policy=minute, app=version("v2"))
        _, until = await held(team, name, 2)
        death = await asyncio.to_thread(operator.kill)
        await asyncio.to_thread(operator.wait_back, death)
        memory = environment(team.app(name))
        assert memory["candidate"] == 2
        assert datetime.fromisoformat(memory["holdUntil"]).timestamp() == until
        await asyncio.to_thread(team.wait_released, name, 2)
    first = min(seen.at for seen in prober.report.seen if seen.release == 2)
    assert 0 <= first - until < 60
    assert prober.report.failed == 0


ONE_WAY = {"compatibility": "irreversible", "bake": "10m"}


async def stuck(team: Team, number: int) -> str:
    """Wait until a person is told that a release failed and stays; what is said."""
    message = await asyncio.to_thread(team.wait_condition, "app", "Stalled", "RollbackUnsafe")
    assert environment(team.app("app"))["stuck"]["release"] == number
    return message


@pytest.mark.parametrize("steps", [None, [{"weight": 40, "hold": "10m"}]], ids=["at once", "canary"])
async def test_what_cannot_be_taken_back_keeps_its_visitors_until_a_change_mends_it(
    team: Team, steps: list[Json] | None
) -> None:
    team.release("app", KEY, steps=steps, policy=ONE_WAY)
    await asyncio.to_thread(team.wait_released, "app", 1)
    weight = "40%" if steps else "100%"
    async with (
        Watcher(team.kube.kubeconfig, team.namespace) as watcher,
        visiting(team, "app", KEY) as old,
        Prober(team.host("app"), rate=10, seconds=240) as prober,
    ):
        team.release("app", KEY, steps=steps, policy=ONE_WAY, app=version("v2"))
        await asyncio.to_thread(
            team.kube.wait,
            "apprelease",
            "app-sandbox-2",
            team.namespace,
            lambda record: (record.get("status") or {}).get("weight") == weight,
            what="r2 has its visitors",
        )
        breaking.tell(team, "app", 2, "session")
        message = await stuck(team, 2)
        assert "compatibility: irreversible" in message
        assert message.endswith("dataapps.dev/abort=sandbox=2")
        before = environment(team.app("app"))
        await asyncio.sleep(20)  # more than one look at it: time enough to go back wrongly
        after = environment(team.app("app"))
        assert (after["weights"], after["stable"], after["candidate"]) == (before["weights"], 1, 2)
        assert team.record("app", 2)["status"]["weight"] == weight
        team.release("app", KEY, steps=steps, policy=ONE_WAY | {"bake": "5s"}, app=version("v3"))
        await asyncio.to_thread(team.wait_released, "app", 3)
        assert old.session.failures == []
    assert watcher.found == []
    assert prober.report.failed == 0
    assert [seen.release for seen in prober.report.changes()][-1] == 3
    mended = team.record("app", 3)
    assert (mended["spec"]["plan"]["compatibility"], mended["spec"]["plan"].get("steps") or []) == ("irreversible", [])
    record = team.record("app", 2)["status"]
    assert (record["phase"], record["reason"]) == ("Superseded", "SessionFailed")


async def test_a_change_that_fails_its_checks_mends_nothing_and_a_person_goes_back(team: Team) -> None:
    team.release("app", KEY, policy=ONE_WAY)
    await asyncio.to_thread(team.wait_released, "app", 1)
    team.release("app", KEY, policy=ONE_WAY, app=version("v2"))
    await asyncio.to_thread(team.wait_phase, "app", 2, "Baking")
    breaking.tell(team, "app", 2, "session")
    await stuck(team, 2)
    team.release("app", "streamlit-nolisten", policy=ONE_WAY, startup="10s")
    await asyncio.to_thread(team.wait_phase, "app", 3, "Failed")
    await stuck(team, 2)
    assert await arrive(team.host("app"), 20) == {2: 20}
    answer = await asyncio.to_thread(team.say, "app", "abort", "2")
    assert answer == "r2 is given up; new visits go back to r1"
    await asyncio.to_thread(team.wait_phase, "app", 2, "Aborted")
    await asyncio.to_thread(team.wait_released, "app", 1)
    assert await arrive(team.host("app"), 20) == {1: 20}


async def test_what_works_again_goes_on_by_itself(team: Team) -> None:
    policy = ONE_WAY | {"bake": "10s"}
    team.release("app", KEY, policy=policy)
    await asyncio.to_thread(team.wait_released, "app", 1)
    team.release("app", KEY, policy=policy, app=version("v2"))
    await asyncio.to_thread(team.wait_phase, "app", 2, "Baking")
    breaking.tell(team, "app", 2, "session")
    await stuck(team, 2)
    breaking.mend(team, "app", 2)
    await asyncio.to_thread(team.wait_released, "app", 2, timeout=180)
    assert "stuck" not in environment(team.app("app"))


ALONE = {"strategy": "recreate"}


def pods(team: Team, number: int) -> list[str]:
    """The names of a release's pods, those that are being ended included."""
    found = team.kube.list("pods", team.namespace, f"dataapps.dev/app=app,dataapps.dev/release={number}")
    return sorted(pod["metadata"]["name"] for pod in found)


def leads_to_a_page(app: Json) -> bool:
    """New visitors are with nobody."""
    return [weight["release"] for weight in environment(app).get("weights", ())] == [0]


async def test_one_ends_before_the_other_starts_and_new_visitors_have_a_page_meanwhile(team: Team) -> None:
    team.release("app", KEY, policy=ALONE)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with (
        Watcher(team.kube.kubeconfig, team.namespace) as watcher,
        visiting(team, "app", KEY) as old,
    ):
        team.release("app", KEY, policy=ALONE, app=version("v2"))
        message = await asyncio.to_thread(team.wait_message, "app", "cannot run beside r1")
        assert "until r2 works" in message
        await asyncio.sleep(10)  # twice emptyFor: time enough to end it wrongly
        assert pods(team, 2) == []
        assert await arrive(team.host("app"), 10) == {1: 10}
        assert old.session.failures == []
    async with Watcher(team.kube.kubeconfig, team.namespace) as after:
        # Not before: whoever visits every tenth of a second has it open all the time, and is waited for.
        await asyncio.to_thread(
            team.kube.wait, "dataapp", "app", team.namespace, leads_to_a_page, what="new visitors get the page"
        )
        async with Prober(team.host("app"), rate=10, seconds=120) as prober:
            await asyncio.to_thread(team.wait_phase, "app", 2, "Baking", "Released")
            await asyncio.to_thread(team.wait_released, "app", 2)
    assert watcher.found == after.found == []
    report = prober.report
    assert set(report.statuses) <= {200, 503}, report
    seen = [entry.release for entry in report.changes()]
    assert seen == [0, 2], "the page, the new one"
    print(f"\n  visitors had the page {report.statuses[503] / 10:.0f} s long")
    assert pods(team, 0) == pods(team, 1) == []
    timeline = [entry["phase"] for entry in team.record("app", 2)["status"]["timeline"]]
    assert timeline == ["Pending", "Deploying", "Checking", "Releasing", "Baking", "Released"]


async def test_while_it_is_renewed_a_page_asks_for_patience(team: Team) -> None:
    team.release("app", KEY, policy=ALONE)
    await asyncio.to_thread(team.wait_released, "app", 1)
    team.release("app", "streamlit-nolisten", policy=ALONE, startup="20s")
    await asyncio.to_thread(team.wait_condition, "app", "Ready", "Recreating")
    headers = {"Host": f"{team.host('app')}:8088", "Sec-Fetch-Dest": "document"}
    async with aiohttp.ClientSession() as client, client.get("http://127.0.0.1:8088/", headers=headers) as answer:
        assert (answer.status, answer.headers[RELEASE_HEADER], answer.headers["Retry-After"]) == (503, "0", "5")
        assert "Set-Cookie" not in answer.headers
        assert "A new version of this app is on its way" in await answer.text()
    # It never listens: what was ended for it is started again.
    await asyncio.to_thread(team.wait_phase, "app", 2, "Failed")
    await asyncio.to_thread(team.wait_released, "app", 3)
    spec = team.record("app", 3)["spec"]
    assert spec["image"] == team.record("app", 1)["spec"]["image"]
    assert spec["cause"] == "the same as r1, which had been ended for r2"
    assert await arrive(team.host("app"), 20) == {3: 20}


async def test_one_that_fails_its_visitors_is_ended_and_the_one_before_is_started_again(team: Team) -> None:
    policy = ALONE | {"bake": "10m"}
    team.release("app", KEY, policy=policy)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with Watcher(team.kube.kubeconfig, team.namespace) as watcher:
        team.release("app", KEY, policy=policy, app=version("v2"))
        await asyncio.to_thread(team.wait_phase, "app", 2, "Baking")
        assert "r1 is started again" in environment(team.app("app"))["waitingFor"]["message"]
        breaking.tell(team, "app", 2, "session")
        await asyncio.to_thread(team.wait_phase, "app", 2, "RolledBack")
        await asyncio.to_thread(team.wait_released, "app", 3)
        assert await arrive(team.host("app"), 20) == {3: 20}
    assert watcher.found == []
    assert pods(team, 2) == []


@pytest.mark.alone
async def test_an_operator_killed_while_room_is_made_changes_nothing_about_the_end(kube: Kube, team: Team) -> None:
    operator = OperatorPod(kube)
    team.release("app", KEY, policy=ALONE)
    await asyncio.to_thread(team.wait_released, "app", 1)
    async with Watcher(team.kube.kubeconfig, team.namespace) as watcher:
        team.release("app", KEY, policy=ALONE, app=version("v2"))
        await asyncio.to_thread(team.wait_condition, "app", "Ready", "Recreating")
        death = await asyncio.to_thread(operator.kill)
        await asyncio.to_thread(operator.wait_back, death)
        await asyncio.to_thread(team.wait_released, "app", 2)
    assert watcher.found == []
    assert await arrive(team.host("app"), 20) == {2: 20}
    assert pods(team, 1) == []
