"""Where the program begins, and how it ends: with an exit code and, where something went wrong, a sentence.

The libraries that the command line needs are an extra of the package, which the operator's own image does without. So they
are looked for here, before anything else is.
"""

import os
import signal
import sys
from pathlib import PurePath
from types import FrameType
from typing import NoReturn

from dataapp_operator.cli.errors import REFUSED, CliError

_NEEDED = frozenset({"typer", "rich"})
_INSTALL = (
    "the command line needs two more packages: install it with `uv tool install 'dataapp-operator[cli]'`, or with"
    " `pip install 'dataapp-operator[cli]'`"
)


def program(argument: str) -> str:
    """What a person typed, from the name of the program that was started."""
    return "kubectl dataapp" if PurePath(argument).stem.startswith("kubectl-dataapp") else "dataapp"


def main() -> int:
    """Run the command line; the console script. Returns the exit code."""
    signal.signal(signal.SIGTERM, _leave)
    name = program(sys.argv[0])
    try:
        from dataapp_operator.cli import main as commands  # noqa: PLC0415 - it needs the extra
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        return _complain(name, _INSTALL, REFUSED)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that has no ✔ shows a ? for it
    try:
        commands.app(prog_name=name, obj=commands.Given(program=name))
    except CliError as error:
        return _complain(name, str(error), error.code)
    except Exception as error:  # a person can do nothing with a stack trace, unless they ask for it
        if os.environ.get("DATAAPP_DEBUG"):
            raise
        what = f"this should not have happened ({type(error).__name__}: {error}), and is a fault of this program"
        return _complain(name, f"{what}. DATAAPP_DEBUG=1 shows where; please report it", REFUSED)
    return 0


def _complain(name: str, words: str, code: int) -> int:
    sys.stderr.write(f"{name}: {words}\n")
    return code


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    """End as one ends who was told to, but in order: kubectl processes of ours are ended on the way out."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
