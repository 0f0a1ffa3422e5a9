"""Every manifest that we show to people is taken by a real API server, strictly: the examples and those in the README."""

import asyncio
import re
from pathlib import Path

import pytest
import yaml

from dataapp_operator.kube.kinds import kind_of
from tests.apiserver.conftest import call

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.apiserver


def shown() -> dict[str, dict]:
    """Every manifest by where it stands."""
    found = {}
    for path in sorted((ROOT / "examples" / "manifests").glob("*.yaml")):
        for number, manifest in enumerate(yaml.safe_load_all(path.read_text()), start=1):
            found[f"{path.name} {number}"] = manifest
    for number, block in enumerate(
        re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL), start=1
    ):
        found[f"README {number}"] = yaml.safe_load(block)
    return found


SHOWN = shown()


@pytest.mark.parametrize("where", SHOWN)
def test_the_server_takes_it(kubeconfig, crds, namespace, where):
    manifest = SHOWN[where]
    kind = kind_of(manifest)
    if kind.namespaced:
        manifest = manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}
    path = kind.path(namespace if kind.namespaced else None, manifest["metadata"]["name"])
    apply = {"fieldManager": "dataapp-tests", "force": "true", "content_type": "application/apply-patch+yaml"}
    strictly = {"dryRun": "All", "fieldValidation": "Strict"}
    answer = asyncio.run(call(kubeconfig, "PATCH", kind, path, body=manifest, **apply, **strictly))
    assert answer["metadata"]["name"] == manifest["metadata"]["name"]


def test_there_are_manifests_in_the_readme():
    assert sum(where.startswith("README") for where in SHOWN) >= 2
