"""The harness by hand: what people see of it, and the exit code that a script sees."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.harness import by_hand
from tests.harness.__main__ import main, parser
from tests.harness.by_hand import Place, visit, watch
from tests.harness.live import SESSIONS, session_of
from tests.harness.live_shiny import LiveShiny
from tests.harness.live_streamlit import LiveStreamlit
from tests.harness.live_websocket import LiveWebsocket
from tests.unit.harness_rig import serving
from tests.unit.test_harness_live_websocket import Act, routes

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/demo/httproutes"


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_hand, "_PACE", 0.05)


@pytest.mark.asyncio
async def test_a_visit_of_an_app_that_works_says_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(*routes(Act())) as port:
        place = Place("sales.example.test", port=port)
        code = await visit(place, LiveWebsocket, count=2, seconds=0.5, rate=10, without_network=0.05)
    told = capsys.readouterr().out
    assert code == 0, told
    assert "2 sessions of v1: 2 page loads, " in told
    assert "2 reconnects" in told
    assert "noticed: nothing" in told


@pytest.mark.asyncio
async def test_what_a_user_would_notice_is_told_line_by_line_and_by_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    act = Act()
    async with serving(*routes(act)) as port:
        place = Place("sales.example.test", port=port)
        visiting = asyncio.create_task(visit(place, LiveWebsocket, count=1, seconds=0.5, rate=10))
        async with asyncio.timeout(5):
            while not act.uploads:
                await asyncio.sleep(0.01)
        act.version = "v2"
        code = await visiting
    told = capsys.readouterr().out.splitlines()
    assert code == 1
    assert [line for line in told if line.startswith("session 1: ")]
    assert "mixed versions: one open session saw v1, v2" in told[0]
    assert told[-1] == "noticed: 1"


@pytest.mark.asyncio
@pytest.mark.parametrize(("weight", "code"), [(1000, 0), (900, 1)])
async def test_a_watch_tells_a_broken_invariant(
    weight: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(*api_server(weight)) as port:
        code_seen = await watch(kubeconfig(tmp_path, port), "demo", seconds=0.1, settle=0.1)
    told = capsys.readouterr().out
    assert code_seen == code, told
    assert ("broken: " in told) == (code == 1)
    assert "1 events" in told
    assert "0 gaps" in told


def test_a_cluster_that_does_not_answer_is_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--kubeconfig", str(kubeconfig(tmp_path, 9)), "--namespace", "demo", "--seconds", "1"]) == 2
    assert "cannot watch: " in capsys.readouterr().err


@pytest.mark.parametrize("address", ["192.0.2.7", "localhost"])
def test_load_is_made_on_loopback_only(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["visit", "--host", "a.b", "--framework", "shiny-r", "--address", address])
    assert ended.value.code == 2
    assert "kubectl port-forward" in capsys.readouterr().err


def test_there_is_a_session_for_every_framework_and_example_app() -> None:
    assert sorted(SESSIONS) == ["shiny-python", "shiny-r", "streamlit", "websocket"]
    found = {key: session_of(key) for key in ("scripted-streamlit", "shiny-v1", "scripted-shiny-python")}
    assert found == {
        "scripted-streamlit": LiveStreamlit,
        "shiny-v1": LiveShiny,
        "scripted-shiny-python": LiveShiny,
    }
    assert session_of("scripted-websocket") is LiveWebsocket


def kubeconfig(folder: Path, port: int) -> Path:
    """A kubeconfig for a server on loopback; JSON is YAML."""
    path = folder / "kubeconfig"
    config = {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        "clusters": [{"name": "one", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "one", "user": {"token": "of no use"}}],
    }
    path.write_text(json.dumps(config))
    return path


def api_server(weight: int) -> list[web.RouteDef]:
    """An API server with an empty namespace, in which a route of an app appears."""
    labels = {"dataapps.dev/app": "sales", "dataapps.dev/environment": "sandbox"}
    route = {
        "metadata": {"name": "sales-sandbox", "resourceVersion": "2", "labels": labels},
        "spec": {"rules": [{"backendRefs": [{"name": "sales-sandbox-1-s0", "weight": weight}]}]},
    }
    ready = {"type": "Ready", "status": "True"}
    there = {
        "services": {"metadata": {"name": "sales-sandbox-1-s0"}, "spec": {"selector": {"slot": "s0"}}},
        "pods": {"metadata": {"name": "one", "labels": {"slot": "s0"}}, "status": {"conditions": [ready]}},
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        kind = request.path.rpartition("/")[2]
        if "watch" not in request.query:
            items = [there[kind]] if kind in there else []
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        if request.path == ROUTES:
            await response.write(json.dumps({"type": "ADDED", "object": route}).encode() + b"\n")
        await asyncio.sleep(10)  # until the watcher has enough
        return response

    return [web.get("/{any:.*}", answer)]
