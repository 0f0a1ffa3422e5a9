"""Everything that many reconcilers want from git, at the price of one.

Those who ask the same thing at the same time wait for one answer, and an answer is given again while it is young enough
for who asks. git runs in a few threads; when nobody waits for a process any more, it is ended.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source import hosts
from dataapp_operator.source.archive import write_archive
from dataapp_operator.source.code import Code, read_blobs, read_code
from dataapp_operator.source.errors import SourceError
from dataapp_operator.source.globs import Glob
from dataapp_operator.source.limits import Limits
from dataapp_operator.source.lookup import find
from dataapp_operator.source.mirror import Counts, Tools
from dataapp_operator.source.paths import checked_path, checked_patterns
from dataapp_operator.source.process import Overrun, Runner
from dataapp_operator.source.reader import Broken, Entry, Reader
from dataapp_operator.source.remote import Head, Remote, Wanted, is_commit, wanted
from dataapp_operator.source.shelf import Shelf
from dataapp_operator.source.threads import Threads
from dataapp_operator.source.tree import Place, app_files, key, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from dataapp_operator.api.code import GitRef

__all__ = ["Code", "Entry", "Head", "Hub", "Limits", "Remote", "SourceError", "Where"]

T = TypeVar("T")
V = TypeVar("V")
Where: TypeAlias = tuple[str, tuple[str, ...], str | None]  # path, include, manifest

_REMEMBERED = 20_000  # look-ups; and commits that were seen at a ref
_TRIES = 2  # of reading a mirror that turns out to be damaged


@dataclass(slots=True)
class _Answer:
    """What the last look-up of a ref found, and when it began."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    began: float = float("-inf")
    head: Head | None = None
    error: SourceError | None = None


class Hub:
    """All access to git. `root` is a directory of ours, a cache: it may be lost at any time while we do not run.

    The methods raise SourceError and nothing else that a repository or a server could be the cause of. A manifest is
    named, like everything else, from the top of the repository.
    """

    def __init__(
        self,
        root: Path,
        *,
        policy: hosts.HostPolicy,
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        resolve: hosts.Resolve = hosts.system_resolve,
    ) -> None:
        self.policy = policy
        self.limits = limits
        self.counts = Counts()
        self.runner = Runner(limits)
        self._resolve = resolve
        self._threads = Threads(limits.processes)
        tools = Tools(self.runner, self._threads, self._admit, self.counts)
        self._shelf = Shelf(root, tools)
        self._answers: OrderedDict[tuple[Remote, str, bool], _Answer] = OrderedDict()
        self._seen_at: OrderedDict[tuple[Remote, str], str] = OrderedDict()

    @property
    def lookups(self) -> int:
        """How often a server was asked where a ref is."""
        return self.counts.lookups

    @property
    def fetches(self) -> int:
        """How often a commit was fetched."""
        return self.counts.fetches

    async def look(self, remote: Remote, ref: GitRef, *, max_age: float, tags: bool = False) -> Head:
        """Where a ref is, as of at most `max_age` seconds ago; with `tags` also where the repository's tags are. A commit
        is where it is, but must be there: it is fetched.
        """
        want = wanted(ref)
        self.policy.check_name(remote.host, remote.port)
        if want.commit:
            await self._read(remote, want.commit, lambda _reader: None)
            if not tags:
                return Head(want.commit, f"sha1:{want.commit}")
        asked = time.monotonic()
        answer = self._answer(remote, want, tags=tags)
        # Those who ask in the same moment are all in the queue before the first of them starts.
        await asyncio.sleep(0)
        async with answer.lock:
            patience = max_age if answer.error is None else min(max_age, self.limits.failure_seconds)
            if answer.began < asked - patience:
                await self._look(remote, want, answer, tags=tags)
            else:
                self.counts.shared += 1
            if answer.head is None:
                raise answer.error.again() if answer.error else AssertionError
            return answer.head

    async def files(self, remote: Remote, commit: str, globs: Sequence[str]) -> tuple[Entry, ...]:
        """The entries of a commit that match a pattern, also symbolic links and submodules: see `Entry.regular`."""
        patterns = [Glob.of(pattern) for pattern in checked_patterns(tuple(globs))]
        tops = tuple(dict.fromkeys(pattern.top for pattern in patterns))

        def job(reader: Reader) -> tuple[Entry, ...]:
            entries = reader.entries(commit, () if "" in tops else tops) if patterns else []
            return tuple(e for e in entries if any(pattern.matches(e.path) for pattern in patterns))

        return await self._read(remote, commit, job)

    async def read(self, remote: Remote, commit: str, entries: Sequence[Entry], *, max_bytes: int) -> dict[str, bytes]:
        """The contents of some entries of a commit, each of at most so many bytes."""
        return await self._read(remote, commit, lambda reader: read_blobs(reader, entries, max_bytes=max_bytes))

    async def code(
        self,
        remote: Remote,
        commit: str,
        path: str,
        include: Sequence[str] = (),
        *,
        manifest: str | None = None,
        near: GitRef | None = None,
    ) -> Code:
        """One app's code. `near` is a ref that the commit may be at, for servers that give nothing by its id alone."""
        place = _place(path, include, manifest)
        return await self._read(remote, commit, lambda reader: read_code(reader, commit, place), near)

    async def trees(
        self, remote: Remote, commit: str, places: Sequence[Where]
    ) -> tuple[dict[Where, str], dict[Where, SourceError]]:
        """The keys of many apps' code, and what is wrong with those that have none."""
        good: dict[Where, Place] = {}
        bad: dict[Where, SourceError] = {}
        for where in places:
            try:
                good[where] = _place(*where)
            except SourceError as error:
                bad[where] = error

        def job(reader: Reader) -> dict[Where, str]:
            found = listed(reader, commit, good.values(), sizes=False)
            keys = {}
            for where, place in good.items():
                try:
                    keys[where] = key(app_files(reader, commit, found, place))
                except SourceError as error:
                    bad[where] = error.again()
            return keys

        return (await self._read(remote, commit, job) if good else {}), bad

    async def archive(
        self,
        remote: Remote,
        commit: str,
        path: str,
        include: Sequence[str] = (),
        *,
        manifest: str | None = None,
        extra: Mapping[str, bytes] | None = None,
        near: GitRef | None = None,
    ) -> Path:
        """A tar file: context/… has the files that `code` lists, beside the `extra` members. It is deleted by us, at the
        earliest a minute after it was last asked for.
        """
        place = _place(path, include, manifest)
        directory = self._shelf.archives
        return await self._read(
            remote, commit, lambda reader: write_archive(reader, commit, place, extra or {}, directory), near
        )

    async def close(self) -> None:
        """End all processes and wait for their threads."""
        await self._threads.close()

    def _answer(self, remote: Remote, want: Wanted, *, tags: bool) -> _Answer:
        name = (remote, want.full or "", tags)
        answer = self._answers.setdefault(name, _Answer())
        _remember(self._answers, name)
        return answer

    async def _look(self, remote: Remote, want: Wanted, answer: _Answer, *, tags: bool) -> None:
        """Ask the server; the answer, or what went wrong, is left in `answer`."""
        began = time.monotonic()
        try:
            addresses = await self._admit(remote)
            began = time.monotonic()
            self.counts.lookups += 1
            job = find(self.runner, self._shelf.empty, remote, want, addresses, tags=tags)
            answer.head, answer.error = await self._threads.ask(remote.host, job), None
        except SourceError as error:
            self.counts.failures += 1
            answer.head, answer.error = None, error.again()
        answer.began = began
        if answer.head and want.full:
            self._seen_at[remote, answer.head.commit] = want.full
            _remember(self._seen_at, (remote, answer.head.commit))

    async def _admit(self, remote: Remote) -> tuple[str, ...]:
        return await hosts.admit(self.policy, remote.host, remote.port, self._resolve)

    async def _read(self, remote: Remote, commit: str, job: Callable[[Reader], T], near: GitRef | None = None) -> T:
        """Do a job on a mirror that has the commit."""
        if not is_commit(commit):
            raise SourceError(
                Reason.INVALID_SPEC, "a commit is written with all its 40 hexadecimal digits, in small letters"
            )
        self.policy.check_name(remote.host, remote.port)
        hint = self._seen_at.get((remote, commit)) or (wanted(near).full if near else None)
        mirror = await self._shelf.mirror(remote)
        for _ in range(_TRIES):
            try:
                async with mirror.holding(commit, hint) as path:
                    return await self._threads.work(lambda stop, path=path: job(Reader(self.runner, path, stop)))  # type: ignore[misc]
            except Broken:
                mirror.discard()
            except Overrun:
                raise SourceError(Reason.TOO_LARGE, f"the repository at {remote.url} takes too long to read") from None
        message = "the operator's copy of the repository is damaged, and so was a new one: it is tried again"
        raise SourceError(Reason.GIT_UNREACHABLE, message, transient=True)


def _place(path: str, include: Sequence[str], manifest: str | None) -> Place:
    checked = tuple(checked_path(each, "include") for each in include)
    return Place(checked_path(path), checked, checked_path(manifest, "manifest") if manifest else None)


def _remember(memory: OrderedDict[T, V], name: T) -> None:
    """Keep what was used last."""
    memory.move_to_end(name)
    while len(memory) > _REMEMBERED:
        memory.popitem(last=False)
