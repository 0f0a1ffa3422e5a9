"""What can go wrong in a call to the API server, translated once, here, into what the caller should do about it.

    KubeError
    ├── Conflict        the object moved on since it was read: observe again, decide again
    ├── AlreadyExists   a create found one of that name: read it, and adopt it or not
    ├── Missing         the object (or its namespace) is not there any more: observe again
    ├── Transient       nothing is known to be wrong with the request: the same again, later
    ├── Rejected        the server understood and said no: useless to repeat until something changes
    ├── NotServed       the cluster does not know the kind: its CRD is not installed
    └── LeaseLost       we may not write: another instance may be leading

The message is in the server's own words without its boilerplate, because it ends up in a condition that a person reads.
"""

# ruff: noqa: N818 - the names say what happened, as the names of the API's own reasons do

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataapp_operator.kube.kinds import Kind


class KubeError(Exception):
    """A call to the API server did not do what was asked; `message` is for people, `code` the HTTP status or 0."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Conflict(KubeError):
    """409: the resourceVersion or uid sent is not the object's any more."""


class AlreadyExists(KubeError):
    """409: an object of this name exists."""


class Missing(KubeError):
    """404: the object, or the namespace it would live in, does not exist."""


class Transient(KubeError):
    """Worth the same try again; `retry_after` is the least number of seconds to wait (0: the caller's own pace)."""

    def __init__(self, message: str, *, code: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class Rejected(KubeError):
    """The server refuses this request as it is: invalid, forbidden, over quota. Terminal until the object changes."""


class NotServed(KubeError):
    """404 for the kind itself: the cluster does not serve it."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(
            f"the cluster does not serve {kind.kind} ({kind.api_version}): its CustomResourceDefinition is not "
            f"installed; install {kind} and it will be used from then on",
            code=404,
        )
        self.kind = kind


class LeaseLost(KubeError):
    """We do not hold the operator's Lease (any more), so we must not write."""


# "DataApp.dataapps.dev "x" is invalid: …", "pods "x" is forbidden: …", "Operation cannot be fulfilled on …: …"
_INVALID = re.compile(r'^\S+(?: "[^"]*")? is (?:invalid|forbidden): ', re.DOTALL)
_CONFLICT = re.compile(r'^Operation cannot be fulfilled on \S+ "[^"]*": ')
_UNTYPED = re.compile(r"^failed to create typed patch object \([^)]*\): ")
_WEBHOOK = re.compile(r'^admission webhook "[^"]*" denied the request: ')
# A rule over a whole object prints the object's type where a value would be: it tells a person nothing.
_TYPE_AS_VALUE = re.compile(r'Invalid value: "?(?:object|array|string|integer|number|boolean)"?: ')
_TYPED_PATCH = "failed to create typed patch object"
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


def plain(message: str) -> str:
    """The server's sentence without what only says that it is a server's sentence."""
    for boilerplate in (_INVALID, _CONFLICT, _UNTYPED, _WEBHOOK):
        message = boilerplate.sub("", message)
    message = _TYPE_AS_VALUE.sub("", message).strip()
    if message.startswith("[") and message.endswith("]"):
        message = message[1:-1]
    return message


def translate(kind: Kind, code: int, body: str, *, retry_after: str | None = None) -> KubeError:
    """The error for an answer that is not 2xx: HTTP status `code`, `body`, and the header Retry-After (seconds)."""
    status = _status(body)
    said = status.get("message") or body.strip() or f"HTTP status {code} without a word of explanation"
    message = plain(said)
    wait = _seconds(retry_after, status)
    # Server-side apply of a field that the schema does not know comes back as 500, though nothing but another
    # manifest will mend it (seen on 1.36).
    untyped = code == HTTPStatus.INTERNAL_SERVER_ERROR and _TYPED_PATCH in said
    error: KubeError = Rejected(message, code=code)
    if code == HTTPStatus.CONFLICT:
        kind_of_conflict = AlreadyExists if status.get("reason") == "AlreadyExists" else Conflict
        error = kind_of_conflict(message, code=code)
    elif code == HTTPStatus.NOT_FOUND:
        error = Missing(message, code=code) if _names_an_object(status) else NotServed(kind)
    elif code == HTTPStatus.UNAUTHORIZED:
        error = Transient(f"the API server does not accept our credentials: {message}", code=code, retry_after=wait)
    elif code in _PASSING or (code >= HTTPStatus.INTERNAL_SERVER_ERROR and not untyped):
        error = Transient(message, code=code, retry_after=wait)
    return error


def _status(body: str) -> dict[str, Any]:
    """The `Status` object in an answer, or {} where the answer is something else (a proxy's page, plain text)."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) and parsed.get("kind") == "Status" else {}


def _names_an_object(status: dict[str, Any]) -> bool:
    """Whether a 404 is about an object; the one for a kind is plain text or a Status that names nothing."""
    return bool(status.get("details", {}).get("name"))


def _seconds(header: str | None, status: dict[str, Any]) -> float:
    """How long the server asks us to wait; 0.0 where it does not say (a Retry-After date counts as not saying)."""
    for said in (header, status.get("details", {}).get("retryAfterSeconds")):
        try:
            return max(0.0, float(said or ""))
        except ValueError:
            continue
    return 0.0
