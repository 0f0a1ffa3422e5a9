"""A cluster as tests see it: kubectl, waiting for conditions with a deadline, and the objects of an app.

Plain calls of the real `kubectl`, because that is what people use. Waiting is always for a condition: when it does not
come, the error says what was waited for and what the object looked like last.
"""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
OUT = ROOT / "build" / "lab"
GATEWAY = "127.0.0.1:8088"
"""Where the lab's gateway listens for this machine; hosts are told by the Host header."""

PORTS = {"streamlit": 8501, "shiny-r": 3838, "shiny-python": 8000, "fastapi": 8000}

Json = dict[str, Any]


class KubectlError(AssertionError):
    """kubectl said no; the message is its own."""


@dataclass(frozen=True)
class Kube:
    """One cluster, by its kubeconfig."""

    kubectl: str
    kubeconfig: Path

    def run(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """The output of a kubectl call; with ``check`` a failure raises with kubectl's words."""
        done = subprocess.run(
            [self.kubectl, "--kubeconfig", str(self.kubeconfig), *args],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if check and done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr

    def apply(self, manifest: Json) -> str:
        """Apply, as a person would (strict validation)."""
        return self.run("apply", "-f", "-", stdin=json.dumps(manifest))

    def get(self, kind: str, name: str, namespace: str | None = None) -> Json | None:
        """One object, or None."""
        where = ("-n", namespace) if namespace else ()
        text = self.run("get", kind, name, *where, "-o", "json", "--ignore-not-found")
        found: Json | None = json.loads(text) if text.strip() else None
        return found

    def list(self, kind: str, namespace: str, selector: str = "") -> list[Json]:
        """All objects of a kind in a namespace."""
        where = ("-l", selector) if selector else ()
        items: list[Json] = json.loads(self.run("get", kind, "-n", namespace, *where, "-o", "json"))["items"]
        return items

    def wait(
        self, kind: str, name: str, namespace: str, holds: Callable[[Json], object], *, what: str, timeout: float = 120
    ) -> Json:
        """Wait until an object exists and ``holds``; returns it."""
        until = time.monotonic() + timeout
        last: Json | None = None
        while time.monotonic() < until:
            last = self.get(kind, name, namespace)
            if last is not None and holds(last):
                return last
            time.sleep(0.3)  # the pace of looking; the condition is `holds`
        status = json.dumps((last or {}).get("status"), indent=1, ensure_ascii=False)
        raise AssertionError(f"after {timeout:g} s {kind} {name} still is not so: {what}. Its status: {status}")


def condition(manifest: Json, kind: str) -> Json:
    """A condition of an object; {} when there is none."""
    conditions = (manifest.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})


def is_ready(manifest: Json) -> bool:
    """Ready, for the generation that is there now."""
    ready = condition(manifest, "Ready")
    return ready.get("status") == "True" and ready.get("observedGeneration") == manifest["metadata"]["generation"]


def environment(manifest: Json, name: str = "sandbox") -> Json:
    """The memory of one environment of a DataApp; {} when there is none."""
    environments = (manifest.get("status") or {}).get("environments") or []
    return next((e for e in environments if e["name"] == name), {})


def framework_of(image_key: str) -> str:
    """The framework of an example app, by the name of its image."""
    name = image_key.removeprefix("scripted-")
    if name == "websocket":
        return "fastapi"
    return next((framework for framework in ("streamlit", "shiny-python") if name.startswith(framework)), "shiny-r")


@dataclass(frozen=True)
class Team:
    """A namespace of a test's own, with the means to release example apps in it."""

    kube: Kube
    namespace: str
    images: dict[str, str]

    def host(self, name: str) -> str:
        """The app's host: names of apps may repeat from test to test, hosts may not."""
        return f"{name}--{self.namespace}.localhost"

    def manifest(
        self,
        name: str,
        image_key: str,
        *,
        replicas: int = 1,
        startup: str = "60s",
        bake: str = "5s",
        drain_max: str = "10m",
        empty_for: str = "5s",
        keep_warm: int = 0,
        steps: list[Json] | None = None,
        analysis: Sequence[Json] = (),
        policy: Json | None = None,
        app: Json | None = None,
    ) -> Json:
        """A DataApp of one of the example images with short times. ``steps``: of a canary; ``policy``: more of `release`."""
        # To the operator the websocket app is an API; its sessions live in one process all the same.
        sessions = {"sessions": "inProcess"} if image_key == "scripted-websocket" else {}
        strategy = {} if steps is None else {"strategy": "canary", "canary": {"steps": steps}}
        return {
            "apiVersion": "dataapps.dev/v1alpha1",
            "kind": "DataApp",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "image": self.images.get(image_key, image_key),
                "app": {
                    "framework": framework_of(image_key),
                    "replicas": {"min": replicas},
                    "probe": {"startup": startup},
                    "resources": {"cpu": "20m", "memory": "384Mi"},
                    **sessions,
                    **(app or {}),
                },
                "environments": [
                    {
                        "name": "sandbox",
                        "host": self.host(name),
                        "release": {
                            "bake": bake,
                            "drain": {"max": drain_max, "emptyFor": empty_for},
                            "keepWarm": {"releases": keep_warm},
                            "analysis": list(analysis),
                            **strategy,
                            **(policy or {}),
                        },
                    }
                ],
            },
        }

    def release(self, name: str, image_key: str, **options: Any) -> None:
        """Commit, so to speak: apply the manifest."""
        self.kube.apply(self.manifest(name, image_key, **options))

    def run_bare(self, image_key: str) -> str:
        """Run an example image as a plain pod; returns the base URL of its own port once it listens there."""
        port = PORTS[framework_of(image_key)]
        container = {
            "name": "app",
            "image": self.images[image_key],
            "env": [{"name": "HOME", "value": "/tmp"}],
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        }
        spec = {
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsUser": 1000, "runAsNonRoot": True},
            "containers": [container],
        }
        metadata = {"name": image_key, "namespace": self.namespace}
        self.kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.kube.run("wait", "-n", self.namespace, f"pod/{image_key}", "--for=condition=Ready", "--timeout=90s")
        pod = self.kube.get("pod", image_key, self.namespace)
        assert pod is not None
        return f"http://{pod['status']['podIP']}:{port}"

    def say(self, name: str, command: str, word: str) -> str:
        """Say something to a release of the sandbox, and wait for the operator's answer."""
        said = f"dataapps.dev/{command}=sandbox={word}"
        self.kube.run("annotate", "dataapp", name, "-n", self.namespace, "--overwrite", said)

        def answers(app: Json) -> list[str]:
            found = environment(app).get("answers") or []
            return [a["message"] for a in found if (a["command"], a["word"]) == (command, word)]

        app = self.kube.wait(
            "dataapp", name, self.namespace, lambda app: bool(answers(app)), what=f"{command} {word} is answered"
        )
        return answers(app)[0]

    def app(self, name: str) -> Json:
        """The DataApp as it is now."""
        found = self.kube.get("dataapp", name, self.namespace)
        assert found is not None, f"there is no DataApp {name}"
        return found

    def record(self, name: str, number: int) -> Json:
        """The AppRelease of a number as it is now."""
        found = self.kube.get("apprelease", f"{name}-sandbox-{number}", self.namespace)
        assert found is not None, f"there is no AppRelease {number} of {name}"
        return found

    def wait_released(self, name: str, number: int, *, timeout: float = 120) -> Json:
        """Wait until release ``number`` is stable and nothing else is on its way."""

        def released(app: Json) -> bool:
            memory = environment(app)
            return is_ready(app) and memory.get("stable") == number and "candidate" not in memory

        return self.kube.wait(
            "dataapp", name, self.namespace, released, what=f"r{number} is stable and Ready", timeout=timeout
        )

    def wait_phase(self, name: str, number: int, *phases: str, timeout: float = 150) -> Json:
        """Wait until the record of a release says one of these phases."""
        return self.kube.wait(
            "apprelease",
            f"{name}-sandbox-{number}",
            self.namespace,
            lambda record: (record.get("status") or {}).get("phase") in phases,
            what=f"r{number} is {' or '.join(phases)}",
            timeout=timeout,
        )

    def wait_message(self, name: str, text: str, *, timeout: float = 60) -> str:
        """Wait until what the sandbox waits for is said with a text in it; the whole message."""

        def said(app: Json) -> str:
            return (environment(app).get("waitingFor") or {}).get("message", "")

        app = self.kube.wait(
            "dataapp", name, self.namespace, lambda app: text in said(app), what=f"it says {text!r}", timeout=timeout
        )
        return said(app)

    def wait_condition(self, name: str, kind: str, reason: str, *, timeout: float = 90) -> str:
        """Wait until a condition of the app is True with this reason; returns its message."""
        app = self.kube.wait(
            "dataapp",
            name,
            self.namespace,
            lambda found: condition(found, kind).get("reason") == reason,
            what=f"condition {kind} has reason {reason}",
            timeout=timeout,
        )
        message: str = condition(app, kind)["message"]
        return message
