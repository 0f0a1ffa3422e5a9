"""The operator under test: this checkout's, as a process on a fake cluster, and what it says about itself."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

from bench.fake_cluster import FakeCluster
from bench.many_apps import image
from bench.stand_ins import LATENCY
from tests.harness.cluster import ROOT
from tests.harness.control_plane import free_port, process, wait_for
from tests.harness.operator_pod import parse_metrics


@dataclass(frozen=True)
class Operator:
    """A running operator."""

    pid: int
    port: int

    async def passes(self, client: aiohttp.ClientSession) -> dict[str, float]:
        """How often it has looked at an app, by how that ended."""
        async with client.get(f"http://127.0.0.1:{self.port}/metrics") as answer:
            figures = parse_metrics(await answer.text())
        name = "dataapp_reconciles_total{"
        return {key.split('"')[1]: value for key, value in figures.items() if key.startswith(name)}


@contextmanager
def operator(cluster: FakeCluster, *, latency: float) -> Iterator[Operator]:
    """The operator with stand-ins for its senses, working; it ends with the block."""
    port = free_port()
    settings = {
        "KUBECONFIG": str(cluster.kubeconfig("operator")),
        "DATAAPP_FRONT_IMAGE": image("front", 0),
        "DATAAPP_PORT": str(port),
        "DATAAPP_SOURCES_CACHE": str(cluster.directory / "sources"),
        "POD_NAME": "bench",
        "POD_NAMESPACE": "dataapp-system",
        LATENCY: str(latency),
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "operator"))),
    }
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    log = cluster.log("operator")
    with process([sys.executable, "-m", "bench.stand_ins"], log=log, env=own | settings) as running:
        wait_for(f"http://127.0.0.1:{port}/readyz", running, log)
        yield Operator(running.pid, port)
