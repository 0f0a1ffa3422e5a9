"""A control plane of a test's own: one etcd and one kube-apiserver on loopback, in a directory that goes with it.

For tests of what concerns the whole cluster, such as definitions that are missing: in the lab they would disturb
everybody. There are no controllers and no nodes: objects stay as they are written, unless somebody brings them. It
starts in about 5 s, uses the lab's binaries, and is stopped by its own process handles whatever happens in between.
"""

import base64
import json
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.cluster import Kube

START_SECONDS = 60
MASTERS = "system:masters"
STOP_SECONDS = 15

_AUDIT = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"


@dataclass(frozen=True)
class Binaries:
    """Where the programs are."""

    etcd: Path
    apiserver: Path
    kubectl: Path


def free_port() -> int:
    """A TCP port of loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(argv: list[str], *, log: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the block, nor us should we be killed in it; its output goes to ``log``."""
    bound = ["setpriv", "--pdeathsig", "TERM", *argv]  # it becomes the program: the pid stays
    with log.open("ab") as output:
        running = subprocess.Popen(bound, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=env)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def control_plane(
    binaries: Binaries, directory: Path, *, users: Mapping[str, tuple[str, str]] | None = None
) -> Iterator[Kube]:
    """An API server that answers; yields kubectl with every right on it.

    ``users``: more of them, name of the file -> (name, groups with commas between); each has a kubeconfig
    `<file>.kubeconfig` in the directory. Who asked for what is in `audit.log` beside it.
    """
    client, peer, port = free_port(), free_port(), free_port()
    etcd, beside = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    certificate, key = _certificate(directory)
    known = {"tests": ("tests", MASTERS), **(users or {})}
    tokens = {file: secrets.token_hex(16) for file in known}
    rows = (f'{tokens[file]},"{name}","{name}","{groups}"\n' for file, (name, groups) in known.items())
    (directory / "tokens.csv").write_text("".join(rows))
    (directory / "audit.yaml").write_text(_AUDIT)
    server = f"https://127.0.0.1:{port}"
    with ExitStack() as stack:
        argv = [
            str(binaries.etcd), "--data-dir", str(directory / "etcd"), "--unsafe-no-fsync",
            "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
            "--listen-peer-urls", beside, "--initial-advertise-peer-urls", beside,
            "--initial-cluster", f"default={beside}",
        ]  # fmt: skip
        running = stack.enter_context(process(argv, log=directory / "etcd.log"))
        wait_for(f"{etcd}/health", running, directory / "etcd.log")
        argv = [
            str(binaries.apiserver), f"--etcd-servers={etcd}", f"--secure-port={port}", "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/16",
            f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            f"--token-auth-file={directory / 'tokens.csv'}", "--authorization-mode=RBAC",
            f"--audit-policy-file={directory / 'audit.yaml'}", f"--audit-log-path={directory / 'audit.log'}",
        ]  # fmt: skip
        running = stack.enter_context(process(argv, log=directory / "apiserver.log"))
        trust = ssl.create_default_context(cafile=str(certificate))
        wait_for(f"{server}/readyz", running, directory / "apiserver.log", trust=trust, token=tokens["tests"])
        authority = base64.b64encode(certificate.read_bytes()).decode()
        for file, token in tokens.items():
            path = directory / f"{file}.kubeconfig"
            _kubeconfig(path, server=server, authority=authority, token=token)
        yield Kube(str(binaries.kubectl), directory / "tests.kubeconfig")


def _certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that vouches for itself."""
    certificate, key = directory / "apiserver.crt", directory / "apiserver.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
         "-subj", "/CN=dataapp-tests", "-days", "2", "-addext", "subjectAltName=IP:127.0.0.1",
         "-addext", "keyUsage=critical,digitalSignature,keyCertSign"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return certificate, key


def _kubeconfig(path: Path, *, server: str, authority: str, token: str) -> None:
    cluster = {"server": server, "certificate-authority-data": authority}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }
    path.write_text(json.dumps(content))
    path.chmod(0o600)


def wait_for(
    url: str, running: subprocess.Popen[bytes], log: Path, *, trust: ssl.SSLContext | None = None, token: str = ""
) -> None:
    """Until ``url`` answers 200. Fails with the end of the log when the process ends or the time is over."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if trust is not None:
        handlers.append(urllib.request.HTTPSHandler(context=trust))
    direct = urllib.request.build_opener(*handlers)
    until = time.monotonic() + START_SECONDS
    said = "nothing yet"
    while running.poll() is None and time.monotonic() < until:
        try:
            with direct.open(urllib.request.Request(url, headers=headers), timeout=2):
                return
        except urllib.error.HTTPError as error:
            said = str(error.code)
            error.close()
        except OSError as error:
            said = str(error)
        time.sleep(0.1)  # the pace of looking; the condition is the answer
    end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise AssertionError(f"{url} does not answer (last: {said}). The end of {log.name}:\n{end}")
