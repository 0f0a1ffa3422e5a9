"""What a release does without, where its Gateway was seen not to do all that it asks for; frozen in it, and said in words.

Where cookies do not lead to their replica, an app whose sessions live in one process gets one replica and all new visitors
at once, and says which requests may be lost; no route of the release looks at a cookie, for a Gateway might refuse it.
Where weights are not kept, there are no steps.
"""

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan import endings
from dataapp_operator.plan.abilities import LONGEST, named, of
from dataapp_operator.plan.scene import Draft, Scene

_SIZE = ("slots", "workload", "replicas")
"""What of a plan says how many replicas there are, and what they are."""
_CUT = ("pins", "strategy", "steps")
"""What else of a plan may be otherwise because of a Gateway."""


def limit(scene: Scene, spec: AppReleaseSpec) -> AppReleaseSpec:
    """A release as its Gateway can carry it out, with a word on what is left out and what may be lost by it."""
    ability, cls = of(scene), scene.cls
    if cls is None or not spec.plan.pins:
        return spec
    alone = spec.plan.strategy == "recreate"  # for a reason of its own, that no Gateway takes away
    at_once: dict[str, object] = {"strategy": "recreate" if alone else "blueGreen", "steps": ()}
    if ability.pins is False:
        told = f"{named(cls)} does not keep a visitor with a replica ({ability.words[:LONGEST]})"
        plan: dict[str, object] = {"pins": False}
        if spec.sessionless:
            told += ": any replica may answer any request, and either release while one takes over from another"
        else:
            plan |= {"slots": 1, **at_once}
            reach = "a page that asks for patience" if alone else "the new release"
            told += (
                ". So there is one replica, and all new visitors come to a new release at once; pages that are open keep"
                f" their connection, and their uploads, downloads, files and reconnects reach {reach} and may be lost"
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
    alone = {plan.strategy == "recreate" for plan in (known.plan, wanted.plan)}
    fields = (*_SIZE, *_CUT) if known.limited is not None and len(alone) == 1 else _SIZE
    plan = known.plan.model_copy(update={field: getattr(wanted.plan, field) for field in fields})
    told = {} if known.limited is None else {"limited": wanted.limited}
    return known.model_copy(update={"plan": plan, **told}) == wanted


def is_one_replica(spec: AppReleaseSpec | None) -> bool:
    """Whether a release has one replica, however many are asked for: its cookies would lead to none of them."""
    return spec is not None and not spec.plan.pins and not spec.sessionless


def fits(scene: Scene, spec: AppReleaseSpec | None) -> bool:
    """Whether the Gateway can carry a release out as it is."""
    return spec is None or not spec.plan.pins or of(scene).pins is not False


def begin_again(scene: Scene, draft: Draft, number: int) -> bool:
    """Give a candidate up that its Gateway cannot carry out as it is: the same begins once more as it can."""
    spec = scene.spec(number)
    if spec is None or fits(scene, spec):
        return False
    told = f"nobody was sent to it: {limit(scene, spec).limited}. The same begins once more like that"
    endings.drop(scene, draft, number, Reason.GATEWAY_UNABLE, told)
    return True
