"""What the cluster looked like last: the objects of the kinds we watch, as far as decisions read them.

Three streams flow in: watch events, LISTs, and the answers to our own writes (so that we read what we wrote). They
come in any order and repeat themselves; one rule merges them: **of two states of an object the one with the greater
resourceVersion is newer** (integers, comparable within a kind: KEP-5504). A deletion is a state too, kept as a
tombstone until a LIST has passed it. A LIST at version L is the whole truth up to L: what it lacks was gone at L, and
any event at or below L about something it lacks is old news. So a deletion that a broken watch never reported cannot
leave a ghost.

No I/O, no clock, no locks: everything happens in one event loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataapp_operator.kube.kinds import DATAAPP, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dataapp_operator.kube.kinds import Kind
    from dataapp_operator.kube.port import Manifest

APP_LABEL = "dataapps.dev/app"
DELETED = "DELETED"
Place = tuple[str, str]  # namespace ('' for a kind without), name


@dataclass(frozen=True, slots=True)
class Change:
    """An object came, changed or vanished; `app` is the DataApp (in `namespace`) that it belongs to, if any."""

    kind: Kind
    namespace: str
    name: str
    app: str | None


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    app: str | None
    manifest: Manifest


@dataclass(slots=True)
class _Shelf:
    """Everything of one kind. `floor` is the version of the newest LIST, -1 before the first."""

    floor: int = -1
    entries: dict[Place, _Entry] = field(default_factory=dict)
    tombstones: dict[Place, int] = field(default_factory=dict)
    by_app: dict[Place, set[str]] = field(default_factory=dict)  # (namespace, app) -> names


class Store:
    """The objects of the kinds in `slim`, each cut down by that kind's function to what decisions read.

    Manifests are handed out as they are kept, not copied: readers must not change them.
    """

    def __init__(self, slim: Mapping[Kind, Callable[[Manifest], Manifest]]) -> None:
        self._slim = dict(slim)
        self._shelves = {kind: _Shelf() for kind in slim}

    def observe(self, event_type: str | None, manifest: Manifest) -> tuple[Change, ...]:
        """Take in a watch event: ADDED, MODIFIED, DELETED, or None for an object listed at a watch's start."""
        kind = kind_of(manifest)
        if event_type == DELETED:
            return self._bury(kind, _place(manifest), _version(manifest))
        return self._keep(kind, manifest)

    def put(self, manifest: Manifest) -> tuple[Change, ...]:
        """Take in the answer to a write of ours; ignored when something newer is known."""
        return self._keep(kind_of(manifest), manifest)

    def forget(self, kind: Kind, namespace: str | None, name: str, *, uid: str) -> tuple[Change, ...]:
        """Take in that this incarnation is gone, as the answer to our deletion says; the watch tells it again later."""
        place = (namespace or "", name)
        known = self._shelves[kind].entries.get(place)
        return self._remove(kind, place) if known and known.manifest["metadata"].get("uid") == uid else ()

    def replace(self, kind: Kind, items: Iterable[Manifest], resource_version: int) -> tuple[Change, ...]:
        """Take in a LIST of the whole kind, consistent at `resource_version`; answers what it corrected."""
        shelf = self._shelves[kind]
        if resource_version < shelf.floor:
            return ()  # an older LIST that came in late knows nothing new
        shelf.floor = -1  # what this LIST names exists, whatever an earlier one said; only newer tombstones win
        listed: set[Place] = set()
        changes: list[Change] = []
        for item in items:
            listed.add(_place(item))
            changes += self._keep(kind, item)
        vanished = [
            place for place, entry in shelf.entries.items() if place not in listed and entry.version <= resource_version
        ]
        for place in vanished:
            changes += self._remove(kind, place)
        shelf.floor = resource_version
        shelf.tombstones = {place: at for place, at in shelf.tombstones.items() if at > resource_version}
        return tuple(changes)

    def synced(self, *kinds: Kind) -> bool:
        """Whether a LIST of each of these kinds (none named: of every kind) has been taken in."""
        return all(self._shelves[kind].floor >= 0 for kind in kinds or self._shelves)

    def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        entry = self._shelves[kind].entries.get((namespace or "", name))
        return entry.manifest if entry else None

    def all(self, kind: Kind) -> list[Manifest]:
        return [entry.manifest for entry in self._shelves[kind].entries.values()]

    def by_app(self, kind: Kind, namespace: str, app: str) -> list[Manifest]:
        """The objects of one app in the order of their names; of DataApps the one with that name."""
        shelf = self._shelves[kind]
        return [shelf.entries[namespace, name].manifest for name in sorted(shelf.by_app.get((namespace, app), ()))]

    def _keep(self, kind: Kind, manifest: Manifest) -> tuple[Change, ...]:
        shelf, place, version = self._shelves[kind], _place(manifest), _version(manifest)
        known = shelf.entries.get(place)
        if version <= max(known.version if known else shelf.floor, shelf.tombstones.get(place, -1)):
            return ()
        removed = self._remove(kind, place)
        namespace, name = place
        app = _app(kind, manifest)
        shelf.tombstones.pop(place, None)
        shelf.entries[place] = _Entry(version, app, self._slim[kind](manifest))
        if app is not None:
            shelf.by_app.setdefault((namespace, app), set()).add(name)
        change = Change(kind, namespace, name, app)
        # An object that went from one app to another concerns both.
        return (change, *(old for old in removed if old != change))

    def _bury(self, kind: Kind, place: Place, version: int) -> tuple[Change, ...]:
        shelf = self._shelves[kind]
        known = shelf.entries.get(place)
        if known and known.version > version:
            return ()  # the deletion of an earlier incarnation
        if version > max(shelf.floor, shelf.tombstones.get(place, -1)):
            shelf.tombstones[place] = version
        return self._remove(kind, place)

    def _remove(self, kind: Kind, place: Place) -> tuple[Change, ...]:
        shelf = self._shelves[kind]
        entry = shelf.entries.pop(place, None)
        if entry is None:
            return ()
        namespace, name = place
        if entry.app is not None:
            names = shelf.by_app[namespace, entry.app]
            names.discard(name)
            if not names:
                del shelf.by_app[namespace, entry.app]
        return (Change(kind, namespace, name, entry.app),)


def _place(manifest: Manifest) -> Place:
    metadata: dict[str, Any] = manifest["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _version(manifest: Manifest) -> int:
    return int(manifest["metadata"]["resourceVersion"])


def _app(kind: Kind, manifest: Manifest) -> str | None:
    metadata: dict[str, Any] = manifest["metadata"]
    if kind == DATAAPP:
        return str(metadata["name"])
    return (metadata.get("labels") or {}).get(APP_LABEL)
