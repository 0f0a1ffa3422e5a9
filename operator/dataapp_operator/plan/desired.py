"""From what an author wrote to what a release consists of.

The *artefact* of a release is its image and a hash of everything else its pods are made from. Two equal artefacts are
the same release content: nothing is released twice, and a failed one is recognised when it comes again. How a release is
done (bake, drain) is frozen with it but is not part of the artefact: changing it releases nothing.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, overload

from dataapp_operator.api.apprelease import MOST_REPLICAS, AppReleaseSpec, ProbePlan, ReleasePlan, RunPlan
from dataapp_operator.api.base import API_VERSION
from dataapp_operator.api.dataapp import MAX_SLOTS
from dataapp_operator.plan import names
from dataapp_operator.plan.workload import owner

if TYPE_CHECKING:
    from dataapp_operator.api.apprelease import CookieKind
    from dataapp_operator.api.dataapp import AppSpec, Environment
    from dataapp_operator.api.status import Artefact, Quarantined
    from dataapp_operator.plan.wishes import Wish


def config_hash(app: AppSpec) -> str:
    """Twelve hex digits over everything but the image that the pods are made from.

    Values equal to the model's defaults are left out, so that a later operator with more fields reads the same hash
    from the same manifest: an upgrade of the operator releases nothing.
    The order of variables counts: ``$(A)`` in a value means a variable that stands before it.
    """
    content = app.model_dump(by_alias=True, exclude_defaults=True, mode="json", exclude={"replicas"})
    if app.replicas.sessions_per_replica is not None:  # the pods themselves keep to it
        content["sessionsPerReplica"] = app.replicas.sessions_per_replica
    content["port"] = app.listens_on
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


@overload
def content(of: None) -> None: ...
@overload
def content(of: Artefact | Quarantined | AppReleaseSpec) -> tuple[str, str]: ...
@overload
def content(of: Artefact | None) -> tuple[str, str] | None: ...
def content(of: Artefact | Quarantined | AppReleaseSpec | None) -> tuple[str, str] | None:
    """(image, config hash) of a release: live, failed or frozen."""
    return None if of is None else (of.image, of.config_hash)


def release_spec(
    app: str,
    wish: Wish,
    environment: Environment,
    *,
    number: int,
    serving: int | None = None,
    scaled: int = 0,
    cookie: CookieKind = "plain",
) -> AppReleaseSpec:
    """The frozen spec of a release of a wish in an environment, with that environment's settings and way of releasing.

    ``serving``: how many replicas serve now; it begins with as many, within the author's limits. ``scaled``: to how many
    somebody else than the author has scaled them, and within the author's ``max`` it is as many.
    """
    here = wish.here(environment)
    assert here.framework is not None  # noqa: S101 - the API asks for it beside an image, and reading code finds it
    size: dict[str, Any] = {"slots": min(max(serving or 0, here.replicas.min), here.replicas.most)}
    if here.workload == "deployment":
        most = MOST_REPLICAS if here.replicas.max is None else here.replicas.most
        size = {"workload": "deployment", "slots": 1, "replicas": max(size["slots"], min(scaled, most))}
    return AppReleaseSpec(
        app=app,
        environment=environment.name,
        number=number,
        image=wish.image,
        commit=wish.commit,
        build=wish.build,
        config_hash=config_hash(here),
        config=wish.config,
        run=RunPlan(port=here.listens_on, env=here.env, resources=here.resources),
        plan=ReleasePlan(
            strategy=environment.release.way,
            steps=environment.release.steps,
            hold=environment.release.hold,
            compatibility=environment.release.compatibility,
            **size,
            sessions_per_replica=here.replicas.sessions_per_replica,
            cookie=cookie,
            bake=environment.release.bake,
            drain=environment.release.drain,
            keep_warm=environment.release.keep_warm,
            rollback=environment.release.rollback,
            analysis=environment.release.analysis,
            probe=ProbePlan(framework=here.framework, startup=here.probe.startup),
        ),
    )


def sized(plan: ReleasePlan, many: int) -> dict[str, int]:
    """What says in a release's plan that it begins with so many replicas, whatever they are."""
    if plan.workload == "deployment":
        return {"replicas": min(many, MOST_REPLICAS)}
    return {"slots": min(many, MAX_SLOTS)}


def release_manifest(spec: AppReleaseSpec, *, namespace: str, app_uid: str) -> dict[str, Any]:
    """The AppRelease object around a spec."""
    return {
        "apiVersion": API_VERSION,
        "kind": "AppRelease",
        "metadata": {
            "name": names.release(spec.app, spec.environment, spec.number),
            "namespace": namespace,
            "labels": names.labels(spec.app, spec.environment, spec.number),
            "ownerReferences": [owner(spec.app, app_uid)],
        },
        "spec": spec.wire(),
    }
