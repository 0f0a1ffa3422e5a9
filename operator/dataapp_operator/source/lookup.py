"""Asking a server where a ref is (ls-remote), and what to say when it is nowhere.

Only the names we want are asked for: a repository may have a million others. What comes back is believed for exactly
these names, once, and all later work goes by the commit.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source import failures
from dataapp_operator.source.access import Access, access
from dataapp_operator.source.errors import SourceError, listing
from dataapp_operator.source.process import Overrun
from dataapp_operator.source.remote import Head, is_commit

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dataapp_operator.source.process import Runner
    from dataapp_operator.source.remote import Remote, Wanted

_TAGS, _BRANCHES, _PEELED = "refs/tags/", "refs/heads/", "^{}"
_SIMILAR = 5


def find(
    runner: Runner, at: Path, remote: Remote, want: Wanted, addresses: Sequence[str], *, tags: bool
) -> Callable[[threading.Event], Head]:
    """A job that looks a ref up; `at` is a directory that is no repository."""

    def ask(stop: threading.Event, way: Access, *patterns: str) -> _Refs:
        seconds = runner.limits.look_seconds
        arguments = ("ls-remote", "--symref", "--end-of-options", remote.url, *patterns)
        try:
            code, out, complaint = runner.run(arguments, at=at, stop=stop, seconds=seconds, access=way)
        except Overrun as error:
            raise failures.overrun(error, remote, runner.limits, seconds) from None
        if code:
            raise failures.explain(complaint, remote, runner.limits)
        return _Refs(out.decode("utf-8", "replace"))

    def job(stop: threading.Event) -> Head:
        patterns = [f"{_TAGS}*"] if tags else []
        if want.full:
            patterns += [want.full] if want.full == "HEAD" else [want.full, want.full + _PEELED]
        with access(remote, addresses) as way:
            found = ask(stop, way, *patterns)
            every = found.tags if tags else ()
            if want.commit:
                return Head(want.commit, f"sha1:{want.commit}", every)
            commit = found.commit(want.full or "")
            if commit is None:
                raise _missing(remote, want, ask(stop, way, f"{_BRANCHES}*", f"{_TAGS}*"))
            return Head(commit, f"{_label(want, found)}@sha1:{commit}", every)

    return job


class _Refs:
    """What ls-remote printed: a commit per ref, and for tags with a message also what they are of ("…^{}")."""

    def __init__(self, text: str) -> None:
        self.default: str | None = None
        self._oids: dict[str, str] = {}
        for line in text.splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: ") and name == "HEAD":
                self.default = value.removeprefix("ref: ")
            elif is_commit(value):
                self._oids[name] = value

    def commit(self, full: str) -> str | None:
        return self._oids.get(full + _PEELED) or self._oids.get(full)

    def names(self, prefix: str) -> list[str]:
        return [name[len(prefix) :] for name in self._oids if name.startswith(prefix) and not name.endswith(_PEELED)]

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, self.commit(_TAGS + name) or "") for name in self.names(_TAGS))


def _label(want: Wanted, found: _Refs) -> str:
    """The ref as it stands in a revision."""
    full = found.default or "HEAD" if want.full == "HEAD" else want.full or ""
    return full.removeprefix(_BRANCHES).removeprefix(_TAGS)


def _missing(remote: Remote, want: Wanted, there: _Refs) -> SourceError:
    branches, tags = there.names(_BRANCHES), there.names(_TAGS)
    if not branches and not tags:
        message = f"the repository at {remote.url} is empty: it has no commit yet"
        return SourceError(Reason.EMPTY_SOURCE, message)
    at = f"the repository at {remote.url}"
    if want.full == "HEAD":
        message = f"{at} has no default branch: name one in ref.branch; it has {listing(branches, _SIMILAR)}"
        return SourceError(Reason.REF_NOT_FOUND, message)
    is_tag = (want.full or "").startswith(_TAGS)
    word = (want.full or "").removeprefix(_BRANCHES).removeprefix(_TAGS)
    if word in (branches if is_tag else tags):
        other = "branch" if is_tag else "tag"
        message = f"{want.shown} is not in {at}, but a {other} of this name is: use ref.{other}"
        return SourceError(Reason.REF_NOT_FOUND, message)
    names = tags if is_tag else branches
    close = difflib.get_close_matches(word, names[:10_000], _SIMILAR, 0.5) or sorted(names)
    what, several = ("tag", "tags") if is_tag else ("branch", "branches")
    has = (
        f"it has the {what if len(close) == 1 else several} {listing(close, _SIMILAR)}"
        if close
        else f"it has no {what}"
    )
    return SourceError(Reason.REF_NOT_FOUND, f"{want.shown} is not in {at}: {has}")
