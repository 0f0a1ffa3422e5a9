"""From an app's code to an image: what is read, what is built of it, and what is said meanwhile. Pure.

The memory is ``DataApp.status.code``. It is kept while nothing that decides the build has changed, so that a restart of
the operator, or a git server that is down, asks for nothing and changes nothing. A build is an AppBuild whose name is a
digest of what goes into it; it is created when it is not there, and its image is remembered when it is.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dataapp_operator.api.appbuild import AppBuildSpec, BuildSource
from dataapp_operator.api.base import API_VERSION
from dataapp_operator.api.code import LocalName
from dataapp_operator.api.conditions import BUILT, find
from dataapp_operator.api.dataapp import AppSpec
from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.status import CodeStatus
from dataapp_operator.plan import names
from dataapp_operator.plan.actions import Action, Background, CreateBuild, ReadCode
from dataapp_operator.plan.facts import BuildFacts, CodeFacts, Finding, Observed, Origin, Platform, Tagged
from dataapp_operator.plan.workload import owner

_LANGUAGES = {"shiny-r": "r"}
"""Which base image a framework needs, where it is not Python's."""
_UNFIXED = {"floating", "pinned"}
"""Of pinned packages, those that they need in turn may still have no version."""
_NOWHERE = (
    "the app has neither an image nor code: set spec.image, or spec.source to the repository with its code, or put the"
    " manifest beside the code in a repository that an AppSource reads"
)
_NO_FRAMEWORK = (
    "an image does not say what it is written with, and a real session is opened differently for each: set"
    " spec.app.framework"
)
_NO_BUILDS = (
    "building is switched off in this cluster, so code cannot become an image. Set spec.image to one that was built"
    " elsewhere, or ask the platform team to switch builds on"
)


@dataclass(frozen=True, slots=True)
class CodeView:
    """What a decision about the environments needs to know of the code.

    ``image`` None: there is none yet; ``reason`` and ``words`` say what is waited for. ``stalled``: a person must act.
    """

    status: CodeStatus | None = None
    image: str | None = None
    config: AppSpec = field(default_factory=AppSpec)
    commit: str | None = None
    build: str | None = None
    reason: Reason = Reason.READING_CODE
    words: str = ""
    stalled: bool = False
    tagged: Mapping[str, Tagged] | None = None
    """By pattern; None while nobody knows."""
    actions: tuple[Action, ...] = ()
    background: tuple[Background, ...] = ()
    answered: str | None = None
    """The wish to look now that has been answered."""


def consider(observed: Observed) -> CodeView:
    """What is known of the app's code, and what to do about it."""
    spec = observed.spec
    if spec.image is not None and spec.app.framework is None:
        return _kept(observed, Reason.INVALID_SPEC, _NO_FRAMEWORK, stalled=True, answered=observed.requested)
    if spec.image is not None:
        return CodeView(image=spec.image, config=spec.app, answered=observed.requested)
    if observed.origin is None:
        reason, words = observed.origin_trouble or (Reason.SOURCE_MISSING, _NOWHERE)
        return _kept(observed, reason, words, stalled=True, answered=observed.requested)
    origin, known = observed.origin, observed.status.code
    work = _question(observed, origin)
    facts = observed.code if observed.code is not None and observed.code.key == work.key else None
    fresh = known is not None and known.inputs == work.key
    asks = not fresh or work.interval is not None or work.request is not None
    background = (work,) if asks else ()
    answered = facts.request if facts else None
    if work.interval is None and origin.commit is not None and fresh:
        answered = observed.requested  # the AppSource looks for new commits, and this one is read
    tagged = facts.tagged if facts is not None and facts.trouble is None else None
    if facts is not None and facts.finding is not None:
        known = _remember(observed, origin, work.key, facts, facts.finding)
    elif facts is not None and facts.trouble is not None:
        reason, words = facts.trouble
        before = _as_before(observed, background) if facts.transient else None
        if before is not None:
            return before
        if not (fresh and facts.transient):
            return _kept(observed, reason, words, stalled=not facts.transient, background=background, answered=answered)
    elif (before := _as_before(observed, background)) is not None:
        return before
    elif not fresh:
        commit = f" of {origin.commit[:7]}" if origin.commit else ""
        return _kept(observed, Reason.READING_CODE, f"reading the code{commit}", background=background)
    assert known is not None  # noqa: S101 - fresh, or just made
    return _built(observed, origin, known, facts, _Seen(background, answered, tagged))


@dataclass(frozen=True, slots=True)
class _Seen:
    background: tuple[Background, ...]
    answered: str | None
    tagged: Mapping[str, Tagged] | None


def _built(observed: Observed, origin: Origin, known: CodeStatus, facts: CodeFacts | None, seen: _Seen) -> CodeView:
    """The code is known: how is its build?"""
    build = observed.builds.get(known.build)
    image = build.status.image if build is not None and build.status.phase == "Succeeded" else known.image
    status = known.model_copy(update={"image": image})
    app = observed.spec.app
    config = app if app.framework else app.model_copy(update={"framework": known.framework})
    common: dict[str, Any] = {
        "status": status,
        "config": config,
        "commit": known.commit,
        "build": known.build,
        "background": seen.background,
        "answered": seen.answered,
        "tagged": seen.tagged,
    }
    if image is not None:
        return CodeView(image=image, **common)
    if not observed.platform.builds:
        return CodeView(reason=Reason.BUILDS_DISABLED, words=_NO_BUILDS, stalled=True, **common)
    if build is None:
        if facts is None or facts.finding is None:
            # The build vanished before its image was remembered: read the code again, to make it again.
            common["background"] = (_question(observed, origin),)
            return CodeView(reason=Reason.READING_CODE, words=f"reading the code of {known.commit[:7]}", **common)
        manifest = build_manifest(observed, known.build, build_spec(observed, origin, facts, facts.finding))
        words = f"{known.commit[:7]} is being built"
        return CodeView(reason=Reason.BUILDING, words=words, actions=(CreateBuild(manifest),), **common)
    return CodeView(**_progress(build, known), **common)


def _progress(build: BuildFacts, known: CodeStatus) -> dict[str, Any]:
    what, status = known.commit[:7], build.status
    if status.phase == "Failed":
        reason = Reason(status.reason) if status.reason in set(Reason) else Reason.BUILD_FAILED
        words = (
            f"{what} cannot be built: {status.message or 'no reason was told'}. `kubectl describe appbuild {build.name}`"
            " shows the last lines of its log"
        )
        return {"reason": reason, "words": words, "stalled": True}
    if status.phase == "Running":
        return {"reason": Reason.BUILDING, "words": f"{what} is being built"}
    return {"reason": Reason.BUILDING, "words": status.message or f"{what} is waiting to be built"}


def _kept(
    observed: Observed,
    reason: Reason,
    words: str,
    *,
    stalled: bool = False,
    background: tuple[Background, ...] = (),
    answered: str | None = None,
) -> CodeView:
    """Nothing new is known: what was, stays in memory; it is no longer what is asked for, so nothing new is released."""
    return CodeView(
        status=observed.status.code,
        config=observed.spec.app,
        reason=reason,
        words=words,
        stalled=stalled,
        background=background,
        answered=answered,
    )


def _as_before(observed: Observed, background: tuple[Background, ...]) -> CodeView | None:
    """While the code is being read again, what was wrong with it still is, as far as anybody knows: a restart is no news."""
    told = find(observed.status.conditions, BUILT)
    if told is None or told.status != "False" or told.observed_generation != observed.generation or not background:
        return None
    reason = Reason(told.reason) if told.reason in set(Reason) else Reason.BUILD_FAILED
    return _kept(observed, reason, told.message, stalled=True, background=background)


def _question(observed: Observed, origin: Origin) -> ReadCode:
    """What to ask about the code, under a key that changes with everything that the answer depends on."""
    options, app = observed.spec.options, observed.spec.app
    patterns = sorted({env.promotion.tags for env in observed.spec.environments if env.promotion.mode == "tag"})
    asked = {
        "origin": [origin.url, origin.path, origin.ref.wire(), origin.secret, origin.manifest, origin.commit],
        "options": [options.wire(), app.framework],
        "platform": _platform(observed.platform),
        "tags": patterns,
    }
    polls = origin.commit is None or bool(patterns)
    unanswered = observed.requested is not None and observed.requested != observed.status.last_handled_reconcile_at
    return ReadCode(
        key=_digest(asked),
        origin=origin,
        framework=app.framework,
        entrypoint=options.entrypoint,
        dockerfile=options.dockerfile,
        include=options.include,
        interval=origin.interval if polls else None,
        request=observed.requested if unanswered and polls else None,
        tags=tuple(patterns),
    )


def _platform(platform: Platform) -> list[Any]:
    return [sorted(platform.bases.items()), sorted(platform.recipes.items())]


def _remember(observed: Observed, origin: Origin, key: str, facts: CodeFacts, finding: Finding) -> CodeStatus:
    """What is known now. The same files are the same code, whichever commit of the repository they are seen in."""
    known = observed.status.code
    same = known is not None and (known.tree, known.inputs) == (facts.tree, key)
    if known is not None and same and (known.image is not None or known.build in observed.builds):
        return known
    name = build_name(observed.name, build_spec(observed, origin, facts, finding))
    return CodeStatus(
        revision=facts.revision,
        commit=facts.commit,
        tree=facts.tree,
        inputs=key,
        framework=finding.framework,
        entrypoint=finding.entrypoint,
        detected_by=finding.detected_by,
        build=name,
        image=known.image if known is not None and known.build == name else None,
    )


def build_spec(observed: Observed, origin: Origin, facts: CodeFacts, finding: Finding) -> AppBuildSpec:
    """Everything that goes into the image."""
    own = finding.dockerfile is not None
    base = "" if own else observed.platform.bases.get(_LANGUAGES.get(finding.framework, "python"), "")
    return AppBuildSpec(
        app=observed.name,
        commit=facts.commit,
        tree=facts.tree,
        source=BuildSource(
            url=origin.url,
            path=origin.path,
            include=observed.spec.options.include,
            manifest=origin.manifest,
            secret_ref=LocalName(name=origin.secret) if origin.secret else None,
        ),
        framework=finding.framework,
        entrypoint=finding.entrypoint,
        recipe=finding.recipe,
        base=base,
        dockerfile=finding.dockerfile,
        detected_by=finding.detected_by,
        dependencies=finding.dependencies,
        as_of=_as_of(observed, facts, finding),
    )


def _as_of(observed: Observed, facts: CodeFacts, finding: Finding) -> str | None:
    """The day that decides which packages are taken, where not all have a version: that of the commit with which the file
    that names them became what it is. Another commit of the same file takes the same packages, and its build is quick.
    """
    named = finding.dependencies
    if named.trust not in _UNFIXED or finding.framework in _LANGUAGES or finding.dockerfile or not facts.committed_at:
        return None
    builds = [build for build in observed.builds.values() if build.status.phase == "Succeeded"]
    known = [build.spec.as_of for build in builds if named.digest and build.spec.dependencies == named]
    return min((day for day in known if day is not None), default=facts.committed_at)


def build_name(app: str, spec: AppBuildSpec) -> str:
    """``sales-3f7a91c2``: the app and eight digits over what goes into the image, and nothing else.

    The commit is no part of it (another commit with the same files is the same image), and neither is where the files
    come from; the day of the commit is, where it decides which packages are taken.
    """
    inputs = [spec.tree, spec.recipe, spec.base, spec.framework, spec.entrypoint, spec.dockerfile, spec.as_of]
    return f"{app}-{_digest(inputs)[:8]}"


def build_manifest(observed: Observed, name: str, spec: AppBuildSpec) -> dict[str, Any]:
    """The AppBuild object around a spec."""
    return {
        "apiVersion": API_VERSION,
        "kind": "AppBuild",
        "metadata": {
            "name": name,
            "namespace": observed.namespace,
            "labels": {names.LABEL_APP: observed.name},
            "ownerReferences": [owner(observed.name, observed.uid)],
        },
        "spec": spec.wire(),
    }


def _digest(content: object) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
