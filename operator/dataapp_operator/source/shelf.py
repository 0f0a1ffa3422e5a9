"""Where the mirrors stand: one directory that only we may enter, and never more in it than there is room for.

root/salt        a random key, so that a mirror's name says nothing about the credential it was fetched with
root/mirrors/    a bare repository per (address, credential)
root/archives/   what builds fetch
root/empty/      where git stands when it needs no repository
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from typing import TYPE_CHECKING

from dataapp_operator.source.bare import measure
from dataapp_operator.source.mirror import Mirror, Tools

if TYPE_CHECKING:
    from pathlib import Path

    from dataapp_operator.source.remote import Remote

_UNUSED = 86_400.0  # seconds after which a mirror that nobody has read is deleted


class Shelf:
    """Finds, and when room is short deletes, mirrors."""

    def __init__(self, root: Path, tools: Tools) -> None:
        self._tools = tools
        self._mirrors: dict[Remote, Mirror] = {}
        self._sorting = asyncio.Lock()
        self._sorted_at = -1  # fetches
        self.archives = root / "archives"
        self.empty = root / "empty"
        self._directory = root / "mirrors"
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):
            root.chmod(0o700)
        for directory in (self._directory, self.archives, self.empty):
            directory.mkdir(mode=0o700, exist_ok=True)
        for unfinished in self.archives.glob("*.part"):
            unfinished.unlink(missing_ok=True)
        self._salt = _salt(root / "salt")

    async def mirror(self, remote: Remote) -> Mirror:
        """The mirror of a repository. Before it is handed out, room is made for what it may need."""
        mirror = self._mirrors.get(remote)
        if not mirror:
            path = self._directory / f"{remote.key(self._salt)}.git"
            mirror = self._mirrors[remote] = Mirror(path, remote, self._tools)
        mirror.used = self._tools.clock()
        if self._sorted_at != self._tools.counts.fetches and not self._sorting.locked():
            async with self._sorting:
                self._sorted_at = self._tools.counts.fetches
                await self._sort_out()
        return mirror

    async def _sort_out(self) -> None:
        """Delete what was not used for long, and the longest unused while all together are too large."""
        now, limits, counts = self._tools.clock(), self._tools.limits, self._tools.counts
        strangers = await self._tools.threads.work(lambda _stop: self._strangers())
        counts.bytes = sum(m.bytes for m in self._mirrors.values()) + sum(size for _, size, _ in strangers)
        for age, size, path in sorted(strangers, reverse=True):
            if age > _UNUSED or counts.bytes > limits.total_bytes:
                await self._tools.threads.work(lambda _stop, path=path: shutil.rmtree(path, ignore_errors=True))  # type: ignore[misc]
                counts.bytes -= size
                counts.evicted += 1
        for remote, mirror in sorted(self._mirrors.items(), key=lambda pair: pair[1].used):
            old = now - mirror.used > _UNUSED
            if mirror.busy or not (old or (mirror.bytes and counts.bytes > limits.total_bytes)):
                continue
            counts.bytes -= mirror.bytes
            counts.evicted += 1
            await mirror.delete()
            if old and not mirror.busy:
                del self._mirrors[remote]

    def _strangers(self) -> list[tuple[float, int, Path]]:
        """Mirrors from before the start that nobody has asked for since: age, size, path."""
        known = {mirror.path for mirror in self._mirrors.values()}
        found = []
        for path in self._directory.iterdir():
            if path not in known and path.with_suffix(".git") not in known:
                with contextlib.suppress(FileNotFoundError):
                    found.append((time.time() - path.stat().st_mtime, measure(path)[0], path))
        return found


def _salt(path: Path) -> bytes:
    """Random bytes that stay the same as long as the mirrors do."""
    with contextlib.suppress(FileNotFoundError):
        if len(kept := path.read_bytes()) >= 16:  # noqa: PLR2004 - a whole one
            return kept[:64]
    fresh = secrets.token_bytes(32)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with part.open("xb") as file:
        part.chmod(0o600)
        file.write(fresh)
    part.replace(path)
    return fresh
