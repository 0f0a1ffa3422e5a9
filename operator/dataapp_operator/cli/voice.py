"""How the command line speaks: results on standard output, remarks on standard error, and what to do next in its own name."""

import sys
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Voice:
    """``program``: what the person called it by (``kubectl dataapp`` or ``dataapp``). Without streams, the process's own."""

    program: str = "dataapp"
    out: TextIO | None = None
    err: TextIO | None = None

    def tell(self, text: str) -> None:
        """A result."""
        _write(self.out or sys.stdout, text)

    def note(self, text: str) -> None:
        """A remark, which a script does not want among the results."""
        _write(self.err or sys.stderr, text)

    @property
    def on_terminal(self) -> bool:
        """Whether a person sees the results as they come."""
        return (self.out or sys.stdout).isatty()


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()
