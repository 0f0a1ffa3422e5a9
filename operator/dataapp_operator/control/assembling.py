"""From files to a :class:`Reading`: which apps a commit has, and what of it could not be read.

Bad manifests are refused one by one. Two that name the same app are refused both: to choose one of them would be to
guess. Whatever is refused, or may stand in what is, is not taken for gone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dataapp_operator.plan.source_facts import GitApp, Reading, Trouble, digest, plain
from dataapp_operator.source.errors import SourceError
from dataapp_operator.source.manifests import Manifest, Problem, collisions
from dataapp_operator.source.remote import Head
from dataapp_operator.source.tree import Entry

Place = tuple[str, tuple[str, ...], str | None]
"""(directory, include, manifest), all from the top of the repository"""
_MAX_PATH = 512


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one file gave. ``words``: names of apps that may stand in it besides; None where any may."""

    path: str
    manifests: tuple[Manifest, ...]
    problems: tuple[Problem, ...]
    words: frozenset[str] | None = frozenset()

    @property
    def unread(self) -> bool:
        """Whether there may be an app in it that it did not give."""
        return bool(self.problems) or not self.manifests


def readable(entries: Iterable[Entry], max_bytes: int) -> tuple[list[Entry], list[Trouble]]:
    """The files that can be manifests by what they are, and what is wrong with the others."""
    good, troubles = [], []
    for entry in entries:
        if not entry.regular:
            troubles.append(Trouble(entry.path[:_MAX_PATH], f"this is {entry.kind}; only plain files are read"))
        elif entry.size > max_bytes:
            said = f"the file has {entry.size / 1024:.0f} KiB; a manifest has at most {max_bytes // 1024}"
            troubles.append(Trouble(entry.path, said))
        elif len(entry.path) > _MAX_PATH:
            troubles.append(Trouble(entry.path[:_MAX_PATH], f"the path has more than {_MAX_PATH} characters"))
        else:
            good.append(entry)
    return good, troubles


def app_of(manifest: Manifest) -> GitApp:
    """One app as its manifest says it."""
    return GitApp(
        name=manifest.name,
        path=manifest.path,
        directory=manifest.directory or ".",
        spec=plain(manifest.spec),
        labels=plain(manifest.labels),
        annotations=plain(manifest.annotations),
    )


def place_of(app: GitApp) -> Place:
    """Where its code is."""
    return (app.directory, app.include, app.path)


def places(parsed: Iterable[Parsed]) -> tuple[Place, ...]:
    """Where all the code is, each place once."""
    apps = [app_of(manifest) for file in parsed for manifest in file.manifests]
    return tuple(dict.fromkeys(place_of(app) for app in apps if app.has_code))


def assemble(
    url: str,
    head: Head,
    parsed: Sequence[Parsed],
    unreadable: Sequence[Trouble],
    digests: Mapping[Place, str],
    refused: Mapping[Place, SourceError],
) -> Reading:
    """Everything that a repository says at one commit."""
    found = [manifest for file in parsed for manifest in file.manifests]
    clashes = collisions(found)
    clashing = {(clash.path, clash.line) for clash in clashes}
    troubles = [*unreadable, *(_trouble(problem) for file in parsed for problem in file.problems)]
    troubles += [_trouble(clash) for clash in clashes]
    apps, refused_names = [], set()
    for manifest in found:
        app = app_of(manifest)
        place = place_of(app)
        if not clashing.isdisjoint({(manifest.path, manifest.line), (manifest.path, None)}):
            refused_names.add(app.name)
        elif not app.has_code:
            apps.append(replace(app, digest=digest(url, app, "")))
        elif place in digests:
            apps.append(replace(app, digest=digest(url, app, digests[place])))
        else:
            said = refused[place].message if place in refused else "its directory cannot be read"
            troubles.append(Trouble(app.path, said, name=app.name))
            refused_names.add(app.name)
    unread = [file for file in parsed if file.unread]
    sure = not unreadable and all(file.words is not None for file in unread)
    words = {word for file in unread for word in file.words or ()}
    return Reading(
        revision=head.revision,
        commit=head.commit,
        apps=tuple(sorted(apps, key=lambda app: app.name)),
        troubles=tuple(sorted(troubles, key=lambda t: (t.path, t.line or 0))),
        unread=frozenset(file.path for file in unread) | {trouble.path for trouble in unreadable},
        doubtful=frozenset(words | refused_names) if sure else None,
    )


def _trouble(problem: Problem) -> Trouble:
    return Trouble(problem.path, problem.message, line=problem.line)
