"""What the chart installs for building images: nothing unless asked to, and no more than a build needs."""

from pathlib import Path
from typing import Any

import pytest

from dataapp_operator.app import settings as settings_module
from dataapp_operator.app.settings import Settings
from tests.unit.chart_rig import BASE, BUILDS, IMAGES, container, environment, manifests, one, rights, run

READ = {"get", "list", "watch"}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
ALL = (
    *BUILDS,
    "builds.registry.tokenSecret=registry-token",
    f"builds.ca={PEM}",
    "builds.pullRepositories[0]=base/corporate",
    "builds.pullRepositories[1]=base/extra",
    "builds.pythonIndexUrl=https://pypi.example.org/simple",
)


def _pod(*settings: str) -> dict[str, Any]:
    template: dict[str, Any] = one("Deployment", *settings)["spec"]["template"]
    return template


def _kinds(*settings: str) -> set[tuple[str, str]]:
    return {(m["kind"], m["metadata"]["name"]) for m in manifests(*settings)}


def test_without_builds_nothing_of_them_is_installed() -> None:
    others = ("builds.registry.tokenSecret=t", f"builds.ca={PEM}", "builds.builderImage.repository=r/b")
    for settings in ((), others, ("builds.enabled=false", "networkPolicy.enabled=true")):
        assert not [m for m in manifests(*settings) if "builds" in m["metadata"].get("namespace", "")]
        assert not [name for _, name in _kinds(*settings) if "build" in name or "sources" in name]
        assert "Namespace" not in {kind for kind, _ in _kinds(*settings)}
        assert not [name for name in environment(*settings) if "BUILD" in name]
        assert [port["name"] for port in container(*settings)["ports"]] == ["http"]
        assert [volume["name"] for volume in _pod(*settings)["spec"]["volumes"]] == ["tmp", "cache"]
        assert "annotations" not in _pod(*settings)["metadata"]
        assert ("batch", "jobs") not in rights(one("ClusterRole", *settings))


def test_with_builds_these_objects_are_added_and_none_changes_its_name() -> None:
    assert _kinds(*BUILDS) - _kinds() == {
        ("Namespace", "dataapp-builds"),
        ("ServiceAccount", "dataapp-build"),
        ("Role", "dataapp-operator-builds"),
        ("RoleBinding", "dataapp-operator-builds"),
        ("NetworkPolicy", "dataapp-operator-builds"),
        ("Service", "dataapp-operator-sources"),
    }
    assert _kinds() <= _kinds(*BUILDS)
    assert _kinds(*ALL) - _kinds(*BUILDS) == {("ConfigMap", "dataapp-operator-builds-ca")}


def test_the_namespace_of_builds_allows_what_rootless_buildkit_needs_and_may_be_one_s_own() -> None:
    namespace = one("Namespace", *BUILDS, name="dataapp-builds")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    own = (*BUILDS, "builds.namespace=forge", "builds.createNamespace=false")
    assert "Namespace" not in {kind for kind, _ in _kinds(*own)}
    for kind, name in (("Role", "dataapp-operator-builds"), ("ServiceAccount", "dataapp-build")):
        assert one(kind, *own, name=name)["metadata"]["namespace"] == "forge"
    assert environment(*own)["DATAAPP_BUILDS_NAMESPACE"] == "forge"


def test_jobs_and_secrets_are_written_in_the_namespace_of_builds_only() -> None:
    role = one("Role", *BUILDS, name="dataapp-operator-builds")
    assert role["metadata"]["namespace"] == "dataapp-builds"
    assert rights(role) == {
        ("batch", "jobs"): {"create", "delete"},
        ("", "secrets"): {"get", "create", "delete"},
        ("", "pods"): {"get", "list"},
        ("", "pods/log"): {"get"},
    }
    binding = one("RoleBinding", *BUILDS, name="dataapp-operator-builds")
    assert binding["metadata"]["namespace"] == "dataapp-builds"
    assert binding["roleRef"]["name"] == "dataapp-operator-builds"
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "dataapp-operator", "namespace": "dataapp-system"}
    ]
    cluster = rights(one("ClusterRole", *BUILDS))
    assert cluster == rights(one("ClusterRole")) | {("batch", "jobs"): READ}


def test_build_pods_run_as_an_account_that_has_no_right_and_no_token() -> None:
    account = one("ServiceAccount", *BUILDS, "imagePullSecrets[0]=pull", name="dataapp-build")
    assert account["automountServiceAccountToken"] is False
    assert account["imagePullSecrets"] == [{"name": "pull"}]
    bindings = [m for m in manifests(*BUILDS) if m["kind"].endswith("RoleBinding")]
    assert all(subject["name"] != "dataapp-build" for binding in bindings for subject in binding["subjects"])


def test_nobody_connects_to_a_build_pod_and_it_reaches_no_link_local_address() -> None:
    shut = ("builds.networkPolicy.except[0]=10.20.0.0/16", "builds.networkPolicy.except[1]=fd00:1::/32")
    policy = one("NetworkPolicy", *BUILDS, *shut, name="dataapp-operator-builds")
    assert policy["metadata"]["namespace"] == "dataapp-builds"
    spec = policy["spec"]
    assert (spec["podSelector"], spec["ingress"]) == ({}, [])
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    names, code, rest = spec["egress"]
    assert names == {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    (operator,) = code["to"]
    assert operator["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "dataapp-system"}
    assert operator["podSelector"]["matchLabels"].items() <= _pod(*BUILDS)["metadata"]["labels"].items()
    assert code["ports"] == [{"port": 8081}]
    assert rest == {
        "to": [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16", "10.20.0.0/16"]}},
            {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fd00:1::/32"]}},
        ]
    }


def test_code_is_served_on_a_port_of_its_own_which_only_build_pods_may_reach() -> None:
    service = one("Service", *BUILDS, name="dataapp-operator-sources")["spec"]
    assert service["ports"] == [{"name": "sources", "port": 8081, "targetPort": "sources"}]
    assert service["selector"].items() <= _pod(*BUILDS)["metadata"]["labels"].items()
    assert {"name": "sources", "containerPort": 8081} in container(*BUILDS)["ports"]
    peer = "networkPolicy.from[0].namespaceSelector.matchLabels.team=monitoring"
    policies = (*BUILDS, "networkPolicy.enabled=true")
    (only,) = one("NetworkPolicy", *policies)["spec"]["ingress"]
    builds = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dataapp-builds"}}}
    assert only == {"from": [builds], "ports": [{"port": "sources"}]}
    metrics, code = one("NetworkPolicy", *policies, peer)["spec"]["ingress"]
    assert metrics["ports"] == [{"port": "http"}]
    assert code == only


def test_secrets_are_mounted_and_never_in_a_variable() -> None:
    token, push = (*BUILDS, "builds.registry.tokenSecret=key"), (*BUILDS, "builds.registry.pushSecret=robot")
    for settings, name, secret, items, variable, value in (
        (token, "registry-token", "key", {"tls.key": "tls.key", "tls.crt": "tls.crt"}, "TOKEN_DIR", ""),
        (push, "registry-push", "robot", {".dockerconfigjson": "config.json"}, "PUSH_CONFIG", "/config.json"),
    ):
        (volume,) = (v for v in _pod(*settings)["spec"]["volumes"] if v["name"] == name)
        assert volume["secret"]["secretName"] == secret
        assert {item["key"]: item["path"] for item in volume["secret"]["items"]} == items
        (mount,) = (m for m in container(*settings)["volumeMounts"] if m["name"] == name)
        assert mount == {"name": name, "mountPath": f"/etc/dataapp/{name}", "readOnly": True}
        assert environment(*settings)[f"DATAAPP_BUILDS_{variable}"] == f"/etc/dataapp/{name}{value}"
        given = [v["name"] for v in _pod(*settings)["spec"]["volumes"] if "secret" in v]
        assert given == [name]
    assert not [entry for entry in container(*ALL)["env"] if "secretKeyRef" in (entry.get("valueFrom") or {})]


def test_other_certificates_start_the_operator_anew() -> None:
    assert one("ConfigMap", *ALL, name="dataapp-operator-builds-ca")["data"]["ca.crt"].strip() == PEM.strip()
    other = PEM.replace("MIIB", "MIIC")
    checksum = "checksum/builds-ca"
    first = _pod(*ALL)["metadata"]["annotations"][checksum]
    assert first != _pod(*ALL, f"builds.ca={other}")["metadata"]["annotations"][checksum]


def test_the_process_understands_what_the_chart_tells_it() -> None:
    mounted = {"DATAAPP_BUILDS_TOKEN_DIR", "DATAAPP_BUILDS_CA"}  # files that are only there in the pod
    told = environment(*ALL, "sources.allowedHosts[0]=git.example.org", "sources.allowedHosts[1]=*.lab.svc")
    assert mounted <= set(told)
    settings = Settings.from_environment({n: v for n, v in told.items() if isinstance(v, str) and n not in mounted})
    assert settings.sources.allowed_hosts == ("git.example.org", "*.lab.svc")
    assert settings.sources.edit_role == "dataapp-operator-edit"
    assert (settings.sources.cache_bytes, str(settings.sources.cache)) == (3 << 29, "/var/cache/dataapp")
    builds = settings.builds
    assert builds is not None
    assert builds.builder_image == "registry.example.org/platform/dataapp-builder:0.1.0"
    assert (builds.namespace, builds.registry_host, builds.registry_insecure) == (
        "dataapp-builds",
        "registry.example.org",
        False,
    )
    assert (builds.bases.python, builds.bases.r) == (BASE, "")
    assert builds.pull_repositories == ("base/corporate", "base/extra")
    assert builds.sources_url == "http://dataapp-operator-sources.dataapp-system.svc:8081"
    assert builds.python_index_url == "https://pypi.example.org/simple"
    assert (builds.memory, builds.cpu, builds.disk) == ("2Gi", "500m", "10Gi")
    assert (builds.deadline_seconds, builds.concurrent) == (1800, 2)


def test_every_variable_that_the_chart_sets_is_one_that_the_process_reads() -> None:
    text = Path(settings_module.__file__).read_text()
    both = (*ALL, "sources.allowedHosts[0]=git.example.org", "builds.bases.r=" + BASE)
    push = (*BUILDS, "builds.registry.pushSecret=robot")
    told = [name for name in {**environment(*both), **environment(*push)} if name.startswith("DATAAPP_")]
    assert len(told) == 26
    assert [name for name in told if f'"{name}"' not in text] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("builds.builderImage.repository=", "--set builds.builderImage.repository="),
        ("builds.registry.host=", "--set builds.registry.host="),
        ("builds.bases.python=", "--set builds.bases.python="),
        ("sources.enabled=false", "builds.enabled needs sources.enabled"),
        ("builds.namespace=dataapp-system", "builds need a namespace of their own"),
        (
            "builds.registry.tokenSecret=a,builds.registry.pushSecret=b",
            "keep tokenSecret if your registry checks tokens",
        ),
    ],
)
def test_what_builds_cannot_do_without_is_asked_for_by_name(change: str, says: str) -> None:
    done = run(*IMAGES, *BUILDS, change)
    assert done.returncode != 0
    assert says in done.stderr
