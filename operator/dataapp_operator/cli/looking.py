"""Getting an app, with its records, from the cluster; and what to say where there is no such app."""

import re

from dataapp_operator.api.base import GROUP
from dataapp_operator.cli import reading
from dataapp_operator.cli.commands import suggestion
from dataapp_operator.cli.errors import CliError, NotFound, UsageError
from dataapp_operator.cli.kubectl import APPS, RELEASES, Json, Kubectl
from dataapp_operator.cli.view import App
from dataapp_operator.cli.watching import Source

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def app(kubectl: Kubectl, name: str) -> Json:
    """The DataApp of that name; without one, a sentence with the names that there are."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of an app: it has small letters, digits and '-'")
    try:
        return kubectl.one(APPS, name)
    except NotFound:
        raise _missing(kubectl, name) from None


def records(kubectl: Kubectl, name: str) -> list[Json]:
    """The AppReleases of an app."""
    return kubectl.several(RELEASES, selector=_of(name))


def app_source(name: str) -> Source:
    """Watches one DataApp."""
    return Source(APPS, (name,))


def records_source(name: str) -> Source:
    """Watches the AppReleases of an app."""
    return Source(RELEASES, (f"--selector={_of(name)}",))


def _of(name: str) -> str:
    return f"{GROUP}/app={name}"


def _missing(kubectl: Kubectl, name: str) -> CliError:
    try:
        found = [reading.app(item) for item in kubectl.several(APPS)]
    except CliError:  # who may see one app need not be allowed to see all
        return CliError(f"there is no app {name} in this namespace (-n names another one)")
    where = _namespace(found) or "this namespace"
    if not found:
        return CliError(
            f"there is no app {name}, nor any other, in this namespace: -n names another one, and `list -A` shows those of"
            " all namespaces"
        )
    return CliError(f"there is no app {name} in {where}{suggestion(name, [each.name for each in found])}")


def _namespace(apps: list[App]) -> str:
    return f"namespace {apps[0].namespace}" if apps and apps[0].namespace else ""
