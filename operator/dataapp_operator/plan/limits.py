"""What a release does without, where its Gateway was seen not to do all that it asks for; frozen in it, and said in words.

Where cookies do not lead to their replica, an app whose sessions live in one process gets one replica and all new visitors
at once, and says which requests may be lost; no route of the release looks at a cookie, for a Gateway might refuse it.
Where weights are not kept, there are no steps.
"""

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.plan.abilities import LONGEST, named, of
from dataapp_operator.plan.scene import Scene


def limit(scene: Scene, spec: AppReleaseSpec) -> AppReleaseSpec:
    """A release as its Gateway can carry it out, with a word on what is left out and what may be lost by it."""
    ability, cls = of(scene), scene.cls
    if cls is None or not spec.plan.pins:
        return spec
    at_once: dict[str, object] = {"strategy": "blueGreen", "steps": ()}
    if ability.pins is False:
        told = f"{named(cls)} does not keep a visitor with a replica ({ability.words[:LONGEST]})"
        plan: dict[str, object] = {"pins": False}
        if spec.sessionless:
            told += ": any replica may answer any request, and either release while one takes over from another"
        else:
            plan |= {"slots": 1, **at_once}
            told += (
                ". So there is one replica, and all new visitors come to a new release at once; pages that are open keep"
                " their connection, and their uploads, downloads, files and reconnects reach the new release and may be lost"
            )
    elif ability.weighs is False and spec.plan.steps:
        plan = at_once
        told = (
            f"{named(cls)} does not share visitors out as it is told ({ability.weighed[:LONGEST]}). So all come at once"
        )
    else:
        return spec
    return spec.model_copy(update={"plan": spec.plan.model_copy(update=plan), "limited": told})


def same(known: AppReleaseSpec, wanted: AppReleaseSpec) -> bool:
    """Whether a record is of what is wanted, as it is wanted or as its Gateway could carry it out when it was made.

    The number of replicas may have changed since, and what they are: an operator before this one made slots of everything.
    """
    if known.limited is not None:
        return known.model_copy(update={"plan": wanted.plan, "limited": wanted.limited}) == wanted
    now = wanted.plan
    plan = known.plan.model_copy(update={"slots": now.slots, "workload": now.workload, "replicas": now.replicas})
    return known.model_copy(update={"plan": plan}) == wanted


def is_one_replica(spec: AppReleaseSpec | None) -> bool:
    """Whether a release has one replica, however many are asked for: its cookies would lead to none of them."""
    return spec is not None and not spec.plan.pins and not spec.sessionless


def fits(scene: Scene, spec: AppReleaseSpec | None) -> bool:
    """Whether the Gateway can carry a release out as it is."""
    return spec is None or not spec.plan.pins or of(scene).pins is not False
