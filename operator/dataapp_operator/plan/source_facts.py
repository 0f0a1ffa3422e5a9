"""What a decision about an AppSource may look at: what git says, what the cluster has, what went wrong.

A :class:`Reading` is everything a repository says at one commit. It also says what it does *not* know: files that are
there but could not be read as manifests, and names that may stand in them. Nothing is taken away on such ground.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dataapp_operator.api.appsource import AppSourceSpec, AppSourceStatus

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One manifest that cannot be applied; ``name`` where the app is known, ``conflict`` where another owner has it."""

    path: str
    message: str
    line: int | None = None
    name: str | None = None
    conflict: bool = False

    def __str__(self) -> str:
        return f"{self.path}{f':{self.line}' if self.line is not None else ''}: {self.message}"


@dataclass(frozen=True, slots=True)
class GitApp:
    """One app as git has it. ``digest`` changes when its directory or its manifest does."""

    name: str
    path: str
    directory: str
    spec: Json
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    digest: str = ""

    @property
    def has_code(self) -> bool:
        """Whether its code is beside its manifest, and not elsewhere or in an image."""
        return "image" not in self.spec and "source" not in self.spec

    @property
    def include(self) -> tuple[str, ...]:
        """Directories outside of its own that its code needs too."""
        return tuple((self.spec.get("build") or {}).get("include") or ())


def digest(url: str, app: GitApp, tree: str) -> str:
    """What the commit annotation stands for: as long as this is the same, the commit that stands there is right.

    The repository's address is in it because a commit of another repository is no commit of this one.
    """
    said = [url, app.path, app.directory, tree, app.spec, dict(app.labels), dict(app.annotations)]
    return hashlib.sha1(json.dumps(said, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a repository says at one commit.

    ``unread`` are the manifests that are there and gave no app or have something wrong with them; ``doubtful`` the
    names of apps that may stand in them or were refused, None where any might.
    """

    revision: str
    commit: str
    apps: tuple[GitApp, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    unread: frozenset[str] = frozenset()
    doubtful: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Failure:
    """A look that brought nothing. ``transient``: tried again soon; otherwise a person has to mend something."""

    reason: str
    message: str
    transient: bool = False


@dataclass(frozen=True, slots=True)
class LiveApp:
    """A DataApp as the cluster has it. ``source``: whose label it carries."""

    name: str
    resource_version: str
    source: str | None
    deleting: bool
    spec: Json
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Everything about one AppSource, now. ``apps`` are the namespace's DataApps that matter to it.

    ``refused`` is what the API server said about an app when it was last tried; ``beyond`` names the apps that an apply
    leaves as they are (another manager insists on a field).
    """

    namespace: str
    name: str
    now: datetime
    generation: int
    spec: AppSourceSpec
    status: AppSourceStatus
    allow_prune: str | None = None
    apps: Mapping[str, LiveApp] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    beyond: frozenset[str] = frozenset()

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)"""
        return self.namespace, self.name


def plain(value: Any) -> Any:
    """A value as the API server will have it: absent instead of null."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value


def contains(live: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is there. What others or the schema's defaults add is no difference."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(k in live and contains(live[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and _contains_list(live, wanted)
    return isinstance(live, bool) == isinstance(wanted, bool) and bool(live == wanted)


def _contains_list(live: list[Any], wanted: list[Any]) -> bool:
    """Lists of named things are merged by name (their order counts); all others are one value."""
    names = _names(wanted)
    if names is None:
        return len(live) == len(wanted) and all(contains(a, b) for a, b in zip(live, wanted, strict=True))
    there = [item for item in live if isinstance(item, Mapping) and item.get("name") in set(names)]
    return [item["name"] for item in there] == names and all(contains(a, b) for a, b in zip(there, wanted, strict=True))


def _names(items: Iterable[Any]) -> list[Any] | None:
    out = []
    for item in items:
        if not isinstance(item, Mapping) or "name" not in item:
            return None
        out.append(item["name"])
    return out or None
