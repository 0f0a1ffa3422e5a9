"""Settings of the process, from its environment and mounted files. The chart sets them; each has one place and one
default. What is secret comes in a file, never in a variable.
"""

import json
import logging
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from dataapp_operator.build.settings import Bases, BuildSettings

CACHE = "/var/cache/dataapp"
_UNITS = {"": 1} | {f"{name}i": 1 << (10 * power) for power, name in enumerate("KMGT", start=1)}
_UNITS |= {name: 1000**power for power, name in enumerate("kMGT", start=1)}
_SIZE = re.compile(r"([0-9]{1,15})(Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?", re.ASCII)


class SettingsError(Exception):
    """A setting is missing or cannot be read; the message says which and what it should look like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """What the platform says about git repositories."""

    enabled: bool = True
    """Without it no repository is read, and the kinds AppSource and AppBuild are neither watched nor written."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that may be asked although their addresses are private or inside of the cluster, as HostPolicy reads them."""
    cache: Path = Path(CACHE)
    """Copies of repositories; may be empty after any start."""
    cache_bytes: int = 3 << 29
    """How large they may become together: three quarters of the volume, whose pod is evicted when it is full."""
    edit_role: str = "dataapp-operator-edit"
    """The ClusterRole that an AppSource's service account gets, for messages that say what to bind."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read the variables DATAAPP_SOURCES…"""
        return cls(
            enabled=_yes(env, "DATAAPP_SOURCES", default=True),
            allowed_hosts=tuple(host.lower() for host in _list(env, "DATAAPP_SOURCES_ALLOWED_HOSTS")),
            cache=Path(env.get("DATAAPP_SOURCES_CACHE") or CACHE),
            cache_bytes=_size(env, "DATAAPP_SOURCES_CACHE_SIZE", "2Gi") * 3 // 4,
            edit_role=env.get("DATAAPP_SOURCES_EDIT_ROLE") or "dataapp-operator-edit",
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set from outside."""

    front_image: str
    namespace: str
    identity: str
    log_level: str = "INFO"
    port: int = 8080
    workers: int = 10
    resync_seconds: float = 600.0
    lease: str = "dataapp-operator"
    lease_seconds: int = 15
    sources: SourceSettings = field(default_factory=SourceSettings)
    sources_port: int = 8081
    builds: BuildSettings | None = None
    """None: nothing is built, and Jobs are not watched."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read the environment and the files it names. Raises :class:`SettingsError`."""
        front = env.get("DATAAPP_FRONT_IMAGE", "")
        if not front:
            raise SettingsError(
                "DATAAPP_FRONT_IMAGE is not set: it names the image of the session counter that runs beside every app"
                " (the chart sets it from frontImage)"
            )
        level = env.get("DATAAPP_LOG_LEVEL", "INFO").upper()
        if level not in logging.getLevelNamesMapping():
            raise SettingsError(
                f"DATAAPP_LOG_LEVEL is {env['DATAAPP_LOG_LEVEL']!r}; it should be DEBUG, INFO, WARNING or ERROR"
            )
        sources = SourceSettings.from_environment(env)
        builds = _builds(env) if _yes(env, "DATAAPP_BUILDS", default=False) else None
        if builds and not sources.enabled:
            raise SettingsError("DATAAPP_BUILDS is true and DATAAPP_SOURCES is false: what is built is read from git")
        return cls(
            front_image=front,
            namespace=env.get("POD_NAMESPACE") or "dataapp-system",
            identity=env.get("POD_NAME") or socket.gethostname(),
            log_level=level,
            port=_number(env, "DATAAPP_PORT", 8080),
            workers=_number(env, "DATAAPP_WORKERS", 10),
            lease_seconds=_number(env, "DATAAPP_LEASE_SECONDS", 15),
            resync_seconds=float(_number(env, "DATAAPP_RESYNC_SECONDS", 600)),
            sources=sources,
            sources_port=_number(env, "DATAAPP_SOURCES_PORT", 8081),
            builds=builds,
        )


def _builds(env: Mapping[str, str]) -> BuildSettings:
    """What is set about builds, once they are wanted."""
    bases = Bases(python=env.get("DATAAPP_BUILDS_BASE_PYTHON", ""), r=env.get("DATAAPP_BUILDS_BASE_R", ""))
    if not bases.python and not bases.r:
        raise SettingsError(
            "neither DATAAPP_BUILDS_BASE_PYTHON nor DATAAPP_BUILDS_BASE_R is set: they name the images that builds start"
            " from (the chart sets them from builds.bases)"
        )
    tokens = env.get("DATAAPP_BUILDS_TOKEN_DIR", "")
    push = _file(env.get("DATAAPP_BUILDS_PUSH_CONFIG", ""), "DATAAPP_BUILDS_PUSH_CONFIG")
    if push and not _is_docker_configuration(push):
        raise SettingsError(
            "the file that DATAAPP_BUILDS_PUSH_CONFIG names is no Docker configuration: it should be JSON with `auths`, as"
            " `kubectl create secret docker-registry` writes it"
        )
    return BuildSettings(
        namespace=env.get("DATAAPP_BUILDS_NAMESPACE") or "dataapp-builds",
        builder_image=_required(env, "DATAAPP_BUILDS_BUILDER_IMAGE", "builds.builderImage"),
        registry_host=_required(env, "DATAAPP_BUILDS_REGISTRY_HOST", "builds.registry.host"),
        registry_insecure=_yes(env, "DATAAPP_BUILDS_REGISTRY_INSECURE", default=False),
        token_key_pem=_pem(tokens and f"{tokens}/tls.key", "DATAAPP_BUILDS_TOKEN_DIR", "PRIVATE KEY"),
        token_certificate_pem=_pem(tokens and f"{tokens}/tls.crt", "DATAAPP_BUILDS_TOKEN_DIR", "CERTIFICATE"),
        push_config_json=push,
        bases=bases,
        pull_repositories=_list(env, "DATAAPP_BUILDS_PULL_REPOSITORIES"),
        sources_url=_required(env, "DATAAPP_BUILDS_SOURCES_URL", "its own service").rstrip("/"),
        python_index_url=env.get("DATAAPP_BUILDS_PYTHON_INDEX_URL", ""),
        ca_pem=_pem(env.get("DATAAPP_BUILDS_CA", ""), "DATAAPP_BUILDS_CA", "CERTIFICATE"),
        memory=_quantity(env, "DATAAPP_BUILDS_MEMORY", "2Gi"),
        cpu=_quantity(env, "DATAAPP_BUILDS_CPU", "500m"),
        disk=_quantity(env, "DATAAPP_BUILDS_DISK", "10Gi"),
        deadline_seconds=_number(env, "DATAAPP_BUILDS_DEADLINE_SECONDS", 1800),
        concurrent=_number(env, "DATAAPP_BUILDS_CONCURRENT", 2),
    )


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or int(text) == 0:
        raise SettingsError(f"{name} is {text!r}; it should be a whole number above zero")
    return int(text)


def _yes(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = env.get(name) or str(default).lower()
    if text not in {"true", "false"}:
        raise SettingsError(f"{name} is {text!r}; it should be true or false")
    return text == "true"


def _list(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in env.get(name, "").split(",") if item.strip())


def _required(env: Mapping[str, str], name: str, value: str) -> str:
    if not env.get(name):
        raise SettingsError(f"{name} is not set, though DATAAPP_BUILDS is true (the chart sets it from {value})")
    return env[name]


def _size(env: Mapping[str, str], name: str, default: str) -> int:
    """Bytes of a size such as 2Gi."""
    text = env.get(name) or default
    found = _SIZE.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise SettingsError(f"{name} is {text!r}; it should be a size like 500Mi or 2Gi")
    return int(found[1]) * _UNITS[found[2] or ""]


def _quantity(env: Mapping[str, str], name: str, default: str) -> str:
    text = env.get(name) or default
    if not _QUANTITY.fullmatch(text):
        raise SettingsError(f"{name} is {text!r}; it should be a quantity like 500m, 2 or 2Gi")
    return text


def _file(path: str, name: str) -> str:
    """The text of a mounted file; '' where none is named. What it holds is never part of a message."""
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); {name} says that it is there") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}, which {name} names, is no text") from None


def _pem(path: str, name: str, label: str) -> str:
    text = _file(path, name)
    if path and (f"{label}-----" not in text or "-----BEGIN " not in text):
        raise SettingsError(f"{path}, which {name} names, should be PEM with a line -----BEGIN … {label}-----")
    return text


def _is_docker_configuration(text: str) -> bool:
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and isinstance(content.get("auths"), dict)
