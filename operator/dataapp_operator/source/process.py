"""One git process: started with nothing inherited, watched while it runs, and gone when we are done with it.

GitPython starts it, with a complete command line of ours, and does no more than that: what its own commands allow in their
arguments has been a way in too often, so none of them is used. Its `kill_after_timeout` has no effect together with
`as_process`, and what it kills is what happens to be a child at that moment; so the process leads a session of its own
here, and the whole group is ended.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import tempfile
import time
from typing import TYPE_CHECKING, BinaryIO, Self

from git.cmd import Git

from dataapp_operator.source.command import GRACE, command_line

if TYPE_CHECKING:
    import subprocess
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from dataapp_operator.source.access import Access
    from dataapp_operator.source.limits import Limits

STDERR_BYTES = 64 * 1024
TICK = 0.05  # seconds between two looks at the clock, the disk and whether anybody still waits
_CHUNK = 1 << 16
# How timeout(1) says that time was up; the others are for one that had to be killed, it itself being of the group.
_TIMED_OUT = frozenset({124, 128 + signal.SIGKILL, -signal.SIGKILL})


class Stopped(Exception):  # noqa: N818 - it says what happened
    """Nobody waits for the answer any more."""


class Overrun(Exception):  # noqa: N818 - it says what happened
    """The process took more than it may have: `what` is "time", "disk" or "output"."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Runner:
    """Starts git processes within limits. `started` counts them, and `on_start` is told each command line."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.started = 0
        self.on_start: Callable[[Sequence[str]], None] | None = None

    def start(
        self,
        arguments: Sequence[str],
        *,
        at: Path,
        stop: threading.Event,
        seconds: float,
        stdin: bytes = b"",
        access: Access | None = None,
        full: Callable[[], bool] | None = None,
    ) -> Process:
        """Start `git <arguments>` in the directory `at`. `full` is asked now and then whether the disk is."""
        if stop.is_set():
            raise Stopped
        command = command_line(arguments, seconds=seconds, limits=self.limits, access=access)
        self.started += 1
        if self.on_start:
            self.on_start(command)
        with contextlib.ExitStack() as stack:
            # A file and not a pipe: git may answer before it has read everything, and both would wait for ever.
            source = stack.enter_context(tempfile.TemporaryFile()) if stdin else None
            if source:
                source.write(stdin)
                source.seek(0)
            process = Git(str(at)).execute(
                command,
                istream=source,
                as_process=True,
                start_new_session=True,
                pass_fds=access.fds if access else (),
            )
        return Process(process, stop=stop, seconds=seconds, full=full)

    def run(
        self,
        arguments: Sequence[str],
        *,
        at: Path,
        stop: threading.Event,
        seconds: float,
        stdin: bytes = b"",
        access: Access | None = None,
        full: Callable[[], bool] | None = None,
    ) -> tuple[int, bytes, str]:
        """Run git to its end: exit code, output, and what it complained of."""
        kept = bytearray()
        with self.start(arguments, at=at, stop=stop, seconds=seconds, stdin=stdin, access=access, full=full) as process:
            for chunk in process:
                kept += chunk
                if len(kept) > self.limits.answer_bytes:
                    raise Overrun("output")
        return process.code, bytes(kept), process.complaint


class Process:
    """A running git process, as a context manager: its output by iterating or by `read`, then `code` and `complaint`."""

    def __init__(
        self,
        process: Git.AutoInterrupt,
        *,
        stop: threading.Event,
        seconds: float,
        full: Callable[[], bool] | None,
    ) -> None:
        # GitPython's wrapper ends the process when it is forgotten, so it is kept, but not used.
        self._wrapper = process
        self._process: subprocess.Popen[bytes] = process.proc  # type: ignore[assignment]  # it has just been started
        self._stop = stop
        # timeout(1) ends the process, even if we are killed; should it fail to, we do.
        self._time_up = time.monotonic() + seconds
        self._deadline = self._time_up + 2 * GRACE
        self._full = full
        self._buffer = bytearray()
        self._stderr = bytearray()
        self._streams: tuple[BinaryIO, BinaryIO] = (process.stdout, process.stderr)
        self._open = dict(zip(self._streams, (True, False), strict=True))
        self._selector = selectors.DefaultSelector()
        for stream in self._open:
            self._selector.register(stream, selectors.EVENT_READ)
        self._looked = time.monotonic()
        self.code = -1

    @property
    def complaint(self) -> str:
        """What it wrote to stderr, as it is: not to be shown."""
        return self._stderr.decode("utf-8", "replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                while self._receive():
                    pass
                self._await_exit()
        finally:
            self._end()
        if kind is None and self.code in _TIMED_OUT and time.monotonic() > self._time_up:
            raise Overrun("time")

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._receive():
            yield chunk

    def read(self, size: int) -> bytes:
        """Exactly so many bytes of the output, or fewer at its end."""
        while len(self._buffer) < size and (chunk := self._receive()):
            self._buffer += chunk
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def line(self, limit: int = 4096) -> bytes:
        """The output up to a line break, without it."""
        while (end := self._buffer.find(b"\n")) < 0 and len(self._buffer) < limit and (chunk := self._receive()):
            self._buffer += chunk
        taken = bytes(self._buffer[:end]) if end >= 0 else bytes(self._buffer)
        del self._buffer[: len(taken) + 1]
        return taken

    def _receive(self) -> bytes:
        """Some output, or b"" once both streams have ended."""
        while self._open:
            self._check()
            for key, _ in self._selector.select(TICK):
                stream: BinaryIO = key.fileobj  # type: ignore[assignment]  # what we registered
                data = os.read(stream.fileno(), _CHUNK)
                if not data:
                    self._selector.unregister(stream)
                    del self._open[stream]
                elif self._open[stream]:
                    return data
                elif len(self._stderr) < STDERR_BYTES:
                    self._stderr += data[: STDERR_BYTES - len(self._stderr)]
        return b""

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped
        now = time.monotonic()
        if now > self._deadline:
            raise Overrun("time")
        if self._full and now - self._looked > TICK:
            self._looked = now
            if self._full():
                raise Overrun("disk")

    def _exited(self) -> bool:
        """Whether it has ended; it is not collected yet, so that its number still is the number of its group."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _await_exit(self) -> None:
        pause = 0.0002
        while not self._exited():
            self._check()
            time.sleep(pause)
            pause = min(2 * pause, TICK)

    def _end(self) -> None:
        """End what still runs of the group, collect the process, and close everything."""
        try:
            if not self._exited():
                self._signal(signal.SIGTERM)
                end = time.monotonic() + GRACE
                while not self._exited() and time.monotonic() < end:
                    time.sleep(TICK / 5)
            self._signal(signal.SIGKILL)
            self.code = self._process.wait()
        finally:
            self._selector.close()
            for stream in self._streams:
                stream.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
