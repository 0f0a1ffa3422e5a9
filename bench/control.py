"""The negative control: the same apps, people and prober on what people have without us.

A plain Deployment, Service and route for each app, and a rolling update of it. If no session is dropped here, the bench
is blind, and its zeros mean nothing.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from bench.crowd import Crowd, crowd
from bench.people import Habits
from bench.scripted import App, Place
from tests.harness.cluster import Json
from tests.harness.prober import Prober

_PATIENCE = 90.0
"""Seconds in which a Deployment replaces its pods and has ended the old ones."""


async def rolling_update(place: Place, apps: Sequence[App], *, seed: int) -> Crowd:
    """What people saw of a rolling update of each app, from version 1 to version 2."""
    hosts = {app: f"plain-{app.name}--{place.namespace}.localhost" for app in apps}
    await asyncio.to_thread(_roll, place, hosts, 1)
    await asyncio.gather(*(_served(host) for host in hosts.values()))
    async with crowd(hosts, [(app, Habits()) for app in apps], seed=seed) as here:
        await asyncio.to_thread(_roll, place, hosts, 2)
        await asyncio.gather(*(_noticed(here, app) for app in apps))
    kinds, names = "deployments,services,httproutes", [f"plain-{app.name}" for app in apps]
    await asyncio.to_thread(place.kube.run, "delete", kinds, "-n", place.namespace, *names)
    return here


def dropped(here: Crowd, app: App) -> int:
    """How many sessions on an app were dropped."""
    return sum(stay.was_dropped for one in here.people if one.app == app.name for stay in one.stays())


async def _noticed(here: Crowd, app: App) -> None:
    """Wait until somebody's session is dropped; in vain if nobody notices."""
    person = next(one for one in here.people if one.app == app.name)
    with suppress(TimeoutError):  # the judgement says so
        async with asyncio.timeout(_PATIENCE):
            while not dropped(here, app):
                person.noticed.clear()
                await person.noticed.wait()


async def _served(host: str) -> None:
    """Wait until the gateway serves a host."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            async with Prober(host, rate=5.0, visits=1) as prober:
                report = await prober.finished()
            if not report.failed:
                return


def _roll(place: Place, hosts: dict[App, str], version: int) -> None:
    """Bring a version of all apps out, and wait until Kubernetes says that it is."""
    items = [part for app, host in hosts.items() for part in _plain(place, app, host, version)]
    place.kube.apply({"apiVersion": "v1", "kind": "List", "items": items})
    for app in hosts:
        name = f"deployment/plain-{app.name}"
        place.kube.run("rollout", "status", "-n", place.namespace, name, f"--timeout={_PATIENCE:.0f}s")


def _plain(place: Place, app: App, host: str, version: int) -> list[Json]:
    labels = {"plain": app.name}
    metadata = {"name": f"plain-{app.name}", "namespace": place.namespace}
    container = {
        "name": "app",
        "image": place.images[app.image],
        "env": [{"name": "HOME", "value": "/tmp"}, {"name": "APP_VERSION", "value": f"v{version}"}],  # noqa: S108 - in the pod
        "readinessProbe": {"tcpSocket": {"port": app.port}, "periodSeconds": 1},
    }
    pod = {"securityContext": {"runAsUser": 1000, "runAsNonRoot": True}, "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    ports = [{"port": 80, "targetPort": app.port}]
    gateway = {"namespace": "gateways", "name": "public"}
    rules = [{"backendRefs": [{"name": metadata["name"], "port": 80}]}]
    route = {"parentRefs": [gateway], "hostnames": [host], "rules": rules}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}},
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": route},
    ]
