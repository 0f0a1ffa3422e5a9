"""The events of a release: its story in ``kubectl describe dataapp`` and ``kubectl events``, told from its record. Pure.

An event is told for the timeline's entries that somebody may be waiting for, in their order and each once: its name is
made from the release, the phase and the moment, so that a second telling (after a restart, say) finds the first. What is
older than :data:`TOLD_FOR` is history and stands in the record only.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from dataapp_operator.api.apprelease import AppReleaseSpec, AppReleaseStatus, TimelineEntry
from dataapp_operator.api.base import API_VERSION, instant
from dataapp_operator.api.reasons import Phase
from dataapp_operator.api.status import DataAppStatus

Json = dict[str, Any]

TOLD_FOR = 900
"""Seconds after which an event is not told any more: nobody waits for it."""
CONTROLLER = "dataapps.dev/operator"
_LONGEST = 1024  # the API server's limit of a note
_WARNINGS = {Phase.FAILED, Phase.ROLLED_BACK}
ORDER = (
    Phase.DEPLOYING,
    Phase.BAKING,
    Phase.RELEASED,
    Phase.FAILED,
    Phase.ROLLED_BACK,
    Phase.SUPERSEDED,
    Phase.ABORTED,
    Phase.WARM,
    Phase.RETIRED,
)
"""The phases of which an event tells, in the order in which one release can come to them."""


def due(name: str, status: AppReleaseStatus, *, now: datetime) -> Iterator[tuple[str, int]]:
    """(event's name, index in the timeline) of everything that may have to be told of a release, oldest first."""
    oldest = now - timedelta(seconds=TOLD_FOR)
    for index, entry in enumerate(status.timeline):
        if entry.phase in ORDER and instant(entry.at) >= oldest:
            yield f"{name}.{entry.phase.lower()}.{int(instant(entry.at).timestamp()):x}", index


def manifest(
    name: str, spec: AppReleaseSpec, status: AppReleaseStatus, index: int, *, release: Json, app: Json, instance: str
) -> Json:
    """The Event object of one entry. ``release`` and ``app``: metadata with name, namespace and uid."""
    entry = status.timeline[index]
    # Entries of one second keep their order.
    at = instant(entry.at).strftime("%Y-%m-%dT%H:%M:%S") + f".{index:06d}Z"
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": app["namespace"]},
        "eventTime": at,
        "type": "Warning" if entry.phase in _WARNINGS else "Normal",
        "reason": entry.phase,
        "action": "Release",
        "note": _note(spec, status, entry)[:_LONGEST],
        "regarding": _reference("DataApp", app),
        "related": _reference("AppRelease", release),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
    }


def answers(app: Json, status: DataAppStatus, *, now: datetime, instance: str) -> Iterator[tuple[str, Json]]:
    """(name, Event object) of each command of a person that was answered and may have to be told."""
    oldest = now - timedelta(seconds=TOLD_FOR)
    for env in status.environments:
        for said in env.answers:
            if instant(said.at) < oldest:
                continue
            at = int(instant(said.at).timestamp())
            name = f"{app['name']}-{env.name}.{said.command}.{at:x}"
            yield (
                name,
                {
                    "apiVersion": "events.k8s.io/v1",
                    "kind": "Event",
                    "metadata": {"name": name, "namespace": app["namespace"]},
                    "eventTime": instant(said.at).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
                    "type": "Normal",
                    "reason": "".join(word.capitalize() for word in said.command.split("-")),
                    "action": "Command",
                    "note": f"{env.name}: {said.command} {said.word}: {said.message}"[:_LONGEST],
                    "regarding": _reference("DataApp", app),
                    "reportingController": CONTROLLER,
                    "reportingInstance": instance[:128],
                },
            )


def _reference(kind: str, metadata: Json) -> Json:
    return {"apiVersion": API_VERSION, "kind": kind} | {key: metadata[key] for key in ("name", "namespace", "uid")}


def _note(spec: AppReleaseSpec, status: AppReleaseStatus, entry: TimelineEntry) -> str:
    what = f"{spec.environment} r{spec.number}"
    of = f" ({spec.commit[:7]})" if spec.commit else ""
    ended = f"{status.message or status.reason or entry.phase}. {status.next_step or ''}".rstrip()
    match entry.phase:
        case Phase.DEPLOYING:
            return f"{what}{of}: its pods are made; nobody is sent to it yet" + (
                f" ({spec.cause})" if spec.cause else ""
            )
        case Phase.BAKING:
            alone = spec.plan.strategy == "recreate"
            before = "is started again if it fails within" if alone else "is kept for"
            return f"{what}{of}: its sessions work, new visitors go to it; the release before {before} {spec.plan.bake}"
        case Phase.RELEASED:
            again = entry != next(e for e in status.timeline if e.phase == Phase.RELEASED)
            return f"{what}{of} serves everybody again" if again else f"{what}{of} is released"
        case Phase.FAILED:
            return f"{what}{of} failed and no visitor has seen it: {ended}"
        case Phase.ROLLED_BACK:
            count = status.users_affected
            seen = "" if count is None else f" ({count} session{'' if count == 1 else 's'} had it open)"
            return f"{what}{of} was taken back{seen}: {ended}"
        case Phase.SUPERSEDED | Phase.ABORTED:
            return f"{what}{of} is given up: {ended}"
        case Phase.WARM:
            return f"{what}: nobody has it open any more; its pods are kept for a while, to be gone back to"
        case _:
            return f"{what}: its pods are removed; the record stays"
