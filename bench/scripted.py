"""The four example apps that do on command what real apps do by accident, and how a bench releases and breaks them.

A release is a change of `APP_VERSION`: the image stays the same. `APP_BREAK=session` makes one that never works; a file
`/tmp/break` in its container breaks one that does.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from bench.plan import EMPTY_FOR
from lab.context import Lab
from tests.harness.cluster import OUT, Json, Kube

CONTAINER = "app"
_SYSTEM = frozenset({"dataapp-system", "gateways", "kube-system", "lab"})


@dataclass(frozen=True, slots=True)
class App:
    """One of the example apps. `image`: its key in the lab's list of images."""

    name: str
    image: str
    framework: str
    port: int
    slots: int = 1


APPS = (
    App("streamlit", "scripted-streamlit", "streamlit", 8501),
    App("shiny", "scripted-shiny", "shiny-r", 3838),
    App("shinypy", "scripted-shiny-python", "shiny-python", 8000, slots=2),
    App("websocket", "scripted-websocket", "fastapi", 8000, slots=2),
)


@dataclass(frozen=True)
class Place:
    """A namespace of the bench's own."""

    kube: Kube
    namespace: str
    images: dict[str, str]

    @classmethod
    @contextmanager
    def make(cls) -> Iterator["Place"]:
        """One that is there inside the block only. Raises `FileNotFoundError` where there is no lab."""
        images = json.loads((OUT / "images.json").read_text())["apps"]
        kube = Kube(str(Lab.here().binary("kubectl")), OUT / "kubeconfig")
        place = cls(kube, f"bench-{token_hex(3)}", images)
        kube.run("create", "namespace", place.namespace)
        try:
            yield place
        finally:
            kube.run("delete", "namespace", place.namespace, "--wait=false")

    @property
    def kubeconfig(self) -> Path:
        """For those who watch."""
        return self.kube.kubeconfig

    def strangers(self) -> list[str]:
        """Namespaces in which somebody else's pods run: their work takes time from what is measured here."""
        words = self.kube.run("get", "pods", "-A", "-o", "jsonpath={.items[*].metadata.namespace}")
        return sorted({*words.split()} - _SYSTEM - {self.namespace})

    def say_who_else_is_here(self) -> None:
        """A warning, in case."""
        if strangers := self.strangers():
            print(f"not alone on the cluster: {', '.join(strangers)}. A fault may be theirs", flush=True)

    def host(self, app: App) -> str:
        """Where visitors find it."""
        return f"{app.name}--{self.namespace}.localhost"

    def release(
        self,
        app: App,
        version: int,
        *,
        failing: bool = False,
        bake: str = "5s",
        metrics: Sequence[Json] = (),
        steps: Sequence[Json] = (),
        replicas: int | None = None,
    ) -> None:
        """Commit a version, so to speak. What the others wait for is kept short: drains, and nothing is kept warm."""
        variables = {"APP_VERSION": f"v{version}"} | ({"APP_BREAK": "session"} if failing else {})
        drain = {"max": "30m", "emptyFor": f"{EMPTY_FOR}s"}
        release: Json = {"bake": bake, "drain": drain, "keepWarm": {"releases": 0}, "analysis": list(metrics)}
        if steps:
            release |= {"strategy": "canary", "canary": {"steps": list(steps)}}
        spec = {
            "image": self.images[app.image],
            "app": {
                "framework": app.framework,
                # To the operator the websocket app is an API; its sessions live in one process all the same.
                **({"sessions": "inProcess"} if app.framework == "fastapi" else {}),
                "port": app.port,
                "replicas": {"min": replicas or app.slots},
                "probe": {"startup": "60s"},
                "resources": {"cpu": "20m", "memory": "320Mi"},
                "env": [{"name": name, "value": value} for name, value in variables.items()],
            },
            "environments": [{"name": "sandbox", "host": self.host(app), "release": release}],
        }
        metadata = {"name": app.name, "namespace": self.namespace}
        self.kube.apply({"apiVersion": "dataapps.dev/v1alpha1", "kind": "DataApp", "metadata": metadata, "spec": spec})

    def break_pods(self, app: App, number: int, how: str) -> float:
        """Break all pods of a release at once; when (seconds since the epoch) the first of them was told."""
        selector = f"dataapps.dev/app={app.name},dataapps.dev/release={number}"
        pods = [pod["metadata"]["name"] for pod in self.kube.list("pods", self.namespace, selector)]
        assert pods, f"release {number} of {app.name} has no pod to break"
        with ThreadPoolExecutor(len(pods)) as pool:
            return min(pool.map(lambda pod: self._break(pod, how), pods))

    def _break(self, pod: str, how: str) -> float:
        # The node is this machine, so its clock is ours; starting `kubectl exec` takes longer than some rollbacks.
        told = f"date +%s.%N; echo {how} > /tmp/break"
        where = ("-n", self.namespace, pod, "-c", CONTAINER)
        return float(self.kube.run("exec", *where, "--", "sh", "-c", told))

    def record(self, app: App, number: int) -> Json:
        """The AppRelease of a number; {} when there is none."""
        return self.kube.get("apprelease", f"{app.name}-sandbox-{number}", self.namespace) or {}
