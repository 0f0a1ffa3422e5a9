"""Waiting for a component, by asking it, with a deadline; and saying what went wrong when it does not come up.

A component that dies is reported at once, with the end of its log. A port that somebody else holds is reported
before anything is started, with the holder's name.
"""

import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import pki, processes
from lab.context import Lab
from lab.errors import LabError


@dataclass(frozen=True, slots=True)
class Component:
    """One process of the cluster: how to start it, how to know that it is well, where it listens."""

    name: str
    argv: Sequence[str | Path]
    inputs: Sequence[Path]  # files it reads only at its start
    usually: int  # seconds until it answers
    ports: Sequence[tuple[str, int]] = ()
    hint: str = ""  # what to do when it does not come up


def ensure(lab: Lab, one: Component, healthy: Callable[[Lab, str], bool]) -> bool:
    """Have a component running as wanted and answering; true when it had to be started."""
    before = lab.pid(one.name)
    if before is not None and healthy(lab, one.name):
        lab.start(one.name, one.argv, inputs=one.inputs)  # nothing, unless its argv or its files have changed
        if lab.pid(one.name) == before:
            return False
    need_ports(lab, one.name, one.ports)
    with lab.step(f"starting {one.name}", one.usually):
        lab.start(one.name, one.argv, inputs=one.inputs)
        wait(lab, one.name, lambda: healthy(lab, one.name), seconds=90, hint=one.hint)
    return True


def wait(lab: Lab, name: str, probe: Callable[[], bool], *, seconds: float, hint: str = "") -> None:
    """Poll `probe` until it is true. Raises LabError when the process dies first, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while not probe():
        died = not lab.running(name)
        if died or time.monotonic() > deadline:
            what = "ended right after its start" if died else f"was not ready after {seconds:.0f} s"
            advice = hint or "If the cause is not plain from it, `make lab-down` and `make lab-up` start afresh."
            raise LabError(
                f"{name} {what}. The end of its log {lab.log(name)}:\n{processes.tail(lab.log(name))}\n{advice}"
            )
        time.sleep(0.1)


def http(url: str, *, lab: Lab | None = None, status: int = 200) -> bool:
    """Whether a health endpoint answers 200, or `status`; with `lab`, as the cluster's administrator."""
    context = None
    if url.startswith("https:"):
        context = ssl.create_default_context()
        if lab is not None:
            context.load_verify_locations(pki.cert(lab, pki.CA))
            context.load_cert_chain(pki.cert(lab, "admin"), pki.key(lab, "admin"))
        else:  # self-signed health ports on loopback
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code == status
    except (urllib.error.URLError, OSError, ValueError):
        return False


def need_ports(lab: Lab, name: str, ports: Sequence[tuple[str, int]]) -> None:
    """Raise LabError when somebody else listens where `name` is to listen."""
    if lab.running(name):
        return
    for address, port in ports:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((address, port))
            except OSError:
                raise LabError(
                    f"{name} needs port {port} on {address}, which {holder(port)} has taken. "
                    "Stop that program, then run this again."
                ) from None


def holder(port: int) -> str:
    """Who listens on a TCP port, in words: program and pid."""
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            columns = line.split()
            if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(columns[9])
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            for handle in (entry / "fd").iterdir():
                found = re.fullmatch(r"socket:\[(\d+)\]", str(handle.readlink()))
                if found and found[1] in inodes:
                    return f"`{' '.join(processes.argv_of(int(entry.name)))[:120]}` (pid {entry.name})"
        except OSError:  # it ended while we looked
            continue
    return "another program"
