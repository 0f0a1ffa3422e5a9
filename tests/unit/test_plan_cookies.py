"""Which cookie a release has: by its class, by what the app is for, and frozen in it."""

from dataclasses import replace

import pytest

from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.plan import names
from dataapp_operator.plan.actions import CreateRelease, Ensure, ProveGateway
from tests.property.world import CLASS, World
from tests.unit.plan_rig import at_phase, condition, decide, env, fresh, image, released

HTTPS = EnvironmentClassSpec.model_validate(CLASS.wire() | {"urlTemplate": "https://{host}"})


class Secure(World):
    """A world whose class is reached over HTTPS."""

    https = True

    def _class(self, name: str) -> EnvironmentClassSpec:
        return HTTPS if self.https else super()._class(name)


def over_https(**how: object) -> World:
    world = fresh(**how)
    world.__class__ = Secure
    return world


def cookie_of(world: World, number: int) -> str:
    """The name of the cookie that leads to a release, as its route has it."""
    text = str(world.routes[f"sales-env0-{number}"][0])
    return "__Host-dataapp-sales-env0" if "__Host-dataapp-sales-env0" in text else "dataapp-sales-env0"


def embedded(world: World, *, embed: bool | None = True, here: bool | None = None) -> World:
    app = world.spec.app.model_copy(update={"embed": bool(embed)})
    environments = tuple(
        e.model_copy(update={"app": e.app.model_copy(update={"embed": here})}) for e in world.spec.environments
    )
    world.spec = world.spec.model_copy(update={"app": app, "environments": environments})
    return world


@pytest.mark.parametrize(
    ("https", "embed", "kind"),
    [(False, False, "plain"), (True, False, "secure"), (True, True, "embedded")],
)
def test_the_kind_follows_the_class_and_the_app_and_is_frozen(*, https: bool, embed: bool, kind: str) -> None:
    world = embedded(over_https() if https else fresh(), embed=embed)
    world.settle()
    plan = world.releases["env0", 1][0].plan
    assert plan.cookie == kind
    assert cookie_of(world, 1) == names.cookie("sales", "env0", kind)


def test_a_class_that_goes_over_to_https_changes_nothing_about_what_runs_and_the_next_release_has_the_new_name() -> (
    None
):
    world = over_https()
    world.https = False
    world.settle()
    before, calls = dict(world.routes), world.calls
    world.https = True
    world.settle()
    assert {name: route[0] for name, route in world.routes.items()} == {n: route[0] for n, route in before.items()}
    assert len(world.releases) == 1
    assert world.calls <= calls + 2, "status says the new address"
    world.open_session()
    world = at_phase("Baking", world=world)
    assert (cookie_of(world, 1), cookie_of(world, 2)) == ("dataapp-sales-env0", "__Host-dataapp-sales-env0")
    assert world.releases["env0", 2][0].plan.cookie == "secure"
    leaving = world.routes["sales-env0"][0]["rules"][0]["matches"][0]["headers"][0]["value"]
    assert "(?:__Host-)?dataapp-sales-env0=(?:1" in leaving
    world.close_sessions()
    world.settle()
    assert world.status.environment("env0").stable == 2


def test_the_gateway_is_asked_with_the_cookie_that_the_release_has() -> None:
    world = over_https()
    world.settle()
    world.die()
    world.push(image("good", 2))
    (work,) = (w for w in decide(world.observe()).background if isinstance(w, ProveGateway))
    assert work.cookie == "__Host-dataapp-sales-env0"


def test_the_front_is_told_both_names() -> None:
    world = over_https()
    made = []
    for _ in range(6):
        made += [a.manifest for a in decide(world.observe()).actions if isinstance(a, Ensure)]
        world.reconcile()
        world.tick(1)
    front = next(m for m in made if m["kind"] == "ReplicaSet")["spec"]["template"]["spec"]["initContainers"][0]
    told = {variable["name"]: variable["value"] for variable in front["env"]}
    assert told["DATAAPP_COOKIE"] == "__Host-dataapp-sales-env0"
    assert told["DATAAPP_OTHER_COOKIE"] == "dataapp-sales-env0"
    assert told["DATAAPP_COOKIE_ATTRIBUTES"] == "Path=/; Secure; HttpOnly; SameSite=Lax"


def test_inside_pages_of_other_sites_only_over_https_and_nothing_else_is_held_up() -> None:
    world = embedded(released())
    world.push(image("good", 2))
    plan = decide(world.observe())
    stalled = condition(plan, "Stalled")
    assert stalled.reason == "EmbedNeedsHTTPS"
    assert "EnvironmentClass env0 is reached over HTTP" in stalled.message
    assert condition(plan, "Ready").status == "True", "what serves goes on"
    assert not any(isinstance(action, CreateRelease) for action in plan.actions)
    embedded(world, here=False)
    world.settle()
    assert world.status.environment("env0").stable == 2


def test_to_be_embedded_is_another_release() -> None:
    world = over_https()
    world.settle()
    embedded(world)
    world.settle()
    assert world.releases["env0", 2][0].plan.cookie == "embedded"


def test_a_release_whose_record_is_gone_keeps_the_name_that_its_route_knows() -> None:
    world = over_https()
    world.settle()
    del world.releases["env0", 1]
    world.https = False
    plan = decide(world.observe())
    assert not any(isinstance(a, Ensure) and a.manifest["metadata"]["name"] == "sales-env0-1" for a in plan.actions)
    world.routes.pop("sales-env0-1")
    (pins,) = (
        a.manifest
        for a in decide(world.observe()).actions
        if isinstance(a, Ensure) and a.manifest["metadata"]["name"] == "sales-env0-1"
    )
    assert "__Host-" not in str(pins), "the best guess there is: how the class is reached now"


@pytest.mark.parametrize(
    ("template", "https"), [("https://{host}", True), ("HTTPS://{host}:8443", True), ("http://{host}", False)]
)
def test_a_class_says_how_its_apps_are_reached(template: str, *, https: bool) -> None:
    world = fresh()
    world.settle()
    observed = world.observe()
    cls = EnvironmentClassSpec.model_validate(CLASS.wire() | {"urlTemplate": template})
    world.push(image("good", 2))
    observed = replace(world.observe(), classes={"env0": cls})
    (made,) = (a.manifest for a in decide(observed).actions if isinstance(a, CreateRelease))
    assert (made["spec"]["plan"]["cookie"] == "secure") is https
    assert env(decide(observed)).candidate == 2
