"""Killing the operator at twenty random instants, while three apps are released again and again.

Somebody works in an open tab of each app's first release from the beginning to the end. Each wish must become exactly
one release with the end that its image deserves, whatever the operator was doing when it died, and how: half of the
deaths take the pod (its successor has another name, and waits until the Lease of the dead has run out), half only the
process (the kubelet starts the container again, which takes its own Lease up at once).
"""

import asyncio
import os
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from tests.harness.cluster import Kube, Team, environment
from tests.harness.operator_pod import NothingToKill, OperatorPod
from tests.harness.stages import Story, stage
from tests.harness.visitor import children, leave, visiting
from tests.harness.watcher import Watcher

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.journey,
    pytest.mark.must_run,
    pytest.mark.alone,
    pytest.mark.timeout(900),
]

KILLS = 20
CAUSES = {
    "streamlit-broken-session": "is not in the price list",
    "streamlit-broken-import": "ModuleNotFoundError: No module named",
    "shiny-broken-session": "is not in the price list",
}
# What each app is told to be, one after the other, again and again; every wish is another release.
WISHES = {
    "north": ("streamlit-v1", "streamlit-v2", "streamlit-broken-session"),
    "east": ("streamlit-v1", "streamlit-broken-import", "streamlit-v2"),
    "south": ("shiny-v1", "shiny-v2", "shiny-broken-session"),
}


@dataclass
class Stream:
    """An app that is released again and again: what it was told to be, by number of release."""

    team: Team
    name: str
    story: Story
    wishes: list[str] = field(default_factory=list)

    async def wish(self) -> None:
        """One more release, to its end."""
        image_key = WISHES[self.name][len(self.wishes) % 3]
        number = len(self.wishes) + 1
        # A quarantined image is not tried again, and a released one is no news: the variable makes each a new wish.
        await asyncio.to_thread(
            self.team.release,
            self.name,
            image_key,
            bake="3s",
            drain_max="30m",
            app={"env": [{"name": "WISH", "value": str(number)}]},
        )
        self.wishes.append(image_key)
        await self.story.until(
            lambda story: self._over(story, number), what=f"r{number} ({image_key}) has come to its end", timeout=240
        )

    def _over(self, story: Story, number: int) -> bool:
        memory = environment(story.app)
        ended = number in [memory.get("stable"), *(entry["release"] for entry in memory.get("quarantined") or [])]
        return ended and "candidate" not in memory and not memory.get("intent")

    async def keep_wishing(self, enough: asyncio.Event) -> None:
        """Release on and on, until it is enough; what has begun is brought to its end."""
        while not enough.is_set():
            await self.wish()


async def test_killed_at_twenty_random_instants_releases_end_as_they_should(kube: Kube, team: Team) -> None:
    seed = int(os.environ.get("DATAAPP_SEED") or random.SystemRandom().randrange(10**6))
    print(f"\n  seed {seed} (DATAAPP_SEED={seed} makes the same pauses)")
    dice, operator, enough = random.Random(seed), OperatorPod(kube), asyncio.Event()
    met: Counter[str] = Counter()
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(Watcher(kube.kubeconfig, team.namespace))
        streams = [
            Stream(team, name, await stack.enter_async_context(Story(kube.kubeconfig, team.namespace, name)))
            for name in WISHES
        ]
        await asyncio.gather(*(stream.wish() for stream in streams))
        visitors = [
            await stack.enter_async_context(visiting(team, stream.name, stream.wishes[0])) for stream in streams
        ]
        wishing = asyncio.gather(*(stream.keep_wishing(enough) for stream in streams))
        for number in range(1, KILLS + 1):
            done, _ = await asyncio.wait({wishing}, timeout=dice.uniform(0.1, 6))
            assert not done, f"a release went wrong: {wishing.exception()}"
            # In turn: a container's first restart is immediate, a second one of the same pod would wait for the kubelet.
            in_place, again = number % 2 == 1, dice.random() < 0.2
            stages = [stream.story.stage for stream in streams]
            back = await _kill(operator, in_place=in_place, wait=not again)
            met.update(stages)
            way = "process" if in_place else "pod"
            words = f"the next one works after {back:.1f} s" if back else "the next one is killed before it works"
            print(f"  {time.monotonic() - began:5.1f} s: kill {number} ({way}) at {', '.join(stages)}; {words}")
        enough.set()
        await wishing
        for visitor in visitors:
            assert not visitor.session.failures, visitor.session.failures
            assert visitor.session.visits[-1].versions == {"v1"}
            await leave(visitor)
        for stream in streams:
            await stream.story.until(
                lambda story: stage(story.app) in {"Released", "Failed"},
                what="all that drained is removed",
                timeout=120,
            )
    for stream in streams:
        await asyncio.to_thread(_as_wished, stream)
    releases, answers = sum(len(stream.wishes) for stream in streams), sum(visitor.answers for visitor in visitors)
    print(
        f"  {KILLS} kills in {time.monotonic() - began:.0f} s over {releases} releases of {len(streams)} apps met"
        f" {dict(met)}; {answers} answers to the open sessions, none dropped; {watcher.events} events watched"
    )
    assert not watcher.found, "\n".join(map(str, watcher.found))


async def _kill(operator: OperatorPod, *, in_place: bool, wait: bool) -> float | None:
    """Kill what there is; between two processes or pods nothing is. With `wait`: seconds until a successor works."""
    try:
        death = await asyncio.to_thread(operator.kill, in_place=in_place)
    except NothingToKill:
        await asyncio.to_thread(operator.wait_ready)
        death = await asyncio.to_thread(operator.kill, in_place=in_place)
    return await asyncio.to_thread(operator.wait_back, death) if wait else None


def _as_wished(stream: Stream) -> None:
    """One record for each wish, numbered without a gap, each with the end that its image deserves; nothing left over."""
    team, name = stream.team, stream.name
    records = {
        record["spec"]["number"]: record
        for record in team.kube.list("appreleases", team.namespace, f"dataapps.dev/app={name}")
    }
    assert sorted(records) == list(range(1, len(stream.wishes) + 1)), f"{name}: {stream.wishes}"
    good = [number for number, image_key in enumerate(stream.wishes, 1) if "broken" not in image_key]
    for number, image_key in enumerate(stream.wishes, 1):
        status = records[number]["status"]
        assert records[number]["spec"]["image"] == team.images[image_key]
        expected = "Failed" if number not in good else "Released" if number == good[-1] else "Retired"
        assert status["phase"] == expected, f"{name} r{number} ({image_key}): {status}"
        if number not in good:
            assert CAUSES[image_key] in status["message"], status["message"]
            assert "Releasing" not in [entry["phase"] for entry in status["timeline"]]
    memory = environment(team.app(name))
    assert memory["stable"] == good[-1]
    stable = f"sandbox-{good[-1]}"
    expected = ["pods/{}-s0", "replicasets/{}-s0", "services/{}-s0", "httproutes/{}", "httproutes/{}.preview"]
    assert children(team, name) == sorted(["httproutes/sandbox", *(entry.format(stable) for entry in expected)])
