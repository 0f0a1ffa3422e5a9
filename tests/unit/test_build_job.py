"""The Job of a build: what its pod may do, what each container can see, and that no word of a user is a shell word."""

import base64
import json
import re
import subprocess
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import product

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from dataapp_operator.build import job as jobs
from dataapp_operator.build.push import push_configuration
from dataapp_operator.plan.names import LABEL_APP
from tests.unit.build_rig import KEY, SETTINGS, START, spec

NASTY = "$(touch /tmp/owned)`id`\"'; rm -rf / #"


def made(settings=SETTINGS, **changes):
    return jobs.job(settings, spec(**changes), namespace=KEY[0], build=KEY[1], uid="u1", attempt=1)


def pod(settings=SETTINGS, **changes):
    return made(settings, **changes)["spec"]["template"]["spec"]


def container(name, settings=SETTINGS, **changes):
    found = pod(settings, **changes)
    return next(c for c in [*found["initContainers"], *found["containers"]] if c["name"] == name)


def env(settings=SETTINGS, **changes):
    return {pair["name"]: pair["value"] for pair in container("build", settings, **changes)["env"]}


def secret(settings=SETTINGS):
    job = jobs.facts(made(settings) | {"metadata": made(settings)["metadata"] | {"uid": "job-uid"}})
    return jobs.secret(settings, job, jobs.labels(*KEY, "u1", 1), token="t0ken", config="{}")


def content(settings=SETTINGS):
    return {key: base64.b64decode(value).decode() for key, value in secret(settings)["data"].items()}


def test_two_different_builds_never_share_a_name() -> None:
    names = {
        jobs.name(namespace, build, uid, attempt)
        for namespace, build, uid, attempt in product(
            ("a", "a-b", "n" * 63), ("b-c", "c", "x" * 39, "x" * 38 + "y"), ("u1", "u2"), (1, 2, 3)
        )
    }
    assert len(names) == 3 * 4 * 2 * 3
    assert max(map(len, names)) <= 63


def test_a_name_is_a_dns_label_even_when_it_was_cut_at_a_dash() -> None:
    for length in range(30, 64):
        name = jobs.name("n" * length, "b" * 39, "u", 1)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)


def test_the_pod_can_do_nothing_but_build() -> None:
    found = pod()
    assert found["automountServiceAccountToken"] is False
    assert found["enableServiceLinks"] is False
    assert found["restartPolicy"] == "Never"
    assert made()["spec"]["backoffLimit"] == 0
    assert (
        found["securityContext"] | {"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": True}
        == found["securityContext"]
    )
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    fetch, build = container("fetch")["securityContext"], container("build")["securityContext"]
    assert fetch == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert build["seccompProfile"] == build["appArmorProfile"] == {"type": "Unconfined"}
    assert build["capabilities"] == {"drop": ["ALL"], "add": ["SETUID", "SETGID"]}
    assert "privileged" not in str(found)
    assert "hostPath" not in str(found)
    for name in ("fetch", "build"):
        assert {"memory", "ephemeral-storage"} <= container(name)["resources"]["limits"].keys()
    assert all("sizeLimit" in volume["emptyDir"] for volume in found["volumes"] if "emptyDir" in volume)


def test_every_deadline_comes_before_the_one_that_destroys_more() -> None:
    script, of_pod, of_job = (
        int(env()["BUILD_SECONDS"]),
        pod()["activeDeadlineSeconds"],
        made()["spec"]["activeDeadlineSeconds"],
    )
    assert SETTINGS.deadline_seconds == script < of_pod < of_job


def test_a_build_pod_is_no_replica_of_an_app() -> None:
    manifest = made()
    for found in (manifest["metadata"]["labels"], manifest["spec"]["template"]["metadata"]["labels"]):
        assert LABEL_APP not in found
        assert found == {
            "dataapps.dev/build": KEY[1],
            "dataapps.dev/build-namespace": KEY[0],
            "dataapps.dev/build-uid": "u1",
            "dataapps.dev/build-attempt": "1",
        }
    assert jobs.key_of(manifest) == KEY


def test_no_word_of_a_user_is_a_part_of_a_script() -> None:
    calm, nasty = pod(), pod(dockerfile=NASTY, entrypoint=NASTY, commit=NASTY[:40])
    for name in ("initContainers", "containers"):
        assert [c["command"] for c in calm[name]] == [c["command"] for c in nasty[name]]
    assert env(dockerfile=NASTY)["DOCKERFILE"] == NASTY
    assert env(dockerfile=NASTY)["RECIPE"] == "/work/context"


@pytest.mark.parametrize("file", ["build.sh", "fetch.sh"])
def test_the_scripts_are_shell(file: str) -> None:
    text = files("dataapp_operator.build").joinpath("pod", file).read_text()
    subprocess.run(["sh", "-n", "-c", text], check=True)


def test_each_container_sees_only_its_part_of_the_secret() -> None:
    settings = replace(SETTINGS, ca_pem="PEM", python_index_url="https://pypi.example.org/simple")
    volumes = {v["name"]: {i["key"] for i in v["secret"]["items"]} for v in pod(settings)["volumes"] if "secret" in v}
    seen = {
        name: {
            key: mount["mountPath"]
            for mount in container(name, settings)["volumeMounts"]
            for key in volumes.get(mount["name"], ())
        }
        for name in ("fetch", "build")
    }
    assert seen["fetch"] == {"token": "/run/builder"}
    assert seen["build"] == {
        "config.json": "/run/builder",
        "buildkitd.toml": "/etc/builder",
        "ca.crt": "/etc/builder",
        "index": "/etc/builder",
    }
    assert content(settings).keys() == {"token", *seen["build"]}
    assert "t0ken" not in str(made(settings))


def test_the_secret_belongs_to_its_job_and_never_changes() -> None:
    manifest = secret()
    assert manifest["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": made()["metadata"]["name"], "uid": "job-uid"}
    ]
    assert manifest["immutable"] is True
    assert jobs.token_of(manifest) == b"t0ken"


def test_the_daemon_knows_how_the_registry_speaks() -> None:
    told = {
        name: tomllib.loads(content(replace(SETTINGS, **changes))["buildkitd.toml"])["registry"]["registry.example.org"]
        for name, changes in {"plain": {"registry_insecure": True}, "own": {"ca_pem": "PEM"}, "usual": {}}.items()
    }
    assert told == {"plain": {"http": True}, "own": {"ca": ["/etc/builder/ca.crt"]}, "usual": {}}


def test_a_registry_that_is_no_host_is_refused() -> None:
    with pytest.raises(ValueError, match="host or host:port"):
        jobs.daemon_configuration(replace(SETTINGS, registry_host='x"]\n[worker.oci]'))


def pair() -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), certificate.public_bytes(Encoding.PEM).decode()


def test_a_build_may_write_its_own_repository_and_read_the_platforms() -> None:
    key, certificate = pair()
    settings = replace(
        SETTINGS, token_key_pem=key, token_certificate_pem=certificate, pull_repositories=("base/corporate",)
    )
    config = json.loads(push_configuration(settings, spec(), "analytics", now=START))
    token = config["auths"]["registry.example.org"]["registrytoken"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert {(a["name"], *sorted(a["actions"])) for a in claims["access"]} == {
        ("analytics/sales", "pull", "push"),
        ("base/build-python", "pull"),
        ("base/corporate", "pull"),
    }
    assert claims["exp"] - claims["iat"] == SETTINGS.deadline_seconds + 300
    assert key not in repr(settings)


def test_without_tokens_the_platforms_own_configuration_is_used() -> None:
    settings = replace(SETTINGS, push_config_json='{"auths": {"registry.example.org": {"auth": "eA=="}}}')
    assert push_configuration(settings, spec(), "analytics", now=START) == settings.push_config_json
    assert push_configuration(SETTINGS, spec(), "analytics", now=START) == '{"auths": {}}'


@pytest.mark.parametrize(
    ("status", "ended", "ending"),
    [
        ({}, False, False),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, True, False),
        ({"conditions": [{"type": "Failed", "status": "True"}]}, True, False),
        ({"conditions": [{"type": "Failed", "status": "False"}]}, False, False),
        (
            {"conditions": [{"type": "FailureTarget", "status": "True", "lastTransitionTime": "2026-11-22T10:00:00Z"}]},
            False,
            True,
        ),
    ],
)
def test_what_a_job_says_of_its_end(status, ended, ending) -> None:
    manifest = made()
    found = jobs.facts(manifest | {"metadata": manifest["metadata"] | {"uid": "x"}, "status": status})
    assert (found.ended, found.ending_since is not None) == (ended, ending)
    assert (found.build_uid, found.attempt) == ("u1", 1)
