"""AppSource: a git repository from which DataApps are kept in step.

Its manifests are applied in the AppSource's own namespace and nowhere else. What the repository no longer has is pruned,
after its open sessions have ended; nothing is ever pruned because a repository could not be read or was empty.
"""

from typing import Any

from pydantic import Field

from dataapp_operator.api.base import Duration, Model, Timestamp
from dataapp_operator.api.code import GitRef, LocalName, url_field
from dataapp_operator.api.conditions import Condition

MAX_INVENTORY = 2000
MAX_PROBLEMS = 20
MAX_HISTORY = 5

_GLOB_RULE = {
    "rule": "!self.startsWith('/') && !self.contains('\\\\') && self.split('/').all(part,"
    " part != '' && part != '.' && part != '..' && part.lowerAscii() != '.git')",
    "message": "a pattern is written from the top of the repository, like apps/*/dataapp.yaml, without .. and without a"
    " leading /",
}


def _cel(*rules: dict[str, str]) -> dict[str, Any]:
    return {"x-kubernetes-validations": list(rules)}


_GLOB_ITEM: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 256} | _cel(_GLOB_RULE)


class AppSourceSpec(Model):
    """What to read, how often, and on whose behalf."""

    url: str = url_field("The repository, as https://host/path/name.git.")
    ref: GitRef = GitRef()
    paths: tuple[str, ...] = Field(
        default=("**/dataapp.yaml",),
        min_length=1,
        max_length=32,
        description="Which files are manifests: * stands for anything within one directory's name, ** for any directories.",
        json_schema_extra={
            "items": _GLOB_ITEM,
            "x-kubernetes-list-type": "atomic",
        },
    )
    interval: Duration = Field(default="1m", description="How often to look for a new commit, at least every 5s.")
    prune: bool = Field(
        default=True, description="Take away apps whose manifest is no longer there, after their sessions have ended."
    )
    suspend: bool = Field(default=False, description="Read nothing and change nothing until this is taken back.")
    secret_ref: LocalName | None = Field(
        default=None,
        description="A Secret with username and password (or bearerToken), and ca.crt where the server's certificate is"
        " signed by an authority of your own.",
    )
    service_account_name: str = Field(
        default="default",
        min_length=1,
        max_length=253,
        description="The service account on whose behalf apps are written: it must be allowed to write dataapps here.",
    )


class InventoryEntry(Model):
    """One app that this source has applied."""

    name: str = Field(max_length=63)
    path: str = Field(max_length=512, description="Its manifest.")
    commit: str = Field(max_length=40, description="The last commit that touched its directory.")
    tree: str = Field(max_length=40, description="A digest of its directory.")


class SourceProblem(Model):
    """One manifest that cannot be applied. The others are."""

    path: str = Field(max_length=512)
    line: int | None = None
    message: str = Field(max_length=1024)


class SourceHistory(Model):
    """One revision that was applied."""

    revision: str = Field(max_length=512)
    at: Timestamp
    apps: int
    changed: int = Field(description="How many apps it changed.")


class AppSourceStatus(Model):
    """What was read and applied."""

    observed_generation: int | None = None
    revision: str | None = Field(default=None, max_length=512, description="The last one applied whole.")
    attempted_revision: str | None = Field(default=None, max_length=512)
    last_handled_reconcile_at: str | None = Field(default=None, max_length=256)
    summary: str | None = Field(default=None, max_length=256, description="The column APPS of kubectl get.")
    inventory: tuple[InventoryEntry, ...] = Field(
        default=(),
        max_length=MAX_INVENTORY,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    problems: tuple[SourceProblem, ...] = Field(
        default=(), max_length=MAX_PROBLEMS, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    history: tuple[SourceHistory, ...] = Field(
        default=(), max_length=MAX_HISTORY, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
