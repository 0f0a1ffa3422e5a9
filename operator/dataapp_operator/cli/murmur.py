"""What a program says on its standard error: kept, and passed on if the program takes long.

A quick call fails with one sentence of ours, and its own words are not wanted beside it. A call that takes long may be
waiting for the person: a login with a code to type is printed there, and kept back it would never be seen.
"""

import sys
import threading
from collections import deque
from typing import IO

from dataapp_operator.cli import complaints

MOST_LINES = 200
LAST_WORDS = 2.0
"""Seconds from the end of the program to the end of its pipe, at most."""


class Murmur(threading.Thread):
    """Reads a pipe to its end. ``patience``: seconds until what was said so far, and all later lines, are passed on."""

    def __init__(self, pipe: IO[bytes], *, patience: float | None = None) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._lock = threading.Lock()
        self._loud = False
        self._timer = None if patience is None else threading.Timer(patience, self._speak_up)
        if self._timer is not None:
            self._timer.daemon = True

    def start(self) -> None:
        """Begin to read."""
        super().start()
        if self._timer is not None:
            self._timer.start()

    def run(self) -> None:
        """Keep each line; say it if it has taken long already."""
        for raw in self._pipe:
            line = raw.decode("utf-8", "replace")
            with self._lock:
                self._lines.append(line)
                if self._loud:
                    _pass_on(line)

    def words(self) -> str:
        """All that was said (the last lines of it). Call it when the program has ended.

        A program of its own that it left running may hold the pipe for longer, and is not waited for.
        """
        if self._timer is not None:
            self._timer.cancel()
        self.join(LAST_WORDS)
        with self._lock:
            return "".join(self._lines)

    def _speak_up(self) -> None:
        with self._lock:
            self._loud = True
            for line in self._lines:
                _pass_on(line)


def _pass_on(line: str) -> None:
    if not complaints.is_log(line):
        sys.stderr.write(line)
        sys.stderr.flush()
