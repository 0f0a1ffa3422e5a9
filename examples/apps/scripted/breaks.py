"""How a scripted app shows its version, and how it breaks at the moment that somebody chooses.

What a test does to an app must not depend on a clock. So a scripted app is told, from outside:

- `APP_VERSION=v2`: the version that it shows.
- `APP_BREAK=session`: every session fails, from the start.
- `APP_PRICES=http://…`: each session reads the price service there first, and fails where that does not answer.
- the file `/tmp/break`, while the app runs: `session` makes sessions fail from then on, `crash` ends the process with
  code 1, and `listen` closes the listening socket of an app that can do that. A page that asks here first (`page`) fails
  with `errors` and takes two seconds with `slow`, while every session that is opened works.
"""

import os
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

VERSION = os.environ.get("APP_VERSION", "v1")

_ORDERS = Path("/tmp/break")  # noqa: S108 - the only directory that an app may write to; in its own container
_LOOK = 0.2  # s between two looks at the file
_PATIENCE = 2  # s
_SLOW = 2  # s
_PRICES = {"net": 3, "gross": 4}


def total(n: int) -> str:
    """Three times a number and the version, as every page shows it. Raises where sessions are to fail."""
    return f"total = {n * _price('price' if _is_broken() else 'net')} ({VERSION})"


def read_prices() -> None:
    """What a session does before all else. Raises where there is a price service and it does not answer."""
    address = os.environ.get("APP_PRICES")
    if not address:
        return
    try:
        with urllib.request.urlopen(address, timeout=_PATIENCE) as answer:  # noqa: S310 - the address is the owner's
            answer.read()
    except OSError as error:
        message = f"the price service at {address} does not answer: {error}"
        raise ConnectionError(message) from error


def page() -> None:
    """What a page does before all else. Raises, or takes its time, where pages are to."""
    order = _order()
    if order == "errors":
        message = "the page cannot be made"
        raise RuntimeError(message)
    if order == "slow":
        time.sleep(_SLOW)


def watch(listen: Callable[[], object] = lambda: None) -> None:
    """Look at the file from now on, in a thread of its own; `listen` closes the listening socket."""
    threading.Thread(target=_watch, args=(listen,), daemon=True, name="breaks").start()


def _watch(listen: Callable[[], object]) -> None:
    while True:
        order = _order()
        if order == "crash":
            os._exit(1)
        if order == "listen":
            listen()
        time.sleep(_LOOK)


def _order() -> str:
    try:
        return _ORDERS.read_text().strip()
    except OSError:
        return ""


def _is_broken() -> bool:
    # The file is read when it matters, not remembered: once it is written, no session works.
    return os.environ.get("APP_BREAK") == "session" or _order() == "session"


def _price(column: str) -> int:
    """Look the price up, in euro per piece."""
    if column not in _PRICES:
        message = f"column '{column}' is not in the price list; it has: {', '.join(_PRICES)}"
        raise ValueError(message)
    return _PRICES[column]
