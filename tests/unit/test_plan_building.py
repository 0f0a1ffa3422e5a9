"""The decision about a build, case by case. That it survives crashes is in `tests/property`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dataapp_operator.api.appbuild import AppBuildStatus
from dataapp_operator.api.code import Dependencies
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan.build_facts import BuildResult, EnsureSecret, JobFacts, ObservedBuild, RemoveJob, spell
from dataapp_operator.plan.build_words import next_step
from dataapp_operator.plan.building import AGAIN, decide_build
from tests.unit.build_rig import DIGEST, KEY, START, spec

JOB = JobFacts(name="job-1", uid="j1", build_uid="u1", attempt=1, ready=True)
ENDED = replace(JOB, ended=True, ready=False)


def seen(phase: str | None = None, *, attempts: int = 0, after: float = 0, **changes) -> ObservedBuild:
    status = AppBuildStatus(phase=phase, attempts=attempts, started_at="2026-11-22T10:00:00Z" if attempts else None)
    base = ObservedBuild(
        now=START + timedelta(seconds=after),
        namespace=KEY[0],
        name=KEY[1],
        uid="u1",
        generation=1,
        created_at=START,
        spec=spec(),
        status=status,
        registry="registry.example.org",
        deadline_seconds=600,
        concurrent=2,
        secret_known=True,
    )
    return replace(base, **changes)


def test_a_new_build_begins_at_once_when_there_is_a_place() -> None:
    plan = decide_build(seen(after=1))
    assert (plan.begin, plan.actions) == (1, ())
    assert (plan.status.phase, plan.status.attempts) == ("Running", 1)
    assert plan.status.took.queued == "1s"


@pytest.mark.parametrize(
    ("running", "ahead", "says"),
    [(2, 0, "2 builds run, and no more than 2 may"), (1, 1, "other builds come before it"), (0, 2, "other builds")],
)
def test_without_a_place_it_waits_and_says_why(running: int, ahead: int, says: str) -> None:
    plan = decide_build(seen(running=running, ahead=ahead))
    assert (plan.begin, plan.status.phase, plan.status.reason) == (None, "Pending", "NoRoom")
    assert says in plan.status.message
    assert {c.type: c.status for c in plan.status.conditions} == {"Ready": "False", "Reconciling": "True"}
    assert plan.requeue_after


def test_the_secret_is_made_for_a_job_that_is_there_and_not_twice() -> None:
    assert decide_build(seen("Running", attempts=1, jobs=(JOB,), secret_known=False)).actions == (EnsureSecret(JOB),)
    assert decide_build(seen("Running", attempts=1, jobs=(JOB,))).actions == ()


def test_a_job_that_has_ended_is_read_before_anything_else() -> None:
    plan = decide_build(seen("Running", attempts=1, jobs=(ENDED,)))
    assert (plan.read, plan.actions) == (ENDED, ())
    other = BuildResult(job_uid="an earlier one", digest=DIGEST)
    assert decide_build(seen("Running", attempts=1, jobs=(ENDED,), result=other)).read == ENDED


def test_a_result_is_written_in_one_pass_and_the_job_goes_in_the_next() -> None:
    result = BuildResult(job_uid="j1", digest=DIGEST)
    first = decide_build(seen("Running", attempts=1, jobs=(ENDED,), result=result, after=65))
    assert (first.status.phase, first.actions) == ("Succeeded", ())
    assert first.status.image == f"registry.example.org/analytics/sales@{DIGEST}"
    assert first.status.took.build == "1m5s"
    then = decide_build(replace(seen(jobs=(ENDED,)), status=first.status))
    assert then.actions == (RemoveJob(ENDED),)
    assert then.status == first.status


@pytest.mark.parametrize("digest", ["sha256:77", "sha512:" + "0" * 64, f"x@{DIGEST}", DIGEST + " "])
def test_a_digest_is_looked_at_again_where_it_becomes_an_image(digest: str) -> None:
    plan = decide_build(seen("Running", attempts=1, jobs=(ENDED,), result=BuildResult(job_uid="j1", digest=digest)))
    assert (plan.status.phase, plan.status.image) == ("Failed", None)


@pytest.mark.parametrize(
    "reason", [r for r in Reason if r.value.startswith(("Build", "Package", "Base", "Registry", "Source", "Docker"))]
)
def test_every_way_to_fail_says_what_to_do(reason: Reason) -> None:
    result = BuildResult(job_uid="j1", reason=reason, message="it broke.", log=("one", "two"))
    plan = decide_build(seen("Running", attempts=3, jobs=(replace(ENDED, attempt=3),), result=result))
    assert (plan.status.phase, plan.status.reason) == ("Failed", reason)
    assert plan.status.log == ("one", "two")
    assert plan.status.next_step == next_step(reason, spec())
    assert "{" not in plan.status.next_step
    again = decide_build(seen("Running", attempts=1, jobs=(ENDED,), result=result))
    assert again.status.phase == ("Pending" if reason in AGAIN else "Failed")


def test_what_a_dockerfile_of_their_own_asks_for_is_the_authors_to_mend() -> None:
    own = spec().model_copy(update={"dockerfile": "Dockerfile", "dependencies": Dependencies()})
    base = next_step(Reason.BASE_IMAGE_MISSING, own)
    assert base == "Name in FROM of Dockerfile an image that there is and that builds may read, and push."
    assert "Tell the platform team" in next_step(Reason.BASE_IMAGE_MISSING, spec())
    assert "out of Dockerfile, or ask" in next_step(Reason.BUILD_DISK_FULL, own)


def test_a_lost_job_is_begun_again_and_the_present_attempt_is_not_repeated() -> None:
    plan = decide_build(seen("Running", attempts=1))
    assert (plan.status.phase, plan.status.reason, plan.begin) == ("Pending", "BuildKilled", None)
    waits = decide_build(replace(seen(after=9), status=plan.status))
    assert (waits.begin, waits.status, waits.requeue_after) == (None, plan.status, 1.0)
    again = decide_build(replace(seen(after=10), status=plan.status))
    assert (again.begin, again.status.attempts, again.status.finished_at) == (2, 2, None)


def test_a_call_that_broke_off_is_repeated_as_the_same_attempt() -> None:
    before = seen("Running", attempts=1, unborn=True)
    plan = decide_build(before)
    assert (plan.begin, plan.status) == (1, before.status)


def test_a_refusal_gives_back_the_one_attempt_and_is_tried_again_in_a_minute() -> None:
    plan = decide_build(seen("Running", attempts=2, refused="exceeded quota"))
    assert (plan.status.phase, plan.status.attempts, plan.begin) == ("Pending", 1, None)
    assert decide_build(replace(seen(after=59), status=plan.status)).begin is None
    assert decide_build(replace(seen(after=60), status=plan.status)).begin == 2


def test_a_job_on_a_lost_machine_is_not_waited_for() -> None:
    ending = replace(JOB, ending_since=START)
    assert decide_build(seen("Running", attempts=1, jobs=(ending,), after=59)).read is None
    assert decide_build(seen("Running", attempts=1, jobs=(ending,), after=60)).read == ending


def test_a_job_that_somebody_deletes_is_waited_out() -> None:
    before = seen("Running", attempts=1, jobs=(replace(JOB, deleting=True),))
    plan = decide_build(before)
    assert (plan.actions, plan.status, plan.read) == ((), before.status, None)


@pytest.mark.parametrize("stray", [replace(JOB, build_uid="old"), replace(JOB, attempt=7)])
@pytest.mark.parametrize("phase", [None, "Pending", "Running", "Succeeded", "Failed"])
def test_a_job_of_nobody_is_taken_away_and_no_other(phase: str | None, stray: JobFacts) -> None:
    ours = (JOB,) if phase == "Running" else ()
    plan = decide_build(seen(phase, attempts=1, jobs=(*ours, stray)))
    assert RemoveJob(stray) in plan.actions
    assert RemoveJob(JOB) not in plan.actions
    assert plan.begin is None


def test_a_build_that_is_being_deleted_lets_go_of_its_job() -> None:
    assert decide_build(seen("Running", attempts=1, jobs=(JOB,), deleting=True)).actions == (RemoveJob(JOB),)


@pytest.mark.parametrize("app", ["../victim", "a/b", "UPPER", "-x", "", "x" * 31, "a\n"])
def test_a_name_that_is_none_never_reaches_a_registry(app: str) -> None:
    plan = decide_build(replace(seen(), spec=spec().model_copy(update={"app": app})))
    assert (plan.begin, plan.status.phase, plan.status.reason) == (None, "Failed", "InvalidSpec")


def test_a_steady_state_asks_for_no_write() -> None:
    for before in (seen("Running", attempts=1, jobs=(JOB,)), seen(running=2)):
        settled = decide_build(before).status
        for after in (1, 30):
            assert decide_build(replace(before, status=settled, now=START + timedelta(seconds=after))).status == settled


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (0.4, "0s"), (24, "24s"), (65, "1m5s"), (3600, "1h"), (3661, "1h1m1s")]
)
def test_a_length_of_time_is_written_as_people_do(seconds: float, text: str) -> None:
    assert spell(seconds) == text
