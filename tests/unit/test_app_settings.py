"""The process's settings: defaults, and a sentence for each that cannot be read."""

import json
import re
from pathlib import Path

import pytest

from dataapp_operator.app.settings import Settings, SettingsError, SourceSettings
from dataapp_operator.build.settings import Bases, BuildSettings

FRONT = {"DATAAPP_FRONT_IMAGE": "front@sha256:1"}
PYTHON = "registry.example.org/base/build-python@sha256:1"
BUILDS = FRONT | {
    "DATAAPP_BUILDS": "true",
    "DATAAPP_BUILDS_BUILDER_IMAGE": "registry.example.org/builder@sha256:2",
    "DATAAPP_BUILDS_REGISTRY_HOST": "registry.example.org",
    "DATAAPP_BUILDS_SOURCES_URL": "http://dataapp-operator-sources.dataapp-system.svc:8081/",
    "DATAAPP_BUILDS_BASE_PYTHON": PYTHON,
}
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n"
PUSH = json.dumps({"auths": {"registry.example.org": {"auth": "c2VjcmV0"}}})


def test_defaults() -> None:
    settings = Settings.from_environment(FRONT)
    assert (settings.port, settings.workers, settings.resync_seconds) == (8080, 10, 600.0)
    assert (settings.namespace, settings.lease, settings.log_level) == ("dataapp-system", "dataapp-operator", "INFO")
    assert settings.identity
    assert settings.sources == SourceSettings()
    assert settings.sources.enabled
    assert (settings.sources_port, settings.builds) == (8081, None)


def test_everything_given() -> None:
    settings = Settings.from_environment(
        FRONT
        | {
            "POD_NAME": "op-1",
            "POD_NAMESPACE": "ops",
            "DATAAPP_LOG_LEVEL": "debug",
            "DATAAPP_PORT": "9000",
            "DATAAPP_WORKERS": "3",
            "DATAAPP_RESYNC_SECONDS": "60",
        }
    )
    assert settings == Settings(
        front_image="front@sha256:1",
        namespace="ops",
        identity="op-1",
        log_level="DEBUG",
        port=9000,
        workers=3,
        resync_seconds=60.0,
    )


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({}, "DATAAPP_FRONT_IMAGE is not set"),
        ({"DATAAPP_FRONT_IMAGE": ""}, "DATAAPP_FRONT_IMAGE is not set"),
        (FRONT | {"DATAAPP_PORT": "http"}, "DATAAPP_PORT is 'http'; it should be a whole number above zero"),
        (FRONT | {"DATAAPP_WORKERS": "0"}, "DATAAPP_WORKERS is '0'"),
        (FRONT | {"DATAAPP_RESYNC_SECONDS": "-5"}, "DATAAPP_RESYNC_SECONDS is '-5'"),
        (FRONT | {"DATAAPP_LOG_LEVEL": "chatty"}, "DATAAPP_LOG_LEVEL is 'chatty'"),
        (FRONT | {"DATAAPP_PORT": "²"}, "DATAAPP_PORT is '²'"),
        (FRONT | {"DATAAPP_SOURCES": "yes"}, "DATAAPP_SOURCES is 'yes'; it should be true or false"),
        (
            FRONT | {"DATAAPP_SOURCES_CACHE_SIZE": "2 GB"},
            "DATAAPP_SOURCES_CACHE_SIZE is '2 GB'; it should be a size like",
        ),
        (FRONT | {"DATAAPP_SOURCES_CACHE_SIZE": "0Gi"}, "DATAAPP_SOURCES_CACHE_SIZE is '0Gi'"),
        (BUILDS | {"DATAAPP_SOURCES": "false"}, "what is built is read from git"),
        (
            BUILDS | {"DATAAPP_BUILDS_BUILDER_IMAGE": ""},
            "DATAAPP_BUILDS_BUILDER_IMAGE is not set, though DATAAPP_BUILDS is",
        ),
        (BUILDS | {"DATAAPP_BUILDS_REGISTRY_HOST": ""}, "sets it from builds.registry.host"),
        (BUILDS | {"DATAAPP_BUILDS_SOURCES_URL": ""}, "DATAAPP_BUILDS_SOURCES_URL is not set"),
        (
            BUILDS | {"DATAAPP_BUILDS_BASE_PYTHON": ""},
            "neither DATAAPP_BUILDS_BASE_PYTHON nor DATAAPP_BUILDS_BASE_R is set",
        ),
        (BUILDS | {"DATAAPP_BUILDS_MEMORY": "lots"}, "DATAAPP_BUILDS_MEMORY is 'lots'; it should be a quantity like"),
        (BUILDS | {"DATAAPP_BUILDS_CONCURRENT": "0"}, "DATAAPP_BUILDS_CONCURRENT is '0'"),
        (
            BUILDS | {"DATAAPP_BUILDS_TOKEN_DIR": "/nowhere"},
            "/nowhere/tls.key cannot be read (No such file or directory)",
        ),
        (BUILDS | {"DATAAPP_BUILDS_CA": "/nowhere/ca.crt"}, "/nowhere/ca.crt cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(env: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(says)):
        Settings.from_environment(env)


def test_sources_as_the_chart_sets_them() -> None:
    sources = Settings.from_environment(
        FRONT
        | {
            "DATAAPP_SOURCES": "true",
            "DATAAPP_SOURCES_ALLOWED_HOSTS": "Git.example.org, *.lab.svc,,",
            "DATAAPP_SOURCES_CACHE": "/cache",
            "DATAAPP_SOURCES_CACHE_SIZE": "400M",
            "DATAAPP_SOURCES_EDIT_ROLE": "tools-edit",
        }
    ).sources
    assert sources == SourceSettings(
        allowed_hosts=("git.example.org", "*.lab.svc"),
        cache=Path("/cache"),
        cache_bytes=300_000_000,
        edit_role="tools-edit",
    )
    assert not Settings.from_environment(FRONT | {"DATAAPP_SOURCES": "false"}).sources.enabled


@pytest.mark.parametrize(
    ("size", "usable"), [("4", 3), ("4k", 3000), ("4Ki", 3072), ("2Gi", 3 << 29), ("4Ti", 3 << 40)]
)
def test_copies_of_repositories_leave_a_quarter_of_their_volume_free(size: str, usable: int) -> None:
    assert Settings.from_environment(FRONT | {"DATAAPP_SOURCES_CACHE_SIZE": size}).sources.cache_bytes == usable


def test_builds_with_the_least_that_they_need() -> None:
    assert Settings.from_environment(BUILDS).builds == BuildSettings(
        namespace="dataapp-builds",
        builder_image="registry.example.org/builder@sha256:2",
        registry_host="registry.example.org",
        registry_insecure=False,
        token_key_pem="",
        token_certificate_pem="",
        push_config_json="",
        bases=Bases(python=PYTHON, r=""),
        pull_repositories=(),
        sources_url="http://dataapp-operator-sources.dataapp-system.svc:8081",
        python_index_url="",
        ca_pem="",
        memory="2Gi",
        cpu="500m",
        disk="10Gi",
        deadline_seconds=1800,
        concurrent=2,
    )


def test_builds_that_are_switched_off_need_nothing_and_read_no_file() -> None:
    off = {"DATAAPP_BUILDS": "false", "DATAAPP_BUILDS_CA": "/nowhere", "DATAAPP_BUILDS_CONCURRENT": "0"}
    assert Settings.from_environment(FRONT | off).builds is None


def test_what_is_secret_is_read_from_files_and_printed_nowhere(tmp_path: Path) -> None:
    for name, text in (("tls.key", KEY), ("tls.crt", CERTIFICATE), ("ca.crt", CERTIFICATE), ("config.json", PUSH)):
        (tmp_path / name).write_text(text)
    files = {
        "DATAAPP_BUILDS_TOKEN_DIR": str(tmp_path),
        "DATAAPP_BUILDS_CA": str(tmp_path / "ca.crt"),
        "DATAAPP_BUILDS_PUSH_CONFIG": str(tmp_path / "config.json"),
    }
    settings = Settings.from_environment(BUILDS | files)
    builds = settings.builds
    assert builds is not None
    assert (builds.token_key_pem, builds.token_certificate_pem) == (KEY, CERTIFICATE)
    assert (builds.push_config_json, builds.ca_pem) == (PUSH, CERTIFICATE)
    assert "c2VjcmV0" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("tls.key", b"c2VjcmV0", "tls.key, which DATAAPP_BUILDS_TOKEN_DIR names, should be PEM with a line"),
        ("tls.key", CERTIFICATE.encode(), "should be PEM with a line -----BEGIN … PRIVATE KEY-----"),
        ("tls.crt", KEY.encode(), "should be PEM with a line -----BEGIN … CERTIFICATE-----"),
        ("ca.crt", b"\xff\xfec2VjcmV0", "ca.crt, which DATAAPP_BUILDS_CA names, is no text"),
        ("config.json", b'{"auths": "c2VjcmV0"', "it should be JSON with `auths`"),
        ("config.json", b'["c2VjcmV0"]', "it should be JSON with `auths`"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_without_what_it_holds(
    tmp_path: Path, name: str, text: bytes, says: str
) -> None:
    good = {"tls.key": KEY.encode(), "tls.crt": CERTIFICATE.encode()} | {name: text}
    for file, content in good.items():
        (tmp_path / file).write_bytes(content)
    env = BUILDS | {"DATAAPP_BUILDS_TOKEN_DIR": str(tmp_path)}
    if name == "ca.crt":
        env |= {"DATAAPP_BUILDS_CA": str(tmp_path / name)}
    if name == "config.json":
        env |= {"DATAAPP_BUILDS_PUSH_CONFIG": str(tmp_path / name)}
    with pytest.raises(SettingsError, match=re.escape(says)) as failure:
        Settings.from_environment(env)
    assert "c2VjcmV0" not in str(failure.value)
