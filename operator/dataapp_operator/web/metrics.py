"""What the operator counts about itself, for Prometheus.

One object with a method for each thing worth counting, made at start-up and handed to those who count; no global
registry, so that two operators in one test process do not add to each other's figures. Nothing here names an app: the
number of series does not grow with the number of apps.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A reconcile that writes nothing takes about a millisecond, one that writes some tens; beyond a second all is not well.
RECONCILE_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """All series of the operator; `clock` in seconds, only its differences matter."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._reconciles = Counter(
            "dataapp_reconciles", "Reconciles of a DataApp that ended, by result.", ["result"], registry=self.registry
        )
        self._seconds = Histogram(
            "dataapp_reconcile_seconds",
            "How long a reconcile took.",
            buckets=RECONCILE_BUCKETS,
            registry=self.registry,
        )
        self._calls = Counter(
            "dataapp_api_calls",
            "Calls to the API server, by verb, kind and HTTP status ('timeout', 'unreachable').",
            ["verb", "kind", "code"],
            registry=self.registry,
        )
        self._resyncs = Counter(
            "dataapp_resyncs", "Times the store was checked against a full LIST of every kind.", registry=self.registry
        )
        self._releases = Gauge("dataapp_releases", "AppReleases, by phase.", ["phase"], registry=self.registry)
        self._depth = Gauge("dataapp_queue_depth", "DataApps that wait for a worker.", registry=self.registry)
        self._oldest = Gauge(
            "dataapp_queue_oldest_seconds", "For how long the first of them has waited.", registry=self.registry
        )
        self._event_age = Gauge(
            "dataapp_watch_last_event_age_seconds",
            "Time since the last watch event of a kind (a quiet cluster has none).",
            ["kind"],
            registry=self.registry,
        )
        self._last_event: dict[str, float] = {}
        self._phases: set[str] = set()

    def reconciled(self, result: str, *, seconds: float) -> None:
        """A reconcile ended: with which result ('ok', 'requeue', 'failed', 'terminal', 'bug'), after how long."""
        self._reconciles.labels(result).inc()
        self._seconds.observe(seconds)

    def api_call(self, verb: str, kind: str, code: str) -> None:
        """A call to the API server was answered, or not."""
        self._calls.labels(verb, kind, code).inc()

    def resynced(self) -> None:
        """The store was checked against a full LIST."""
        self._resyncs.inc()

    def releases(self, by_phase: Mapping[str, int]) -> None:
        """How many AppReleases there are now in each phase; phases not named have none."""
        for phase in self._phases - by_phase.keys():
            self._releases.labels(phase).set(0)
        for phase, number in by_phase.items():
            self._releases.labels(phase).set(number)
        self._phases |= by_phase.keys()

    def watch_queue(self, *, depth: Callable[[], int], oldest_seconds: Callable[[], float]) -> None:
        """Ask the queue itself whenever the figures are read."""
        self._depth.set_function(depth)
        self._oldest.set_function(oldest_seconds)

    def event_seen(self, kind: str) -> None:
        """A watch event of this kind (its plural) arrived."""
        if kind not in self._last_event:
            self._event_age.labels(kind).set_function(lambda: self._clock() - self._last_event[kind])
        self._last_event[kind] = self._clock()

    def render(self) -> bytes:
        """All figures in Prometheus' text format, version 0.0.4."""
        return generate_latest(self.registry)
