"""The CustomResourceDefinitions: schema, printer columns, short names, category.

They are generated into ``crds/`` (committed; a test says generated = committed) by ``make generate``. Columns answer the
first question a person has; those with ``priority`` 1 appear with ``-o wide`` and answer the second.
"""

from typing import Any

from dataapp_operator.api.appbuild import BUILD_IMMUTABLE_RULE, AppBuildSpec, AppBuildStatus
from dataapp_operator.api.apprelease import IMMUTABLE_RULE, AppReleaseSpec, AppReleaseStatus
from dataapp_operator.api.appsource import AppSourceSpec, AppSourceStatus
from dataapp_operator.api.base import GROUP, VERSION, Model
from dataapp_operator.api.dataapp import NAME_RULE, DataAppSpec
from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from dataapp_operator.api.schema import structural
from dataapp_operator.api.status import DataAppStatus

Json = dict[str, Any]


def column(name: str, path: str, kind: str = "string", *, wide: bool = False, says: str = "") -> Json:
    """One printer column."""
    out: Json = {"name": name, "type": kind, "jsonPath": path}
    if says:
        out["description"] = says
    if wide:
        out["priority"] = 1
    return out


AGE = column("Age", ".metadata.creationTimestamp", "date")


def crds() -> dict[str, Json]:
    """All definitions, by the name of their file in ``crds/``."""
    definitions = (_appsource(), _dataapp(), _appbuild(), _apprelease(), _environmentclass())
    return {f"{GROUP}_{d['spec']['names']['plural']}.yaml": d for d in definitions}


def _appsource() -> Json:
    return _crd(
        kind="AppSource",
        short="asrc",
        describes="AppSource is a git repository from which DataApps are kept in step.",
        spec=AppSourceSpec,
        status=AppSourceStatus,
        columns=[
            column("Apps", ".status.summary", says="How many apps it has, and how many manifests cannot be applied."),
            column("Revision", ".status.revision", says="The last one that was applied whole."),
            column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            column("Why", '.status.conditions[?(@.type=="Ready")].message'),
            column("URL", ".spec.url", wide=True),
            column("Suspended", ".spec.suspend", "boolean", wide=True),
            AGE,
        ],
    )


def _appbuild() -> Json:
    return _crd(
        kind="AppBuild",
        short="abuild",
        describes="AppBuild is one image made from one state of an app's code; the same code is never built twice.",
        spec=AppBuildSpec,
        status=AppBuildStatus,
        spec_rules=[BUILD_IMMUTABLE_RULE],
        columns=[
            column("App", ".spec.app"),
            column("Framework", ".spec.framework"),
            column("Phase", ".status.phase"),
            column("Commit", ".status.commit"),
            column("Took", ".status.took.build"),
            column("Reason", ".status.message"),
            column("Image", ".status.image", wide=True),
            column("Recipe", ".spec.recipe", wide=True),
            AGE,
        ],
    )


def _dataapp() -> Json:
    return _crd(
        kind="DataApp",
        short="dapp",
        describes="DataApp is one data app: its image, how it runs, its environments and how new releases take over.",
        spec=DataAppSpec,
        status=DataAppStatus,
        rules=[NAME_RULE],
        may_be_empty=True,
        columns=[
            column("Released", ".status.summary.released", says="What each environment's visitors get."),
            column("Moving", ".status.summary.moving", says="What is on its way."),
            column(
                "Waiting", ".status.summary.waitingSince", "date", says="For how long it has waited for its next step."
            ),
            column(
                "Sessions", ".status.summary.sessions", "integer", says="Open sessions, counted while releases change."
            ),
            column("Commit", ".status.summary.commit", says="The commit whose code the last environment serves."),
            column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            column("URL", ".status.environments[*].url", wide=True),
            column("Why", '.status.conditions[?(@.type=="Ready")].message', wide=True),
            column("Image", ".spec.image", wide=True),
            AGE,
        ],
    )


def _apprelease() -> Json:
    return _crd(
        kind="AppRelease",
        short="arel",
        describes="AppRelease is the record of one image with one configuration in one environment.",
        spec=AppReleaseSpec,
        status=AppReleaseStatus,
        spec_rules=[IMMUTABLE_RULE],
        columns=[
            column("Env", ".spec.environment"),
            column("Release", ".spec.number", "integer"),
            column("Phase", ".status.phase"),
            column("Weight", ".status.weight"),
            column("Sessions", ".status.sessions", "integer"),
            column("Commit", ".status.commit", says="The commit it was built from."),
            column("Reason", ".status.summary"),
            column("Image", ".spec.image", wide=True),
            column("Preview", ".status.previewUrl", wide=True),
            AGE,
        ],
    )


def _environmentclass() -> Json:
    return _crd(
        kind="EnvironmentClass",
        short="envclass",
        plural="environmentclasses",
        describes="EnvironmentClass is the platform team's policy for a kind of environment.",
        spec=EnvironmentClassSpec,
        status=None,
        namespaced=False,
        columns=[
            column("Gateway", ".spec.gateway.name"),
            column("Hosts", ".spec.hostTemplate"),
            AGE,
        ],
    )


def _crd(
    *,
    kind: str,
    short: str,
    describes: str,
    spec: type[Model],
    status: type[Model] | None,
    columns: list[Json],
    rules: list[Json] | None = None,
    spec_rules: list[Json] | None = None,
    plural: str | None = None,
    namespaced: bool = True,
    may_be_empty: bool = False,
) -> Json:
    plural = plural or f"{kind.lower()}s"
    spec_schema = structural(spec)
    if spec_rules:
        spec_schema["x-kubernetes-validations"] = spec_schema.get("x-kubernetes-validations", []) + spec_rules
    if may_be_empty:
        # A server-side apply of nothing but `spec: {}` onto an object whose spec is all defaults leaves it without a spec.
        spec_schema["default"] = {}
    schema: Json = {
        "type": "object",
        "description": describes,
        "required": [] if may_be_empty else ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec_schema,
        },
    }
    if rules:
        schema["x-kubernetes-validations"] = rules
    version: Json = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    }
    if status is not None:
        schema["properties"]["status"] = structural(status)
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["dataapps-all"],
            },
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [version],
        },
    }
