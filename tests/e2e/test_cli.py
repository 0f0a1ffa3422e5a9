"""The command line against the real cluster: what it shows of a released app, and a command with its answer."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.cluster import Team, environment

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

KEY = "scripted-streamlit"


def dataapp(team: Team, *words: str) -> subprocess.CompletedProcess[str]:
    """What a person types in the team's namespace, with the lab's kubectl on the PATH."""
    where = ("--kubeconfig", str(team.kube.kubeconfig), "-n", team.namespace)
    path = f"{Path(team.kube.kubectl).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "dataapp_operator.cli.entry", *words, *where],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env={**os.environ, "PATH": path},
    )


async def test_status_and_list_show_a_released_app(team: Team) -> None:
    team.release("app", KEY)
    await asyncio.to_thread(team.wait_released, "app", 1)
    shown = await asyncio.to_thread(dataapp, team, "status", "app")
    print(f"\n{shown.stdout}{shown.stderr}")
    assert shown.returncode == 0, shown.stderr
    url = environment(team.app("app"))["url"]
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0][:3] == ["app", team.namespace, "Ready"]
    assert ["sandbox", url] in lines
    (release,) = [words for words in lines if words[0] == "r1"]
    assert release[:4] == ["r1", "Released", "100", "%"]
    assert [words[:2] for words in lines if words[0] == "✔"] == [["✔", "session"], ["✔", "gateway"]]
    assert ["s0", "ready"] in lines
    listed = await asyncio.to_thread(dataapp, team, "list")
    assert [line.split()[:3] for line in listed.stdout.splitlines()[1:]] == [["app", "sandbox", "r1"]]


async def test_a_command_is_answered_and_done(team: Team) -> None:
    team.release("app", KEY)
    await asyncio.to_thread(team.wait_released, "app", 1)
    asked = await asyncio.to_thread(dataapp, team, "restart", "app", "--timeout", "60s")
    print(f"\n{asked.stderr}{asked.stdout}")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("sandbox: ")
    said = team.app("app")["metadata"]["annotations"]["dataapps.dev/restart"]
    assert said.startswith("sandbox=1@")
    (answer,) = [a for a in environment(team.app("app"))["answers"] if a["command"] == "restart"]
    assert f"sandbox={answer['word']}" == said
    assert answer["message"] in asked.stdout
    await asyncio.to_thread(team.wait_released, "app", 2)
    shown = await asyncio.to_thread(dataapp, team, "status", "app")
    assert "r2  Released  100 %" in shown.stdout
    assert "restart 1" in shown.stdout


async def test_what_makes_no_sense_or_is_not_there_is_told_in_a_sentence(team: Team) -> None:
    team.release("app", KEY)
    await asyncio.to_thread(team.wait_released, "app", 1)
    before = team.app("app")["metadata"].get("annotations", {})
    for words, code, said in (
        (("abort", "app"), 1, "nothing is on its way in sandbox; r1 has served since"),
        (("rollback", "app"), 1, "there is no release before r1 in sandbox"),
        (("restart", "ap"), 1, "did you mean app?"),
        (("restart", "app", "nowhere"), 1, "there is only sandbox"),
        (("restart",), 2, "Missing argument"),
        (("status", "app", "--context", "nowhere"), 1, "kubectl says:"),
    ):
        told = await asyncio.to_thread(dataapp, team, *words)
        assert told.returncode == code, told
        assert said in told.stderr
        assert "Traceback" not in told.stderr
    assert team.app("app")["metadata"].get("annotations", {}) == before


async def test_a_watched_status_follows_a_release_and_leaves_no_process(team: Team) -> None:
    team.release("app", KEY)
    await asyncio.to_thread(team.wait_released, "app", 1)
    path = f"{Path(team.kube.kubectl).parent}{os.pathsep}{os.environ['PATH']}"
    watch = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dataapp_operator.cli.entry",
        *("status", "app", "--watch", "--kubeconfig", str(team.kube.kubeconfig), "-n", team.namespace),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PATH": path},
    )
    assert watch.stdout is not None
    team.release("app", KEY, app={"env": [{"name": "APP_VERSION", "value": "v2"}]})
    seen = []
    async with asyncio.timeout(120):
        while not seen or "r2  Released" not in seen[-1]:
            seen.append((await watch.stdout.readline()).decode())
        children = Path(f"/proc/{watch.pid}/task/{watch.pid}/children").read_text().split()
        watch.terminate()
        assert await watch.wait() == 143
    text = "".join(seen)
    assert "r2  Deploying" in text
    assert "r2  Baking  100 %" in text
    assert "\x1b" not in text
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
