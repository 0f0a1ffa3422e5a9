"""Every name, label and host the operator makes: functions of (app, environment, release, slot) and nothing else.

Environment names have no dash and no leading digit (the API says so), so two different apps can never arrive at the
same child name: the last dash-separated parts of a name can be read in one way only.
"""

from collections.abc import Iterable

from dataapp_operator.api.apprelease import CookieKind
from dataapp_operator.api.base import GROUP
from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.front.settings import RELEASE_HEADER

LABEL_APP = f"{GROUP}/app"
LABEL_ENVIRONMENT = f"{GROUP}/environment"
LABEL_RELEASE = f"{GROUP}/release"
LABEL_SLOT = f"{GROUP}/slot"

LABEL_SOURCE = f"{GROUP}/source"
"""On a DataApp: the AppSource (in its namespace) that brought it."""
LABEL_BUILD = f"{GROUP}/build"
"""On what a build consists of, in the builds' namespace; the value is the AppBuild's name."""

ANNOTATION_PATH = f"{GROUP}/path"
"""On a DataApp of an AppSource: the directory of its manifest."""
ANNOTATION_MANIFEST = f"{GROUP}/manifest"
"""On a DataApp of an AppSource: its manifest, from the top of the repository."""
ANNOTATION_COMMIT = f"{GROUP}/commit"
"""On a DataApp of an AppSource: the last commit that touched its code."""
ANNOTATION_LEAVING = f"{GROUP}/leaving"
"""On a DataApp whose manifest is gone: it is drained and then deleted. The value is the revision that no longer has it."""
ANNOTATION_PROMOTE = f"{GROUP}/promote"
"""On a DataApp, by a person: ``production=14`` lets release 14 go on to production."""
ANNOTATION_RETRY = f"{GROUP}/retry"
"""On a DataApp, by a person: ``production=14`` has release 14, which failed there, tried once more as a new release."""
ANNOTATION_SUSPEND = f"{GROUP}/suspend"
"""On a DataApp, by a person: with any value no new release begins. What runs, and what is on its way, goes on."""
ANNOTATION_END_SESSIONS = f"{GROUP}/end-sessions"
"""On a DataApp that is being deleted, by a person: with any value its open sessions are not waited for."""
_PROOF = ".proof"
_HOST_ONLY = "__Host-"
FINALIZER = f"{GROUP}/drain"
"""On a DataApp: it is gone only when its sessions have ended."""
REQUESTED_AT = ("reconcile.dataapps.dev/requestedAt", "reconcile.fluxcd.io/requestedAt")
"""On anything that reads a repository: a new value means "look now"."""

ANNOTATION_NUDGE = f"{GROUP}/nudge"
"""On a ReplicaSet whose pod was refused: changed now and then, so that its controller tries again soon."""
ANNOTATION_REPLICAS = f"{GROUP}/replicas"
"""On a Deployment: the author's number of replicas that was last written there. Where it is still the author's, the number
that the Deployment has is somebody else's business (an autoscaler's, a person's with ``kubectl scale``)."""
LABEL_TEMPLATE = "pod-template-hash"
"""On what a Deployment makes: its ReplicaSets, and their pods."""

PAGE = 0
"""The number of no release: what new visitors get while an app is renewed that cannot run twice (see ``page``)."""

HEADER_PLAN = "X-DataApp-Plan"
NO_PLAN = 0
"""What the header says on a preview host, where no plan shares visitors out: plans count from one."""
HEADER_RELEASE = RELEASE_HEADER
"""On every answer: which release gave it. On a request: which one is asked for, where two may be met."""
RELEASE_COOKIE = "dataapp-release"
"""The same for a person who has no means to send a header: a cookie that they give themselves."""
PROOF_COOKIE = "dataapp-proof"
"""The cookie with which the operator finds out on a preview host where a Gateway leads it. No visitor has it."""


def release(app: str, environment: str, number: int) -> str:
    """The AppRelease and its pins route."""
    return f"{app}-{environment}-{number}"


def slot(app: str, environment: str, number: int, index: int) -> str:
    """A slot's ReplicaSet and Service."""
    return f"{app}-{environment}-{number}-{slot_label(index)}"


def slot_label(index: int) -> str:
    """The value of the slot label."""
    return f"s{index}"


def preview_route(app: str, environment: str, number: int) -> str:
    """The route of a release's preview host. The dot keeps it apart from every other name of ours."""
    return f"{app}-{environment}-{number}.preview"


def proof_route(app: str, environment: str, number: int) -> str:
    """The route that is there while it is found out what a Gateway does with cookies, on the release's preview host."""
    return f"{release(app, environment, number)}{_PROOF}"


def is_proof_route(app: str, environment: str, name: str) -> bool:
    """Whether a route of this app is such a one, of this environment."""
    number = name.removeprefix(f"{app}-{environment}-").removesuffix(_PROOF)
    return number.isdigit() and name == proof_route(app, environment, int(number))


def weights_route(app: str, environment: str) -> str:
    """The route of new visits and page loads."""
    return f"{app}-{environment}"


def budget(app: str, environment: str) -> str:
    """The disruption budget of all pods of an environment."""
    return weights_route(app, environment)


def labels(app: str, environment: str, number: int | None = None, slot_name: str | None = None) -> dict[str, str]:
    """The labels of a child."""
    out = {LABEL_APP: app, LABEL_ENVIRONMENT: environment}
    if number is not None:
        out[LABEL_RELEASE] = str(number)
    if slot_name is not None:
        out[LABEL_SLOT] = slot_name
    return out


def cookie(app: str, environment: str, kind: CookieKind = "plain") -> str:
    """The name of the pin cookie. With the prefix, a browser takes it over HTTPS only, and for this very host."""
    return f"{'' if kind == 'plain' else _HOST_ONLY}dataapp-{app}-{environment}"


def other_cookie(app: str, environment: str, kind: CookieKind) -> str:
    """The name that it has where the app is reached in the other way: over HTTP, or over HTTPS."""
    return cookie(app, environment, "secure" if kind == "plain" else "plain")


def is_secure_pin(pattern: str) -> bool:
    """Whether this is, or contains, the pattern of a pin that is taken over HTTPS only."""
    return _HOST_ONLY in pattern


def pin(number: int, index: int) -> str:
    """The value of the pin cookie of one slot."""
    return f"{number}.{index}"


def pin_pattern(name: str, number: int, index: int) -> str:
    """A regular expression for a whole Cookie header that carries exactly this pin.

    Anchored on both sides: some gateways match the whole value, others any part of it.
    """
    return rf"^(?:.*; ?)?{name}={number}\.{index}(?:;.*)?$"


def any_pin_pattern(app: str, environment: str) -> str:
    """A regular expression for a Cookie header that carries a pin, of whatever release."""
    return rf"^(?:.*; ?)?{_either_cookie(app, environment)}=[0-9]+\.[0-9]+(?:;.*)?$"


def asked_pattern(number: int) -> str:
    """A regular expression for a Cookie header by which a person asks for exactly this release."""
    return rf"^(?:.*; ?)?{RELEASE_COOKIE}={number}(?:;.*)?$"


def proof_pattern(number: int, index: int) -> str:
    """The same for the cookie with which the operator itself comes."""
    return pin_pattern(PROOF_COOKIE, number, index)


def leaving_pattern(app: str, environment: str, numbers: Iterable[int], slots: Iterable[tuple[int, int]] = ()) -> str:
    """A regular expression for a Cookie header that carries a pin of one of these releases, or of one of these slots."""
    alternatives = [rf"{number}\.[0-9]+" for number in sorted(numbers)]
    alternatives += [rf"{number}\.{index}" for number, index in sorted(slots)]
    return rf"^(?:.*; ?)?{_either_cookie(app, environment)}=(?:{'|'.join(alternatives)})(?:;.*)?$"


def _either_cookie(app: str, environment: str) -> str:
    """Either name: of releases that follow each other one may be of the time before HTTPS."""
    return f"(?:{_HOST_ONLY})?{cookie(app, environment)}"


def host(cls: EnvironmentClassSpec, *, app: str, namespace: str, environment: str) -> str:
    """The host of an app, from its class's template. May not be a valid host: the caller checks."""
    return _fill(cls.host_template, app=app, namespace=namespace, environment=environment)


def preview_host(cls: EnvironmentClassSpec, *, app: str, namespace: str, environment: str, number: int) -> str:
    """The preview host of one release."""
    return _fill(cls.preview_host_template, app=app, namespace=namespace, environment=environment, release=str(number))


def preview_hosts(cls: EnvironmentClassSpec, *, app: str, namespace: str, environment: str) -> str:
    """The preview hosts of all releases of an environment, with a star for their number."""
    return _fill(cls.preview_host_template, app=app, namespace=namespace, environment=environment, release="*")


def url(cls: EnvironmentClassSpec, of_host: str) -> str:
    """Where people find a host."""
    return _fill(cls.url_template, host=of_host)


def _fill(template: str, **values: str) -> str:
    for key, value in values.items():
        template = template.replace("{" + key + "}", value)
    return template
