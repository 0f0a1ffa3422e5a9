"""`Lab`: where everything is, and the few verbs that every stage uses.

One value of this class is made by the command line and handed to each stage's `run(lab)`. It knows the checkout,
the cache shared between checkouts, this checkout's state, the fixed addresses of the cluster, how to run a program
with its output in a log, how to keep a process, and how to ask the cluster.
"""

import contextlib
import hashlib
import os
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import files, processes
from lab.errors import LabError
from lab.progress import Timings

__all__ = ["Lab", "LabError"]

_PATIENCE = 4.0  # seconds; the API server would wait a minute for its clients' open watches
CHECKOUT = Path(__file__).resolve().parent.parent
_PASSED_ON = (
    "HOME", "LANG", "TERM", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "PIP_CERT",
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_DEFAULT_TIMEOUT", "UV_INDEX_URL",
    "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy",
    "https_proxy", "no_proxy", "DOCKER_HOST", "DOCKER_CONFIG",
)  # fmt: skip


@dataclass
class Lab:
    """One checkout's lab. Directories need not exist yet; `kubeconfig` is written by the control-plane stage."""

    checkout: Path
    cache: Path  # shared by all checkouts: binaries, images, registry data
    state: Path  # of this checkout: certificates, etcd's data, logs, pid files
    out: Path  # build/lab in the checkout: what people and tests read
    versions: dict[str, Any]
    kubeconfig: Path
    provider: str = "native"
    node_ip: str = "10.251.0.1"
    registry_push: str = "127.0.0.1:5000"
    registry_name: str = "registry.lab.svc:5000"
    host_ip: str = "127.0.0.1"  # where the gateway's host port listens on the node
    timings: Timings = field(init=False)
    touched: set[str] = field(default_factory=set)  # processes that this run had to start

    def __post_init__(self) -> None:
        self.timings = Timings(self.out / "timings.json")

    @classmethod
    def here(cls, checkout: Path = CHECKOUT, provider: str = "native") -> "Lab":
        """The lab of `checkout`, as the environment sets it up: DATAAPP_LAB_CACHE, DATAAPP_LAB_STATE."""
        home = Path.home()
        mark = hashlib.sha256(str(checkout).encode()).hexdigest()[:12]
        if provider != "native":
            mark = f"{mark}-{provider}"
        cache = Path(os.environ.get("DATAAPP_LAB_CACHE") or home / ".cache" / "dataapp-lab").absolute()
        state = Path(os.environ.get("DATAAPP_LAB_STATE") or home / ".local" / "state" / "dataapp-lab" / mark).absolute()
        versions = tomllib.loads((checkout / "lab" / "versions.toml").read_text())
        return cls(
            checkout=checkout,
            cache=cache,
            state=state,
            out=checkout / "build" / "lab",
            versions=versions,
            kubeconfig=state / "kubeconfig",
            provider=provider,
        )

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The small environment that programs of the lab get: proxies and CA bundles, and nothing private."""
        chosen = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        chosen.setdefault("HOME", str(Path.home()))
        chosen["PATH"] = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/local/sbin:/usr/sbin:/sbin"
        return {**chosen, **(extra or {})}

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        log: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        check: bool = True,
        secret: bool = False,
    ) -> str:
        """Run a program to its end; returns its standard output, and appends both outputs to <state>/log/<log>.log.

        `env` is added to the lab's small environment; what a `secret` program prints is kept out of the log.
        Raises LabError with the last lines when it fails (`check`).
        """
        words = [str(word) for word in argv]
        path = self.log(log)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as errors:
            errors.write(f"+ {' '.join(words)[:2000]}\n".encode())
            errors.flush()
            try:
                done = subprocess.run(
                    words, cwd=cwd or self.checkout, env=self.environment(env), check=False,
                    input=(stdin or "").encode(), stdout=subprocess.PIPE, stderr=errors,
                )  # fmt: skip
            except FileNotFoundError as error:
                raise LabError(f"The program {words[0]} is not installed ({error.strerror}).") from None
            errors.write(b"" if secret else done.stdout)
        if check and done.returncode != 0:
            raise LabError(
                f"`{' '.join(words)[:300]}` failed with code {done.returncode}. The end of its log {path}:\n"
                f"{processes.tail(path)}"
            )
        return done.stdout.decode(errors="replace")

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Ask the cluster as its administrator; returns standard output."""
        return self.run(
            [self.binary("kubectl"), "--kubeconfig", self.kubeconfig, *args], log="kubectl", stdin=stdin, check=check
        )

    def step(self, what: str, usually: int) -> AbstractContextManager[None]:
        """Print and time one piece of work; `usually` in seconds."""
        return self.timings.step(what, usually)

    def binary(self, name: str) -> Path:
        """A program in the cache: bin/<name>-<version>/<name>. Raises LabError when the binaries stage did not make it.

        With a cluster of one's own (LAB=current, LAB=kind) kubectl and helm may also be the machine's.
        """
        from lab import binaries  # noqa: PLC0415  binaries is built on this class

        return binaries.path(self, name)

    def log(self, name: str) -> Path:
        """The log file of a process or of a group of commands."""
        return self.state / "log" / f"{name}.log"

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        inputs: Sequence[Path] = (),
    ) -> None:
        """Have the process `name` running with this argv; does nothing when it does so already.

        `inputs` are files it reads only when it starts: when their contents changed, it is started anew.
        """
        words = [str(word) for word in argv]
        mark = files.digest(inputs)
        record = processes.load(self._pid_file(name))
        if record is not None and processes.alive(record):
            if record.argv == words and record.inputs == mark:
                return
            processes.end(record, patience=_PATIENCE)
        for stray in processes.find(words):  # its record was lost, its argv (with our paths in it) says it is ours
            processes.end(stray, patience=_PATIENCE)
        self.touched.add(name)
        processes.spawn(
            words, pid_file=self._pid_file(name), log=self.log(name), cwd=cwd or self.state,
            env=self.environment(env), inputs=mark,
        )  # fmt: skip

    def stop(self, name: str) -> None:
        """End a process of ours; one that cannot be proved ours is left alone."""
        processes.stop(self._pid_file(name), patience=_PATIENCE)

    def running(self, name: str) -> bool:
        """Whether the process that we started under this name still runs."""
        record = processes.load(self._pid_file(name))
        return record is not None and processes.alive(record)

    def pid(self, name: str) -> int | None:
        """The pid of a running process of ours."""
        record = processes.load(self._pid_file(name))
        return record.pid if record is not None and processes.alive(record) else None

    def names(self) -> list[str]:
        """Processes that have a record, running or not, oldest record first."""
        with contextlib.suppress(FileNotFoundError):
            found = sorted((self.state / "run").glob("*.json"), key=lambda path: path.stat().st_mtime)
            return [path.stem for path in found]
        return []

    def _pid_file(self, name: str) -> Path:
        return self.state / "run" / f"{name}.json"
