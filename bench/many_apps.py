"""The objects of `bench-releases`: apps, plain Deployments beside them, and how an author writes them, many at once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from dataapp_operator.api.apprelease import Workload
from tests.harness.cluster import Json

FRAMEWORKS: dict[Workload, str] = {"slots": "streamlit", "deployment": "fastapi"}
"""One whose sessions live in one process, and one that any pod may answer for."""
APPS, FLOOR = "apps", "floor"
"""Namespaces."""
BAKE = "0s"
EMPTY_FOR = "30s"
"""A former release is kept for so long, then it is removed: not while the others are still released."""
DATAAPPS = f"apis/dataapps.dev/v1alpha1/namespaces/{APPS}/dataapps"
DEPLOYMENTS = f"apis/apps/v1/namespaces/{FLOOR}/deployments"
_MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is measured. `latency`: seconds that a stand-in takes for a check, or for a look."""

    apps: int
    replicas: int
    latency: float
    workload: Workload = "slots"


def name(number: int) -> str:
    """Of an app, or of a Deployment."""
    return f"app-{number:03}"


def image(of: str, version: int) -> str:
    """One that nobody pulls."""
    return f"registry.example.org/bench/{of}@sha256:{version:064x}"


def app(number: int, asked: Asked) -> Json:
    """An app of sessions, each replica of which is a slot; or one without, which is one Deployment."""
    release = {"bake": BAKE, "drain": {"max": "10m", "emptyFor": EMPTY_FOR}, "keepWarm": {"releases": 0}}
    spec = {
        "image": image("app", 1),
        "app": {"framework": FRAMEWORKS[asked.workload], "replicas": {"min": asked.replicas}},
        "environments": [{"name": "sandbox", "release": release}],
    }
    return {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "DataApp",
        "metadata": {"name": name(number), "namespace": APPS},
        "spec": spec,
    }


def deployment(number: int, asked: Asked) -> Json:
    """A plain Deployment of as many replicas."""
    labels = {"plain": name(number)}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "app", "image": image("app", 1)}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name(number), "namespace": FLOOR},
        "spec": {"replicas": asked.replicas, "selector": {"matchLabels": labels}, "template": template},
    }


async def create_all(
    author: aiohttp.ClientSession, path: str, make: Callable[[int, Asked], Json], asked: Asked
) -> None:
    """Create as many objects as apps are asked for, all at once."""
    await asyncio.gather(*(_send(author, "POST", path, make(number, asked)) for number in range(asked.apps)))


async def change_all(author: aiohttp.ClientSession, asked: Asked) -> None:
    """Give every app its second image, all at once."""
    other = {"spec": {"image": image("app", 2)}}
    paths = (f"{DATAAPPS}/{name(number)}" for number in range(asked.apps))
    await asyncio.gather(*(_send(author, "PATCH", path, other) for path in paths))


async def _send(client: aiohttp.ClientSession, method: str, path: str, body: Json) -> None:
    """One write. Raises AssertionError with the API server's words when it is refused."""
    async with client.request(method, path, json=body, headers=_MERGE if method == "PATCH" else {}) as answer:
        assert answer.ok, await answer.text()
