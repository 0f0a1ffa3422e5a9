"""What a test against a real API server starts from: the lab's kubeconfig, our CRDs, a namespace of its own.

The tests assume nothing about what else is in the cluster, and leave nothing behind but the CRDs. Where no API server
answers they are skipped, and say why.
"""

import asyncio
import os
import secrets
from pathlib import Path

import pytest
import yaml

from dataapp_operator.kube.errors import KubeError
from dataapp_operator.kube.kinds import Kind
from dataapp_operator.kube.transport import Request, Transport

ROOT = Path(__file__).parents[2]
NAMESPACE = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
CRD = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
SECONDS = 10.0


async def call(kubeconfig, method, kind, path, *, body=None, content_type="application/json", **query):
    """One plain call, outside of the code under test as far as that is possible."""
    async with await Transport.open(kubeconfig=str(kubeconfig)) as transport:
        return await transport.json(Request(method.lower(), kind, method, path, SECONDS, query, body, content_type))


@pytest.fixture(scope="session")
def kubeconfig():
    """The path of a kubeconfig with every right: $DATAAPP_TEST_KUBECONFIG, else the lab's."""
    path = Path(os.environ.get("DATAAPP_TEST_KUBECONFIG") or ROOT / "build" / "lab" / "kubeconfig")
    if not path.exists():
        pytest.skip(f"no API server: {path} does not exist (`make lab-up` makes it)")
    try:
        asyncio.run(call(path, "GET", NAMESPACE, NAMESPACE.path()))
    except KubeError as error:
        pytest.skip(f"no API server at the address in {path}: {error} (see `make lab-status`)")
    return path


@pytest.fixture(scope="session")
def crds(kubeconfig):
    """Our CRDs as they are in this checkout, accepted by the server and served."""
    manifests = [
        manifest
        for path in sorted((ROOT / "crds").glob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    assert manifests, "crds/ holds no CustomResourceDefinition"
    asyncio.run(install(kubeconfig, manifests))
    return [manifest["metadata"]["name"] for manifest in manifests]


async def install(kubeconfig, manifests):
    for manifest in manifests:
        path = CRD.path(None, manifest["metadata"]["name"])
        apply = {"fieldManager": "dataapp-tests", "force": "true", "content_type": "application/apply-patch+yaml"}
        await call(kubeconfig, "PATCH", CRD, path, body=manifest, **apply)
        async with asyncio.timeout(30):
            while not established(await call(kubeconfig, "GET", CRD, path)):
                await asyncio.sleep(0.1)


def established(crd):
    conditions = crd.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)


@pytest.fixture
def namespace(kubeconfig):
    """The name of a new, empty namespace; it is deleted at the end with all that is in it."""
    name = f"test-{secrets.token_hex(4)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    asyncio.run(call(kubeconfig, "POST", NAMESPACE, NAMESPACE.path(), body=body))
    yield name
    asyncio.run(call(kubeconfig, "DELETE", NAMESPACE, NAMESPACE.path(None, name)))
