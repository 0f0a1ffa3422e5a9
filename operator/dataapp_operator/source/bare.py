"""One bare repository on disk, and what git does to it. All of this is run in threads, by `mirror`, one at a time.

Each commit that it has is held by the ref refs/src/<commit>, so that a restart finds out what is there by listing refs,
and a fetch sends only what is new. Nothing is ever checked out, packed anew, or configured by anybody but us.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from dataapp_operator.source import failures
from dataapp_operator.source.access import access
from dataapp_operator.source.errors import SourceError
from dataapp_operator.source.process import Overrun

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from dataapp_operator.source.process import Runner
    from dataapp_operator.source.remote import Remote

NEAR = "refs/near"
_STALE = (
    "*.lock",
    "objects/pack/tmp_*",
    "objects/pack/.tmp-*",
    "objects/pack/*.keep",
    "objects/tmp_*",
    "objects/*/tmp_*",
)


class FullError(SourceError):
    """There is too much on disk for a fetch, but part of it is from earlier ones."""


class Bare:
    """The repository at `path`, which need not exist. The methods take the event that says that nobody waits any more."""

    def __init__(self, path: Path, remote: Remote, runner: Runner) -> None:
        self.path = path
        self.remote = remote
        self._runner = runner
        self._limits = runner.limits

    def _git(self, stop: threading.Event, *arguments: str) -> tuple[int, bytes, str]:
        seconds = self._limits.read_seconds
        return self._runner.run(("--git-dir", str(self.path), *arguments), at=self.path, stop=stop, seconds=seconds)

    def tidy(self, stop: threading.Event) -> None:
        """Sweep what a process that was ended left; what never became a repository is begun again."""
        if not (self.path / "HEAD").is_file() or not (self.path / "objects" / "pack").is_dir():
            self.begin_again(stop)
            return
        for pattern in _STALE:
            for leftover in self.path.glob(pattern):
                leftover.unlink(missing_ok=True)
        for leftover in (self.path / "refs").rglob("*.lock"):
            leftover.unlink(missing_ok=True)

    def begin_again(self, stop: threading.Event) -> None:
        """An empty mirror, at once or not at all: a half-made one never bears the name."""
        fresh = self.path.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(self.path, ignore_errors=True)
        arguments = ("init", "--quiet", "--bare", "--template=", "--", str(fresh))
        code, _, complaint = self._runner.run(
            arguments, at=self.path.parent, stop=stop, seconds=self._limits.read_seconds
        )
        if code:
            raise failures.explain(complaint, self.remote, self._limits)
        fresh.replace(self.path)

    def fetch(self, stop: threading.Event, refspec: str, addresses: tuple[str, ...], *, fresh: bool) -> bool:
        """Fetch one thing, without history; False if the server says that there is no such thing. If it is too much,
        it is FullError where the repository is not `fresh`, and so could be begun again.
        """
        limits, remote = self._limits, self.remote
        arguments = (
            *("--git-dir", str(self.path), "fetch", "--quiet", "--no-tags", "--depth=1", "--no-write-fetch-head"),
            *("--no-auto-maintenance", "--no-recurse-submodules", "--end-of-options", remote.url, f"+{refspec}"),
        )
        try:
            with access(remote, addresses) as way:
                code, _, complaint = self._runner.run(
                    arguments,
                    at=self.path,
                    stop=stop,
                    seconds=limits.fetch_seconds,
                    access=way,
                    full=lambda: measure(self.path)[0] > limits.mirror_bytes,
                )
            if not code and measure(self.path)[0] > limits.mirror_bytes:
                # It came between two looks at the directory.
                if fresh:
                    self.begin_again(stop)
                raise Overrun("disk")  # noqa: TRY301 - said like any other
        except Overrun as error:
            kind = FullError if error.what == "disk" and not fresh else SourceError
            said = failures.overrun(error, remote, limits, limits.fetch_seconds)
            raise kind(said.reason, said.message, transient=said.transient) from None
        if not code:
            return True
        if failures.NO_SUCH_COMMIT.search(complaint):
            return False
        raise failures.explain(complaint, remote, limits)

    def commits(self, stop: threading.Event, wanted: str | None) -> set[str]:
        """Which commits are here; one whose ref names something else was never fetched by us."""
        pattern = "--format=%(objecttype) %(objectname) %(refname)"
        code, out, _ = self._git(stop, "for-each-ref", pattern, "refs/src/", NEAR)
        if code:
            self.begin_again(stop)
            return set()
        refs = {(oid, ref) for kind, oid, ref in map(str.split, out.decode().splitlines()) if kind == "commit"}
        commits = {oid for oid, ref in refs if ref == f"refs/src/{oid}"}
        if wanted and wanted not in commits and (wanted, NEAR) in refs:
            self._git(stop, "update-ref", f"refs/src/{wanted}", wanted)
            commits.add(wanted)
        return commits


def measure(path: Path) -> tuple[int, int]:
    """Bytes and packs of a mirror. All its objects are in packs, for that is how we fetch."""
    total = packs = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(path / "objects" / "pack") as found:
        for entry in found:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
                packs += entry.name.endswith(".pack")
    return total, packs
