"""Stage `gateway`: Gateway API and Traefik, so that http://<host>.localhost:8088/ on this machine enters the cluster.

Gateway API's definitions come from its Go module and are left alone where the cluster already has as new ones.
Traefik runs as a pod like any platform's gateway; only its port on this machine's loopback is particular to the lab.
The stage ends when the Gateway is Programmed and has really answered.
"""

import json
import string
import time
import urllib.error
import urllib.request

from lab import binaries, workload
from lab.context import Lab, LabError

NAMESPACE = "gateways"
GATEWAY = "public"
ADDRESS = "127.0.0.1:8088"
_BUNDLE = "gateway.networking.k8s.io/bundle-version"
_NAMES = tuple(
    f"{plural}.gateway.networking.k8s.io" for plural in ("gatewayclasses", "gateways", "httproutes", "referencegrants")
)
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def run(lab: Lab) -> None:
    """Have the Gateway answering; safe to repeat."""
    _definitions(lab)
    image = json.loads((lab.out / "images.json").read_text())["traefik"]
    _apply(lab, "gateway-service.yaml")
    address = lab.kubectl("-n", NAMESPACE, "get", "service/traefik", "-o", "jsonpath={.spec.clusterIP}")
    _apply(lab, "gateway.yaml", TRAEFIK_IMAGE=image, ADDRESS=address, HOST_IP=lab.host_ip)
    with lab.step("waiting for the gateway", 10):
        workload.wait_available(lab, namespace=NAMESPACE, name="traefik", seconds=180)
        _wait_programmed(lab, address, seconds=60)
        _wait_answer(seconds=30)


def _apply(lab: Lab, name: str, **values: str) -> None:
    """Apply one of the lab's manifests, its ${NAMES} filled in."""
    template = string.Template((lab.checkout / "lab" / "manifests" / name).read_text())
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=template.substitute(values))


def _definitions(lab: Lab) -> None:
    """Gateway API's standard resources, unless the cluster has them as new as ours, or its owner keeps them."""
    wanted = lab.versions["gateway-api"]["version"]
    found = _bundle(lab)
    if found == wanted or (found and lab.provider != "native"):
        return
    source = binaries.go_module(lab, "gateway-api") / "config" / "crd" / "standard"
    with lab.step(f"Gateway API {wanted}", 5):
        lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(source))
        lab.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", *_NAMES)


def _bundle(lab: Lab) -> str:
    """The version of Gateway API in the cluster, "" when there is none."""
    answer = lab.kubectl("get", "crd", "--ignore-not-found", "-o", "json", *_NAMES)
    items = json.loads(answer).get("items", []) if answer.strip() else []
    versions = {item["metadata"].get("annotations", {}).get(_BUNDLE, "").removeprefix("v") for item in items}
    return versions.pop() if len(items) == len(_NAMES) and len(versions) == 1 else ""


def _wait_programmed(lab: Lab, address: str, *, seconds: int) -> None:
    """Until the Gateway is Programmed and its status names the address under which pods reach it."""
    for wanted in ("condition=Programmed", f"jsonpath={{.status.addresses[0].value}}={address}"):
        words = ["wait", f"--for={wanted}", f"gateway/{GATEWAY}", f"--timeout={seconds}s"]
        if not lab.kubectl("-n", NAMESPACE, *words, check=False):
            break
    else:
        return
    status = json.loads(lab.kubectl("-n", NAMESPACE, "get", f"gateway/{GATEWAY}", "-o", "json")).get("status", {})
    conditions = "\n".join(
        f"  {c['type']}={c['status']} {c['reason']}: {c['message']}" for c in status.get("conditions", [])
    )
    raise LabError(
        f"The Gateway {NAMESPACE}/{GATEWAY} was not programmed with the address {address} within {seconds} s; "
        f"its status has the addresses {status.get('addresses', [])} and these conditions:\n"
        f"{conditions}\n{workload.causes(lab, namespace=NAMESPACE, name='traefik')}"
    )


def _wait_answer(*, seconds: float) -> None:
    """Until a host that no route names gets Traefik's 404 on this machine's loopback."""
    deadline = time.monotonic() + seconds
    while True:
        said = _answer()
        if said == "404":
            return
        if time.monotonic() > deadline:
            raise LabError(
                f"The gateway runs, but http://{ADDRESS}/ on this machine says: {said} (404 is right as long as no app "
                "is deployed). The port is forwarded by the CNI plugin portmap. To check: another program on the port "
                "(`ss -ltnp | grep 8088`), the rules (`iptables -t nat -S | grep 8088`), and whether "
                "`sysctl net.ipv4.conf.cni0.route_localnet` is 1. In a cluster on another machine the port is there, "
                f"not here: `kubectl -n {NAMESPACE} port-forward service/traefik 8088:8000`."
            )
        time.sleep(0.2)


def _answer() -> str:
    """The status code of a request to the gateway, or why there was none."""
    request = urllib.request.Request(f"http://{ADDRESS}/", headers={"Host": "no-such-app.localhost"})
    try:
        with _DIRECT.open(request, timeout=5) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except (urllib.error.URLError, OSError) as error:
        return str(error)
