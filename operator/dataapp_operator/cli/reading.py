"""From the objects' JSON to the views. Nothing in an object makes it fail: what is not as expected is left out.

Sentences in statuses repeat what apps, registries and gateways said. Whatever a terminal would obey instead of print is
taken out of them here, for all that follows.
"""

from datetime import datetime
from typing import Any

from dataapp_operator.api.reasons import Phase
from dataapp_operator.cli import moments
from dataapp_operator.cli.view import (
    Answer,
    App,
    Check,
    Condition,
    Environment,
    Held,
    Release,
    Slot,
    Step,
    Waiting,
)

Json = dict[str, Any]
_PAGE = 0
"""Not a release but a page that new visitors get while an app is renewed."""


def app(manifest: Json) -> App:
    """A DataApp."""
    metadata, spec, status = (_dict(manifest, key) for key in ("metadata", "spec", "status"))
    remembered = {_text(e, "name"): e for e in _dicts(status, "environments")}
    names = [name for name in (_text(e, "name") for e in _dicts(spec, "environments")) if name]
    order = (*names, *(name for name in remembered if name and name not in names))
    annotations = _dict(metadata, "annotations")
    return App(
        name=_text(metadata, "name"),
        namespace=_text(metadata, "namespace"),
        version=_text(metadata, "resourceVersion"),
        annotations={key: value for key, value in annotations.items() if isinstance(value, str)},
        environments=tuple(_environment(name, remembered.get(name, {})) for name in order),
        conditions=tuple(_condition(c) for c in _dicts(status, "conditions")),
        image=_text(spec, "image"),
        commit=_text(_dict(status, "code"), "commit"),
        created=_moment(metadata, "creationTimestamp"),
        deleting="deletionTimestamp" in metadata,
    )


def release(manifest: Json) -> Release | None:
    """An AppRelease; None where it does not say what it is."""
    spec, status = _dict(manifest, "spec"), _dict(manifest, "status")
    number = _number(spec, "number")
    if number is None or not _text(spec, "environment"):
        return None
    return Release(
        app=_text(spec, "app"),
        environment=_text(spec, "environment"),
        number=number,
        commit=_text(spec, "commit")[:7],
        phase=_text(status, "phase"),
        summary=_text(status, "summary"),
        next_step=_text(status, "nextStep"),
        preview_url=_text(status, "previewUrl"),
        sessions=_number(status, "sessions"),
        steps=tuple(
            Step(_number(step, "weight"), _text(step, "hold"), step.get("pause") is True)
            for step in _dicts(_dict(spec, "plan"), "steps")
        ),
        hold=_text(_dict(spec, "plan"), "hold"),
        slots=tuple(
            Slot(_text(slot, "name"), slot.get("ready") is True, _number(slot, "sessions"))
            for slot in _dicts(status, "slots")
        ),
        checks=tuple(
            Check(*(_text(check, key) for key in ("name", "verdict", "measured", "expected")))
            for check in _dicts(status, "checks")
        ),
    )


def releases(manifests: list[Json]) -> tuple[Release, ...]:
    """AppReleases, in the order of their numbers."""
    found = [record for record in map(release, manifests) if record is not None]
    return tuple(sorted(found, key=lambda record: (record.environment, record.number)))


def _environment(name: str, memory: Json) -> Environment:
    intent, candidate = _dict(memory, "intent"), _number(memory, "candidate")
    waiting = _dict(memory, "waitingFor")
    return Environment(
        name=name,
        url=_text(memory, "url"),
        stable=_number(memory, "stable"),
        stable_since=_moment(memory, "stableSince"),
        candidate=candidate,
        phase=_text(memory, "phase"),
        step=_number(memory, "step"),
        going_back=candidate is not None
        and _number(intent, "switchTo") not in {None, candidate}
        and _text(memory, "phase") != Phase.PENDING,
        stopped=bool(_dict(memory, "stopped")),
        weights={n: _number(entry, "weight") or 0 for n, entry in _by_release(memory, "weights") if n != _PAGE},
        sessions={n: _number(entry, "sessions") for n, entry in _by_release(memory, "draining")},
        warm={n: _moment(entry, "until") for n, entry in _by_release(memory, "warm")},
        commits={n: _text(entry, "commit")[:7] for n, entry in _by_release(memory, "artefacts")},
        held=tuple(Held(n, _text(entry, "reason")) for n, entry in _by_release(memory, "quarantined")),
        waiting=Waiting(
            reason=_text(waiting, "reason"),
            message=_text(waiting, "message"),
            since=_moment(waiting, "since"),
            until=_moment(waiting, "until"),
        )
        if waiting
        else None,
        answers=tuple(
            Answer(_text(answer, "command"), _text(answer, "word"), _text(answer, "message"), _moment(answer, "at"))
            for answer in _dicts(memory, "answers")
        ),
    )


def _condition(condition: Json) -> Condition:
    return Condition(*(_text(condition, key) for key in ("type", "status", "reason", "message")))


def _by_release(of: Json, key: str) -> list[tuple[int, Json]]:
    numbered = [(_number(entry, "release"), entry) for entry in _dicts(of, key)]
    return [(number, entry) for number, entry in numbered if number is not None]


def _dict(of: Json, key: str) -> Json:
    found = of.get(key)
    return found if isinstance(found, dict) else {}


def _dicts(of: Json, key: str) -> list[Json]:
    found = of.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _number(of: Json, key: str) -> int | None:
    found = of.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _moment(of: Json, key: str) -> datetime | None:
    return moments.read(of.get(key))


def _text(of: Json, key: str) -> str:
    found = of.get(key)
    if not isinstance(found, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in found).split())
