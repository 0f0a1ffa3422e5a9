"""The work queue: which keys are to be reconciled, each by one worker at a time.

It has the meaning of controller-runtime's queue. It carries keys and never events, so a thousand changes of one object
are one piece of work. A key that is added while a worker has it is *dirty* and runs once more afterwards; it never runs
twice at once. A key may be added for later; of two such wishes the earlier one stands, and being worked on before it is
due does not take the wish back. A key whose work failed comes back after a pause that doubles each time, with jitter,
until it succeeds once.

Nothing added is ever lost: until `shut_down`, each added key is waiting, running, or delayed.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K", bound=Hashable)

BASE_SECONDS = 0.2  # the pause after a first failure
MAX_SECONDS = 60.0  # and the longest


@dataclass(frozen=True, slots=True)
class Ok:
    """Done: nothing more until the key is added again."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Done for now: look again in so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Try again with growing pauses, not before `at_least` seconds (what the API server asked for)."""

    at_least: float = 0.0


@dataclass(frozen=True, slots=True)
class Terminal:
    """It cannot succeed as things are: no retry until the key is added again."""


Result = Ok | RequeueAfter | Failed | Terminal


class QueueShutDown(Exception):  # noqa: N818 - not an error: the way a worker learns that it may go home
    """The queue gives out no more work."""


class WorkQueue(Generic[K]):
    """A queue for the workers of one running event loop; time is the loop's.

    `jitter` answers a number in [0, 1), new at each call: which share of half the back-off pause is left out.
    """

    def __init__(
        self, *, jitter: Callable[[], float], base_seconds: float = BASE_SECONDS, max_seconds: float = MAX_SECONDS
    ) -> None:
        self._jitter = jitter
        self._base = base_seconds
        self._max = max_seconds
        self._ready: asyncio.Queue[K | None] = asyncio.Queue()  # None: shut down
        self._since: dict[K, float] = {}  # the keys in _ready, oldest first, and since when
        self._running: dict[K, float] = {}
        self._dirty: dict[K, float] = {}
        self._delayed: dict[K, float] = {}  # key -> when due
        self._heap: list[tuple[float, int, K]] = []  # of _delayed; entries that _delayed no longer confirms are void
        self._order = 0  # keeps the heap from comparing keys
        self._alarm: asyncio.TimerHandle | None = None
        self._failures: dict[K, int] = {}
        self._closed = False

    def add(self, key: K, *, after: float = 0.0) -> None:
        """Have the key worked on now, or in `after` seconds unless that is due earlier already."""
        if self._closed:
            return
        now = asyncio.get_running_loop().time()
        if after <= 0:
            self._admit(key, now)
        elif now + after < self._delayed.get(key, float("inf")):
            self._order += 1
            self._delayed[key] = now + after
            heapq.heappush(self._heap, (now + after, self._order, key))
            self._set_alarm()

    async def get(self) -> K:
        """Wait for a key; it is the caller's alone until `done`. Raises `QueueShutDown` at the end."""
        key = await self._ready.get()
        if key is None or self._closed:
            self._ready.put_nowait(None)  # the next worker must hear it too
            raise QueueShutDown
        del self._since[key]
        self._running[key] = asyncio.get_running_loop().time()
        return key

    def done(self, key: K, result: Result) -> None:
        """Give a key back. If it became dirty meanwhile it runs again at once, whatever the result."""
        del self._running[key]
        if self._closed:
            return
        if (since := self._dirty.pop(key, None)) is not None:
            self._admit(key, since)
        if (pause := self._pause(key, result)) is not None:
            self.add(key, after=pause)

    def shut_down(self) -> None:
        """Give out no more work: every `get`, waiting or to come, raises. Keys being worked on may finish."""
        self._closed = True
        if self._alarm:
            self._alarm.cancel()
        self._ready.put_nowait(None)

    @property
    def depth(self) -> int:
        """How many keys wait for a worker."""
        return len(self._since)

    @property
    def running(self) -> int:
        """How many keys are being worked on."""
        return len(self._running)

    @property
    def delayed(self) -> int:
        """How many keys are to come back later."""
        return len(self._delayed)

    def oldest_seconds(self) -> float:
        """For how long the key that waits longest has waited; 0.0 when none waits."""
        return self._age(self._since)

    def longest_seconds(self) -> float:
        """For how long the longest-running piece of work has been running; 0.0 when there is none."""
        return self._age(self._running)

    def _age(self, since: dict[K, float]) -> float:
        # A key that was dirty brings an earlier time along, so the first is not always the oldest.
        return asyncio.get_running_loop().time() - min(since.values()) if since else 0.0

    def _admit(self, key: K, since: float) -> None:
        if key in self._running:
            self._dirty.setdefault(key, since)
        elif key not in self._since:
            self._since[key] = since
            self._ready.put_nowait(key)

    def _pause(self, key: K, result: Result) -> float | None:
        """In how many seconds the key comes back by itself; None: it does not."""
        if not isinstance(result, Failed):
            self._failures.pop(key, None)
            return result.seconds if isinstance(result, RequeueAfter) else None
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # The exponent is bounded too: after a thousand failures the power would be beyond a float.
        pause = min(self._max, self._base * 2.0 ** min(failures, 32))
        return max(pause * (1 - self._jitter() / 2), result.at_least)

    def _set_alarm(self) -> None:
        """Be woken when the first delayed key is due."""
        while self._heap and self._delayed.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        if self._heap:
            self._alarm = asyncio.get_running_loop().call_at(self._heap[0][0], self._ring)

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        # A timer may ring within the clock's resolution before its time; the rest then waits for the next alarm.
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._delayed.get(key) == due:
                del self._delayed[key]
                self._admit(key, due)
        self._set_alarm()
