"""Certificates of the cluster, by openssl, in <state>/pki; whatever is missing, damaged or foreign is made again.

One authority signs a certificate for each component, whose subject is its user in the cluster (`/O=group/CN=user`).
Pairs are checked at every start: the key must fit its certificate and the authority must have signed it, so a start
that was cut short between two files heals itself. The servers beside the cluster have certificates of their own in
<state>/pki/services: nobody who trusts the git server has to trust the cluster's authority.
"""

import base64
import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from lab import files
from lab.context import Lab

CA = "ca"
SERVICE_IP = "10.96.0.1"
GIT_CA, GIT, REGISTRY = "services/git-ca", "services/git", "services/registry"


@dataclass(frozen=True, slots=True)
class Identity:
    """One certificate: its file name, its subject in openssl's form, its alternative names."""

    name: str
    subject: str
    names: str


def identities(lab: Lab) -> list[Identity]:
    """All certificates that the authority signs."""
    hosts = (
        f"DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:{lab.node_ip}"
    )
    return [
        Identity("apiserver", "/CN=kube-apiserver", f"{hosts},IP:{SERVICE_IP}"),
        Identity("apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client", "DNS:apiserver"),
        Identity("admin", "/O=system:masters/CN=admin", "DNS:admin"),
        Identity("controller-manager", "/CN=system:kube-controller-manager", "DNS:controller-manager"),
        Identity("scheduler", "/CN=system:kube-scheduler", "DNS:scheduler"),
        Identity("proxy", "/CN=system:kube-proxy", "DNS:proxy"),
        Identity("coredns", "/CN=system:coredns", "DNS:coredns"),
        Identity("podtargets", "/CN=dataapp-lab:podtargets", "DNS:podtargets"),
        Identity("node", "/O=system:nodes/CN=system:node:lab", f"DNS:lab,IP:{lab.node_ip}"),
    ]


def directory(lab: Lab) -> Path:
    """Where certificates and keys are."""
    return lab.state / "pki"


def cert(lab: Lab, name: str) -> Path:
    """A certificate's file."""
    return directory(lab) / f"{name}.crt"


def key(lab: Lab, name: str) -> Path:
    """A key's file."""
    return directory(lab) / f"{name}.key"


def ensure(lab: Lab) -> None:
    """Have every certificate, key and kubeconfig in place and whole."""
    directory(lab).mkdir(parents=True, exist_ok=True)
    directory(lab).chmod(0o700)
    wanted = [one for one in identities(lab) if not _pair_is_whole(lab, one.name)]
    if not _pair_is_whole(lab, CA):
        wanted = identities(lab)  # a new authority signs everything anew
    elif not wanted:
        listed = [cert(lab, one.name) for one in identities(lab)]
        answer = lab.run(["openssl", "verify", "-CAfile", cert(lab, CA), *listed], log="pki", check=False)
        wanted = [one for one in identities(lab) if f"{cert(lab, one.name)}: OK" not in answer]
    if wanted:
        with lab.step("making certificates", 1):
            if not _pair_is_whole(lab, CA):
                _authority(lab, CA, "/CN=dataapp-lab", usage="keyCertSign,cRLSign")
            for one in wanted:
                _sign(lab, one)
    if not _is_key(key(lab, "service-accounts")):
        draft = directory(lab) / ".draft.key"
        lab.run(["openssl", "genrsa", "-out", draft, "2048"], log="pki")
        draft.rename(key(lab, "service-accounts"))
    for name in ("admin", "controller-manager", "scheduler", "proxy", "coredns", "node"):
        files.write(kubeconfig(lab, name), _kubeconfig(lab, name), mode=0o600)
    files.write(lab.kubeconfig, _kubeconfig(lab, "admin"), mode=0o600)
    files.write(lab.out / "kubeconfig", _kubeconfig(lab, "admin"), mode=0o600)


def ensure_services(lab: Lab) -> None:
    """Have the git server's authority and certificate, and the self-signed pair whose key signs the registry's tokens."""
    (directory(lab) / "services").mkdir(parents=True, exist_ok=True)
    directory(lab).chmod(0o700)
    if not _pair_is_whole(lab, GIT_CA):
        _authority(lab, GIT_CA, "/CN=dataapp-lab git", usage="keyCertSign,cRLSign")
    verify: list[str | Path] = ["openssl", "verify", "-CAfile", cert(lab, GIT_CA), cert(lab, GIT)]
    if not _pair_is_whole(lab, GIT) or f"{cert(lab, GIT)}: OK" not in lab.run(verify, log="pki", check=False):
        names = f"DNS:git.lab.svc,DNS:localhost,IP:127.0.0.1,IP:{lab.node_ip}"
        _sign(lab, Identity(GIT, "/CN=git.lab.svc", names), by=GIT_CA)
    if not _pair_is_whole(lab, REGISTRY):
        _authority(lab, REGISTRY, "/CN=dataapp-operator", usage="digitalSignature")


def kubeconfig(lab: Lab, name: str) -> Path:
    """The kubeconfig of a component."""
    return directory(lab) / f"{name}.kubeconfig"


def _pair_is_whole(lab: Lab, name: str) -> bool:
    """Whether certificate and key can be read and fit each other."""
    with contextlib.suppress(OSError):  # ssl.SSLError, too, is an OSError
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert(lab, name), key(lab, name))
        return True
    return False


def _is_key(path: Path) -> bool:
    return path.is_file() and path.read_text().rstrip().endswith("PRIVATE KEY-----")


def _authority(lab: Lab, name: str, subject: str, *, usage: str) -> None:
    """A key and a certificate that it signs itself."""
    lab.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key(lab, name), "-out", cert(lab, name), "-subj", subject, "-days", "3650",
         "-addext", f"keyUsage=critical,{usage}"],
        log="pki",
    )  # fmt: skip


def _sign(lab: Lab, one: Identity, *, by: str = CA) -> None:
    request, extensions = directory(lab) / ".draft.csr", directory(lab) / ".draft.ext"
    lab.run(
        ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key(lab, one.name), "-out", request, "-subj", one.subject],
        log="pki",
    )  # fmt: skip
    extensions.write_text(
        f"subjectAltName={one.names}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    lab.run(
        ["openssl", "x509", "-req", "-in", request, "-CA", cert(lab, by), "-CAkey", key(lab, by), "-CAcreateserial",
         "-out", cert(lab, one.name), "-days", "3650", "-extfile", extensions],
        log="pki",
    )  # fmt: skip
    request.unlink()
    extensions.unlink()


def _kubeconfig(lab: Lab, name: str) -> str:
    """A kubeconfig with everything inside it, so that it can be copied anywhere."""

    def inline(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    return (
        "apiVersion: v1\nkind: Config\nclusters:\n- name: dataapp-lab\n  cluster:\n"
        f"    server: https://{lab.node_ip}:6443\n    certificate-authority-data: {inline(cert(lab, CA))}\n"
        f"users:\n- name: {name}\n  user:\n    client-certificate-data: {inline(cert(lab, name))}\n"
        f"    client-key-data: {inline(key(lab, name))}\n"
        f"contexts:\n- name: dataapp-lab\n  context: {{cluster: dataapp-lab, user: {name}}}\n"
        "current-context: dataapp-lab\n"
    )
