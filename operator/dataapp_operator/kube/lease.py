"""The Lease: the one process that may write, and how it knows that it still is.

Whoever holds the Lease renews it; another takes it over only after having *seen it unchanged* for its whole duration on
its own clock, so clocks need not agree. The holder counts from before it sent a renewal, and stops `margin` seconds
early: when another may take over, every write that we began while `held()` was true has been answered or given up (a
write's time limit is at most the margin). Every take-over and renewal is a replace at a known resourceVersion, so two
can never both succeed.

A holder that cannot renew sets `lost`, and the process must exit: nothing it remembers matters. One that shuts down in
order empties the Lease, so that its successor starts at once; so does a restart under the same identity.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from dataapp_operator.kube.client import WRITE_SECONDS
from dataapp_operator.kube.errors import AlreadyExists, Conflict, KubeError, LeaseLost, Missing
from dataapp_operator.kube.kinds import LEASE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dataapp_operator.kube.kinds import Kind
    from dataapp_operator.kube.port import Manifest

log = logging.getLogger(__name__)
_NEVER = float("-inf")


class LeaseCalls(Protocol):
    """What it takes of a cluster: an `ApiCluster` whose guard lets everything pass."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None: ...

    async def create(self, manifest: Manifest) -> Manifest: ...

    async def replace(self, manifest: Manifest) -> Manifest: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """All in seconds: the Lease's `duration`, how often to `renew`, how soon to `retry`, the safety `margin`."""

    duration: int = 15
    renew: float = 5.0
    retry: float = 2.0
    margin: float = WRITE_SECONDS

    @classmethod
    def lasting(cls, duration: int) -> Terms:
        """The terms of a Lease of so many seconds, in the proportions of the default. A write's limit is the margin."""
        return cls(duration=duration, renew=duration / 3, retry=min(2.0, duration / 6), margin=duration / 3)


def boot_clock() -> float:
    """Seconds since boot, counting those asleep: a suspended machine must not believe its Lease is fresh."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class LeaseHolder:
    """One candidate for the Lease `name`; `identity` is unique to it, or to the place where it is restarted (a pod)."""

    def __init__(
        self,
        calls: LeaseCalls,
        *,
        name: str,
        namespace: str,
        identity: str,
        terms: Terms | None = None,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._calls = calls
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._terms = terms or Terms()
        self._clock = clock
        self._lease: Manifest | None = None  # as last written by us
        self._valid_until = _NEVER
        self._seen: tuple[dict[str, Any], float] = ({}, 0.0)  # the other's record, and since when it has looked so
        self._writing = asyncio.Lock()
        self.lost = asyncio.Event()

    def held(self) -> bool:
        """Whether a write may begin now."""
        return self._clock() < self._valid_until

    def check(self) -> None:
        """The guard of writes: raises `LeaseLost` unless `held`."""
        if not self.held():
            message = f"{self._identity} does not hold the Lease {self._namespace}/{self._name}: nothing was written"
            raise LeaseLost(message)

    async def acquire(self) -> None:
        """Wait until the Lease is ours, however long that takes; then `keep` must run."""
        while True:
            try:
                if await self._take():
                    return
            except KubeError as error:
                log.warning("the Lease %s/%s cannot be had: %s", self._namespace, self._name, error)
            await asyncio.sleep(self._terms.retry)

    async def keep(self) -> None:
        """Renew until it fails for good (`lost` is then set) or `release` is called."""
        pause = self._terms.renew
        while True:
            await asyncio.sleep(pause)
            try:
                renewed = await self._renew()
            except KubeError as error:
                log.warning("the Lease %s/%s was not renewed: %s", self._namespace, self._name, error)
                renewed = None
            if self._lease is None:
                return
            # Late but renewed is well: nobody wrote the Lease since our last renewal.
            if renewed is False or not self.held():
                self._valid_until = _NEVER
                self.lost.set()
                return
            pause = self._terms.renew if renewed else self._terms.retry

    async def release(self) -> None:
        """Stop holding, and say so in the Lease, so that nobody has to wait. Without effect when not held."""
        async with self._writing:
            lease, self._lease = self._lease, None
            mine, self._valid_until = self.held(), _NEVER
            if lease is None or not mine:
                return
            try:
                await self._calls.replace(self._manifest(lease, holder=""))
            except KubeError as error:
                log.warning("the Lease %s/%s was not released: %s", self._namespace, self._name, error)

    async def _take(self) -> bool:
        """Create the Lease, or take it where it is free, ours or expired; False when another one holds it."""
        began = self._clock()
        lease = await self._calls.get(LEASE, self._namespace, self._name)
        if lease is None:
            return await self._won(self._calls.create(self._manifest(None, holder=self._identity)), began)
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder not in {"", self._identity}:
            now = self._clock()
            seen, since = self._seen
            if seen.get("holderIdentity") != holder:
                log.info("the Lease %s/%s is held by %s: waiting", self._namespace, self._name, holder)
            if seen != spec:
                self._seen = (spec, now)
                return False
            if now - since < (spec.get("leaseDurationSeconds") or self._terms.duration):
                return False
        return await self._won(self._calls.replace(self._manifest(lease, holder=self._identity)), began)

    async def _won(self, write: Awaitable[Manifest], began: float) -> bool:
        """Hold the Lease if this write goes through; False when another one was quicker."""
        try:
            self._hold(await write, began)
        except (Conflict, AlreadyExists):
            return False
        return True

    async def _renew(self) -> bool:
        """Renew once; False when the Lease is another's, or gone, for good."""
        async with self._writing:
            if self._lease is None:
                return True  # released
            began = self._clock()
            try:
                self._hold(await self._calls.replace(self._manifest(self._lease, holder=self._identity)), began)
            except Missing:
                return False
            except Conflict:
                # Somebody put a label on it, or an earlier renewal that seemed to fail did arrive.
                fresh = await self._calls.get(LEASE, self._namespace, self._name)
                if fresh is None or fresh["spec"].get("holderIdentity") != self._identity:
                    return False
                self._hold(await self._calls.replace(self._manifest(fresh, holder=self._identity)), began)
            return True

    def _hold(self, lease: Manifest, began: float) -> None:
        self._lease = lease
        self._valid_until = began + self._terms.duration - self._terms.margin

    def _manifest(self, lease: Manifest | None, *, holder: str) -> Manifest:
        """The Lease as it should be, at the version of `lease`; None: a new one."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        base = lease or {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": self._metadata()}
        spec = dict(base.get("spec") or {})
        if holder and holder != spec.get("holderIdentity"):
            spec["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + (1 if lease else 0)
            spec["acquireTime"] = now
        spec |= {"holderIdentity": holder, "renewTime": now, "leaseDurationSeconds": self._terms.duration}
        return base | {"spec": spec}

    def _metadata(self) -> dict[str, str]:
        return {"name": self._name, "namespace": self._namespace}
