"""What the state of a release means whose pods are all alike: one Deployment of an app without sessions.

Any pod answers any request, so that the release *answers* as long as one is ready, and pods may come and go: evicted,
scaled, restarted by a person. It is *whole*, and may be given visitors, when as many are ready as it began with (or fewer,
where somebody has scaled it down). It is *lost* when nobody answers, when a pod that listened listens no more, or when the
place of a pod is not taken in the time that a start may take.
"""

from datetime import datetime

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.base import seconds
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan import health
from dataapp_operator.plan.facts import PodFacts, SlotFacts
from dataapp_operator.plan.health import Health, Outlook

BLINK = 10
"""Seconds a replica may be not ready without being counted as lost."""


def needed(slot: SlotFacts, spec: AppReleaseSpec | None) -> int:
    """How many pods must be ready before visitors are sent here."""
    begun = (spec.plan.replicas if spec is not None else None) or 1
    has = slot.deployment.replicas if slot.deployment is not None else begun
    return max(1, min(begun, has))


def ready(slot: SlotFacts) -> int:
    """How many pods are."""
    return sum(pod.ready for pod in slot.living)


def whole(slot: SlotFacts, spec: AppReleaseSpec | None) -> bool:
    """As many are ready as it needs, and its Service is there to lead to them."""
    return slot.service is not None and slot.deployment is not None and ready(slot) >= needed(slot, spec)


def outlook(slot: SlotFacts, spec: AppReleaseSpec | None, *, since: datetime, now: datetime) -> Health:
    """The health of all pods in one.

    They are made from one template: an app that ends by itself in one of them is broken in all. What keeps a single pod from
    starting (an image that its node cannot fetch, no room) is of no interest while there are enough without it.
    """
    known, wanted, count = slot.deployment, needed(slot, spec), ready(slot)
    if known is None:
        return Health(Outlook.COMING, Reason.STARTING, "it is being created")
    broken = next((found for pod in slot.living if (found := health.crashed(pod, spec))), None)
    if broken is not None:
        return broken
    if whole(slot, spec):
        return Health(Outlook.READY, Reason.RELEASED, "ready")
    states = [health.of_pod(pod, spec, since=since, now=now) for pod in slot.living if not pod.ready]
    for worst in (Outlook.FAILED, Outlook.BLOCKED):
        found = next((state for state in states if state.outlook is worst), None)
        if found is not None:
            return found
    if known.create_failure and len(slot.living) < wanted:
        return health.refused(known.create_failure)
    if not states:
        return Health(Outlook.COMING, Reason.STARTING, "its pods are being created")
    so_far = f"{count} of {wanted} pods are ready; " if wanted > 1 else ""
    return Health(Outlook.COMING, states[0].reason, f"{so_far}{states[0].message}")


def lost(slot: SlotFacts, spec: AppReleaseSpec | None, *, since: datetime, now: datetime) -> bool:
    """Whether it can no longer be relied on, in a phase that began at ``since``."""
    away = {pod.name: _away(pod, now) for pod in slot.living if not pod.ready}
    deaf = [pod for pod in slot.living if not pod.ready and listened(pod)]
    if any(away[pod.name] > BLINK for pod in deaf):
        return True
    lasted = (now - since).total_seconds()
    if ready(slot) == 0 and ((not away and lasted > BLINK) or (away and min(away.values()) > BLINK)):
        return True
    start = BLINK + (seconds(spec.plan.probe.startup) if spec is not None else 0)
    short = ready(slot) < needed(slot, spec)
    return short and lasted > start and all(gone > start for gone in away.values())


def listened(pod: PodFacts) -> bool:
    """Whether its app has listened since its container began."""
    return pod.app.running and pod.app.started


def _away(pod: PodFacts, now: datetime) -> float:
    """Seconds for which a pod has not been ready; a moment ago, where nobody says since when."""
    return 0.0 if pod.unready_since is None else (now - pod.unready_since).total_seconds()
