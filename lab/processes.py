"""Plain processes that outlive the command that started them, and are only ever signalled when proved ours.

A process is known by a record of its pid, the boot it belongs to, its start time in clock ticks and its exact
argv. The child writes that record itself before it becomes the program, so a crash of the lab between fork and
record cannot leave a process nobody knows. A pid that was used again by someone else has another start time, and
is left alone.
"""

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import files
from lab.errors import LabError

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Record:
    """What identifies one started process, for as long as the machine is up."""

    pid: int
    boot: str
    ticks: int
    argv: list[str]
    inputs: str  # digest of the files it read at its start


def ticks(pid: int) -> int | None:
    """Start time of a live process in clock ticks since boot; None when there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def argv_of(pid: int) -> list[str]:
    """The command line of a process, [] when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [part.decode(errors="replace") for part in raw.split(b"\0")[:-1]]


def alive(record: Record) -> bool:
    """Whether the very process that was recorded still runs: same boot, same start time, same argv."""
    return (
        record.boot == _BOOT.read_text().strip()
        and ticks(record.pid) == record.ticks
        and argv_of(record.pid) == record.argv
    )


def load(path: Path) -> Record | None:
    """The record in a pid file; None when it is missing or not whole."""
    try:
        return Record(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def spawn(
    argv: Sequence[str], *, pid_file: Path, log: Path, cwd: Path, env: Mapping[str, str], inputs: str = ""
) -> Record:
    """Start `argv` in a session of its own, its output appended to `log`; returns once the program is executing.

    Raises LabError when it cannot be executed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    receive, send = os.pipe()  # closed by exec, so reading its end means: it runs
    pid = os.fork()
    if pid == 0:
        _become(argv, pid_file=pid_file, log=log, cwd=cwd, env=env, inputs=inputs, send=send)
    os.close(send)
    with os.fdopen(receive) as pipe:
        complaint = pipe.read()
    if complaint:
        os.waitpid(pid, 0)
        pid_file.unlink(missing_ok=True)
        raise LabError(f"{argv[0]} could not be started: {complaint}")
    record = load(pid_file)
    if record is None:
        raise LabError(f"{argv[0]} was started but its record {pid_file} cannot be read. Is the disk full?")
    return record


def _become(
    argv: Sequence[str], *, pid_file: Path, log: Path, cwd: Path, env: Mapping[str, str], inputs: str, send: int
) -> None:
    """In the child: detach, write the record, execute. Never returns."""
    try:
        os.setsid()
        own = os.getpid()
        boot = _BOOT.read_text().strip()
        record = Record(pid=own, boot=boot, ticks=ticks(own) or 0, argv=list(argv), inputs=inputs)
        files.write(pid_file, json.dumps(asdict(record)))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(cwd)
        os.execvpe(argv[0], list(argv), dict(env))  # noqa: S606
    except BaseException as error:  # noqa: BLE001  whatever it is, the parent has to hear it and the child must end
        os.write(send, f"{error}".encode())
    finally:
        os._exit(127)


def stop(pid_file: Path, *, patience: float = 10.0) -> bool:
    """End the recorded process: SIGTERM, and SIGKILL after `patience` seconds; true when there was one.

    A process that cannot be proved to be the recorded one is left alone and only the stale record goes.
    """
    record = load(pid_file)
    was_alive = record is not None and alive(record)
    if record is not None and was_alive:
        end(record, patience=patience)
    pid_file.unlink(missing_ok=True)
    return was_alive


def end(record: Record, *, patience: float) -> None:
    """Signal one proved process until it is gone."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        if not alive(record):
            return
        os.kill(record.pid, number)
        if wait_gone(record, seconds):
            return
    raise LabError(f"Process {record.pid} ({record.argv[0]}) does not end even on SIGKILL; it may hang in the kernel.")


def wait_gone(record: Record, seconds: float) -> bool:
    """Wait until a recorded process has ended, at most `seconds`."""
    deadline = time.monotonic() + seconds
    while alive(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def find(argv: Sequence[str]) -> list[Record]:
    """Live processes with exactly this argv (paths in it make it ours), whatever the records say."""
    found = []
    boot = _BOOT.read_text().strip()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and argv_of(int(entry.name)) == list(argv):
            began = ticks(int(entry.name))
            if began is not None:
                found.append(Record(pid=int(entry.name), boot=boot, ticks=began, argv=list(argv), inputs=""))
    return found


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, indented, for error messages."""
    try:
        with path.open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - 16384))
            text = handle.read().decode(errors="replace")
    except FileNotFoundError:
        return "    (no log was written)"
    return "\n".join(f"    {line[:400]}" for line in text.splitlines()[-lines:])
