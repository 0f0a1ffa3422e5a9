"""A build, from the object to the digest: what is written in which order, and what survives which accident."""

import asyncio
import base64
import json
import logging

import pytest

from dataapp_operator.build import failures
from dataapp_operator.kube.errors import Conflict, LeaseLost, Missing, Rejected, Transient
from dataapp_operator.kube.kinds import APPBUILD, JOB, SECRET
from dataapp_operator.kube.queue import Failed, Ok, RequeueAfter
from tests.unit.build_rig import BUILDS, DIGEST, KEY, SETTINGS, START, Builds, appbuild

pytestmark = pytest.mark.asyncio


async def begun(*manifests: dict) -> Builds:
    builds = Builds(*(manifests or (appbuild(),)))
    await builds.settle()
    return builds


def writes(builds: Builds) -> list[str]:
    return [call.rsplit(" ", 1)[0] for call in builds.cluster.calls if not call.startswith("get ")]


async def test_the_attempt_is_counted_before_its_job_and_the_secret_comes_after() -> None:
    builds = await begun()
    assert writes(builds) == ["status AppBuild", "create Job", "create Secret"]
    assert builds.status() | {"conditions": None} == {
        "phase": "Running",
        "reason": "Building",
        "message": "the image is being built",
        "commit": "9f2c1d0",
        "startedAt": "2026-11-22T10:00:00Z",
        "took": {"queued": "0s"},
        "attempts": 1,
        "log": [],
        "conditions": None,
    }
    assert builds.condition("Ready")["status"] == "False"
    assert builds.condition("Reconciling")["status"] == "True"
    [job], [secret] = builds.jobs(), builds.secrets()
    assert secret["metadata"]["name"] == job["metadata"]["name"]
    assert secret["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    assert len(bytes.fromhex(base64.b64decode(secret["data"]["token"]).decode())) == 32
    assert json.loads(base64.b64decode(secret["data"]["config.json"])) == {"auths": {}}


async def test_a_good_build_names_its_image_and_leaves_nothing() -> None:
    builds = await begun()
    builds.now = START.replace(second=24)
    builds.succeed(builds.jobs()[0])
    await builds.settle()
    status = builds.status()
    assert status["phase"] == "Succeeded"
    assert status["image"] == f"registry.example.org/analytics/sales@{DIGEST}"
    assert status["took"] == {"queued": "0s", "build": "24s"}
    assert builds.condition("Ready")["status"] == "True"
    assert builds.condition("Reconciling") == {}
    assert (builds.jobs(), builds.secrets()) == ([], [])
    assert writes(builds)[3:] == ["status AppBuild", "delete Secret", "delete Job"]
    assert KEY in builds.ended


async def test_a_finished_build_is_left_alone() -> None:
    builds = await begun()
    builds.succeed(builds.jobs()[0])
    await builds.settle()
    builds.cluster.calls.clear()
    builds.restart()
    await builds.settle()
    assert await builds.step() == Ok()
    assert builds.cluster.calls == []


@pytest.mark.parametrize("said", ["", "sha256:short", f"evil/other@{DIGEST}", DIGEST + "\nsha256:" + "00" * 32])
async def test_what_is_no_digest_is_not_believed(said: str) -> None:
    builds = await begun()
    builds.succeed(builds.jobs()[0], said)
    await builds.settle()
    assert builds.status()["phase"] == "Failed"
    assert "image" not in builds.status()
    assert "without saying which image" in builds.status()["message"]


@pytest.mark.parametrize(
    "reason", ["PackageNotFound", "BuildOutOfMemory", "BuildTimedOut", "BuildDiskFull", "BuildFailed"]
)
async def test_what_would_fail_again_is_final_and_says_what_to_do(reason: str) -> None:
    builds = await begun()
    log = "\n".join([reason, *(f"line {n}" for n in range(30)), "password=hunter2", "\x1b[31mred " + "x" * 500])
    builds.fail(builds.jobs()[0], log)
    await builds.settle()
    builds.later(3600)
    await builds.settle()
    status = builds.status()
    assert (status["phase"], status["reason"], status["attempts"]) == ("Failed", reason, 1)
    assert status["nextStep"]
    assert builds.condition("Stalled")["reason"] == reason
    assert len(status["log"]) == 20
    assert "hunter2" not in str(status)
    assert all(line.isprintable() and len(line) <= 300 for line in status["log"])
    assert (builds.jobs(), builds.secrets()) == ([], [])


async def test_a_killed_build_is_begun_three_times_with_pauses() -> None:
    builds = await begun()
    for attempt, pause in ((1, 10), (2, 60)):
        builds.fail(builds.jobs()[0], "", reason="Evicted", message="the node was low on memory", containerStatuses=[])
        await builds.settle()
        assert (builds.status()["phase"], builds.status()["reason"]) == ("Pending", "BuildKilled")
        assert f"attempt {attempt + 1} of 3" in builds.status()["message"]
        assert builds.jobs() == []
        builds.later(pause - 1)
        await builds.settle()
        assert builds.jobs() == []
        builds.later(1)
        await builds.settle()
        [job] = builds.jobs()
        assert job["metadata"]["labels"]["dataapps.dev/build-attempt"] == str(attempt + 1)
    builds.fail(builds.jobs()[0], "SourceGone")
    await builds.settle()
    status = builds.status()
    assert (status["phase"], status["reason"], status["attempts"]) == ("Failed", "SourceGone", 3)
    assert "begun 3 times" in status["message"]


@pytest.mark.parametrize(
    "said",
    [
        "Pod ephemeral local storage usage exceeds the total limit of containers 10Gi.",
        'Usage of EmptyDir volume "state" exceeds the limit "10Gi".',
    ],
)
async def test_its_own_full_disk_is_no_accident(said: str) -> None:
    builds = await begun()
    builds.fail(builds.jobs()[0], "BuildDiskFull", reason="Evicted", message=said)
    await builds.settle()
    assert (builds.status()["phase"], builds.status()["reason"]) == ("Failed", "BuildDiskFull")


async def test_a_job_that_somebody_deleted_counts_as_killed() -> None:
    builds = await begun()
    builds.cluster.pop(JOB, BUILDS, builds.jobs()[0]["metadata"]["name"])
    await builds.settle()
    assert (builds.status()["phase"], builds.status()["reason"]) == ("Pending", "BuildKilled")
    assert builds.secrets() == []


async def test_a_restart_in_the_middle_goes_on_where_it_was() -> None:
    builds = await begun()
    [job] = builds.jobs()
    builds.succeed(job)
    builds.restart()
    await builds.settle()
    assert builds.status()["phase"] == "Succeeded"
    assert builds.status()["attempts"] == 1


async def test_a_secret_that_was_not_made_before_a_restart_is_made_after_it() -> None:
    builds = await begun()
    builds.cluster.pop(SECRET, BUILDS, builds.secrets()[0]["metadata"]["name"])
    builds.restart()
    await builds.settle()
    assert len(builds.secrets()) == 1


async def test_a_deleted_build_takes_its_job_and_secret_along() -> None:
    builds = await begun()
    builds.cluster.pop(APPBUILD, *KEY)
    await builds.settle()
    assert (builds.jobs(), builds.secrets()) == ([], [])


async def test_a_build_deleted_while_nobody_looked_leaves_nothing_either() -> None:
    builds = await begun()
    builds.cluster.watch = lambda *_: None
    builds.cluster.pop(APPBUILD, *KEY)
    builds.restart()
    await builds.settle()
    assert (builds.jobs(), builds.secrets()) == ([], [])


async def test_a_build_of_the_same_name_begins_after_the_old_job_is_gone() -> None:
    builds = await begun()
    old = builds.jobs()[0]["metadata"]["uid"]
    builds.cluster.watch = lambda *_: None
    builds.cluster.pop(APPBUILD, *KEY)
    builds.cluster.put(appbuild(uid="another"))
    builds.restart()
    await builds.settle()
    [job] = builds.jobs()
    assert job["metadata"]["uid"] != old
    assert job["metadata"]["labels"]["dataapps.dev/build-uid"] == "another"
    assert builds.status()["attempts"] == 1


async def test_a_job_in_another_namespace_with_our_labels_is_not_ours() -> None:
    builds = await begun()
    [job] = builds.jobs()
    metadata = job["metadata"] | {"namespace": "analytics", "uid": "theirs"}
    builds.cluster.put(job | {"metadata": metadata, "status": {"conditions": [{"type": "Failed", "status": "True"}]}})
    await builds.settle()
    assert builds.status()["phase"] == "Running"
    builds.cluster.pop(APPBUILD, *KEY)
    await builds.settle()
    assert [o["metadata"]["namespace"] for o in builds.jobs()] == ["analytics"]


async def test_a_pod_in_another_namespace_with_our_labels_tells_no_digest() -> None:
    builds = await begun()
    [job] = builds.jobs()
    builds.succeed(job, "")
    pod = builds.pod(
        job, phase="Succeeded", containerStatuses=[{"name": "build", "state": {"terminated": {"message": DIGEST}}}]
    )
    builds.cluster.objects.pop(
        next(place for place, o in builds.cluster.objects.items() if o["metadata"]["uid"] == pod["metadata"]["uid"])
    )
    builds.cluster.put(pod | {"metadata": pod["metadata"] | {"namespace": "analytics"}})
    await builds.settle()
    assert "image" not in builds.status()


async def test_no_more_builds_than_places_and_every_team_gets_its_turn() -> None:
    ours = [appbuild(("a", f"app-{n}"), created=START.replace(second=n)) for n in range(4)]
    late = appbuild(("b", "late-0"), created=START.replace(second=59))
    builds = Builds(*ours, late)
    await builds.settle()
    assert {o["metadata"]["labels"]["dataapps.dev/build-namespace"] for o in builds.jobs()} == {"a", "b"}
    assert len(builds.jobs()) == 2
    waiting = builds.status(("a", "app-1"))
    assert (waiting["phase"], waiting["reason"]) == ("Pending", "NoRoom")
    assert "2 builds run, and no more than 2 may" in waiting["message"]
    order = []
    for _ in range(5):
        builds.now = builds.now.replace(minute=builds.now.minute + 1)
        job = builds.jobs()[0]
        order.append(job["metadata"]["labels"]["dataapps.dev/build"])
        builds.succeed(job)
        await builds.settle()
        assert len(builds.jobs()) <= 2
    assert builds.jobs() == []
    assert [name for name in order if name.startswith("app")] == ["app-0", "app-1", "app-2", "app-3"]
    assert builds.status(("a", "app-3"))["took"]["queued"] != "0s"


async def test_two_workers_do_not_take_the_same_place() -> None:
    keys = [("a", f"app-{n}") for n in range(5)]
    builds = Builds(*(appbuild(key) for key in keys))
    await asyncio.gather(*(builds.reconciler.reconcile(key) for key in keys))
    assert len(builds.jobs()) == 2


async def test_a_place_that_is_just_being_taken_is_not_given_to_whom_comes_first_by_right() -> None:
    builds = Builds(appbuild(("a", "app-0")), appbuild(("a", "app-1")))

    async def of_another_team() -> None:
        builds.cluster.put(appbuild(("b", "late")))
        await builds.reconciler.reconcile(("b", "late"))

    begin = (builds.reconciler.reconcile(("a", f"app-{n}")) for n in range(2))
    await asyncio.gather(*begin, of_another_team())
    assert len(builds.jobs()) == 2
    assert builds.status(("b", "late"))["reason"] == "NoRoom"


async def test_a_job_that_the_watch_has_not_told_of_is_not_lost() -> None:
    builds = await begun()
    builds.restart()
    [job] = builds.jobs()
    builds.store.forget(JOB, BUILDS, job["metadata"]["name"], uid=job["metadata"]["uid"])
    await builds.settle()
    assert (builds.status()["phase"], builds.status()["attempts"]) == ("Running", 1)


async def test_a_job_whose_making_seemed_to_break_off_and_that_is_then_deleted_counts() -> None:
    builds = Builds(appbuild())
    once = iter([True])

    def break_off(verb: str, kind: str, _name: str, at: str) -> None:
        if (verb, kind, at) == ("create", "Job", "after") and next(once, False):
            raise Transient("timeout")

    builds.cluster.fault = break_off
    await builds.step()
    builds.cluster.pop(JOB, BUILDS, builds.jobs()[0]["metadata"]["name"])
    await builds.settle()
    assert (builds.status()["phase"], builds.status()["attempts"]) == ("Pending", 1)


@pytest.mark.parametrize(
    "error", [Rejected("exceeded quota: jobs=2"), Missing('namespaces "dataapp-builds" not found')]
)
async def test_a_refused_job_is_told_and_uses_up_no_attempt(error: Exception) -> None:
    builds = Builds(appbuild())

    def refuse(verb: str, kind: str, _name: str, when: str) -> None:
        if (verb, kind, when) == ("create", "Job", "before"):
            raise error

    builds.cluster.fault = refuse
    for _ in range(5):
        await builds.settle()
        builds.later(61)
    await builds.settle()
    status = builds.status()
    assert (status["phase"], status["reason"], status.get("attempts")) == ("Pending", "Refused", 0)
    assert builds.condition("Stalled")["status"] == "True"
    assert error.args[0] in status["message"]
    builds.cluster.fault = lambda *_: None
    builds.later(61)
    await builds.settle()
    assert (builds.status()["phase"], builds.status()["attempts"]) == ("Running", 1)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_call_that_broke_off_uses_up_no_attempt(when: str) -> None:
    builds = Builds(appbuild())
    once = iter([True])

    def break_off(verb: str, kind: str, _name: str, at: str) -> None:
        if (verb, kind, at) == ("create", "Job", when) and next(once, False):
            raise Transient("timeout")

    builds.cluster.fault = break_off
    await builds.settle()
    builds.later(1)
    await builds.settle()
    assert (builds.status()["phase"], builds.status()["attempts"]) == ("Running", 1)
    assert len(builds.jobs()) == len(builds.secrets()) == 1


@pytest.mark.parametrize(
    ("error", "word", "at_least"),
    [
        (Conflict("modified"), "conflict", 0),
        (Transient("busy", retry_after=7), "transient", 7),
        (ValueError("x"), "bug", 0),
    ],
)
async def test_what_each_error_means_for_the_queue(
    error: Exception, word: str, at_least: float, caplog: pytest.LogCaptureFixture
) -> None:
    builds = Builds(appbuild())

    def fail(*_: str) -> None:
        raise error

    builds.cluster.fault = fail
    with caplog.at_level(logging.CRITICAL):
        assert await builds.step() == Failed(at_least=at_least)
    assert builds.words == [word]
    assert builds.jobs() == []
    builds.cluster.fault = lambda *_: None
    assert isinstance(await builds.step(), RequeueAfter)


async def test_without_the_lease_nobody_goes_on() -> None:
    builds = Builds(appbuild())

    def lose(*_: str) -> None:
        raise LeaseLost("another instance")

    builds.cluster.fault = lose
    with pytest.raises(LeaseLost):
        await builds.step()


async def test_a_pod_that_does_not_start_is_explained() -> None:
    builds = await begun()
    [job] = builds.jobs()
    said = "0/1 nodes are available: 1 Insufficient memory. preemption: none."
    builds.pod(job, phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "message": said}])
    builds.later(30)
    await builds.settle()
    assert builds.status()["message"] == "the build has not started yet: no machine takes it: not enough free memory"
    builds.cluster.calls.clear()
    for _ in range(3):
        builds.later(15)
        await builds.settle()
    assert writes(builds) == []


async def test_a_pod_that_never_started_is_no_build_that_took_too_long() -> None:
    builds = await begun()
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    builds.fail(
        builds.jobs()[0], "", reason="DeadlineExceeded", containerStatuses=[{"name": "build", "state": waiting}]
    )
    await builds.settle()
    assert builds.status()["reason"] == "BuildKilled"
    assert "the platform's image for builds cannot be fetched" in builds.status()["message"]


async def test_the_log_of_the_container_that_failed_is_read() -> None:
    builds = await begun()
    [job] = builds.jobs()
    pod = builds.pod(
        job,
        phase="Failed",
        initContainerStatuses=[{"name": "fetch", "state": {"terminated": {"exitCode": 20, "startedAt": "x"}}}],
        containerStatuses=[{"name": "build", "state": {"waiting": {"reason": "PodInitializing"}}}],
    )
    builds.cluster.logs[pod["metadata"]["name"], "fetch"] = (
        "SourceGone\nthe operator has no code for this build (HTTP 404)"
    )
    builds.end(job, "Failed")
    await builds.settle()
    assert builds.status()["reason"] == "SourceGone"
    assert builds.status()["log"] == ["the operator has no code for this build (HTTP 404)"]


async def test_what_the_machine_says_instead_of_a_log_is_no_log() -> None:
    builds = await begun()
    [job] = builds.jobs()
    builds.fail(job, "unable to retrieve container logs for containerd://3cbb3fa2")
    await builds.settle()
    assert builds.status()["log"] == []


async def test_an_app_name_that_would_leave_its_own_repository_is_refused() -> None:
    builds = await begun(appbuild(app="../other/app"))
    assert (builds.status()["phase"], builds.status()["reason"]) == ("Failed", "InvalidSpec")
    assert builds.jobs() == []


async def test_a_job_that_never_ends_is_given_up() -> None:
    builds = await begun()
    builds.later(SETTINGS.deadline_seconds + 599)
    await builds.settle()
    assert builds.status()["phase"] == "Running"
    builds.later(2)
    await builds.settle()
    assert (builds.status()["phase"], builds.status()["reason"]) == ("Failed", "BuildTimedOut")
    assert builds.jobs() == []


@pytest.mark.parametrize(
    ("code", "reason"), [(124, "BuildTimedOut"), (33, "BuildOutOfMemory"), (143, "BuildKilled"), (1, "PackageNotFound")]
)
async def test_the_scripts_exit_codes_and_the_log_lead_to_the_reason(code: int, reason: str) -> None:
    """With the operator's own reading of logs."""
    builds = Builds(appbuild(), explain=failures.explain)
    await builds.settle()
    ended = {"terminated": {"exitCode": code, "reason": "Error", "startedAt": "x"}}
    log = (
        f"{failures.MARK} PackageNotFound requirements.txt asks for pandas 99.0, which does not exist"
        if code == 1
        else "#5 0.3 working"
    )
    builds.fail(builds.jobs()[0], log, containerStatuses=[{"name": "build", "state": ended}])
    await builds.settle()
    assert builds.status()["reason"] == reason
    again = builds.status()["phase"] == "Pending"
    assert again == (reason == "BuildKilled")
    assert builds.status()["message"].count("begun") == int(again)
