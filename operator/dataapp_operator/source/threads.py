"""Where git processes are waited for: a few threads, shared by all reconcilers of one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from git.exc import GitCommandError

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.errors import SourceError
from dataapp_operator.source.process import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Threads:
    """Runs jobs. Each gets an event that says that nobody waits for it any more: whoever is cancelled waits here until
    the job has seen that and ended its process.
    """

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="git")
        # One thread is always left for other hosts, however long one host takes to answer.
        self._at_once = max(1, count - 1)
        self._per_host: dict[str, asyncio.Semaphore] = {}
        self._stops: set[threading.Event] = set()
        self._closed = False

    async def work(self, job: Callable[[threading.Event], T]) -> T:
        """Do a job in a thread."""
        if self._closed:
            raise _stopping()
        stop = threading.Event()
        self._stops.add(stop)
        future = self._pool.submit(job, stop)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            stop.set()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await asyncio.wrap_future(future)
            raise
        except Stopped:
            raise _stopping() from None
        except (OSError, GitCommandError) as error:
            # Of ours, not of the repository's: a full disk, no more processes, git not installed.
            why = getattr(error, "strerror", None) or "git cannot be started"
            message = f"the operator cannot work with repositories at the moment: {why}"
            raise SourceError(Reason.GIT_UNREACHABLE, message, transient=True) from error
        finally:
            self._stops.discard(stop)

    async def ask(self, host: str, job: Callable[[threading.Event], T]) -> T:
        """Do a job that talks to a host."""
        async with self._per_host.setdefault(host, asyncio.Semaphore(self._at_once)):
            return await self.work(job)

    async def close(self) -> None:
        """End all jobs and wait for their threads."""
        self._closed = True
        for stop in self._stops:
            stop.set()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)


def _stopping() -> SourceError:
    return SourceError(Reason.GIT_UNREACHABLE, "the operator is stopping", transient=True)
