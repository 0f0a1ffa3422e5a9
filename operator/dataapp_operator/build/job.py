"""The Job of one build and its Secret, as manifests. Pure.

The pod has two containers one after the other: `fetch` brings the code from the operator, `build` makes the image of it.
Both run fixed scripts (package data under `pod/`); what differs between two builds comes in by environment, so no word
of a user ever is a part of a shell line. Each sees of the Secret only what it needs: the token for the code is not there
any more when the code of strangers runs.

Everything is found again by labels, never by `dataapps.dev/app`: a build pod is no replica of an app. All names are
functions of (namespace, AppBuild, uid, attempt).
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from dataapp_operator.api.appbuild import AppBuildSpec
from dataapp_operator.api.base import instant
from dataapp_operator.build.settings import BuildSettings
from dataapp_operator.plan.build_facts import END_SECONDS, START_SECONDS, JobFacts
from dataapp_operator.plan.names import LABEL_BUILD

Json = dict[str, Any]

LABEL_NAMESPACE = f"{LABEL_BUILD}-namespace"
"""The namespace of the AppBuild: Jobs of all namespaces' builds live in one."""
LABEL_UID = f"{LABEL_BUILD}-uid"
LABEL_ATTEMPT = f"{LABEL_BUILD}-attempt"

FETCH = "fetch"
BUILD = "build"
PORT = 8081
SERVICE_ACCOUNT = "dataapp-build"
"""Made by the chart; nothing is allowed to it, and it has no token."""

_USER = 1000
_LONGEST = 63
_HOST = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_WORK_BYTES = "2Gi"
_TOKEN, _CONFIG, _DAEMON, _AUTHORITIES, _INDEX = "token", "config.json", "buildkitd.toml", "ca.crt", "index"
_ETC, _RUN, _STATE = "/etc/builder", "/run/builder", "/home/user/.local/share/buildkit"


def name(namespace: str, build: str, uid: str, attempt: int) -> str:
    """The name of a Job and of its Secret. Two different builds, or attempts, never share one: the hash sees to it."""
    digest = hashlib.sha256(f"{namespace}/{build}/{uid}".encode()).hexdigest()[:10]
    tail = f"-{digest}-{attempt}"
    return f"{namespace}-{build}"[: _LONGEST - len(tail)].rstrip("-.") + tail


def repository(spec: AppBuildSpec, namespace: str) -> str:
    """Where in the registry the images of an app are. The only place its builds may write to."""
    return f"{namespace}/{spec.app}"


def labels(namespace: str, build: str, uid: str, attempt: int) -> dict[str, str]:
    """By what everything of a build is found again."""
    return {LABEL_BUILD: build, LABEL_NAMESPACE: namespace, LABEL_UID: uid, LABEL_ATTEMPT: str(attempt)}


def key_of(manifest: Json) -> tuple[str, str] | None:
    """The AppBuild (namespace, name) that a Job belongs to, as its labels say."""
    found = manifest["metadata"].get("labels") or {}
    namespace, build = found.get(LABEL_NAMESPACE), found.get(LABEL_BUILD)
    return (namespace, build) if namespace and build else None


def facts(manifest: Json) -> JobFacts:
    """What a decision reads of a Job."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    found = metadata.get("labels") or {}
    true = {c["type"]: c for c in status.get("conditions") or [] if c.get("status") == "True"}
    ending = true.get("FailureTarget") or true.get("SuccessCriteriaMet")
    since = ending.get("lastTransitionTime") if ending else None
    attempt = found.get(LABEL_ATTEMPT, "")
    return JobFacts(
        name=metadata["name"],
        uid=metadata["uid"],
        build_uid=found.get(LABEL_UID, ""),
        attempt=int(attempt) if attempt.isdecimal() else 0,
        ended="Complete" in true or "Failed" in true,
        ending_since=instant(since) if since else None,
        deleting="deletionTimestamp" in metadata,
        ready=bool(status.get("ready")),
    )


def secret(settings: BuildSettings, job: JobFacts, found: Mapping[str, str], *, token: str, config: str) -> Json:
    """The Secret of one Job, with the Job's labels `found`. It belongs to the Job and goes with it at the latest."""
    content = {_TOKEN: token, _CONFIG: config} | _platform_files(settings)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": job.name,
            "namespace": settings.namespace,
            "labels": dict(found),
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": job.uid}],
        },
        "type": "Opaque",
        "immutable": True,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in content.items()},
    }


def _platform_files(settings: BuildSettings) -> dict[str, str]:
    """What every build gets of the platform, by file name below /etc/builder."""
    content = {_DAEMON: daemon_configuration(settings)}
    if settings.ca_pem:
        content[_AUTHORITIES] = settings.ca_pem
    if settings.python_index_url:
        content[_INDEX] = settings.python_index_url
    return content


def token_of(manifest: Json) -> bytes:
    """The token in the Secret of a Job."""
    return base64.b64decode((manifest.get("data") or {}).get(_TOKEN, ""))


def daemon_configuration(settings: BuildSettings) -> str:
    """BuildKit's own settings: the fixed part, and what the platform says about its registry."""
    if not _HOST.fullmatch(settings.registry_host):
        raise ValueError(f"the registry {settings.registry_host!r} is not written as host or host:port")
    lines = [_package_text("buildkitd.toml"), f'[registry."{settings.registry_host}"]']
    if settings.registry_insecure:
        lines.append("  http = true")
    if settings.ca_pem:
        lines.append(f'  ca = ["{_ETC}/{_AUTHORITIES}"]')
    return "\n".join(lines) + "\n"


def job(settings: BuildSettings, spec: AppBuildSpec, *, namespace: str, build: str, uid: str, attempt: int) -> Json:
    """The Job of one attempt."""
    named = name(namespace, build, uid, attempt)
    found = labels(namespace, build, uid, attempt)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": named, "namespace": settings.namespace, "labels": found},
        "spec": {
            # Once and no more: whether it is begun again is decided where the result is understood.
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            # The script ends the build in time; if it cannot, the pod's own deadline does. The Job's is the last: it
            # deletes the pod, and with it the log.
            "activeDeadlineSeconds": settings.deadline_seconds + START_SECONDS,
            "template": {"metadata": {"labels": found}, "spec": _pod(settings, spec, named, namespace, build)},
        },
    }


def _pod(settings: BuildSettings, spec: AppBuildSpec, named: str, namespace: str, build: str) -> Json:
    return {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": settings.deadline_seconds + END_SECONDS,
        "terminationGracePeriodSeconds": 5,
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_fetch(settings, namespace, build)],
        "containers": [_build(settings, spec, namespace, build)],
        "volumes": [
            {"name": "work", "emptyDir": {"sizeLimit": _WORK_BYTES}},
            {"name": "state", "emptyDir": {"sizeLimit": settings.disk}},
            _part("fetch", named, _TOKEN),
            _part("push", named, _CONFIG),
            _part("platform", named, *_platform_files(settings)),
        ],
    }


def _part(volume: str, named: str, *keys: str) -> Json:
    """A volume with these keys of the Secret and no others."""
    items = [{"key": key, "path": key} for key in keys]
    return {"name": volume, "secret": {"secretName": named, "defaultMode": 0o440, "items": items}}


def _fetch(settings: BuildSettings, namespace: str, build: str) -> Json:
    url = f"{settings.sources_url}/builds/{namespace}/{build}/context.tar"
    return {
        "name": FETCH,
        "image": settings.builder_image,
        "command": ["tini", "-g", "--", "sh", "-c", _package_text("fetch.sh")],
        "env": _env({"CONTEXT_URL": url}),
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "64Mi"},
            "limits": {"memory": "128Mi", "ephemeral-storage": _WORK_BYTES},
        },
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": "/work"},
            {"name": "fetch", "mountPath": _RUN, "readOnly": True},
        ],
    }


def _build(settings: BuildSettings, spec: AppBuildSpec, namespace: str, build: str) -> Json:
    target = f"{settings.registry_host}/{repository(spec, namespace)}"
    env = {
        "ATTEST": "max",  # which sources and steps made it; no secret is among them: those are mounted, never arguments
        "IMAGE": f"{target}:{build}",
        "CACHE": f"{target}:cache",
        "DOCKER_CONFIG": _RUN,
        "BUILD_SECONDS": str(settings.deadline_seconds),
    }
    if spec.dockerfile:
        env |= {"RECIPE": "/work/context", "DOCKERFILE": spec.dockerfile}
    if spec.as_of:
        env["SOURCE_DATE_EPOCH"] = str(int(instant(spec.as_of).timestamp()))
    return {
        "name": BUILD,
        "image": settings.builder_image,
        "command": ["tini", "-g", "--", "sh", "-c", _package_text("build.sh")],
        "env": _env(env),
        "resources": {
            # Without a wish for disk the limit would count as one, and few machines have that much to promise.
            "requests": {"cpu": settings.cpu, "memory": settings.memory, "ephemeral-storage": "64Mi"},
            "limits": {"memory": settings.memory, "ephemeral-storage": settings.disk},
        },
        "terminationMessagePolicy": "File",
        "securityContext": {
            # BuildKit makes a user namespace of its own: the default profiles refuse the system calls for that, and
            # newuidmap in its image has a file capability, which a container that may not gain any cannot use.
            "seccompProfile": {"type": "Unconfined"},
            "appArmorProfile": {"type": "Unconfined"},
            "capabilities": {"drop": ["ALL"], "add": ["SETUID", "SETGID"]},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": "/work"},
            {"name": "state", "mountPath": _STATE},
            {"name": "push", "mountPath": _RUN, "readOnly": True},
            {"name": "platform", "mountPath": _ETC, "readOnly": True},
        ],
    }


def _env(values: Mapping[str, str]) -> list[Json]:
    return [{"name": key, "value": value} for key, value in values.items()]


@cache
def _package_text(file: str) -> str:
    return files("dataapp_operator.build").joinpath("pod", file).read_text(encoding="utf-8")
