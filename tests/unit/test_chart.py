"""The chart gives the operator no right it does not use, the pod no privilege, and the installer clear words."""

import re
from typing import Any

import pytest
import yaml

from dataapp_operator.api.appsource import AppSourceSpec
from dataapp_operator.api.dataapp import DataAppSpec
from dataapp_operator.api.environmentclass import EnvironmentClassSpec
from tests.unit.chart_rig import (
    BUILDS,
    CHART,
    DIGEST,
    IMAGES,
    ROOT,
    container,
    environment,
    manifests,
    one,
    rights,
    run,
)

READ = {"get", "list", "watch"}
OWN = READ | {"create", "patch", "delete"}
# (API group, resource) -> verbs: the whole of what the operator may do. A change here is a change of what it may do.
WITHOUT_SOURCES = {
    ("dataapps.dev", "dataapps"): READ | {"patch"},
    ("dataapps.dev", "dataapps/status"): {"patch"},
    ("dataapps.dev", "appreleases"): READ | {"create", "delete"},
    ("dataapps.dev", "appreleases/status"): {"patch"},
    ("dataapps.dev", "environmentclasses"): READ,
    ("apps", "replicasets"): OWN,
    ("apps", "deployments"): OWN,
    ("autoscaling", "horizontalpodautoscalers"): OWN,
    ("", "services"): OWN,
    ("", "pods"): READ | {"delete"},
    ("", "pods/log"): {"get"},
    ("policy", "poddisruptionbudgets"): OWN,
    ("", "nodes"): READ,
    ("events.k8s.io", "events"): {"create"},
    ("gateway.networking.k8s.io", "httproutes"): OWN,
    ("gateway.networking.k8s.io", "gateways"): READ,
}
SOURCE_RIGHTS = {
    ("dataapps.dev", "dataapps"): OWN,
    ("dataapps.dev", "appsources"): READ,
    ("dataapps.dev", "appsources/status"): {"patch"},
    ("dataapps.dev", "appbuilds"): READ | {"create", "delete"},
    ("dataapps.dev", "appbuilds/status"): {"patch"},
    ("authorization.k8s.io", "subjectaccessreviews"): {"create"},
    ("", "secrets"): {"get"},
}
CLUSTER_RIGHTS = WITHOUT_SOURCES | SOURCE_RIGHTS


def test_the_operator_may_do_exactly_this_in_the_cluster() -> None:
    assert rights(one("ClusterRole")) == CLUSTER_RIGHTS


def test_without_sources_it_writes_no_data_app_and_reads_no_secret() -> None:
    assert rights(one("ClusterRole", "sources.enabled=false")) == WITHOUT_SOURCES
    without_secrets = {right: verbs for right, verbs in CLUSTER_RIGHTS.items() if right != ("", "secrets")}
    assert rights(one("ClusterRole", "sources.readSecrets=false")) == without_secrets
    settings = environment("sources.enabled=false")
    assert {name: value for name, value in settings.items() if "SOURCES" in name} == {"DATAAPP_SOURCES": "false"}
    assert [mount["name"] for mount in container("sources.enabled=false")["volumeMounts"]] == ["tmp"]


@pytest.mark.parametrize("settings", [(), BUILDS], ids=["without builds", "with builds"])
def test_no_role_has_a_wildcard_or_touches_other_identities_or_rights(settings: tuple[str, ...]) -> None:
    roles = [m for m in manifests(*settings) if m["kind"] in {"Role", "ClusterRole"}]
    assert len(roles) == (5 if settings else 4)
    for role in roles:
        for rule in role["rules"]:
            words = {word for part in rule.values() for word in part}
            assert "*" not in words
            assert not words & {"serviceaccounts", "serviceaccounts/token", "pods/exec", "nodes/proxy"}
            if "nodes" in words:
                assert set(rule["verbs"]) == READ  # whether one takes new pods
            if "secrets" in words and role["kind"] == "ClusterRole":
                assert rule["verbs"] == ["get"]  # the one that somebody names, never all there are
            assert not words & {"impersonate", "bind", "escalate", "deletecollection", "rbac.authorization.k8s.io"}
            assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}


def test_in_its_own_namespace_it_has_its_lease_and_nothing_else() -> None:
    create, use = one("Role")["rules"]
    assert create == {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}
    assert use["resources"] == ["leases"]
    assert use["resourceNames"] == ["dataapp-operator"]
    assert set(use["verbs"]) == {"get", "update"}


def test_the_rights_are_bound_to_the_pod_s_account_only() -> None:
    for settings, account in (((), "dataapp-operator"), (("serviceAccount.name=other",), "other")):
        subject = {"kind": "ServiceAccount", "name": account, "namespace": "dataapp-system"}
        for kind, role in (("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")):
            binding = one(kind, *settings)
            assert binding["subjects"] == [subject]
            assert binding["roleRef"] == {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": role,
                "name": "dataapp-operator",
            }
        assert one("ServiceAccount", *settings, name=account)["metadata"]["namespace"] == "dataapp-system"
        assert one("Deployment", *settings)["spec"]["template"]["spec"]["serviceAccountName"] == account


def test_teams_read_with_view_and_write_apps_and_sources_with_edit_but_never_the_record() -> None:
    aggregate = "rbac.authorization.k8s.io/aggregate-to-"
    view, edit = one("ClusterRole", name="dataapp-operator-view"), one("ClusterRole", name="dataapp-operator-edit")
    assert rights(view) == {("dataapps.dev", f"app{what}s"): READ for what in ("source", "build", "release")} | {
        ("dataapps.dev", "dataapps"): READ
    }
    write = {"create", "update", "patch", "delete"}
    assert rights(edit) == {
        ("dataapps.dev", "dataapps"): write,
        ("dataapps.dev", "appsources"): write,
        ("dataapps.dev", "appbuilds"): {"delete"},  # to have it built again
    }
    for role, joins in ((view, {"view", "edit", "admin"}), (edit, {"edit", "admin"})):
        labels = {label: value for label, value in role["metadata"]["labels"].items() if label.startswith(aggregate)}
        assert labels == {aggregate + name: "true" for name in joins}
        alone = one("ClusterRole", "rbac.aggregateToNamespaceRoles=false", name=role["metadata"]["name"])
        assert alone["rules"] == role["rules"]
        assert not [label for label in alone["metadata"]["labels"] if label.startswith(aggregate)]


def test_the_pod_meets_the_restricted_standard_and_cannot_write_its_own_files() -> None:
    deployment = one("Deployment")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    pod = deployment["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    operator = container()
    assert operator["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [(v["name"], v["mountPath"]) for v in operator["volumeMounts"]] == [
        ("tmp", "/tmp"),
        ("cache", "/var/cache/dataapp"),
    ]
    assert pod["volumes"] == [
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        {"name": "cache", "emptyDir": {"sizeLimit": "2Gi"}},
    ]
    assert operator["resources"]["limits"] == {"memory": "1Gi"}
    assert operator["resources"]["requests"] == {"cpu": "250m", "memory": "128Mi"}
    assert pod["terminationGracePeriodSeconds"] == 30


def test_a_platform_that_gives_user_ids_gets_no_fixed_one_and_large_ids_stay_whole_numbers() -> None:
    def security(setting: str) -> dict[str, Any]:
        return one("Deployment", setting)["spec"]["template"]["spec"]["securityContext"]

    assert set(security("runAsUser=null")) == {"runAsNonRoot", "seccompProfile"}
    assert security("runAsUser=1000650000")["runAsUser"] == 1000650000


def test_the_process_gets_its_environment_port_and_probes() -> None:
    assert environment() == {
        "DATAAPP_FRONT_IMAGE": "registry.example.org/platform/dataapp-front:0.1.0",
        "DATAAPP_LOG_LEVEL": "INFO",
        "DATAAPP_LEASE_SECONDS": "15",
        "DATAAPP_SOURCES": "true",
        "DATAAPP_SOURCES_CACHE": "/var/cache/dataapp",
        "DATAAPP_SOURCES_CACHE_SIZE": "2Gi",
        "DATAAPP_SOURCES_EDIT_ROLE": "dataapp-operator-edit",
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "POD_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
    }
    operator = container()
    assert operator["ports"] == [{"name": "http", "containerPort": 8080}]
    for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert operator[probe]["httpGet"] == {"path": path, "port": "http"}
    service = one("Service", name="dataapp-operator-metrics")["spec"]
    assert service["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert one("Deployment")["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_digest_wins_over_a_tag_for_both_images() -> None:
    repository = "registry.example.org/platform/dataapp-"
    tags = ("image.tag=1.2", "frontImage.tag=1.3")
    assert container(*tags)["image"] == f"{repository}operator:1.2"
    assert environment(*tags)["DATAAPP_FRONT_IMAGE"] == f"{repository}front:1.3"
    both = (*tags, f"image.digest={DIGEST}", f"frontImage.digest={DIGEST}")
    assert container(*both)["image"] == f"{repository}operator@{DIGEST}"
    assert environment(*both)["DATAAPP_FRONT_IMAGE"] == f"{repository}front@{DIGEST}"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("imgae.tag=1", "Additional property imgae is not allowed"),
        ("image.pullpolicy=Always", "image: Additional property pullpolicy is not allowed"),
        ("frontImage.pullPolicy=Always", "frontImage: Additional property pullPolicy is not allowed"),
        ("replicas=2", "Additional property replicas is not allowed"),
        ("image.digest=abc", "image.digest: Does not match pattern"),
        ("logLevel=loud", 'logLevel must be one of the following: "debug", "info", "warning", "error"'),
        ("runAsUser=0", "runAsUser: Must be greater than or equal to 1"),
        ("metrics.service.port=0", "metrics.service.port: Must be greater than or equal to 1"),
        ("resources.limits.memory=lots", "resources.limits.memory: Does not match pattern"),
        ("sources.cacheSize=2", "sources.cacheSize: Invalid type"),
        ("sources.allowedHosts[0]=https://git.example.org", "sources.allowedHosts.0: Does not match pattern"),
        ("builds.bases.r=registry.example.org/r:4", "builds.bases.r: Does not match pattern"),
        ("builds.pythonIndexUrl=https://me:secret@pypi.example.org/simple", "builds.pythonIndexUrl: Does not match"),
        ("builds.ca=none", "builds.ca: Does not match pattern"),
        ("builds.registry.secret=push", "builds.registry: Additional property secret is not allowed"),
    ],
)
def test_an_unknown_or_impossible_value_is_refused_by_name(setting: str, says: str) -> None:
    done = run(*IMAGES, setting)
    assert done.returncode != 0
    assert says in done.stderr


@pytest.mark.parametrize("missing", ["image", "frontImage"])
def test_a_missing_image_is_refused_with_the_setting_that_mends_it(missing: str) -> None:
    done = run(*(setting for setting in IMAGES if not setting.startswith(f"{missing}.")))
    assert done.returncode != 0
    assert f"--set {missing}.repository=" in done.stderr


def test_every_value_is_in_the_schema_and_in_the_readme() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]) - {"global"} == set(values)
    readme = (CHART / "README.md").read_text()
    assert [name for name in _names(values) if not _is_named(name, readme)] == []


def _names(values: dict[str, Any], prefix: str = "") -> list[str]:
    """Every value's full name: `builds.registry.host`."""
    names = []
    for key, value in values.items():
        names += _names(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [f"{prefix}{key}"]
    return names


def _is_named(name: str, readme: str) -> bool:
    """Whole, or as `.host` in a row that begins with another of the same parent; the parts of `resources` by its name."""
    parent, _, last = name.rpartition(".")
    rows = [row for row in readme.splitlines() if row.startswith("| `")]
    return (
        any(f"`{name}`" in row for row in rows)
        or any(f"`{parent}." in row and f"`.{last}`" in row for row in rows)
        or (name.startswith("resources.") and any("`resources`" in row for row in rows))
    )


def test_where_the_pod_runs_and_who_may_connect_can_be_chosen() -> None:
    settings = ("nodeSelector.pool=system", "tolerations[0].operator=Exists", "priorityClassName=high")
    pod = one("Deployment", *settings, "imagePullSecrets[0]=pull")["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"pool": "system"}
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["priorityClassName"] == "high"
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert "NetworkPolicy" not in {m["kind"] for m in manifests()}
    assert one("NetworkPolicy", "networkPolicy.enabled=true")["spec"]["ingress"] == []
    peer = "networkPolicy.from[0].namespaceSelector.matchLabels.team=monitoring"
    (rule,) = one("NetworkPolicy", "networkPolicy.enabled=true", peer)["spec"]["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}]
    assert rule["ports"] == [{"port": "http"}]


def test_another_release_name_names_everything_after_itself() -> None:
    names = {m["metadata"]["name"] for m in manifests(release="tools")}
    assert all(name.startswith("tools-dataapp-operator") for name in names)


def test_the_chart_carries_the_definitions_as_they_are() -> None:
    own = {path.name: path.read_text() for path in (CHART / "crds").glob("*.yaml")}
    assert own
    assert own == {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}


def test_the_first_steps_that_helm_prints_are_manifests_that_the_operator_accepts() -> None:
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    # At the beginning of the line: an indented END would not end a document that was copied from the terminal.
    texts = re.findall(r"^kubectl apply -f - <<'END'\n(.*?)^END$", notes, re.DOTALL | re.MULTILINE)
    documents = [yaml.safe_load(text) for text in texts]
    assert [document["kind"] for document in documents] == ["EnvironmentClass", "DataApp", "AppSource"]
    specs = {document["kind"]: document["spec"] for document in documents}
    assert EnvironmentClassSpec.model_validate(specs["EnvironmentClass"])
    assert DataAppSpec.model_validate(specs["DataApp"])
    assert AppSourceSpec.model_validate(specs["AppSource"])
    environments = {environment["name"] for environment in specs["DataApp"]["environments"]}
    assert environments == {documents[0]["metadata"]["name"]}
