"""A world in which the app is code: a repository, a git server, builds that take their time, and the people around them.

Commits are digests of files; a build makes another image every time it runs, so that "the same image" means the very same
bytes. An AppSource chooses the commit, or the app looks at its branch by itself; both may find the server down.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dataapp_operator.api.appbuild import AppBuildSpec, AppBuildStatus
from dataapp_operator.api.base import timestamp
from dataapp_operator.api.code import Dependencies, DetectedBy
from dataapp_operator.api.dataapp import DataAppSpec, EnvVar
from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.status import DataAppStatus
from dataapp_operator.plan.actions import CreateBuild, ReadCode
from dataapp_operator.plan.facts import BuildFacts, CodeFacts, Finding, Observed, Origin, Platform, Tagged
from tests.property.cluster import Violation
from tests.property.world import World

COMMITS = ("good", "good", "late", "session", "crash", "nobuild", "unreadable")
"""What a commit brings: an image of that kind, none because it cannot be built, or nothing that is recognised."""
BUILD_TAKES = 5.0
CODE_REASONS = {
    Reason.READING_CODE,
    Reason.BUILDING,
    Reason.BUILD_FAILED,
    Reason.GIT_UNREACHABLE,
    Reason.AMBIGUOUS,
    Reason.SOURCE_MISSING,
    Reason.BUILDS_DISABLED,
}


def sha(text: str) -> str:
    """Forty digits, as git has them."""
    return hashlib.sha1(text.encode()).hexdigest()


@dataclass(frozen=True)
class Commit:
    """What somebody pushed."""

    sha: str
    tree: str
    kind: str
    at: datetime
    floating: bool = False


@dataclass
class Build:
    """An AppBuild."""

    spec: AppBuildSpec
    status: AppBuildStatus
    born: datetime
    incarnation: int


def code_spec(*environments: dict[str, Any], slots: int = 1) -> DataAppSpec:
    """An app without an image, with short times."""
    policy = {"bake": "30s", "drain": {"max": "10m", "emptyFor": "20s"}}
    wanted = environments or ({},)
    return DataAppSpec.model_validate(
        {
            "app": {"replicas": {"min": slots}, "probe": {"startup": "30s"}},
            "environments": [{"name": f"env{i}", "release": policy} | e for i, e in enumerate(wanted)],
        }
    )


@dataclass
class CodeWorld(World):
    """The cluster, with a repository beside it."""

    by_source: bool = True
    """An AppSource brings the app and chooses its commit; else the app looks at its branch."""
    commits: dict[str, Commit] = field(default_factory=dict)
    head: str = ""
    chosen: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    git_up: bool = True
    builds: dict[str, Build] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    """Every image that was ever built, and the tree that it was built from."""
    built: set[tuple[object, ...]] = field(default_factory=set)
    """The inputs of every build that nobody has deleted."""
    code: CodeFacts | None = None
    reading: ReadCode | None = None
    requested: str | None = None
    base: str = "base/python@sha256:" + "b" * 64

    # ---- what the operator sees -------------------------------------------------------------------------------

    def observe(self) -> Observed:
        self._sync()
        origin = Origin(
            url="https://git.example.org/team/apps.git",
            path="apps/sales",
            manifest="apps/sales/dataapp.yaml" if self.by_source else None,
            commit=self.chosen if self.by_source else None,
        )
        return replace(
            super().observe(),
            origin=None if self.spec.image else origin,
            code=self.code,
            builds={
                name: BuildFacts(name=name, uid=name, resource_version="1", spec=b.spec, status=b.status)
                for name, b in self.builds.items()
            },
            platform=Platform(bases={"python": self.base}, recipes={"streamlit": "1"}, builds=True),
            requested=self.requested,
        )

    def _sync(self) -> None:
        """The AppSource goes to the last commit that touched the app, when it can be asked."""
        if self.git_up and (not self.chosen or self.commits[self.chosen].tree != self.commits[self.head].tree):
            self.chosen = self.head

    # ---- the calls --------------------------------------------------------------------------------------------

    def reconcile(self, *, die_after: int | None = None) -> bool:
        self.reading = None
        lived = super().reconcile(die_after=die_after)
        if not lived:
            self.reading = None
        return lived

    def die(self) -> None:
        super().die()
        self.code = self.reading = None

    def _act(self, action) -> None:
        if not isinstance(action, CreateBuild):
            super()._act(action)
            return
        if self.leaving is not None:
            raise Violation("something is built of an app that is leaving")
        name = action.manifest["metadata"]["name"]
        wanted = AppBuildSpec.model_validate(action.manifest["spec"])
        inputs = (wanted.tree, wanted.recipe, wanted.base, wanted.entrypoint, wanted.dockerfile, wanted.as_of)
        if name not in self.builds:
            if inputs in self.built:
                raise Violation(f"{name} is built twice from the same inputs")
            if self.commits[wanted.commit].tree != wanted.tree:
                raise Violation(f"{name} says it is of {wanted.commit}, which has other files")
            self.built.add(inputs)
            self.builds[name] = Build(wanted, AppBuildStatus(phase="Pending"), self.now, self.serial)
            self._uid()

    def _check_new_release(self, new) -> None:
        super()._check_new_release(new)
        if new.image == self.spec.image:
            return
        if new.image not in self.made:
            raise Violation(f"{new.image} was never built")
        if new.commit is None or self.commits[new.commit].tree != self.made[new.image]:
            raise Violation(f"r{new.number} says it is of {new.commit}, and its image is made of other files")

    def _persist(self, status: DataAppStatus) -> None:
        asked = status.last_handled_reconcile_at
        if self.by_source:  # somebody else looks for new commits, and this one was read
            looked = self.code is not None or self.status.code is not None
        else:
            looked = self.code is not None and self.code.request == asked
        if asked != self.status.last_handled_reconcile_at and not looked and self.spec.image is None:
            raise Violation(f"the wish {asked!r} is said to be answered, and nobody has looked since")
        super()._persist(status)
        ready = next(c for c in status.conditions if c.type == "Ready")
        serves = [e.name for e in status.environments if e.weights]
        if ready.status == "False" and serves and ready.reason in CODE_REASONS and self.leaving is None:
            raise Violation(f"{serves} serve, and the app is not Ready because of its code: {ready.message}")

    # ---- slow work --------------------------------------------------------------------------------------------

    def _start(self, work) -> None:
        if isinstance(work, ReadCode):
            self.reading = work
        else:
            super()._start(work)

    def _look(self) -> None:
        """The repository is read, if somebody wants to know and does not know it already."""
        work, known = self.reading, self.code
        if work is None:
            return
        if known is not None and known.key != work.key:
            known = None
        if known is not None and known.trouble is None and work.interval is None and work.request is None:
            return
        asked = work.request or (known.request if known else None)
        if not self.git_up:
            trouble = (Reason.GIT_UNREACHABLE, "git.example.org does not answer")
            self.code = CodeFacts(key=work.key, trouble=trouble, transient=True, request=asked)
            return
        commit = self.commits[work.origin.commit or self.head]
        if commit.kind == "unreadable":
            trouble = (Reason.AMBIGUOUS, "app.py and main.py could both be the app; set spec.build.entrypoint")
            self.code = CodeFacts(key=work.key, trouble=trouble, request=asked)
            return
        tagged = {}
        for pattern in work.tags:
            if self.tags:
                name = max(self.tags, key=lambda tag: int(tag[1:]))
                tagged[pattern] = Tagged(name, self.tags[name], self.commits[self.tags[name]].tree)
        self.code = CodeFacts(
            key=work.key,
            commit=commit.sha,
            revision=f"main@sha1:{commit.sha}",
            tree=commit.tree,
            committed_at=timestamp(commit.at),
            tagged=tagged,
            request=asked,
            finding=Finding(
                framework="streamlit",
                entrypoint="app.py",
                recipe="streamlit/1",
                detected_by=DetectedBy(rule="streamlit-import", file="app.py"),
                dependencies=Dependencies(trust="floating" if commit.floating else "locked"),
            ),
        )

    # ---- the world moves --------------------------------------------------------------------------------------

    def tick(self, by: float) -> None:
        super().tick(by)
        self._look()
        for name, build in self.builds.items():
            age = (self.now - build.born).total_seconds()
            kind = self.commits[build.spec.commit].kind
            if build.status.phase in {"Pending", "Running"} and age >= 1:
                build.status = AppBuildStatus(phase="Running")
            if build.status.phase != "Running" or age < BUILD_TAKES:
                continue
            if kind == "nobuild":
                words = "there is no package nopandas==1.0"
                build.status = AppBuildStatus(phase="Failed", reason="PackageNotFound", message=words)
                continue
            digest = hashlib.sha256(f"{name}/{build.incarnation}".encode()).hexdigest()
            made = f"lab/{kind}-{build.spec.tree[:7]}@sha256:{digest}"
            self.made[made] = build.spec.tree
            build.status = AppBuildStatus(phase="Succeeded", image=made)

    def commit(self, kind: str = "good", *, files: str | None = None, floating: bool = False) -> Commit:
        """Somebody pushes. The same ``files`` are the same tree; without any, they are new."""
        number = len(self.commits) + 1
        tree = sha(f"{kind}/{files or number}/{floating}")
        new = Commit(sha(f"commit {number}"), tree, kind, self.now, floating)
        self.commits[new.sha] = new
        self.head = new.sha
        return new

    def delete_build(self, choice: int) -> None:
        """Somebody deletes an AppBuild."""
        if not self.builds:
            return
        name = list(self.builds)[choice % len(self.builds)]
        wanted = self.builds.pop(name).spec
        self.built.discard(
            (wanted.tree, wanted.recipe, wanted.base, wanted.entrypoint, wanted.dockerfile, wanted.as_of)
        )

    def rewrite(self, env: str, **changes: object) -> None:
        """The author changes the manifest of one environment."""
        environments = tuple(e.model_copy(update=changes) if e.name == env else e for e in self.spec.environments)
        self.spec = self.spec.model_copy(update={"environments": environments})
        self.generation += 1

    def override(self, env: str, value: str) -> None:
        """The author sets a variable of one environment."""
        own = next(e for e in self.spec.environments if e.name == env).app
        self.rewrite(env, app=own.model_copy(update={"env": (EnvVar(name="LEVEL", value=value),)}))


def with_code(*environments: dict[str, Any], kind: str = "good", slots: int = 1, by_source: bool = True) -> CodeWorld:
    """A world with one commit that nobody has read yet."""
    world = CodeWorld(spec=code_spec(*environments, slots=slots), by_source=by_source)
    world.commit(kind)
    return world
