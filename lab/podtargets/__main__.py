"""Tells Prometheus which pods to ask: Debian's Prometheus is built without an eye for Kubernetes.

It stands alone (`python3 lab/podtargets …`, the standard library), because the lab keeps it as a process. It watches the
pods of the cluster as a user who may do nothing else, and answers `GET /<group>` in the form of Prometheus' HTTP service
discovery: the running pods of the group, each with its address and the labels that its series are to carry. While the
API server is away it answers what it knew; before it knows anything, 503, on which Prometheus keeps what it has.
"""

import argparse
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Json = dict[str, Any]

_WATCH = 600  # seconds after which the API server ends a watch
_PAUSE = 1.0  # seconds between two tries


@dataclass(frozen=True, slots=True)
class Group:
    """Pods of one kind: their labels (None: any value), the name of the port to ask, labels that are passed on."""

    wanted: Mapping[str, str | None]
    port: str
    namespace: str | None = None
    passed_on: Mapping[str, str] = field(default_factory=dict)


GROUPS = {
    "fronts": Group(
        {"dataapps.dev/release": None},
        "agent",
        passed_on={f"dataapps.dev/{name}": name for name in ("app", "environment", "release", "slot")},
    ),
    "gateway": Group({"app": "traefik"}, "admin", "gateways"),
    "operator": Group({"app.kubernetes.io/name": "dataapp-operator"}, "http", "dataapp-system"),
}


@dataclass(frozen=True, slots=True)
class Pod:
    """What matters of a pod here."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    ip: str
    running: bool
    ports: Mapping[str, int]

    @classmethod
    def read(cls, manifest: Json) -> Self:
        """From the API server's object. A sidecar is among the init containers."""
        metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
        containers = [*spec.get("initContainers", ()), *spec["containers"]]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            labels=metadata.get("labels") or {},
            ip=status.get("podIP", ""),
            running=status.get("phase") == "Running",
            ports={p.get("name", ""): p["containerPort"] for one in containers for p in one.get("ports", ())},
        )


def targets(pods: Iterable[Pod], group: Group) -> list[Json]:
    """The pods of a group, as Prometheus wants to be told."""
    return [
        {
            "targets": [f"{pod.ip}:{pod.ports[group.port]}"],
            "labels": {"namespace": pod.namespace, "pod": pod.name}
            | {label: pod.labels[name] for name, label in group.passed_on.items() if name in pod.labels},
        }
        for pod in pods
        if pod.running
        and pod.ip
        and group.port in pod.ports
        and group.namespace in (None, pod.namespace)
        and all(
            name in pod.labels and value in (None, pod.labels[name]) for name, value in group.wanted.items()
        )
    ]  # fmt: skip


class Watched(threading.Thread):
    """All pods of the cluster, as its API server tells of them."""

    def __init__(self, server: str, tls: ssl.SSLContext) -> None:
        super().__init__(daemon=True)
        self._server, self._tls = server, tls
        self._pods: dict[str, Pod] | None = None

    def known(self) -> list[Pod] | None:
        """The pods; None before the first answer."""
        return None if self._pods is None else list(self._pods.copy().values())

    def run(self) -> None:
        """List and watch, again and again."""
        while True:
            try:
                self._follow()
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                print(f"the pods are asked for again: {error!r}", flush=True)
            time.sleep(_PAUSE)

    def _follow(self) -> None:
        with closing(self._connection()) as connection:
            listing = json.loads(self._get(connection, "/api/v1/pods?resourceVersion=0").read())
            self._pods = {one["metadata"]["uid"]: Pod.read(one) for one in listing["items"]}
            since = f"resourceVersion={listing['metadata']['resourceVersion']}&timeoutSeconds={_WATCH}"
            for line in self._get(connection, f"/api/v1/pods?watch=true&{since}"):
                self._learn(self._pods, json.loads(line))

    def _learn(self, pods: dict[str, Pod], event: Json) -> None:
        if event["type"] == "ERROR":
            raise ValueError(event["object"].get("message"))
        uid = event["object"]["metadata"]["uid"]
        if event["type"] == "DELETED":
            pods.pop(uid, None)
        else:
            pods[uid] = Pod.read(event["object"])

    def _connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._server, context=self._tls, timeout=_WATCH + 20)

    def _get(self, connection: http.client.HTTPSConnection, path: str) -> http.client.HTTPResponse:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise ValueError(f"{path} is answered with {answer.status}: {answer.read(500)!r}")
        return answer


class Handler(BaseHTTPRequestHandler):
    """One question of Prometheus."""

    watched: Watched

    def do_GET(self) -> None:
        """`/<group>`; `/healthz` is 200 once the pods are known."""
        pods, group = self.watched.known(), GROUPS.get(self.path.strip("/"))
        if group is None and self.path != "/healthz":
            self._send(404, f"there are {', '.join(GROUPS)}")
        elif pods is None:
            self._send(503, "the API server has not answered yet")
        else:
            self._send(200, targets(pods, group) if group else "ok")

    def _send(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Nothing: it is asked every second."""


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--server", required=True, help="host:port of the API server")
    for name in ("ca", "cert", "key"):
        parser.add_argument(f"--{name}", required=True, help="a file")
    parser.add_argument("--port", type=int, required=True, help="of loopback")
    given = parser.parse_args()
    tls = ssl.create_default_context(cafile=given.ca)
    tls.load_cert_chain(given.cert, given.key)
    Handler.watched = Watched(given.server, tls)
    Handler.watched.start()
    ThreadingHTTPServer(("127.0.0.1", given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
