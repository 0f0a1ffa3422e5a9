"""AppBuild: one immutable artefact, from (tree, recipe, base image) to an image by digest.

Its spec is frozen, and its name is made from what goes into the image: the same inputs are the same object, so that
nothing is built twice. Its status says how far it is, and at last which image came out or why none did.
"""

from typing import Literal

from pydantic import Field

from dataapp_operator.api.base import Model, Timestamp
from dataapp_operator.api.code import Dependencies, DetectedBy, LocalName, path_field, url_field
from dataapp_operator.api.conditions import Condition
from dataapp_operator.api.dataapp import Framework

BUILD_IMMUTABLE_RULE = {
    "rule": "self == oldSelf",
    "message": "a build cannot be changed: it is named after what goes into it; delete it to have it built again",
}


class BuildSource(Model):
    """Where the code is. Its commit and tree stand beside it."""

    url: str = url_field("The repository.")
    path: str = path_field(".", "The app's directory in it.")
    include: tuple[str, ...] = Field(default=(), max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    manifest: str | None = Field(
        default=None, max_length=512, description="The DataApp's own file, which is no part of the image."
    )
    secret_ref: LocalName | None = None


class AppBuildSpec(Model):
    """Everything that goes into the image."""

    app: str = Field(max_length=30)
    commit: str = Field(max_length=40)
    tree: str = Field(max_length=40, description="A digest of the app's files, without its manifest.")
    source: BuildSource
    framework: Framework
    entrypoint: str = Field(default="", max_length=512)
    recipe: str = Field(max_length=64, description="The template and its version.")
    base: str = Field(default="", max_length=512, description="The image it starts from, by digest.")
    dockerfile: str | None = Field(default=None, max_length=512)
    detected_by: DetectedBy
    dependencies: Dependencies = Dependencies()
    as_of: Timestamp | None = Field(
        default=None,
        description="Packages newer than this are not used: the day of the commit, where no version is fixed.",
    )


class Took(Model):
    """How long it took, as durations."""

    queued: str | None = Field(default=None, max_length=16)
    build: str | None = Field(default=None, max_length=16)


class AppBuildStatus(Model):
    """How far the build is."""

    phase: Literal["Pending", "Running", "Succeeded", "Failed"] | None = None
    reason: str | None = Field(default=None, max_length=128)
    message: str | None = Field(default=None, max_length=4096)
    next_step: str | None = Field(default=None, max_length=1024, description="What a person can do now.")
    image: str | None = Field(default=None, max_length=512)
    commit: str | None = Field(default=None, max_length=12, description="The column COMMIT of kubectl get.")
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    took: Took | None = None
    attempts: int = Field(default=0, description="How often it was begun: a build that was killed is begun again.")
    log: tuple[str, ...] = Field(
        default=(), max_length=40, json_schema_extra={"x-kubernetes-list-type": "atomic"}, description="Its last lines."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
