"""EnvironmentClass: what the platform team says about a kind of environment.

It is cluster-scoped and owned by the platform. Today it names the Gateway that apps of this class are reached through
and how their hosts are made.
"""

from typing import Literal

from pydantic import Field
from pydantic.config import JsonDict

from dataapp_operator.api.base import Model

_TEMPLATE_RULE: JsonDict = {
    "rule": "self.contains('{app}')",
    "message": "a host template must contain {app}, else every app of the class would have the same host",
}
_PREVIEW_RULE: JsonDict = {
    "rule": "self.contains('{app}') && self.contains('{release}') && self.contains('{environment}')",
    "message": "a preview host template must contain {app}, {release} and {environment}, else two releases would share a host",
}
_URL_RULE: JsonDict = {
    "rule": "self.contains('{host}')",
    "message": "the URL template must contain {host}, as in https://{host}",
}


class GatewayRef(Model):
    """The Gateway (and listener) that the routes of this class attach to. The platform owns it and its TLS."""

    namespace: str = Field(min_length=1, max_length=63, description="The namespace of the Gateway.")
    name: str = Field(min_length=1, max_length=253, description="The name of the Gateway.")
    section_name: str | None = Field(
        default=None, max_length=253, description="The listener to attach to; without it, every listener that matches."
    )
    address: str | None = Field(
        default=None,
        max_length=300,
        pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$",
        description="host:port under which the operator's pod reaches the Gateway; by default the first address in the"
        " Gateway's status and the listener's port (with TLS, where the listener has it).",
        json_schema_extra={"x-message": "write the address as host:port, without http:// and without a path"},
    )


class Floor(Model):
    """What an author may not go below: stricter is always allowed, laxer never."""

    promotion: Literal["auto", "tag", "manual"] = Field(
        default="auto", description="auto: releases may come by themselves; manual: only when a person promotes them."
    )


class Limits(Model):
    """How much of something an app may have at the same time in an environment of the class."""

    draining: int = Field(
        default=8,
        ge=1,
        le=20,
        description="Old releases that keep open sessions. With one more, the oldest is told that it ends within 10 minutes.",
    )


class Retention(Model):
    """How much of the past is kept."""

    releases: int = Field(
        default=20,
        ge=2,
        le=200,
        description="Records (AppReleases) of ended releases for each app and environment; older ones are deleted.",
    )


class Prometheus(Model):
    """Where releases of the class are measured."""

    address: str = Field(
        max_length=300,
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$",
        description="Where the operator's pod reaches Prometheus's HTTP API, like http://prometheus.monitoring:9090.",
        json_schema_extra={"x-message": "write the address like http://prometheus.monitoring:9090"},
    )


class EnvironmentClassSpec(Model):
    """Policy and defaults of a kind of environment."""

    gateway: GatewayRef
    default_position: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Apps that list no environments get one of this class; several are ordered by this number.",
    )
    floor: Floor = Floor()
    limits: Limits = Limits()
    retention: Retention = Retention()
    prometheus: Prometheus | None = Field(
        default=None,
        description="The Prometheus that authors' own queries are put to (environments[].release.analysis). Whoever may"
        " write an app can read every number in it.",
    )
    host_template: str = Field(
        min_length=5,
        max_length=253,
        description="The host of an app in this class; {app}, {namespace} and {environment} are filled in.",
        json_schema_extra={"x-kubernetes-validations": [_TEMPLATE_RULE]},
    )
    url_template: str = Field(
        default="http://{host}",
        max_length=253,
        description="How people reach a host: scheme and, where it is not the usual one, port. Shown in status.",
        json_schema_extra={"x-kubernetes-validations": [_URL_RULE]},
    )
    preview_host_template: str = Field(
        min_length=5,
        max_length=253,
        description="The host of one release before (and while) it serves users; {app}, {namespace}, {environment} and"
        " {release} are filled in.",
        json_schema_extra={"x-kubernetes-validations": [_PREVIEW_RULE]},
    )
