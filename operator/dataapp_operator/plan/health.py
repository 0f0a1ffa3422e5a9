"""What the state of a slot means, in words for the author.

Three answers matter to the machine: it is ready, it is still coming (perhaps blocked by something a person can mend),
or it will not come. Everything Kubernetes says is translated here and nowhere else.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.base import seconds
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan import words
from dataapp_operator.plan.facts import ContainerFacts, PodFacts, SlotFacts

RESTARTS_UNTIL_CRASHED = 2
"""An app that ended this often while starting (three tries) is broken; one restart may be a slow database."""

PULL_PATIENCE = 90
"""Seconds an image may be missing: a manifest is often applied moments before the registry has the image."""

_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_APP_IMAGE = "the app's image"
_PULL_REMEDY = "Check the name and digest in spec.image, and that the cluster may read from that registry"


class Outlook(Enum):
    """What to expect of a slot."""

    READY = "ready"
    COMING = "coming"
    BLOCKED = "blocked"
    """It cannot come before somebody outside the app does something; no deadline of ours runs."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Health:
    """The outlook of a slot, and why."""

    outlook: Outlook
    reason: Reason
    message: str


def of_slot(slot: SlotFacts | None, spec: AppReleaseSpec | None, *, since: datetime, now: datetime) -> Health:
    """The health of one slot of a release whose current phase began at ``since``."""
    if slot is None or slot.replicaset is None:
        return Health(Outlook.COMING, Reason.STARTING, "it is being created")
    pod = slot.pod
    if pod is None:
        if slot.replicaset.create_failure:
            return refused(slot.replicaset.create_failure)
        return Health(Outlook.COMING, Reason.STARTING, "its pod is being created")
    found = of_pod(pod, spec, since=since, now=now)
    if found.outlook is Outlook.READY and slot.service is None:
        return Health(Outlook.COMING, Reason.STARTING, "it is starting")
    return found


def of_pod(pod: PodFacts, spec: AppReleaseSpec | None, *, since: datetime, now: datetime) -> Health:
    """The health of one pod."""
    if pod.unschedulable:
        return Health(
            Outlook.BLOCKED,
            Reason.NO_ROOM,
            f"no machine of the cluster has room for it ({words.unschedulable(pod.unschedulable)}). Ask for less in"
            " spec.app.resources, or ask the platform team for more machines",
        )
    for container, what in ((pod.app, _APP_IMAGE), (pod.front, "the image of the session counter")):
        trouble = _container_trouble(container, what, since=since, now=now)
        if trouble:
            return trouble
    broken = crashed(pod, spec)
    if broken:
        return broken
    if pod.ready:
        return Health(Outlook.READY, Reason.RELEASED, "ready")
    if pod.app.running and not pod.app.started and spec is not None:
        return Health(
            Outlook.COMING, Reason.STARTING, f"the app runs; waiting until it listens on port {spec.run.port}"
        )
    return Health(Outlook.COMING, Reason.STARTING, "it is starting")


def _container_trouble(container: ContainerFacts, what: str, *, since: datetime, now: datetime) -> Health | None:
    if container.waiting in _PULL:
        waited = (now - since).total_seconds()
        outlook = Outlook.FAILED if waited > PULL_PATIENCE else Outlook.COMING
        remedy = _PULL_REMEDY if what == _APP_IMAGE else "Ask the platform team: the operator's chart names it"
        return Health(
            outlook,
            Reason.IMAGE_PULL_FAILED,
            f"{what} cannot be fetched: {words.pull(container.waiting_message)}. {remedy}",
        )
    if container.waiting == "CreateContainerConfigError":
        return Health(
            Outlook.BLOCKED,
            Reason.SECRET_MISSING,
            f"the app cannot be started: {container.waiting_message or 'its configuration is incomplete'}. Create the Secret"
            " (and key) that spec.app.env names, in the app's namespace",
        )
    return None


def crashed(pod: PodFacts, spec: AppReleaseSpec | None) -> Health | None:
    """What is to be said of a pod whose app ends by itself again and again, or never listens; None of any other."""
    app = pod.app
    end = app.last_exit
    if app.restarts < 1 or (app.running and app.started) or end is None:
        return None
    # One start for as long as the author allows is a full try; ends that come sooner are counted.
    silent = spec is not None and end.ran_for >= seconds(spec.plan.probe.startup) > 0
    if app.restarts < RESTARTS_UNTIL_CRASHED and not silent:
        return None
    if end.reason == "OOMKilled":
        return Health(
            Outlook.FAILED,
            Reason.CRASHED,
            "the app needs more memory than it may use"
            + (f" ({spec.run.resources.memory})" if spec else "")
            + ": raise spec.app.resources.memory",
        )
    if spec is not None and silent:
        return Health(
            Outlook.FAILED,
            Reason.PORT_CLOSED,
            f"the app started, but nothing listened on port {spec.run.port} within {spec.plan.probe.startup}. Let it listen"
            f" on 0.0.0.0:{spec.run.port}, or set spec.app.port to the port it uses",
        )
    return Health(
        Outlook.FAILED, Reason.CRASHED, f"the app ended by itself {app.restarts + 1} times (exit code {end.code})"
    )


def refused(said: str) -> Health:
    """What it means that the cluster does not let a pod be made."""
    quota = words.quota(said)
    if quota is not None:
        return Health(Outlook.BLOCKED, Reason.QUOTA_EXCEEDED, quota)
    return Health(Outlook.BLOCKED, Reason.REFUSED, f"the cluster refuses its pod: {words.without_subject(said)}")
