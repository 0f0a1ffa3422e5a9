"""Watching objects: one kubectl process for each kind, begun again when it ends, and none left when we leave.

A server ends every watch after a while, and networks end them at any time; so an end is nothing special. Only what would be
the same the next time (no such object, no right to see it) is an error. Everything else is told as trouble and tried
again, with growing pauses.
"""

import queue
import subprocess
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from dataapp_operator.cli import complaints
from dataapp_operator.cli.errors import CliError, Denied, NotFound
from dataapp_operator.cli.kubectl import Kubectl
from dataapp_operator.cli.murmur import Murmur
from dataapp_operator.cli.stream import Decoder, NotJson, Objects

Json = dict[str, Any]

_CHUNK = 1 << 16
_SETTLE = 0.1
"""Seconds of silence after which what came is one change: an object and its records change together."""
_MOST_SETTLING = 1.0
_HEALTHY = 5.0
"""Seconds after which a stream that ends has served its time, and the next one begins at once."""
_LONGEST_PAUSE = 10.0
_GRACE = 2.0


@dataclass(frozen=True, slots=True)
class Source:
    """What to watch: a kind, and the rest of ``kubectl get``."""

    kind: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ended:
    """A stream is over; ``why`` is None where kubectl had nothing to complain about."""

    why: CliError | None


_Said = tuple[int, Json | _Ended]
"""The number of a stream, and what came from it."""


class _Stream(threading.Thread):
    """One kubectl process, and the thread that reads it."""

    def __init__(self, number: int, process: subprocess.Popen[bytes], said: queue.SimpleQueue[_Said]) -> None:
        super().__init__(daemon=True)
        self._number, self._process, self._said = number, process, said
        self.began = time.monotonic()

    def run(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - started with pipes
        assert self._process.stderr is not None  # noqa: S101
        decoder, murmur, why = Decoder(), Murmur(self._process.stderr), None
        murmur.start()
        with self._process as process:
            try:
                while chunk := self._process.stdout.read1(_CHUNK):  # type: ignore[attr-defined]  # it is buffered
                    for event in decoder.feed(chunk):
                        self._said.put((self._number, event))
            except NotJson as error:
                process.kill()
                why = CliError(f"what kubectl prints is no JSON: {error}")
            words = murmur.words()
        if process.returncode and why is None:
            why = complaints.failure(words, process.returncode)
        self._said.put((self._number, _Ended(why)))

    def end(self) -> None:
        """End the process, in peace if it goes, and see it gone."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self.ident is not None:  # it may be that Ctrl-C came before it began
            self.join(_GRACE)


@dataclass
class _Line:
    """One source, with the stream that serves it now, or the moment of the next one."""

    source: Source
    stream: _Stream | None = None
    due: float = 0.0
    pause: float = 0.0


@dataclass
class Watch:
    """Objects kept as they are in the cluster. ``objects`` may be filled with what is known before."""

    kubectl: Kubectl
    sources: tuple[Source, ...]
    objects: Objects = field(default_factory=Objects)
    first_pause: float = 1.0
    trouble: str = ""
    """Why nothing is heard at the moment, if so."""

    def __post_init__(self) -> None:
        self._said: queue.SimpleQueue[_Said] = queue.SimpleQueue()
        self._lines = [_Line(source) for source in self.sources]
        self._streams: list[_Line] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self._lines:
            if line.stream is not None:
                line.stream.end()

    def next(self, timeout: float) -> bool:
        """Wait for news, ``timeout`` seconds at most; whether there are some. What comes together is one piece of news."""
        until = time.monotonic() + timeout
        longest: float | None = None  # once there are news: when they are told, even if more are coming
        while (now := time.monotonic()) < until:
            self._begin_due()
            wait = min([until, *(line.due for line in self._lines if line.stream is None)]) - now
            try:
                number, said = self._said.get(timeout=max(wait, 0.001))
            except queue.Empty:
                continue
            if self._take(self._streams[number], said) and longest is None:
                longest = time.monotonic() + _MOST_SETTLING
            if longest is not None:
                until = min(time.monotonic() + _SETTLE, longest)
        return longest is not None

    def _begin_due(self) -> None:
        for line in self._lines:
            if line.stream is None and line.due <= time.monotonic():
                args = ("get", line.source.kind, *line.source.args, "--watch", "--output-watch-events", "--output=json")
                self.objects.begin(line.source.kind)
                line.stream = _Stream(len(self._streams), self.kubectl.start(*args), self._said)
                self._streams.append(line)
                line.stream.start()

    def _take(self, line: _Line, said: Json | _Ended) -> bool:
        if not isinstance(said, _Ended):
            recovered, self.trouble = bool(self.trouble), ""
            return self.objects.take(line.source.kind, said) or recovered
        if isinstance(said.why, (NotFound, Denied)):
            raise said.why
        assert line.stream is not None  # noqa: S101 - it has just ended
        healthy = time.monotonic() - line.stream.began >= _HEALTHY
        line.stream = None
        line.pause = 0.0 if healthy else min(max(2 * line.pause, self.first_pause), _LONGEST_PAUSE)
        line.due = time.monotonic() + line.pause
        before, self.trouble = self.trouble, str(said.why) if said.why is not None else self.trouble
        return self.trouble != before
