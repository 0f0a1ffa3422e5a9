"""The stand-in gateway as the gateway of an EnvironmentClass on a real cluster: an operator meets it as it would any other.

It does what a gateway's controller does, for the routes of one namespace: reads them, says in their status whether they are
accepted, and knows where the pods of a Service are. It says nothing about what it can do, as some gateways do not.
"""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from tests.harness.cluster import Team
from tests.harness.gateway_stand_in import Address, Fault, StandIn

Json = dict[str, Any]
NAME = "stand-in"
TRAFFIC = 18080
_PACE = 0.3  # s between two looks at the cluster


class GatewayInCluster:
    """`async with GatewayInCluster(team, Fault.SPLITS_EVENLY) as gateway:`; apps use the class `gateway.environment_class`.

    ``refuses``: it does not accept a route that matches by a regular expression.
    """

    def __init__(self, team: Team, *faults: Fault, refuses: bool = False) -> None:
        self._team = team
        self._refuses = refuses
        self._pods: dict[str, Address] = {}
        self._following: asyncio.Task[None] | None = None
        self.stand_in = StandIn(self._pods.get, faults=frozenset(faults))
        self.environment_class = f"{team.namespace}-{NAME}"

    async def __aenter__(self) -> Self:
        nodes = json.loads(await self._kubectl("get", "nodes", "-o", "json"))["items"]
        addresses = [a["address"] for a in nodes[0]["status"]["addresses"] if a["type"] == "InternalIP"]
        await self.stand_in.start(addresses[0], "127.0.0.1")  # for the operator's pod, and for visitors of this machine
        await self._apply(self._gateway())
        await self._apply(self._class(f"{addresses[0]}:{self.stand_in.port}"))
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._following is not None
        self._following.cancel()
        with suppress(asyncio.CancelledError):
            await self._following
        await self.stand_in.stop()
        await self._kubectl("delete", "environmentclass", self.environment_class, "--ignore-not-found")

    async def change(self, *faults: Fault) -> None:
        """From now on it does something else wrong, or nothing; its Gateway is another generation."""
        self.stand_in.faults = frozenset(faults)
        hostname = f"*.g{datetime.now(UTC):%H%M%S%f}.localhost"
        listeners = [*self._gateway()["spec"]["listeners"], self._listener("changed", 81, hostname=hostname)]
        patch = json.dumps({"spec": {"listeners": listeners}})
        await self._kubectl("patch", "gateway", NAME, "-n", self._team.namespace, "--type=merge", "-p", patch)

    def _listener(self, name: str, port: int, **more: str) -> Json:
        allowed = {"namespaces": {"from": "Same"}}
        return {"name": name, "port": port, "protocol": "HTTP", "allowedRoutes": allowed, **more}

    def _gateway(self) -> Json:
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": NAME, "namespace": self._team.namespace},
            "spec": {"gatewayClassName": "nobody-else-serves-it", "listeners": [self._listener("http", 80)]},
        }

    def _class(self, address: str) -> Json:
        return {
            "apiVersion": "dataapps.dev/v1alpha1",
            "kind": "EnvironmentClass",
            "metadata": {"name": self.environment_class},
            "spec": {
                "gateway": {
                    "namespace": self._team.namespace,
                    "name": NAME,
                    "sectionName": "http",
                    "address": address,
                },
                "hostTemplate": "{app}--{namespace}.localhost",
                "previewHostTemplate": "{app}--r{release}--{environment}--{namespace}.localhost",
                "urlTemplate": f"http://{{host}}:{self.stand_in.port}",
            },
        }

    async def _follow(self) -> None:
        while True:
            routes, pods = await asyncio.gather(self._list("httproutes"), self._list("pods"))
            self._pods.clear()
            self._pods.update(dict(filter(None, map(_place, pods))))
            mine = [r for r in routes if r["spec"]["parentRefs"][0]["name"] == NAME]
            mine.sort(key=lambda r: (r["metadata"]["creationTimestamp"], r["metadata"]["name"]))
            self.stand_in.routes = [route["spec"] for route in mine if not self._is_refused(route)]
            for route in mine:
                await self._answer(route)
            await asyncio.sleep(_PACE)

    def _is_refused(self, route: Json) -> bool:
        return self._refuses and "RegularExpression" in json.dumps(route["spec"])

    async def _answer(self, route: Json) -> None:
        """Say whether a route is accepted, once for each generation of it."""
        generation = route["metadata"]["generation"]
        said = (route.get("status") or {}).get("parents") or []
        if any(c.get("observedGeneration") == generation for parent in said for c in parent["conditions"]):
            return
        refused = self._is_refused(route)
        verdicts = {
            "Accepted": ("False", "UnsupportedValue") if refused else ("True", "Accepted"),
            "ResolvedRefs": ("True", "ResolvedRefs"),
        }
        conditions = [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": "header matches by regular expression are not supported" if status == "False" else "",
                "observedGeneration": generation,
                "lastTransitionTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            }
            for kind, (status, reason) in verdicts.items()
        ]
        answer = {
            "parentRef": route["spec"]["parentRefs"][0],
            "controllerName": "dataapps.dev/stand-in",
            "conditions": conditions,
        }
        patch = json.dumps({"status": {"parents": [answer]}})
        name, how = route["metadata"]["name"], ("--subresource=status", "--type=merge", "-p", patch)
        with suppress(AssertionError):  # it was deleted meanwhile
            await self._kubectl("patch", "httproute", name, "-n", self._team.namespace, *how)

    async def _list(self, kind: str) -> list[Json]:
        return await asyncio.to_thread(self._team.kube.list, kind, self._team.namespace, "dataapps.dev/app")

    async def _apply(self, manifest: Json) -> None:
        await asyncio.to_thread(self._team.kube.apply, manifest)

    async def _kubectl(self, *words: str) -> str:
        return await asyncio.to_thread(self._team.kube.run, *words)


def _place(pod: Json) -> tuple[str, Address] | None:
    """The Service that leads to a pod, and where the pod is; None while it is not ready."""
    labels, status = pod["metadata"]["labels"], pod.get("status") or {}
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])
    if not ready or "deletionTimestamp" in pod["metadata"]:
        return None
    parts = (labels.get(f"dataapps.dev/{part}") for part in ("app", "environment", "release", "slot"))
    return "-".join(part or "" for part in parts), (status["podIP"], TRAFFIC)
