"""Work lines: each kind that is reconciled has a queue of its own, workers of its own and one reconciler.

So a slow repository never holds up a release, and a thousand apps never hold up the one build that they all wait for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import random

from dataapp_operator.control.background import AppKey
from dataapp_operator.kube.queue import QueueShutDown, Result, WorkQueue

Key = AppKey
"""(namespace, name)"""


@dataclass(slots=True)
class Line:
    """One queue and whoever works on it."""

    name: str
    reconcile: Callable[[Key], Awaitable[Result]]
    workers: int
    queue: WorkQueue[Key] = field(default_factory=lambda: WorkQueue(jitter=random))

    async def work(self) -> None:
        """One worker: takes keys until the queue shuts down."""
        while True:
            try:
                key = await self.queue.get()
            except QueueShutDown:
                return
            self.queue.done(key, await self.reconcile(key))

    def start(self) -> list[asyncio.Task[None]]:
        """All its workers."""
        return [asyncio.create_task(self.work(), name=self.name) for _ in range(self.workers)]
