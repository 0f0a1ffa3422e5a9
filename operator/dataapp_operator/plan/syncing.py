"""``decide(facts, reading) -> Sync``: what to write so that a namespace has the apps that a repository has. Pure.

The decision looks at what git says and at what the cluster has, never at what an earlier pass meant to do. So a pass
that was cut off anywhere is simply made again, and when nothing is left to write, the same decision is the status.

Taking an app away is the only step that cannot be undone, and is done only on positive knowledge: the repository was
read whole, every manifest where the app may stand could be read, and the app is in none.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dataapp_operator.api.appsource import MAX_INVENTORY, InventoryEntry
from dataapp_operator.api.base import API_VERSION
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan.names import (
    ANNOTATION_COMMIT,
    ANNOTATION_LEAVING,
    ANNOTATION_MANIFEST,
    ANNOTATION_PATH,
    LABEL_SOURCE,
)
from dataapp_operator.plan.source_facts import GitApp, Json, LiveApp, Reading, SourceFacts, Trouble, contains

ALLOW_PRUNE = "dataapps.dev/allow-prune"
"""On an AppSource, by a person: the revision that may take away more than half of the apps."""
"""The reason of an AppSource that waits for that."""
MAX_BYTES = 480 * 1024
"""Of an inventory, so that a status stays below 512 KiB."""
_ENTRY_BYTES = 150  # of one entry beside its name and path
MANY = 5
MAX_LABEL = 63
_NOT_OURS = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Write:
    """One apply. ``new``: there is no such app so far; ``path``: the manifest it is told under if it is refused."""

    name: str
    path: str
    manifest: Json
    new: bool = False


@dataclass(frozen=True, slots=True)
class Halt:
    """Why nothing at all is written, until a person does something."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Sync:
    """What to write, and what is so once there is nothing left to write."""

    writes: tuple[Write, ...] = ()
    halt: Halt | None = None
    inventory: tuple[InventoryEntry, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    in_step: int = 0
    """How many apps are as git has them."""
    leaving: tuple[str, ...] = ()
    """Apps that are gone from git and end their sessions."""
    kept: tuple[str, ...] = ()
    """Apps that are gone from git and stay because of ``prune: false``."""
    doubted: tuple[str, ...] = ()
    """Apps that may stand in a manifest that cannot be read, and stay for that reason."""
    waiting: tuple[str, ...] = ()
    """Apps of git that are being deleted by somebody, and come back afterwards."""
    changed: int = 0
    """How many apps this revision has changed."""


def decide(facts: SourceFacts, reading: Reading) -> Sync:
    """What to do about this source, given what its repository says."""
    book = _Book(facts, reading)
    halt = book.halt()
    if halt is not None:
        return Sync(halt=halt, inventory=book.survivors())
    return book.sync()


class _Book:
    """The two lists side by side: what git has, what the cluster has of it."""

    def __init__(self, facts: SourceFacts, reading: Reading) -> None:
        self._facts = facts
        self._reading = reading
        self._entries = {entry.name: entry for entry in facts.status.inventory}
        self._wanted = {app.name: app for app in reading.apps}
        # An app that was applied when the operator died is in no inventory, but carries our label.
        self._members = {
            name: live for name, live in facts.apps.items() if _belongs(live, facts.name, known=name in self._entries)
        }
        named = {trouble.name for trouble in reading.troubles if trouble.name is not None}
        gone = [name for name in self._members if name not in self._wanted and name not in named]
        self._doubted = sorted(name for name in gone if self._may_be_unread(name))
        self._gone = sorted(set(gone) - set(self._doubted))

    def halt(self) -> Halt | None:
        facts, reading = self._facts, self._reading
        short = words(reading.revision)
        if len(facts.name) > MAX_LABEL:
            said = f"the name of an AppSource may have {MAX_LABEL} characters (its apps carry it as a label)"
            return Halt(Reason.INVALID_SPEC, f"{said}; this one has {len(facts.name)}. Create it under a shorter name")
        if not reading.apps and not reading.troubles:
            return Halt(Reason.EMPTY_SOURCE, self._empty(short))
        names = self._entries.keys() | self._wanted.keys() | self._members.keys()
        size = sum(len(entry.name) + len(entry.path.encode()) + _ENTRY_BYTES for entry in self._plan_entries())
        if len(names) > MAX_INVENTORY or size > MAX_BYTES:
            return Halt(
                Reason.TOO_LARGE,
                f"{short} has {len(names)} apps; one AppSource keeps at most {MAX_INVENTORY}, and a list of them of"
                f" {MAX_BYTES // 1024} KiB. Nothing was changed. Use several AppSources with narrower spec.paths",
            )
        return self._too_many_gone()

    def _empty(self, short: str) -> str:
        patterns = ", ".join(self._facts.spec.paths)
        said = f"{short} has no manifest of an app under {patterns}"
        if not self._members:
            return f"{said}. Add one, or mend spec.paths"
        count = len(self._members)
        one = min(self._members)
        return (
            f"{said}, but {counted(count, 'app')} came from this source. An empty repository takes nothing away:"
            f" {'it goes' if count == 1 else 'they go'} on untouched. If an app is to go, delete it yourself:"
            f" kubectl -n {self._facts.namespace} delete dataapp {one}"
        )

    def _too_many_gone(self) -> Halt | None:
        if not self._facts.spec.prune:
            return None
        staying = [n for n, live in self._members.items() if ANNOTATION_LEAVING not in live.annotations]
        going = [name for name in self._gone if name in set(staying)]
        if len(staying) < MANY or len(going) * 2 <= len(staying):
            return None
        revision = self._reading.revision
        if self._facts.allow_prune in {revision, self._reading.commit}:
            return None
        return Halt(
            Reason.PRUNE_HELD,
            f"{words(revision)} would remove {len(going)} of {len(staying)} apps ({listed(going)}), so nothing of this"
            f" revision is applied. If they are to go, set annotation {ALLOW_PRUNE}={revision} on the AppSource: kubectl -n"
            f" {self._facts.namespace} annotate appsource {self._facts.name} --overwrite {ALLOW_PRUNE}={revision}",
        )

    def survivors(self) -> tuple[InventoryEntry, ...]:
        """What is known of the apps that are there, when nothing new is learned."""
        entries = (self._entries.get(name) or _orphan(live) for name, live in self._members.items())
        return tuple(sorted(entries, key=lambda entry: entry.name))

    def sync(self) -> Sync:
        writes: list[Write] = []
        entries = {name: self._entries.get(name) or _orphan(live) for name, live in self._members.items()}
        troubles = list(self._reading.troubles)
        waiting, in_step = [], 0
        for app in self._reading.apps:
            live = self._facts.apps.get(app.name)
            if (trouble := self._trouble(app, live)) is not None:
                troubles.append(trouble)
            elif live is not None and live.deleting:
                waiting.append(app.name)
            elif (write := self._write(app, live)) is not None:
                writes.append(write)
            else:
                in_step += 1
                entries[app.name] = self._entry(app)
        prunes = tuple(self._prunes()) if self._facts.spec.prune else ()
        troubles += [t for name in self._gone if (t := self._refused(name, entries[name].path)) is not None]
        going = self._gone if self._facts.spec.prune else ()
        return Sync(
            writes=(*writes, *prunes),
            inventory=tuple(entries[name] for name in sorted(entries)),
            troubles=tuple(troubles),
            in_step=in_step,
            leaving=tuple(going),
            kept=() if self._facts.spec.prune else tuple(self._gone),
            doubted=tuple(self._doubted),
            waiting=tuple(waiting),
            changed=sum(self._is_news(entry) for entry in entries.values()),
        )

    def _trouble(self, app: GitApp, live: LiveApp | None) -> Trouble | None:
        if live is not None and app.name not in self._members:
            return Trouble(app.path, self._conflict(live), name=app.name, conflict=True)
        return self._refused(app.name, app.path)

    def _refused(self, name: str, path: str) -> Trouble | None:
        said = self._facts.refused.get(name)
        return None if said is None else Trouble(path, said, name=name)

    def _conflict(self, live: LiveApp) -> str:
        if live.source is not None:
            return f"the app {live.name} comes from the AppSource {live.source} already: take it out of one of the two"
        return (
            f"an app {live.name} is there already, and no AppSource brought it. It is left alone. To have it kept by this"
            f" source: kubectl -n {self._facts.namespace} label dataapp {live.name} {LABEL_SOURCE}={self._facts.name}"
        )

    def _write(self, app: GitApp, live: LiveApp | None) -> Write | None:
        manifest = self._manifest(app, live)
        if live is not None and (app.name in self._facts.beyond or is_as(live, manifest)):
            return None
        return Write(app.name, app.path, manifest, new=live is None)

    def _manifest(self, app: GitApp, live: LiveApp | None) -> Json:
        annotations = {**app.annotations, ANNOTATION_PATH: app.directory, ANNOTATION_MANIFEST: app.path}
        if app.has_code:
            annotations[ANNOTATION_COMMIT] = self._entry(app).commit
        labels = {**app.labels, LABEL_SOURCE: self._facts.name}
        return self._object(app.name, live, labels, annotations, app.spec)

    def _prunes(self) -> Iterator[Write]:
        """Marks. An apply says all that we own or loses it, so the app is said again as it is."""
        for name in self._gone:
            live = self._members[name]
            refused = name in self._facts.refused or name in self._facts.beyond
            if live.deleting or refused or ANNOTATION_LEAVING in live.annotations:
                continue
            annotations = {key: value for key, value in live.annotations.items() if key != _NOT_OURS}
            annotations[ANNOTATION_LEAVING] = self._reading.revision
            path = self._entries[name].path if name in self._entries else _orphan(live).path
            yield Write(name, path, self._object(name, live, live.labels, annotations, live.spec))

    def _object(
        self, name: str, live: LiveApp | None, labels: Mapping[str, str], annotations: Mapping[str, str], spec: Json
    ) -> Json:
        metadata: Json = {"name": name, "namespace": self._facts.namespace}
        metadata |= {"labels": dict(labels), "annotations": dict(annotations)}
        if live is not None:
            metadata["resourceVersion"] = live.resource_version
        return {"apiVersion": API_VERSION, "kind": "DataApp", "metadata": metadata, "spec": spec}

    def _entry(self, app: GitApp) -> InventoryEntry:
        """With the commit that stands there as long as nothing of the app has changed since."""
        known = self._entries.get(app.name)
        same = known is not None and known.tree == app.digest and known.commit
        commit = known.commit if known is not None and same else self._reading.commit
        return InventoryEntry(name=app.name, path=app.path, commit=commit, tree=app.digest)

    def _plan_entries(self) -> Iterator[InventoryEntry]:
        yield from (self._entry(app) for app in self._reading.apps)
        yield from (entry for entry in self.survivors() if entry.name not in self._wanted)

    def _is_news(self, entry: InventoryEntry) -> bool:
        if entry.name not in self._wanted:
            live = self._members.get(entry.name)
            return live is not None and live.annotations.get(ANNOTATION_LEAVING) == self._reading.revision
        known = self._entries.get(entry.name)
        return known is None or (known.commit, known.tree) != (entry.commit, entry.tree)

    def _may_be_unread(self, name: str) -> bool:
        """Whether the app may stand in a manifest that could not be read, or was refused."""
        reading = self._reading
        # A repository in which not one manifest can be read is as good as an empty one.
        if not reading.apps or reading.doubtful is None or name in reading.doubtful:
            return True
        path = (self._entries.get(name) or _orphan(self._members[name])).path
        return any(path in {file, posixpath.dirname(file) or "."} for file in reading.unread)


def is_as(live: LiveApp, manifest: Json) -> bool:
    """Whether an app is as we would write it, and carries no command of ours that we would not write."""
    metadata = manifest["metadata"]
    ours = (ANNOTATION_LEAVING, ANNOTATION_COMMIT)
    extra = any(key in live.annotations and key not in metadata["annotations"] for key in ours)
    return (
        not extra
        and contains(live.labels, metadata["labels"])
        and contains(live.annotations, metadata["annotations"])
        and contains(live.spec, manifest["spec"])
    )


def _belongs(live: LiveApp, source: str, *, known: bool) -> bool:
    """Whether an app is this source's. One of the inventory that has lost its label still is; a new one is not."""
    return live.source == source or (live.source is None and known and ANNOTATION_PATH in live.annotations)


def _orphan(live: LiveApp) -> InventoryEntry:
    """The entry of an app that carries our label and is in no inventory."""
    path = live.annotations.get(ANNOTATION_MANIFEST) or live.annotations.get(ANNOTATION_PATH, ".")
    return InventoryEntry(
        name=live.name, path=path[:512], commit=live.annotations.get(ANNOTATION_COMMIT, "")[:40], tree=""
    )


def words(revision: str) -> str:
    """A revision as a person reads it: ``main@9f2c1d0``."""
    name, _, commit = revision.rpartition("sha1:")
    return f"{name}{commit[:7]}"


def counted(count: int, noun: str) -> str:
    """``1 app``, ``2 apps``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(names: list[str] | tuple[str, ...], most: int = 5) -> str:
    """The names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
