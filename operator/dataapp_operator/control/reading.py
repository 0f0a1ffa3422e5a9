"""Reading repositories for AppSources: the slow work, at a desk for each source.

A look asks where the ref is; only where that brought another commit (or another spec asks) are manifests listed, read
and parsed and the digests of the apps' directories taken. What comes back lies on the desk as one whole
:class:`Reading`, or as the :class:`Failure` that it was: a reading that broke off half-way is never seen by anybody.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from dataapp_operator.api.appsource import MAX_INVENTORY, AppSourceSpec
from dataapp_operator.api.base import seconds
from dataapp_operator.api.code import GitRef
from dataapp_operator.api.reasons import Reason
from dataapp_operator.control.assembling import Parsed, Place, assemble, places, readable
from dataapp_operator.control.credentials import credential
from dataapp_operator.kube.errors import Transient
from dataapp_operator.kube.port import Cluster
from dataapp_operator.plan.source_facts import Failure, Reading
from dataapp_operator.source.errors import SourceError
from dataapp_operator.source.manifests import parse
from dataapp_operator.source.remote import Head, Remote
from dataapp_operator.source.tree import Entry

log = logging.getLogger(__name__)

SourceKey = tuple[str, str]
"""(namespace, AppSource)"""

LEAST_INTERVAL = 5.0
"""Seconds between two looks at one repository by its interval, whatever anybody asks for."""
MOST_PHASE = 60.0
"""Seconds over which the first looks after a start are spread."""
MAX_MANIFEST = 1 << 20
LOOK_SECONDS = 900.0
PARSE_SECONDS = 60.0
_WORD = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")


class Repositories(Protocol):
    """What is asked of :class:`dataapp_operator.source.hub.Hub`. All raise ``SourceError`` and nothing else."""

    async def look(self, remote: Remote, ref: GitRef, *, max_age: float, tags: bool = False) -> Head:
        """Where a ref is."""

    async def files(self, remote: Remote, commit: str, globs: Sequence[str]) -> tuple[Entry, ...]:
        """The files that match."""

    async def read(self, remote: Remote, commit: str, entries: Sequence[Entry], *, max_bytes: int) -> dict[str, bytes]:
        """What stands in them, by path."""

    async def trees(
        self, remote: Remote, commit: str, places: Sequence[Place]
    ) -> tuple[Mapping[Place, str], Mapping[Place, SourceError]]:
        """The digests of apps' directories; those that have none, with the reason."""


@dataclass(frozen=True, slots=True)
class Order:
    """One look: whose, with which spec, and which request to look it answers."""

    key: SourceKey
    generation: int
    spec: AppSourceSpec
    request: str | None = None
    max_age: float = 0.0


@dataclass(slots=True)
class Desk:
    """What is known and under way for one AppSource: the object with this uid, not a later one of its name."""

    uid: str
    due: datetime
    generation: int | None = None
    """Of the spec that the last look was for."""
    request: str | None = None
    """The request to look that stood on the object when the last look began."""
    answered: str | None = None
    """The one that what lies here answers."""
    reading: Reading | None = None
    failure: Failure | None = None
    failures: int = 0
    failing_since: datetime | None = None
    looks: int = 0
    """How many have come back: what an earlier one left unsolved may be tried once more after each."""
    task: asyncio.Task[None] | None = None


class Reader:
    """Slow work of all AppSources. ``wake`` is called with a source's key when something came back for it.

    ``jitter`` answers a number in [0, 1), new at each call.
    """

    def __init__(
        self,
        cluster: Cluster,
        hub: Repositories,
        *,
        wake: Callable[[SourceKey], None],
        jitter: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._hub = hub
        self._wake = wake
        self._jitter = jitter
        self._now = now
        self._desks: dict[SourceKey, Desk] = {}

    def desk(self, key: SourceKey, *, uid: str, phase: float) -> Desk:
        """What is known of a source. Of one not seen before nothing; its first look is due in so many seconds."""
        desk = self._desks.get(key)
        if desk is not None and desk.uid != uid:
            self.drop(key)
            desk = None
        if desk is None:
            desk = self._desks[key] = Desk(uid=uid, due=self._now() + timedelta(seconds=phase))
        return desk

    def start(self, order: Order) -> None:
        """Begin a look, unless one is under way."""
        desk = self._desks[order.key]
        if desk.task is not None:
            return
        task = desk.task = asyncio.ensure_future(self._look(order, desk))

        def over(done: asyncio.Task[None]) -> None:
            desk.task = None
            if done.cancelled():
                return
            if done.exception() is not None:
                log.error("%s/%s: the look broke off", *order.key, exc_info=done.exception())
                desk.due = self._now() + timedelta(seconds=LEAST_INTERVAL)
            self._wake(order.key)

        task.add_done_callback(over)

    def stop(self, key: SourceKey) -> None:
        """End what is under way for a source. What it was to bring is asked for anew."""
        desk = self._desks.get(key)
        if desk is not None and desk.task is not None:
            desk.task.cancel()
            desk.generation = desk.request = None

    def drop(self, key: SourceKey) -> None:
        """The source is gone."""
        self.stop(key)
        self._desks.pop(key, None)

    async def close(self) -> None:
        """Stop everything and wait until it has stopped."""
        tasks = [desk.task for desk in self._desks.values() if desk.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, order: Order, desk: Desk) -> None:
        if desk.generation != order.generation:
            desk.reading, desk.failure, desk.failures, desk.failing_since = None, None, 0, None
        desk.request, desk.generation = order.request, order.generation
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found: Reading | Failure = await self._read(order, desk.reading)
        except SourceError as error:
            found = Failure(error.reason, error.message.rstrip("."), transient=error.transient)
        except TimeoutError:
            words = f"reading {order.spec.url} took longer than {LOOK_SECONDS / 60:.0f} minutes"
            found = Failure(Reason.GIT_UNREACHABLE, words, transient=True)
        except Transient as error:
            words = f"the Secret of the repository cannot be read at the moment: {error.message}"
            found = Failure(Reason.GIT_UNREACHABLE, words, transient=True)
        except Exception as error:
            log.exception("%s/%s: a bug in the operator while reading; other sources go on", *order.key)
            words = f"reading {order.spec.url} broke off by a mistake of the operator ({type(error).__name__})"
            found = Failure(Reason.GIT_UNREACHABLE, words, transient=True)
        self._lay(order, desk, found)

    def _lay(self, order: Order, desk: Desk, found: Reading | Failure) -> None:
        """Onto the desk, and say when to look again."""
        desk.looks += 1
        desk.answered = order.request
        interval = max(float(seconds(order.spec.interval)), LEAST_INTERVAL)
        pause = interval * (0.9 + 0.2 * self._jitter())
        if isinstance(found, Reading):
            desk.reading, desk.failure, desk.failures, desk.failing_since = found, None, 0, None
        else:
            desk.failure = found
            if found.transient:
                desk.failing_since = desk.failing_since or self._now()
                backoff = min(LEAST_INTERVAL * 2.0 ** min(desk.failures, 32), max(interval, MOST_PHASE))
                pause = backoff * (1 - self._jitter() / 2)
                desk.failures += 1
            else:
                desk.failures, desk.failing_since = 0, None
        desk.due = self._now() + timedelta(seconds=pause)

    async def _read(self, order: Order, known: Reading | None) -> Reading:
        spec, namespace = order.spec, order.key[0]
        secret = spec.secret_ref.name if spec.secret_ref is not None else None
        remote = Remote(spec.url, await credential(self._cluster, namespace, secret))
        head = await self._hub.look(remote, spec.ref, max_age=order.max_age)
        if known is not None and known.commit == head.commit:
            return known if known.revision == head.revision else replace(known, revision=head.revision)
        entries = await self._hub.files(remote, head.commit, spec.paths)
        if len(entries) > MAX_INVENTORY:
            words = f"{len(entries)} files match spec.paths; one AppSource reads at most {MAX_INVENTORY}. Use several"
            raise SourceError(Reason.TOO_LARGE, f"{words} AppSources with narrower patterns")
        good, troubles = readable(entries, MAX_MANIFEST)
        texts = await self._hub.read(remote, head.commit, good, max_bytes=MAX_MANIFEST) if good else {}
        if missing := [entry.path for entry in good if entry.path not in texts]:
            # Half of an answer is none: what is missing would look like an app that is gone.
            raise SourceError(Reason.GIT_UNREACHABLE, f"{missing[0]} came without its content", transient=True)
        try:
            async with asyncio.timeout(PARSE_SECONDS):
                parsed = await asyncio.to_thread(_parse_all, texts, namespace)
        except TimeoutError:
            words = f"the manifests could not be read within {PARSE_SECONDS:.0f} s; make them smaller"
            raise SourceError(Reason.TOO_LARGE, words) from None
        digests, refused = await self._hub.trees(remote, head.commit, places(parsed))
        for error in refused.values():
            if error.transient:
                raise error
        return assemble(spec.url, head, parsed, (*troubles,), digests, refused)


def _parse_all(texts: Mapping[str, bytes], namespace: str) -> tuple[Parsed, ...]:
    out = []
    for path, text in sorted(texts.items()):
        manifests, problems = parse(path, text, namespace=namespace)
        out.append(
            Parsed(path, manifests, problems, _names_in(path, text) if problems or not manifests else frozenset())
        )
    return tuple(out)


def _names_in(path: str, text: bytes) -> frozenset[str] | None:
    """Every word of a manifest and its path that could be an app's name; None where it may be written in another way."""
    if b"\\" in text or b"\0" in text:
        return None
    return frozenset(_WORD.findall(f"{path}\n{text.decode('utf-8', errors='replace')}"))
