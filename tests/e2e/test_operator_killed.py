"""Killing the operator at the beginning of each phase changes nothing about the end of a release.

Every test opens a live session on the first release and lets it work all the time: its user must notice nothing. The
watcher checks the invariants at every event. An end is compared with that of the same story told without a kill.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.cluster import Json, Kube, Team, environment
from tests.harness.operator_pod import OperatorPod
from tests.harness.stages import Story
from tests.harness.visitor import children, leave, sees, visiting
from tests.harness.watcher import Watcher

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.journey,
    pytest.mark.must_run,
    pytest.mark.alone,
    pytest.mark.timeout(900),
]

BOUNDARIES = ("Deploying", "Checking", "Releasing", "Baking", "Draining", "Removing")


def ended(story: Story, *, generation: int) -> bool:
    """Nothing is on its way any more, for the spec that is there now."""
    status = story.app.get("status") or {}
    settled = story.stage in {"Released", "Failed"} and not environment(story.app).get("intent")
    return settled and story.app["metadata"]["generation"] == status.get("observedGeneration") == generation


def the_end(team: Team, name: str) -> Json:
    """The app's end without what differs from run to run: times, numbers of plans, measured values."""
    memory = dict(environment(team.app(name)))
    for changing in ("phaseSince", "stableSince", "plan", "host", "url", "waitingFor"):
        memory.pop(changing, None)
    records = {}
    for record in team.kube.list("appreleases", team.namespace, f"dataapps.dev/app={name}"):
        status = record["status"]
        records[record["spec"]["number"]] = {
            key: status.get(key) for key in ("phase", "reason", "message", "weight", "sessions", "slots")
        } | {
            "nextStep": (status.get("nextStep") or "").replace(f" {name} ", " NAME "),
            "timeline": [entry["phase"] for entry in status["timeline"]],
            "checks": [(check["name"], check["verdict"]) for check in status.get("checks") or []],
        }
    return {"memory": memory, "records": records, "children": children(team, name)}


async def second_release(team: Team, name: str, image_key: str, at_stage: Callable[[str], Any] | None) -> Json:
    """A first release with a person on it, then a second; `at_stage` is awaited at each stage's begin. The end."""
    kube = team.kube
    await asyncio.to_thread(team.release, name, "streamlit-v1", bake="3s")
    await asyncio.to_thread(team.wait_released, name, 1)
    async with Story(kube.kubeconfig, team.namespace, name) as story, visiting(team, name, "streamlit-v1") as visitor:
        await story.until(lambda s: s.stage == "Released", what="r1 is released", timeout=20)
        begun = len(story.seen)
        await asyncio.to_thread(team.release, name, image_key, bake="3s")
        done = begun
        while True:
            await story.until(
                lambda s, known=done: len(s.seen) > known, what=f"something after {story.stage}", timeout=120
            )
            done += 1
            if at_stage is not None and story.seen[done - 1] not in story.seen[begun : done - 1]:
                await at_stage(story.seen[done - 1])
            if story.stage == "Draining" and visitor.session.is_live and "candidate" not in environment(story.app):
                # Everybody new is on the second release; the person on the first one goes home now.
                assert not visitor.session.failures, visitor.session.failures
                assert await sees(team, name) == "2"
                await leave(visitor)
            if done == len(story.seen) and ended(story, generation=2):
                break
        print(f"\n  {name}: {' → '.join(story.seen[begun:])}; {visitor.answers} answers to the open session")
    assert not visitor.session.failures, visitor.session.failures
    assert visitor.session.visits[-1].versions == {"v1"}
    return await asyncio.to_thread(the_end, team, name)


@pytest.mark.parametrize("image_key", ["streamlit-v2", "streamlit-broken-session"])
async def test_killed_at_every_phase_boundary_a_release_ends_as_if_nothing_had_happened(
    kube: Kube, team: Team, image_key: str
) -> None:
    operator = OperatorPod(kube)
    killed: dict[str, float] = {}

    async def kill(stage: str) -> None:
        if stage not in BOUNDARIES:
            return  # the end itself: nothing is left to disturb
        death = await asyncio.to_thread(operator.kill)
        holder, _ = await asyncio.to_thread(operator.lease)
        assert holder == death.pod, "it had time to give the Lease back: that was no sudden death"
        killed[stage] = await asyncio.to_thread(operator.wait_back, death)
        print(f"  killed at {stage}: {death.processes} processes; the next one works after {killed[stage]:.1f} s")

    async with Watcher(kube.kubeconfig, team.namespace) as watcher:
        calm = await second_release(team, "calm", image_key, None)
        disturbed = await second_release(team, "killed", image_key, kill)
    print(
        f"\n  take-over after a pod's death: {min(killed.values()):.1f}–{max(killed.values()):.1f} s; {watcher.events} events"
    )
    good = image_key == "streamlit-v2"
    assert set(killed) == (set(BOUNDARIES) if good else {"Deploying", "Checking", "Removing"})
    assert json.dumps(disturbed, indent=1, ensure_ascii=False) == json.dumps(calm, indent=1, ensure_ascii=False)
    assert list(disturbed["records"]) == [1, 2], "one AppRelease per change, no number skipped"
    assert disturbed["memory"]["stable"] == (2 if good else 1)
    if not good:
        assert disturbed["records"][2]["phase"] == "Failed"
        assert "is not in the price list" in disturbed["records"][2]["message"]
        assert await sees(team, "killed") == "1"
    assert not watcher.found, "\n".join(map(str, watcher.found))
