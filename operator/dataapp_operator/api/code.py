"""Where code is and what was found in it: the parts that AppSource, DataApp and AppBuild share."""

from typing import Any

from pydantic import Field

from dataapp_operator.api.base import Model

MAX_INCLUDES = 16

_ONE_REF = {
    "rule": "[has(self.branch), has(self.tag), has(self.commit), has(self.name)].filter(given, given).size() <= 1",
    "message": "name one of branch, tag, commit and name, not several: they could disagree",
}
_URL_RULE = {
    "rule": r"self.matches('^https://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?/[A-Za-z0-9._~/+-]+$')",
    "message": "write the repository's address as https://host/path/name.git, without a user, a password or a query in it",
}
_REF_RULE = {
    "rule": r"self.matches('^[A-Za-z0-9][A-Za-z0-9._/+-]*$') && !self.contains('..') && !self.contains('//')"
    " && !self.endsWith('/') && !self.endsWith('.lock') && !self.endsWith('.')",
    "message": "this is not a name that git allows for a branch or a tag",
}
_PATH_RULE = {
    "rule": "self == '.' || (!self.startsWith('/') && !self.contains('\\\\') && self.split('/').all(part,"
    " part != '' && part != '.' && part != '..' && part.lowerAscii() != '.git'))",
    "message": "a path is written from the top of the repository, like apps/sales, without .. and without a leading /",
}
_COMMIT_PATTERN = r"^[0-9a-f]{40}$"


def _cel(*rules: dict[str, str]) -> dict[str, Any]:
    return {"x-kubernetes-validations": list(rules)}


def url_field(description: str) -> Any:
    """The address of a repository."""
    return Field(min_length=10, max_length=2048, description=description, json_schema_extra=_cel(_URL_RULE))


def path_field(default: str, description: str) -> Any:
    """A directory or file in a repository."""
    return Field(
        default=default, min_length=1, max_length=512, description=description, json_schema_extra=_cel(_PATH_RULE)
    )


class LocalName(Model):
    """The name of an object in the same namespace."""

    name: str = Field(min_length=1, max_length=253)


class GitRef(Model):
    """Which commit of a repository: the newest of a branch or a tag, a full ref, or exactly one. Without any, the
    repository's default branch.
    """

    branch: str | None = Field(default=None, max_length=255, json_schema_extra=_cel(_REF_RULE))
    tag: str | None = Field(default=None, max_length=255, json_schema_extra=_cel(_REF_RULE))
    commit: str | None = Field(
        default=None,
        max_length=40,
        pattern=_COMMIT_PATTERN,
        json_schema_extra={"x-message": "write all 40 hexadecimal digits of the commit, in small letters"},
    )
    name: str | None = Field(
        default=None,
        max_length=255,
        description="A full ref, like refs/pull/420/head.",
        pattern=r"^refs/[A-Za-z0-9][A-Za-z0-9._/+-]*$",
        json_schema_extra=_cel(_REF_RULE) | {"x-message": "a full ref begins with refs/, like refs/pull/420/head"},
    )

    model_config = Model.model_config | {"json_schema_extra": _cel(_ONE_REF)}

    def __str__(self) -> str:
        if self.branch:
            return f"branch {self.branch!r}"
        if self.tag:
            return f"tag {self.tag!r}"
        if self.name:
            return f"ref {self.name!r}"
        return f"commit {self.commit[:12]}" if self.commit else "the default branch"


class DetectedBy(Model):
    """Why the operator takes the code for what it takes it for."""

    rule: str = Field(max_length=128, description="The rule that decided, as in docs/reference/detection.md.")
    file: str = Field(max_length=512, description="The file it decided by.")


class Dependencies(Model):
    """What the code needs, and how far that is fixed."""

    trust: str = Field(
        default="none",
        max_length=16,
        description="locked: every package in one version, by a lock file; pinned: what is named has one version;"
        " floating: the newest that fit on the day of the commit; none: nothing is named.",
    )
    source: str | None = Field(default=None, alias="from", max_length=512, description="The file that names them.")
    count: int | None = Field(default=None, description="How many packages the file names.")
    digest: str | None = Field(default=None, max_length=64, description="A digest of the file.")
