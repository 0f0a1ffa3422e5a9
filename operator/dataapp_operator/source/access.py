"""How a git process gets at a server: the addresses it may use, and the secrets it needs.

Secrets travel in a file that has no name: memory that only this process and its children hold open. They are in no
argument, in no environment and on no disk, and they are gone with the last process that holds them, even if we are
killed. git reads it as its "global" configuration, with a header that is sent to this one address and nowhere else.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataapp_operator.source.remote import Remote


@dataclass(frozen=True, slots=True)
class Access:
    """`config`: settings without a secret. `unnamed_config`: where git finds the others. `fds`: what it must inherit."""

    config: dict[str, str]
    unnamed_config: str
    fds: tuple[int, ...]


@contextmanager
def access(remote: Remote, addresses: Sequence[str]) -> Iterator[Access]:
    """Everything a git process needs to reach `remote` at these addresses."""
    numbers = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    config = {"http.curloptResolve": f"{remote.host}:{remote.port}:{numbers}"}
    fds: list[int] = []
    try:
        unnamed_config = "/dev/null"
        if remote.credential and (header := remote.credential.header):
            escaped = header.replace("\\", "\\\\").replace('"', '\\"')
            text = f'[http "{remote.url}"]\n\textraHeader = "Authorization: {escaped}"\n'
            unnamed_config = _unnamed(text, fds)
        if remote.credential and remote.credential.ca:
            config["http.sslCAInfo"] = _unnamed(remote.credential.ca, fds)
        yield Access(config=config, unnamed_config=unnamed_config, fds=tuple(fds))
    finally:
        for fd in fds:
            os.close(fd)


def _unnamed(text: str, fds: list[int]) -> str:
    """A text in memory without a name; the path by which a process that inherits it reads it from the start."""
    fd = os.memfd_create("git")
    fds.append(fd)
    os.write(fd, text.encode())
    return f"/proc/self/fd/{fd}"
