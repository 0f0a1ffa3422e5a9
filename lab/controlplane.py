"""Stage control-plane: etcd, kube-apiserver, controller-manager and scheduler as plain processes; ready in about 6 s.

The API server writes an audit log of every request, with the user's name and no bodies, to <state>/log/audit.log:
tests count an operator's writes there. RBAC is on. etcd does not flush to disk, because this cluster is thrown away.
"""

from lab import files, network, pki, ready
from lab.context import Lab

SERVICES = "10.96.0.0/16"
ETCD = "http://127.0.0.1:12379"
_AUDIT = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
HEALTH = {
    "etcd": f"{ETCD}/health",
    "kube-apiserver": "https://127.0.0.1:6443/readyz",
    "kube-controller-manager": "https://127.0.0.1:10257/healthz",
    "kube-scheduler": "https://127.0.0.1:10259/healthz",
}


def run(lab: Lab) -> None:
    """Have the control plane up and answering."""
    files.need_space(lab.state, gib=2, what_for="the cluster's state")
    lab.state.mkdir(parents=True, exist_ok=True)
    network.ensure_bridge(lab)
    pki.ensure(lab)
    files.write(lab.state / "audit-policy.yaml", _AUDIT)
    _etcd(lab)
    _apiserver(lab)
    _controllers(lab)


def healthy(lab: Lab, name: str) -> bool:
    """Whether a component answers on its health port."""
    return ready.http(HEALTH[name], lab=lab if name == "kube-apiserver" else None)


def _begin(lab: Lab, name: str, argv: list[str], *, usually: int, ports: list[tuple[str, int]], hint: str = "") -> None:
    inputs = [lab.state / "audit-policy.yaml", *sorted(pki.directory(lab).glob("*.crt"))]
    ready.ensure(lab, ready.Component(name, argv, inputs, usually, ports, hint), healthy)


def _etcd(lab: Lab) -> None:
    peer = "http://127.0.0.1:12380"
    argv = [
        str(lab.binary("etcd")), "--data-dir", str(lab.state / "etcd"), "--unsafe-no-fsync",
        "--listen-client-urls", ETCD, "--advertise-client-urls", ETCD,
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        "--quota-backend-bytes", "4294967296",
    ]  # fmt: skip
    hint = (
        "Its data may have been damaged by a power cut or a full disk (the lab does not flush to disk): "
        "`make lab-down` and `make lab-up` make a new cluster in a minute."
    )
    _begin(lab, "etcd", argv, usually=1, ports=[("127.0.0.1", 12379), ("127.0.0.1", 12380)], hint=hint)


def _apiserver(lab: Lab) -> None:
    accounts = pki.key(lab, "service-accounts")
    argv = [
        str(lab.binary("kube-apiserver")), f"--etcd-servers={ETCD}", f"--service-cluster-ip-range={SERVICES}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={accounts}", f"--service-account-signing-key-file={accounts}",
        f"--client-ca-file={pki.cert(lab, pki.CA)}", f"--tls-cert-file={pki.cert(lab, 'apiserver')}",
        f"--tls-private-key-file={pki.key(lab, 'apiserver')}",
        f"--kubelet-client-certificate={pki.cert(lab, 'apiserver-kubelet')}",
        f"--kubelet-client-key={pki.key(lab, 'apiserver-kubelet')}",
        # else logs and exec would look the node's name up in DNS
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC", "--allow-privileged=true",
        f"--advertise-address={lab.node_ip}", "--bind-address=0.0.0.0", "--secure-port=6443",
        f"--audit-policy-file={lab.state / 'audit-policy.yaml'}", f"--audit-log-path={lab.log('audit')}",
        "--audit-log-maxsize=2000", "--audit-log-maxbackup=1",
    ]  # fmt: skip
    _begin(lab, "kube-apiserver", argv, usually=4, ports=[("0.0.0.0", 6443)])  # noqa: S104  to see any listener


def _controllers(lab: Lab) -> None:
    manager = [
        str(lab.binary("kube-controller-manager")), f"--kubeconfig={pki.kubeconfig(lab, 'controller-manager')}",
        f"--service-account-private-key-file={pki.key(lab, 'service-accounts')}",
        f"--root-ca-file={pki.cert(lab, pki.CA)}", "--use-service-account-credentials=true",
        "--leader-elect=false", f"--cluster-cidr={network.PODS}", "--allocate-node-cidrs=false",
        f"--flex-volume-plugin-dir={lab.state / 'volume-plugins'}",  # its default is made outside our directories
        "--bind-address=127.0.0.1", "--kube-api-qps=100", "--kube-api-burst=200",
    ]  # fmt: skip
    _begin(lab, "kube-controller-manager", manager, usually=2, ports=[("127.0.0.1", 10257)])
    scheduler = [
        str(lab.binary("kube-scheduler")), f"--kubeconfig={pki.kubeconfig(lab, 'scheduler')}",
        "--leader-elect=false", "--bind-address=127.0.0.1", "--kube-api-qps=500", "--kube-api-burst=1000",
    ]  # fmt: skip
    _begin(lab, "kube-scheduler", scheduler, usually=2, ports=[("127.0.0.1", 10259)])
