"""Talking to an API server with what a kubeconfig says, and nothing more: an address, a CA, a client certificate or token."""

import base64
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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


@asynccontextmanager
async def following(
    client: aiohttp.ClientSession, path: str, query: dict[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """A watch: an answer that is left before its end. Its connection is dropped at once, whatever the server does.

    A polite end of TLS waits for the server's goodbye; an event loop that ends before leaves the socket to the collector.
    """
    async with client.get(path, params=query) as answer:
        try:
            yield answer
        finally:
            if answer.connection is not None and answer.connection.transport is not None:
                answer.connection.transport.abort()


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
