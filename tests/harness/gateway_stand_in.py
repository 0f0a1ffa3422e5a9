"""A gateway that obeys HTTPRoutes, but for one thing that a test chooses: it takes no notice of weights, for instance.

It reads the head of a request, finds the rule by the precedence of the Gateway API, and passes everything after it on as it
comes, in both directions: uploads, streams and websockets too. Each connection carries one request. It publishes nothing
about what it can do.
"""

import asyncio
import random
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]
Address = tuple[str, int]


class Fault(Enum):
    """What a gateway does wrong."""

    TAKES_NO_COOKIE = auto()
    """A rule that looks at a cookie never fits."""
    TAKES_ANY_COOKIE = auto()
    """A rule that looks at a cookie fits every visit that brings one."""
    LOOKS_AT_NOTHING = auto()
    """A rule's headers are not looked at: it fits everything."""
    SPLITS_EVENLY = auto()
    """Weights are not looked at."""
    KEEPS_SET_COOKIE = auto()
    """Cookies that an app sets do not reach the visitor."""
    KEEPS_COOKIE = auto()
    """Cookies that a visitor brings do not reach the app; the gateway itself sees them."""
    ADDS_NO_HEADER = auto()
    """The filters of a rule are not carried out."""


@dataclass
class StandIn:
    """``backends``: where the pods of a Service are, or None; ``routes``: specs of HTTPRoutes, the oldest first."""

    backends: Callable[[str], Address | None]
    routes: list[Json] = field(default_factory=list)
    faults: frozenset[Fault] = frozenset()
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    visits: list[str] = field(default_factory=list)
    """The Service that each request went to."""
    port: int = 0
    _servers: list[asyncio.Server] = field(default_factory=list)
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, *hosts: str) -> None:
        """Listen on these addresses of this machine; ``port`` says where then."""
        for host in hosts:
            server = await asyncio.start_server(self._serve, host, self.port)
            self.port = server.sockets[0].getsockname()[1]
            self._servers.append(server)

    async def stop(self) -> None:
        """End it, with whatever is open."""
        for server in self._servers:
            server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start("127.0.0.1")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def rule_for(self, host: str, path: str, headers: dict[str, str]) -> Json | None:
        """The rule that a request falls under: exact path, longer path, more headers, older route, earlier rule."""
        found: list[tuple[tuple[bool, int, int], Json]] = []
        for spec in self.routes:
            if host not in spec["hostnames"]:
                continue
            for rule in spec["rules"]:
                for match in rule["matches"]:
                    kind, value = match["path"]["type"], match["path"]["value"]
                    fits = path == value if kind == "Exact" else path.startswith(value)
                    wanted = match.get("headers", [])
                    if fits and all(self._has(header, headers) for header in wanted):
                        found.append(((kind == "Exact", len(value), len(wanted)), rule))
        return max(found, key=lambda entry: entry[0])[1] if found else None

    def _has(self, wanted: Json, headers: dict[str, str]) -> bool:
        value = headers.get(wanted["name"].lower())
        if Fault.LOOKS_AT_NOTHING in self.faults:
            return True
        if wanted["name"] == "Cookie" and Fault.TAKES_NO_COOKIE in self.faults:
            return False
        if wanted["name"] == "Cookie" and Fault.TAKES_ANY_COOKIE in self.faults:
            return value is not None
        if value is None:
            return False
        if wanted["type"] == "RegularExpression":
            return re.search(wanted["value"], value) is not None
        return bool(value == wanted["value"])

    def backend_for(self, rule: Json) -> str:
        """The Service that gets this visit."""
        names = [backend["name"] for backend in rule["backendRefs"]]
        even = Fault.SPLITS_EVENLY in self.faults
        weights = [1 if even else backend["weight"] for backend in rule["backendRefs"]]
        return self.chance.choices(names, weights)[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        finally:
            self._talks.discard(talk)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, lines = _head(await reader.readuntil(b"\r\n\r\n"))
        headers = _by_name(lines)
        rule = self.rule_for(headers.get("host", "").partition(":")[0], first.split()[1].partition("?")[0], headers)
        service = None if rule is None else self.backend_for(rule)
        address = None if service is None else self.backends(service)
        if rule is None or service is None or address is None:
            status = "404 Not Found" if rule is None else "503 Service Unavailable"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            return
        self.visits.append(service)
        away = {"cookie"} if Fault.KEEPS_COOKIE in self.faults else set()
        with suppress(OSError):
            answers, asks = await asyncio.open_connection(*address)
            try:
                asks.write(_joined(first, lines, without=away))
                sending = asyncio.create_task(_pass_on(reader, asks))
                try:
                    await self._answer(rule, answers, writer)
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
            finally:
                asks.close()

    async def _answer(self, rule: Json, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, lines = _head(await answers.readuntil(b"\r\n\r\n"))
        added = [] if Fault.ADDS_NO_HEADER in self.faults else list(_added(rule))
        away = {name.lower() for name, _ in added}
        if Fault.KEEPS_SET_COOKIE in self.faults:
            away.add("set-cookie")
        writer.write(_joined(first, [*lines, *(f"{name}: {value}" for name, value in added)], without=away, kept=added))
        await _pass_on(answers, writer)


def _head(raw: bytes) -> tuple[str, list[str]]:
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    return first, lines


def _by_name(lines: Iterable[str]) -> dict[str, str]:
    """By name in small letters; Cookie headers of one request are one."""
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key = name.strip().lower()
        found[key] = f"{found[key]}; {value.strip()}" if key in found else value.strip()
    return found


def _joined(first: str, lines: Iterable[str], *, without: set[str], kept: Iterable[tuple[str, str]] = ()) -> bytes:
    """A head again: without some headers, and closed at its end unless it goes over to another protocol."""
    upgrades = any(line.lower().startswith("upgrade:") for line in lines)
    away = without if upgrades else without | {"connection", "keep-alive"}
    last = [f"{name}: {value}" for name, value in kept] + ([] if upgrades else ["Connection: close"])
    stay = [line for line in lines if line.partition(":")[0].strip().lower() not in away]
    return "\r\n".join([first, *stay, *last, "", ""]).encode("latin-1")


def _added(rule: Json) -> Iterable[tuple[str, str]]:
    for action in rule.get("filters", []):
        for header in action.get("responseHeaderModifier", {}).get("set", []):
            yield header["name"], header["value"]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
