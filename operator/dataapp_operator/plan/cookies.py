"""Which cookie keeps a visitor with a replica: its kind is frozen in a release, its name follows from it.

Over HTTPS it has the prefix ``__Host-``, with which no other host and no plain connection can set it. When a class goes
over to HTTPS, the releases that run keep the name that they had, for as long as anybody has them open; what comes next has
the new one, and its front ends the old one in the same answer.
"""

from dataapp_operator.api.apprelease import CookieKind
from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.plan import names
from dataapp_operator.plan.scene import Scene


def is_https(cls: EnvironmentClassSpec | None) -> bool:
    """Whether people reach the apps of a class over HTTPS."""
    return cls is not None and cls.url_template.lower().startswith("https://")


def kind(scene: Scene, *, embed: bool) -> CookieKind:
    """The kind of the next release."""
    if not is_https(scene.cls):
        return "plain"
    return "embedded" if embed else "secure"


def name(scene: Scene, number: int) -> str:
    """The name that the cookie of a release has; without its record, the one that its route knows."""
    spec = scene.spec(number)
    if spec is not None:
        return names.cookie(scene.app, scene.env, spec.plan.cookie)
    route = scene.observed.routes.get(names.release(scene.app, scene.env, number))
    secure = is_https(scene.cls) if route is None else names.is_secure_pin(str(route.spec))
    return names.cookie(scene.app, scene.env, "secure" if secure else "plain")


def why_not_embedded(of_class: str) -> str:
    """What stands in the way of an app that is to be shown inside pages of other sites, and what to do."""
    return (
        f"app.embed: browsers send a cookie inside pages of other sites only over HTTPS, and the EnvironmentClass {of_class} is"
        " reached over HTTP. Ask the platform team for HTTPS there (urlTemplate: https://{host}), or leave embed out for this"
        " environment: environments[].app.embed: false"
    )
