"""An app's code, read from a repository and recognised: what `Senses.read_code` does.

The repository's mirror is shared by everybody who reads it, so a thousand apps of one repository cost one look-up. What
goes wrong is told in the words of whoever noticed: git's edge, the rules of detection, or the files themselves.
"""

import hashlib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from dataapp_operator.api.base import timestamp
from dataapp_operator.api.code import Dependencies, DetectedBy, GitRef
from dataapp_operator.build.detect import DetectionError, Tree, detect
from dataapp_operator.control.credentials import credential
from dataapp_operator.kube.port import Cluster
from dataapp_operator.plan.actions import ReadCode
from dataapp_operator.plan.facts import CodeFacts, Finding, Tagged
from dataapp_operator.source.hub import Code, Hub
from dataapp_operator.source.remote import Head, Remote, SourceError

FRESH = 0.8
"""Of an interval: a look that somebody else had within this time is as good as one of our own."""


class CodeReader:
    """Reads code for DataApps."""

    def __init__(self, cluster: Cluster, hub: Hub) -> None:
        self._cluster = cluster
        self._hub = hub

    async def read(self, app: tuple[str, str], work: ReadCode, known: CodeFacts | None) -> CodeFacts:
        """What the code is now. Trouble is an answer too; only the API server's troubles are raised."""
        try:
            return await self._read(app, work, known)
        except SourceError as error:
            return CodeFacts(key=work.key, trouble=(error.reason, error.message), transient=error.transient)
        except DetectionError as error:
            return CodeFacts(key=work.key, trouble=(error.reason, error.message))

    async def _read(self, app: tuple[str, str], work: ReadCode, known: CodeFacts | None) -> CodeFacts:
        origin = work.origin
        held = await credential(self._cluster, app[0], origin.secret)
        remote = Remote(origin.url, held)
        head = await self._head(remote, work)
        tagged = await self._tagged(remote, work, head, known)
        if known is not None and known.trouble is None and (known.commit, known.tagged) == (head.commit, tagged):
            return known
        code = await self._code(remote, work, head.commit)
        found = detect(
            _tree(code, origin.path), framework=work.framework, entrypoint=work.entrypoint, dockerfile=work.dockerfile
        )
        return CodeFacts(
            key=work.key,
            commit=head.commit,
            revision=head.revision,
            tree=code.tree,
            committed_at=timestamp(code.committed_at),
            tagged=tagged,
            finding=Finding(
                framework=found.framework,
                entrypoint=found.entrypoint,
                recipe=found.recipe,
                detected_by=DetectedBy(rule=found.rule, file=found.file),
                dependencies=_with_digest(found.dependencies, code),
                dockerfile=found.dockerfile,
            ),
        )

    async def _head(self, remote: Remote, work: ReadCode) -> Head:
        """The commit to take: the AppSource's choice, or the newest of the ref."""
        origin = work.origin
        age = 0.0 if work.request is not None else (work.interval or origin.interval) * FRESH
        if origin.commit is None:
            return await self._hub.look(remote, origin.ref, max_age=age, tags=bool(work.tags))
        revision = f"{origin.where}@sha1:{origin.commit}" if origin.where else f"sha1:{origin.commit}"
        if not work.tags:
            return Head(commit=origin.commit, revision=revision)
        looked = await self._hub.look(remote, origin.ref, max_age=age, tags=True)
        return Head(commit=origin.commit, revision=revision, tags=looked.tags)

    async def _code(self, remote: Remote, work: ReadCode, commit: str) -> Code:
        origin = work.origin
        return await self._hub.code(
            remote, commit, origin.path, work.include, manifest=origin.manifest, near=origin.ref
        )

    async def _tagged(
        self, remote: Remote, work: ReadCode, head: Head, known: CodeFacts | None
    ) -> Mapping[str, Tagged]:
        """For each pattern the newest tag, and the code it points at. A tag without the app in it is passed over."""
        found: dict[str, Tagged] = {}
        for pattern in work.tags:
            for name, commit in newest_first(head.tags, pattern):
                before = known.tagged.get(pattern) if known is not None else None
                if before is not None and (before.name, before.commit) == (name, commit):
                    found[pattern] = before
                    break
                try:
                    code = await self._hub.code(
                        remote,
                        commit,
                        work.origin.path,
                        work.include,
                        manifest=work.origin.manifest,
                        near=GitRef(tag=name),
                    )
                except SourceError as error:
                    if error.transient:
                        raise
                    continue
                found[pattern] = Tagged(name=name, commit=commit, tree=code.tree)
                break
        return found


def newest_first(tags: Sequence[tuple[str, str]], pattern: str) -> list[tuple[str, str]]:
    """The tags that a pattern means, the newest version first: numbers in a name are compared as numbers.

    At most ten: whoever has more tags without the app in them must write a narrower pattern.
    """
    chosen = [(name, commit) for name, commit in tags if fnmatchcase(name, pattern)]
    return sorted(chosen, key=lambda tag: _version(tag[0]), reverse=True)[:10]


def _version(name: str) -> tuple[tuple[int, int, str], ...]:
    """``v1.10.0`` after ``v1.9.0``, and ``v2.0.0-rc1`` before ``v2.0.0``."""
    parts: list[tuple[int, int, str]] = []
    word = ""
    for character in [*name, ""]:
        if word and (not character or character.isdigit() != word[-1].isdigit()):
            parts.append((2, int(word), "") if word.isdigit() else (0 if word.startswith("-") else 1, 0, word))
            word = ""
        word += character
    return (*parts, (1, 0, ""))


def _with_digest(dependencies: Dependencies, code: Code) -> Dependencies:
    text = code.contents.get(dependencies.source or "")
    if text is None:
        return dependencies
    return dependencies.model_copy(update={"digest": hashlib.sha256(text).hexdigest()[:16]})


def _tree(code: Code, path: str) -> Tree:
    contents = {path: text.decode("utf-8", errors="replace") for path, text in code.contents.items()}
    name = path.rpartition("/")[2].removeprefix(".")
    return Tree(files=frozenset(entry.path for entry in code.files), contents=contents, name=name)
