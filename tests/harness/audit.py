"""The API server's audit log: who asked for what, and what was answered. It sees what a client's own counters miss.

Every request has one line in it once it is answered (watches two: begun, ended), written before the client has its
answer. So a position in the file is a moment, and what comes after it is all that was asked since. Lines of the log
carry no bodies.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cluster import ROOT

OPERATOR = "system:serviceaccount:dataapp-system:dataapp-operator"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `kind`: plural, group and subresource as RBAC writes them ("dataapps.dev", "dataapps/status")."""

    at: datetime
    user: str
    pod: str
    verb: str
    group: str
    kind: str
    namespace: str
    name: str
    code: int
    forbidden: bool
    """Denied for want of a right. A 403 by a quota, or in a namespace that is being deleted, is something else."""

    @property
    def is_write(self) -> bool:
        """Whether it would change something."""
        return self.verb in WRITES

    @property
    def is_lease(self) -> bool:
        """Whether it is about the Lease by which one process holds the right to write: a heartbeat, not work."""
        return self.kind == "leases"

    def __str__(self) -> str:
        """One line for an assertion's message."""
        return f"{self.at:%H:%M:%S.%f} {self.verb} {self.kind} {self.namespace}/{self.name} {self.code}"


@dataclass(frozen=True, slots=True)
class AuditLog:
    """An audit log in a file of JSON lines."""

    path: Path

    def mark(self) -> int:
        """A position: now."""
        return self.path.stat().st_size

    def calls(self, since: int = 0, *, user: str = OPERATOR) -> list[Call]:
        """What a user asked for after a position, in the order of the answers; a half-written last line is left out."""
        size = self.path.stat().st_size
        assert size >= since, "the audit log was begun anew during the test: nothing can be said about its calls"
        with self.path.open("rb") as log:
            log.seek(since)
            lines = log.read(size - since).splitlines(keepends=True)
        wanted = user.encode()
        return [
            call
            for line in lines
            if wanted in line and line.endswith(b"\n")
            for call in _call(json.loads(line))
            if call.user == user
        ]

    def callers(self, since: int = 0) -> Counter[str]:
        """How many requests each user has made after a position."""
        with self.path.open("rb") as log:
            log.seek(since)
            whole = (json.loads(line) for line in log if line.endswith(b"\n"))
            return Counter(call.user for entry in whole for call in _call(entry))


def operator_audit() -> AuditLog:
    """The lab's audit log; skips the test where the cluster is not ours and shows none."""
    import lab.context  # noqa: PLC0415 - the lab is not on the path of unit tests

    path = lab.context.Lab.here(ROOT).log("audit")
    if not path.exists():
        pytest.skip(f"there is no audit log at {path}: a cluster that the lab did not raise does not show one")
    return AuditLog(path)


def by_kind(calls: Iterable[Call]) -> Counter[tuple[str, str]]:
    """How many calls of each (verb, kind)."""
    return Counter((call.verb, call.kind) for call in calls)


def table(counted: Counter[tuple[str, str]]) -> str:
    """Counted calls as lines of text, the most frequent first, with their sum."""
    rows = [f"  {number:4}  {verb} {kind}" for (verb, kind), number in counted.most_common()]
    return "\n".join([*rows, f"  {counted.total():4}  together"])


def _call(entry: dict[str, Any]) -> Iterator[Call]:
    about = entry.get("objectRef")
    if about is None or entry["stage"] not in {"ResponseComplete", "ResponseStarted"}:
        return  # discovery, health
    pods = (entry["user"].get("extra") or {}).get("authentication.kubernetes.io/pod-name") or [""]
    sub = about.get("subresource")
    yield Call(
        at=datetime.fromisoformat(entry["requestReceivedTimestamp"]),
        user=entry["user"]["username"],
        pod=pods[0],
        verb=entry["verb"],
        group=about.get("apiGroup", ""),
        kind=f"{about['resource']}/{sub}" if sub else about["resource"],
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=(entry.get("responseStatus") or {}).get("code", 0),
        forbidden=(entry.get("annotations") or {}).get("authorization.k8s.io/decision") == "forbid",
    )
