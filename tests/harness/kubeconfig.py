"""Talking to an API server with what a kubeconfig says, and nothing more: an address, a CA, a client certificate or token."""

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API server."""

    server: str
    tls: ssl.SSLContext | bool
    headers: dict[str, str]

    def client(self) -> aiohttp.ClientSession:
        """A session for this server; watches have no time-out of their own."""
        return aiohttp.ClientSession(
            base_url=self.server,
            headers=self.headers,
            connector=aiohttp.TCPConnector(ssl=self.tls),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=2**20,
        )


def read_access(kubeconfig: Path) -> Access:
    """The access of the current context. Relative file names are relative to the kubeconfig, as kubectl has it."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    folder = kubeconfig.resolve().parent
    tls = ssl.create_default_context()
    if authority := _content(cluster, "certificate-authority", folder):
        tls = ssl.create_default_context(cadata=authority.decode())
    certificate, key = _content(user, "client-certificate", folder), _content(user, "client-key", folder)
    if certificate and key:
        with tempfile.TemporaryDirectory() as private:  # load_cert_chain takes files only; this one is ours alone
            pair = Path(private) / "pair.pem"
            pair.write_bytes(certificate + b"\n" + key)
            tls.load_cert_chain(pair)
    headers = {"Authorization": f"Bearer {user['token']}"} if user.get("token") else {}
    return Access(cluster["server"].rstrip("/") + "/", tls if cluster["server"].startswith("https") else True, headers)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _content(entry: dict[str, Any], name: str, folder: Path) -> bytes | None:
    if data := entry.get(f"{name}-data"):
        return base64.b64decode(data)
    return (folder / entry[name]).read_bytes() if entry.get(name) else None
