"""Which hosts may be asked for a repository, and at which addresses.

A repository's address is written by an author, and the operator stands inside the cluster: without a rule, an author
could make it knock at any door in there. So names that only mean something inside, and addresses that are not public,
are refused unless the platform team has listed the host. We resolve a name once, look at every address it has, and git
is told to use exactly these: a name that answers differently the second time gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

RESOLVE_SECONDS = 10.0

_INSIDE = (".svc", ".local", ".internal", ".localhost", ".localdomain", ".home.arpa", ".in-addr.arpa", ".ip6.arpa")
# "10.0.0.1", and what old parsers also take for an address: "2130706433", "0x7f.1", "127.1".
_LITERAL = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """`allowed`: hosts that may be inside ("git.lab.svc", "*.example.org", "git.example.org:8443"); without a port, any
    port. `only`: no other host at all, not even a public one. `who` ends the sentence of a refusal.
    """

    allowed: tuple[str, ...] = ()
    only: bool = False
    who: str = "ask the platform team to add it to the allowed git hosts (sources.allowedHosts)"

    def lists(self, host: str, port: int) -> bool:
        """Whether the platform team has named this host."""
        return any(_covers(entry.lower(), host, port) for entry in self.allowed)

    def check_name(self, host: str, port: int) -> None:
        """Refuse what the name alone gives away; raises SourceError(HostNotAllowed)."""
        if self.lists(host, port):
            return
        if self.only:
            raise self._refusal(host, "is not one of the git hosts that may be used here")
        if _LITERAL.fullmatch(host):
            raise self._refusal(host, "is an address, not a name")
        if "." not in host or host.endswith(_INSIDE):
            raise self._refusal(host, "is a name inside the cluster or its network")

    def check_addresses(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Refuse a host that leads inside by any of its addresses; raises SourceError(HostNotAllowed)."""
        listed = self.lists(host, port)
        for text in addresses:
            address = _true(ipaddress.ip_address(text.partition("%")[0]))
            # Nobody's git server, but where a cloud tells a machine its credentials: refused even if listed.
            if address.is_link_local or address.is_multicast or address.is_unspecified:
                raise SourceError(
                    Reason.HOST_NOT_ALLOWED,
                    f"{host} leads to {address}, where no git server can be: check its DNS entry",
                )
            if not listed and (not address.is_global or address.is_reserved):
                raise self._refusal(host, f"leads to {address}, which is inside the cluster or its network")

    def _refusal(self, host: str, why: str) -> SourceError:
        return SourceError(Reason.HOST_NOT_ALLOWED, f"the git host {host} {why}: {self.who}")


def _covers(entry: str, host: str, port: int) -> bool:
    pattern, _, wanted = entry.partition(":")
    if wanted and wanted != str(port):
        return False
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]) and host != pattern[1:])


def _true(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that only wraps it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address.sixtofour:
            return address.sixtofour
        if address.teredo:
            return address.teredo[1]
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host, as the system knows it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def admit(policy: HostPolicy, host: str, port: int, resolve: Resolve) -> tuple[str, ...]:
    """The addresses at which a host may be asked; raises SourceError(HostNotAllowed, or GitUnreachable)."""
    policy.check_name(host, port)
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            addresses = tuple(await resolve(host, port))
    except (OSError, UnicodeError, TimeoutError):
        addresses = ()
    if not addresses:
        message = f"the git host {host} has no address: is its name right, and is it known to the cluster's DNS?"
        raise SourceError(Reason.GIT_UNREACHABLE, message, transient=True)
    policy.check_addresses(host, port, addresses)
    return addresses
