"""What the Gateway of an environment does with visitors: asked in time, and waited for before anybody is sent anywhere.

What a gateway says about itself is not read: it is asked, by being a visitor of a release that nobody else is sent to.
That is the one whose sessions are being checked, or before it begins the one that serves, on its preview host; a route with
a cookie of our own is there for the time of the question.
"""

from datetime import timedelta

from dataapp_operator.api.base import instant
from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan import cookies, names, routes, upkeep, words
from dataapp_operator.plan.actions import ProveGateway, Share
from dataapp_operator.plan.facts import GatewayAbility, GatewayFacts, GatewayKey, RouteFacts
from dataapp_operator.plan.scene import Draft, Scene

PATIENCE = 30
"""Seconds that a gateway may take to answer on a preview host before a person is told."""
ASK_AGAIN = 5
"""Seconds until it is looked again whether somebody has found out."""
LONGEST = 300
"""Characters that are kept of what was seen."""


def of(scene: Scene) -> GatewayAbility:
    """What is known of the environment's Gateway."""
    return scene.observed.abilities.get(scene.cls.gateway, GatewayAbility()) if scene.cls else GatewayAbility()


def before(scene: Scene, draft: Draft) -> bool:
    """Whether the next release may begin: where one serves, its Gateway is asked first what a release may be like.

    What takes the place of a candidate is not kept waiting: what serves may be what it mends, and answer nobody.
    """
    if scene.memory.candidate is not None:
        return True
    ability, serving = of(scene), scene.memory.stable
    witness = serving is not None and scene.ready(serving) and scene.spec(serving) is not None
    route = None if serving is None else _preview(scene, serving)
    if not witness or serving is None or route is None or not route.accepted:
        return True  # the new release itself will be the one to ask by
    if _is_known(ability) and (not ability.stale or ability.pins):
        return True
    ahead(scene, draft, serving)
    if ability.marks is False:
        _say_unmarked(scene, draft, "something new is ready")
        return False
    if _overdue(scene):
        return True
    _say_asking(scene, draft, serving)
    return False


def ahead(scene: Scene, draft: Draft, number: int) -> None:
    """Ask while the sessions of a release are still being opened: neither has to wait for the other."""
    ability = of(scene)
    if ability.stale or not (_is_known(ability) or ability.marks is False):
        _prove(scene, draft, number)


def makes_room(scene: Scene, draft: Draft, number: int, serving: int) -> bool:
    """Whether what serves may end for a release: it is asked by once, and a page that nobody could see helps nobody.

    Asked by once, whatever comes of it: as long as there are visits to it, it looks as if somebody had it open.
    """
    ability = of(scene)
    if not ability.words or (ability.marks is False and ability.stale):
        ahead(scene, draft, serving)
    if ability.marks is not False:
        return True
    _say_unmarked(scene, draft, f"r{number} is to take the place of r{serving}")
    return False


def during(scene: Scene, draft: Draft, number: int) -> bool:
    """Whether it is known what the Gateway does, so that visitors may be sent to a release that passed its checks."""
    ability, cls, route = of(scene), scene.cls, _preview(scene, number)
    if cls is None or (_is_known(ability) and not ability.stale):
        return True
    ahead(scene, draft, number)
    host = upkeep.preview_host(scene, number, cls)
    if route is not None and route.accepted is False:
        draft.stall(
            Reason.GATEWAY_REJECTED,
            f"{named(cls)} does not accept the app's route for {host}: {words.gateway(route.words)}. Ask the platform team"
            " to let it in, or choose another host or class",
        )
    elif ability.marks is False:
        _say_unmarked(scene, draft, f"r{number} passed its checks")
    elif _overdue(scene):
        draft.stall(
            Reason.GATEWAY_SILENT,
            f"{host} does not show r{number} yet, {PATIENCE} s after its checks: {_seen(scene, cls, route)}",
        )
    else:
        _say_asking(scene, draft, number)
    return False


def weigh(scene: Scene) -> tuple[Share, ...]:
    """The shares to count at a step, if that tells whether the Gateway obeys them, and nobody knows."""
    shares = upkeep.shares(scene.memory)
    if of(scene).weighs is not None or not all(scene.ready(number) for number in shares):
        return ()
    return tuple(Share(number, weight, len(scene.scale(number).serving)) for number, weight in shares.items())


def key(scene: Scene, cls: EnvironmentClassSpec) -> GatewayKey:
    """The environment's Gateway as it is now."""
    facts = scene.observed.gateways.get(cls.gateway, GatewayFacts(exists=False))
    return GatewayKey(cls.gateway, facts.uid, facts.generation)


def tidy(scene: Scene, draft: Draft) -> None:
    """Take away the routes of questions that nobody asks any more."""
    asking = {work.number for work in draft.background if isinstance(work, ProveGateway)}
    wanted = set() if of(scene).elsewhere else {names.proof_route(scene.app, scene.env, number) for number in asking}
    for name, route in sorted(scene.observed.routes.items()):
        if names.is_proof_route(scene.app, scene.env, name) and name not in wanted and not route.deleting:
            draft.actions.append(upkeep.delete_route(route))


def _is_known(ability: GatewayAbility) -> bool:
    return bool(ability.marks) and ability.pins is not None


def _prove(scene: Scene, draft: Draft, number: int) -> None:
    """Ask: first the route, then the visits. One app asks for all that use the Gateway; the others wait for what it finds."""
    cls, spec, serving = scene.cls, scene.spec(number), scene.scale(number).serving
    draft.wake_in(ASK_AGAIN)
    if cls is None or spec is None or not serving:
        return
    host, route = upkeep.preview_host(scene, number, cls), _preview(scene, number)
    slots = tuple(sorted({serving[0], serving[-1]}))
    written, proof = False, None
    if not of(scene).elsewhere:
        name = names.proof_route(scene.app, scene.env, number)
        wanted = routes.proof_spec(
            app=scene.app, environment=scene.env, host=host, gateway=cls.gateway, number=number, slots=slots
        )
        labels = names.labels(scene.app, scene.env, number)
        written, proof = upkeep.ensure_route(scene, draft, name, labels, wanted), scene.observed.routes.get(name)
    answered = proof is not None and proof.accepted is not None and route is not None and route.accepted
    address = scene.observed.gateways.get(cls.gateway, GatewayFacts(exists=False)).address
    draft.background.append(
        ProveGateway(
            gateway=key(scene, cls),
            environment=scene.env,
            number=number,
            slots=slots,
            cookie=cookies.name(scene, number),
            host=host,
            address=address or "",
            ready=bool(written and answered and address),
            refused="" if proof is None or proof.accepted is not False else proof.words or "it is not accepted",
        )
    )


def _preview(scene: Scene, number: int) -> RouteFacts | None:
    return scene.observed.routes.get(names.preview_route(scene.app, scene.env, number))


def _overdue(scene: Scene) -> bool:
    wait = scene.memory.waiting_for
    if wait is None or wait.reason not in {Reason.PROVING_GATEWAY, Reason.GATEWAY_SILENT}:
        return False
    asked = instant(wait.since) + timedelta(seconds=PATIENCE)
    return wait.reason == Reason.GATEWAY_SILENT or scene.now >= asked


def _say_asking(scene: Scene, draft: Draft, number: int) -> None:
    assert scene.cls is not None  # noqa: S101 - without a class nobody is asked
    host = upkeep.preview_host(scene, number, scene.cls)
    draft.wait(
        Reason.PROVING_GATEWAY,
        f"finding out what {named(scene.cls)} does with cookies, by visits to {host} that nobody else makes",
    )
    draft.wake_in(PATIENCE)


def _say_unmarked(scene: Scene, draft: Draft, what: str) -> None:
    assert scene.cls is not None  # noqa: S101 - without a class nothing is known
    draft.stall(
        Reason.GATEWAY_UNABLE,
        f"{what}, and no visitor is sent to it: {named(scene.cls)} does not add the header {names.HEADER_PLAN} to answers"
        f" ({of(scene).words[:LONGEST]}), so nobody could see whether a switch has happened. Ask the platform team to let"
        " the filter ResponseHeaderModifier of routes work",
    )
    draft.wake_in(PATIENCE)


def _seen(scene: Scene, cls: EnvironmentClassSpec, route: RouteFacts | None) -> str:
    """What is known about why there is no answer."""
    if route is None or route.accepted is None:
        return f"nobody has answered for the route: does a gateway controller serve {named(cls)}?"
    gateway = scene.observed.gateways.get(cls.gateway, GatewayFacts(exists=False))
    return of(scene).words or gateway.words or "no visit has come through"


def named(cls: EnvironmentClassSpec) -> str:
    """A class's Gateway, for people."""
    return f"the Gateway {cls.gateway.namespace}/{cls.gateway.name}"
