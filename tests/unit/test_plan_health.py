"""Each outlook of a slot, in words that its author understands."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan.facts import ContainerFacts, Exit, ObjectFacts, PodFacts, ReplicaSetFacts, SlotFacts
from dataapp_operator.plan.health import Outlook, of_slot
from tests.property.world import START
from tests.unit.test_plan_workload import frozen

RS = ReplicaSetFacts(name="x", uid="u", resource_version="1")
SERVICE = ObjectFacts(name="x", uid="v", resource_version="1")
POD = PodFacts(name="p", uid="w", resource_version="1")
UP = ContainerFacts(running=True, started=True)
CRASHED = Exit(1, "Error", 0.5)
JARGON = re.compile(
    r"CrashLoopBackOff|ErrImagePull|ImagePullBackOff|CreateContainerConfigError|ReplicaSet|Unschedulable|OOMKilled"
    r"|0/\d+ nodes|preemption|startupProbe|container\b"
)


def pod(*, app: ContainerFacts | None = None, **more: object) -> SlotFacts:
    """A slot with a Service, a ReplicaSet and a pod."""
    facts = replace(POD, app=app or ContainerFacts(), **more)  # type: ignore[arg-type]
    return SlotFacts(replicaset=RS, service=SERVICE, pods=(facts,))


def refused(said: str) -> SlotFacts:
    return SlotFacts(replicaset=replace(RS, create_failure=said), service=SERVICE)


def waiting(reason: str, message: str = "") -> SlotFacts:
    return pod(app=ContainerFacts(waiting=reason, waiting_message=message))


def crashed(restarts: int, end: Exit = CRASHED, **more: object) -> SlotFacts:
    return pod(app=ContainerFacts(restarts=restarts, last_exit=end, **more))  # type: ignore[arg-type]


QUOTA = 'pods "x" is forbidden: exceeded quota: small, requested: cpu=1, used: cpu=2, limited: cpu=2'
ROOM = "0/3 nodes are available: 1 Insufficient memory, 2 Too many pods. preemption: 0/3 nodes are available"

TABLE = [
    (None, 0, Outlook.COMING, Reason.STARTING, "it is being created"),
    (SlotFacts(), 0, Outlook.COMING, Reason.STARTING, "it is being created"),
    (SlotFacts(service=SERVICE), 0, Outlook.COMING, Reason.STARTING, "it is being created"),
    (SlotFacts(replicaset=RS), 0, Outlook.COMING, Reason.STARTING, "its pod is being created"),
    (refused(QUOTA), 0, Outlook.BLOCKED, Reason.QUOTA_EXCEEDED, "the namespace's quota has no room"),
    (refused('pods "x" is forbidden: not today'), 0, Outlook.BLOCKED, Reason.REFUSED, "refuses its pod: not today"),
    (pod(unschedulable=ROOM), 0, Outlook.BLOCKED, Reason.NO_ROOM, "not enough free memory"),
    (waiting("ErrImagePull", "manifest unknown"), 10, Outlook.COMING, Reason.IMAGE_PULL_FAILED, "does not have it"),
    (waiting("ImagePullBackOff", "x: not found"), 90, Outlook.COMING, Reason.IMAGE_PULL_FAILED, "spec.image"),
    (waiting("ImagePullBackOff", "x: not found"), 91, Outlook.FAILED, Reason.IMAGE_PULL_FAILED, "spec.image"),
    (
        waiting("CreateContainerConfigError", 'secret "db" not found'),
        0,
        Outlook.BLOCKED,
        Reason.SECRET_MISSING,
        'secret "db" not found. Create the Secret',
    ),
    (
        replace(pod(), pods=(replace(POD, front=ContainerFacts(waiting="ErrImagePull")),)),
        0,
        Outlook.COMING,
        Reason.IMAGE_PULL_FAILED,
        "Ask the platform team",
    ),
    (crashed(1), 5, Outlook.COMING, Reason.STARTING, "it is starting"),
    (crashed(2), 5, Outlook.FAILED, Reason.CRASHED, "the app ended by itself 3 times (exit code 1)"),
    (crashed(2, Exit(137, "OOMKilled", 3)), 5, Outlook.FAILED, Reason.CRASHED, "raise spec.app.resources.memory"),
    (
        crashed(1, Exit(137, "Error", 30)),
        40,
        Outlook.FAILED,
        Reason.PORT_CLOSED,
        "nothing listened on port 8501 within 30s",
    ),
    (crashed(2, running=True), 5, Outlook.FAILED, Reason.CRASHED, "ended by itself"),
    (crashed(5, running=True, started=True), 5, Outlook.COMING, Reason.STARTING, "it is starting"),
    (
        pod(app=ContainerFacts(running=True)),
        0,
        Outlook.COMING,
        Reason.STARTING,
        "waiting until it listens on port 8501",
    ),
    (pod(app=UP), 0, Outlook.COMING, Reason.STARTING, "it is starting"),
    (pod(app=UP, ready=True), 0, Outlook.READY, Reason.RELEASED, "ready"),
    (replace(pod(app=UP, ready=True), service=None), 0, Outlook.COMING, Reason.STARTING, "it is starting"),
    (pod(app=UP, ready=True, deleting=True), 0, Outlook.COMING, Reason.STARTING, "its pod is being created"),
    (pod(app=UP, ready=True, over=True), 0, Outlook.COMING, Reason.STARTING, "its pod is being created"),
]


@pytest.mark.parametrize(("slot", "age", "outlook", "reason", "words"), TABLE)
def test_what_to_expect_of_a_slot_and_why(
    slot: SlotFacts | None, age: int, outlook: Outlook, reason: Reason, words: str
) -> None:
    health = of_slot(slot, frozen(probe={"startup": "30s"}), since=START, now=START + timedelta(seconds=age))
    assert (health.outlook, health.reason) == (outlook, reason)
    assert words in health.message
    assert not JARGON.search(health.message), health.message


@pytest.mark.parametrize(("slot", "age", "outlook", "reason", "words"), TABLE)
def test_without_a_record_there_are_words_too(
    slot: SlotFacts | None, age: int, outlook: Outlook, reason: Reason, words: str
) -> None:
    health = of_slot(slot, None, since=START, now=START + timedelta(seconds=age))
    assert health.message
    if reason not in {Reason.STARTING, Reason.PORT_CLOSED}:
        assert (health.outlook, health.reason) == (outlook, reason), words


def test_every_reason_that_stops_a_release_says_what_to_do() -> None:
    """Blocked and failed are for a person, who must know what to mend (a crash is explained by its log)."""
    for slot, age, outlook, reason, _ in TABLE:
        if outlook in {Outlook.BLOCKED, Outlook.FAILED} and reason not in {Reason.CRASHED, Reason.REFUSED}:
            health = of_slot(slot, frozen(probe={"startup": "30s"}), since=START, now=START + timedelta(seconds=age))
            assert re.search(r"Ask|Check|Create|Let it|raise", health.message), health.message
