# ruff: noqa: INP001
"""Serves the object that DATAAPP_ENTRYPOINT names (`pkg/main.py:app`), under the name that the code's own imports expect.

A directory with an `__init__.py` is a package and part of the module's name; the first one without is where imports start.
"""

import os
import sys
from pathlib import Path

import uvicorn


def main() -> None:
    """Serve until told to stop."""
    file, _, served = os.environ["DATAAPP_ENTRYPOINT"].rpartition(":")
    path = Path("/app", file)
    parts = [path.stem]
    top = path.parent
    while (top / "__init__.py").is_file() and top.name:
        parts.insert(0, top.name)
        top = top.parent
    sys.path.insert(0, str(top))
    uvicorn.run(f"{'.'.join(parts)}:{served}", host="0.0.0.0", port=int(os.environ["DATAAPP_PORT"]))  # noqa: S104


if __name__ == "__main__":
    main()
