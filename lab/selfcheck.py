"""One real pod proves the node: image, sandbox, DNS through the cluster IP, a port of the host's loopback.

The pod resolves the API server's name with the cluster's resolver into a file, and serves that file by HTTP on a
host port; reading it from 127.0.0.1 therefore needs kubelet, containerd, CNI, portmap, kube-proxy and CoreDNS.
"""

import http.client
import json
import time

from lab import node_images, processes
from lab.context import Lab
from lab.errors import LabError

NAMESPACE = "dataapp-lab"
POD = "selfcheck"
PORT = 18099
_SCRIPT = (
    "cd /tmp && until nslookup kubernetes.default.svc.cluster.local > answer 2>&1; do sleep 0.2; done; "
    "exec busybox httpd -f -p 8080 -h /tmp"
)
_APPLETS = "for name in nslookup sleep httpd; do busybox ln -s /bin/busybox /tmp/$name; done; export PATH=/bin:/tmp; "


def run(lab: Lab) -> None:
    """Raises LabError, with what the cluster says about the pod, when the proof does not come within two minutes."""
    _remove(lab)
    deadline = time.monotonic() + 120
    made, answer = False, "the pod could not be created"
    while not made or "Name:" not in (answer := _ask()):
        if not made:  # refused for a moment while a new namespace has no service account yet
            apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=dataapp-lab", "-f", "-")
            made = f"pod/{POD} " in lab.kubectl(*apply, stdin=_objects(), check=False)
        if time.monotonic() > deadline:
            told = lab.kubectl("-n", NAMESPACE, "describe", "pod", POD, check=False)
            end = "\n".join(told.splitlines()[-12:])
            raise LabError(
                f"The node is Ready, but a pod on it does not answer at 127.0.0.1:{PORT} with the address of the API "
                f"server (last answer: {answer[:200]!r}).\nWhat the cluster says about the pod:\n{end}\n"
                f"The kubelet's log {lab.log('kubelet')}:\n{processes.tail(lab.log('kubelet'), 5)}"
            )
        time.sleep(0.1)
    _remove(lab)


def _ask() -> str:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=2)
    try:
        connection.request("GET", "/answer")
        return connection.getresponse().read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()


def _remove(lab: Lab) -> None:
    lab.kubectl(
        "-n", NAMESPACE, "delete", "pod", POD, "--ignore-not-found", "--grace-period=1", "--wait=true", check=False
    )


def _objects() -> str:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": NAMESPACE},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "busybox",
                    "image": node_images.BUSYBOX,
                    "imagePullPolicy": "Never",
                    "command": ["/bin/busybox", "sh", "-c", _APPLETS + _SCRIPT],
                    "ports": [{"containerPort": 8080, "hostPort": PORT, "hostIP": "127.0.0.1"}],
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [namespace, pod]})
