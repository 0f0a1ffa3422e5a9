"""The harness by hand, against your own cluster: `python -m tests.harness visit …` and `python -m tests.harness watch …`.

docs/harness.md says how. Exit codes: 0 nothing to see, 1 something that a user would notice or a broken invariant, 2 the
harness could not work.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import aiohttp

from tests.harness.browser import assert_loopback
from tests.harness.by_hand import Place, visit, watch
from tests.harness.live import SESSIONS

_LOOPBACK = (
    "Load is made on this machine only: reach your gateway through a port of your own, with\n"
    "  kubectl -n GATEWAYS port-forward service/GATEWAY 8088:80\n"
    "and name the app's host with --host. The app is one of examples/apps: they are made for this."
)


def loopback(text: str) -> str:
    """An address of this machine."""
    try:
        assert_loopback(text)
    except (AssertionError, ValueError) as error:
        words = f"{error}; forward a port of your gateway to 127.0.0.1 (kubectl port-forward)"
        raise argparse.ArgumentTypeError(words) from None
    return text


def existing(text: str) -> Path:
    """A file that is there."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return path


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m tests.harness", description=(__doc__ or "").partition("\n")[0])
    commands = whole.add_subparsers(dest="command", required=True)
    plain = argparse.RawDescriptionHelpFormatter
    words = "Open live sessions and new visits, use them, and tell what a user would notice."
    one = commands.add_parser("visit", help=words, description=f"{words}\n\n{_LOOPBACK}", formatter_class=plain)
    one.add_argument("--host", required=True, help="the app's host, like sales.example.test")
    one.add_argument("--address", type=loopback, default="127.0.0.1", help="a loopback address (default: %(default)s)")
    one.add_argument("--port", type=int, default=8088, help="the port that leads to the gateway (default: %(default)s)")
    one.add_argument("--framework", choices=sorted(SESSIONS), required=True)
    one.add_argument("--sessions", type=int, default=3, help="open tabs (default: %(default)s)")
    one.add_argument("--rate", type=float, default=5.0, help="new visitors a second (default: %(default)s)")
    one.add_argument("--seconds", type=float, default=60.0, help="how long (default: %(default)s)")
    one.add_argument("--offline", type=float, default=0.0, help="seconds that each session is once without network")
    words = "Watch a namespace, and tell each broken invariant."
    two = commands.add_parser("watch", help=words, description=f"{words} It reads only.", formatter_class=plain)
    two.add_argument("--kubeconfig", type=existing, required=True, help="with a client certificate or a token in it")
    two.add_argument("--namespace", required=True)
    two.add_argument("--seconds", type=float, default=60.0, help="how long (default: %(default)s)")
    return whole


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says. Returns the exit code."""
    asked = parser().parse_args(arguments)
    if asked.command == "visit":
        place = Place(asked.host, asked.address, asked.port)
        kind = SESSIONS[asked.framework]
        return asyncio.run(
            visit(
                place, kind, count=asked.sessions, seconds=asked.seconds, rate=asked.rate, without_network=asked.offline
            )
        )
    try:
        return asyncio.run(watch(asked.kubeconfig, asked.namespace, seconds=asked.seconds))
    except (AssertionError, KeyError, aiohttp.ClientError, OSError) as error:
        print(f"cannot watch: {error or type(error).__name__}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
