"""Builds under crashes: whatever call the process dies in, whoever ends or deletes a Job, it comes to the same end.

The reconciler itself runs, on a cluster in memory, and begins anew after each crash with nothing but what was written.
At every call it is checked that

* an attempt is counted before its Job exists, and no build is begun more often than its status says, three times at most;
* no Job is taken away while the persisted status still needs it, and no Secret is left when its Job goes;
* not more builds run than there are places;
* what has ended stays as it ended.
"""

import asyncio
import copy
import logging
import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataapp_operator.kube.errors import Conflict, Rejected, Transient
from dataapp_operator.kube.kinds import APPBUILD, JOB, SECRET
from dataapp_operator.plan.build_facts import MAX_ATTEMPTS
from tests.unit.build_rig import BUILDS, DIGEST, SETTINGS, Builds, Died, appbuild

DEEP = os.environ.get("DATAAPP_DEEP") == "1"
KEYS = (("a", "one-1"), ("a", "two-2"), ("b", "one-1"))
DONE = {"Succeeded", "Failed"}


class Broken(BaseException):
    """A promise is broken. The reconciler, which survives bugs, must not survive this."""


class World(Builds):
    """Builds, and what must hold at every call."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.ends: dict[str, dict] = {}
        self.countdown = 0
        self.trouble: type[BaseException] | None = None
        self.accidents = 0
        self.faulty = False
        self.robbed: set[str] = set()
        self.created = 0
        super().__init__(*(appbuild(key) for key in KEYS))
        self.cluster.fault = self.call

    def call(self, verb: str, kind: str, name: str, when: str) -> None:
        try:
            self.check(verb, kind, name, when)
        except AssertionError as error:
            raise Broken(f"{verb} {kind} {name}: {error}") from error
        if self.trouble is not None and verb != "list":
            self.countdown -= 1
            if self.countdown <= 0:
                trouble, self.trouble = self.trouble, None
                # A refusal and a conflict are answers: they did not do anything.
                if when == "after" and trouble in {Rejected, Conflict}:
                    return
                raise trouble("trouble")

    def check(self, verb: str, kind: str, name: str, when: str) -> None:
        job = self.get(JOB, name)
        if (verb, kind, when) == ("create", "Job", "after"):
            owner, attempt = self.owner(job)
            self.begun[owner["metadata"]["uid"]] += 1
            assert owner["status"]["phase"] == "Running"
            assert owner["status"]["attempts"] == attempt
            assert self.begun[owner["metadata"]["uid"]] <= attempt <= MAX_ATTEMPTS
            running = [
                j
                for j in self.jobs()
                if not j.get("status") and self.owner(j)[0].get("status", {}).get("phase") == "Running"
            ]
            assert len(running) <= SETTINGS.concurrent
        if (verb, kind, when) == ("delete", "Job", "before") and job is not None:
            assert self.get(SECRET, name) is None
            owner, attempt = self.owner(job)
            if owner:
                status = owner["status"]
                assert status["phase"] != "Running" or attempt < status["attempts"]
        if (verb, kind, when) == ("create", "Secret", "before"):
            assert job is not None
        if (verb, kind, when) == ("status", "AppBuild", "after"):
            for place, manifest in self.cluster.objects.items():
                if place[0] == APPBUILD and manifest.get("status", {}).get("phase") in DONE:
                    kept = self.ends.setdefault(manifest["metadata"]["uid"], copy.deepcopy(manifest["status"]))
                    assert manifest["status"] == kept

    def owner(self, job: dict) -> tuple[dict, int]:
        labels = job["metadata"]["labels"]
        found = self.get(APPBUILD, labels["dataapps.dev/build"], labels["dataapps.dev/build-namespace"]) or {}
        same = found and found["metadata"]["uid"] == labels["dataapps.dev/build-uid"]
        return (found if same else {}), int(labels["dataapps.dev/build-attempt"])

    async def live(self, passes: int) -> None:
        """A few passes; whoever dies in one of them is started again."""
        for turn in range(passes):
            if not self.woken:
                return
            key = sorted(self.woken)[turn % len(self.woken)]
            self.woken.discard(key)
            try:
                await self.step(key)
            except Died:
                self.accidents += 1
                self.restart()

    def unfinished(self) -> list[dict]:
        return [job for job in self.jobs() if not job.get("status")]


STEPS = st.one_of(
    st.tuples(st.just("live"), st.integers(1, 6)),
    st.tuples(st.just("trouble"), st.sampled_from((Died, Died, Transient, Conflict, Rejected)), st.integers(1, 9)),
    st.tuples(st.just("good"), st.integers(0, 2)),
    st.tuples(st.just("bad"), st.sampled_from(("PackageNotFound", "BuildKilled", "SourceGone")), st.integers(0, 2)),
    st.tuples(st.just("kill")),
    st.tuples(st.just("lose job"), st.integers(0, 2)),
    st.tuples(st.just("lose secret"), st.integers(0, 2)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("wait"), st.sampled_from((1, 15, 70))),
    st.tuples(st.just("delete"), st.sampled_from(KEYS)),
    st.tuples(st.just("create"), st.sampled_from(KEYS), st.integers(0, 3)),
)


async def play(script: list[tuple]) -> None:
    world = World()
    for step in script:
        await act(world, step)
    world.trouble = None
    for _ in range(40):  # now everything goes well
        await world.live(30)
        for job in world.unfinished():
            if not world.owner(job)[0]:
                continue  # its build was deleted: it is being taken away, and the next try comes after a pause
            if world.get(SECRET, job["metadata"]["name"]):
                world.succeed(job)
                continue
            assert job["metadata"]["name"] in world.robbed, "its pod could never start"
            world.accidents += 1
            world.fail(job, "BuildKilled")
        world.later(60)
    assert world.jobs() == []
    assert world.secrets() == []
    for (kind, *_), manifest in world.cluster.objects.items():
        if kind == APPBUILD:
            assert manifest["status"]["phase"] in DONE, manifest["status"]
            assert manifest["status"]["attempts"] <= min(MAX_ATTEMPTS, 1 + world.accidents)
            good = manifest["status"]["phase"] == "Succeeded"
            assert good == ("image" in manifest["status"])
            assert good or world.faulty or world.accidents >= MAX_ATTEMPTS, "only what went wrong fails"
    world.restart()
    before = len(world.cluster.calls)
    await world.live(30)
    assert len(world.cluster.calls) == before


async def act(world: World, step: tuple) -> None:
    match step:
        case ("live", passes):
            await world.live(passes)
        case ("trouble", kind, calls):
            world.trouble, world.countdown = kind, calls
        case ("good", index) if index < len(world.unfinished()):
            world.succeed(world.unfinished()[index], DIGEST)
        case ("bad", reason, index) if index < len(world.unfinished()):
            world.fail(world.unfinished()[index], reason)
            world.accidents += 1
            world.faulty |= reason == "PackageNotFound"
        case ("kill",) if world.unfinished():
            world.fail(world.unfinished()[0], "BuildKilled")
            world.accidents += 1
            await world.live(12)
            world.later(70)
            await world.live(12)
        case ("lose job", index) if index < len(world.jobs()):
            world.accidents += 1
            world.cluster.pop(JOB, BUILDS, world.jobs()[index]["metadata"]["name"])
        case ("lose secret", index) if index < len(world.secrets()):
            name = world.secrets()[index]["metadata"]["name"]
            world.robbed.add(name)
            world.cluster.pop(SECRET, BUILDS, name)
        case ("restart",):
            world.accidents += 1  # of a call that broke off nobody knows afterwards
            world.restart()
        case ("wait", seconds):
            world.later(seconds)
        case ("delete", (namespace, name)):
            world.cluster.pop(APPBUILD, namespace, name)
        case ("create", key, number) if world.get(APPBUILD, key[1], key[0]) is None:
            world.created += 1  # a uid is given once, as by a real API server
            world.cluster.put(appbuild(key, uid=f"uid-{number}-{world.created}"))


@settings(max_examples=2000 if DEEP else 100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=40))
def test_builds_come_to_the_same_end_whatever_happens(script: list[tuple]) -> None:
    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(play([("live", 4), *script]))
    finally:
        logging.disable(logging.NOTSET)


def test_a_job_whose_removal_broke_off_half_way_is_removed_later() -> None:
    asyncio.run(play([("live", 4), ("delete", KEYS[0]), ("trouble", Transient, 3), ("live", 1)]))


@pytest.mark.parametrize("calls", range(1, 16))
@pytest.mark.parametrize("trouble", [Died, Transient])
def test_a_crash_in_any_single_call_changes_nothing(calls: int, trouble: type[BaseException]) -> None:
    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(
            play([("trouble", trouble, calls), ("live", 6), ("good", 0), ("live", 6), ("good", 0), ("live", 6)])
        )
    finally:
        logging.disable(logging.NOTSET)
