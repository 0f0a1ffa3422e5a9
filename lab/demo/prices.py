"""The price service that the fourth version of both apps asks. The demo runs it, and stops it at the worst moment."""

import json
import string

from lab.demo.stage import NAMESPACE, Stage
from lab.demo.teams import EXAMPLES
from tests.harness.cluster import OUT

ADDRESS = "http://prices/net"
"""Where the apps find it."""
_KINDS = "deployment,service,configmap"


def start(stage: Stage) -> None:
    """Run it, and wait until it answers."""
    image = json.loads((OUT / "images.json").read_text())["bases"]["python"]
    manifest = string.Template((EXAMPLES / "priced" / "prices.yaml").read_text()).substitute(IMAGE=image)
    stage.kube.run("-n", NAMESPACE, "apply", "-f", "-", stdin=manifest)
    stage.kube.run("-n", NAMESPACE, "rollout", "status", "deployment/prices", "--timeout=120s")


def stop(stage: Stage) -> None:
    """Nobody answers at its address any more."""
    stage.kube.run("-n", NAMESPACE, "scale", "deployment/prices", "--replicas=0")


def remove(stage: Stage) -> None:
    """Take all of it away."""
    stage.kube.run("-n", NAMESPACE, "delete", _KINDS, "prices", "--ignore-not-found", "--wait=false")
