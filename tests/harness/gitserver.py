"""A git server as tests see it: the lab's, or one of a unit test's own.

`GitServer.of_lab()` is the server that pods see as https://git.lab.svc. `GitServer.local(place)` starts the same program
on a port of loopback, for tests without a cluster.
"""

import base64
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lab import gitplace
from tests.harness.cluster import OUT, ROOT, Json

_FILES = {"root": "repositories", "teams": "teams", "log": "access.log", "cert": "server.crt", "key": "server.key"}


@dataclass(frozen=True, slots=True)
class Request:
    """A line of the server's access log."""

    method: str
    path: str
    status: int
    wanted: str
    """ls-refs (a look-up), fetch, push, or - for the opening of either."""


@dataclass(frozen=True)
class GitServer:
    """A git server with teams. `place` has its addresses: `url_inside` for pods, `url_host` for this machine."""

    place: gitplace.Place

    @classmethod
    def of_lab(cls) -> Self:
        """The lab's. Raises LabError when there is none: the lab is not up."""
        return cls(gitplace.Place.read(OUT / "git.json"))

    @classmethod
    @contextmanager
    def local(cls, place: Path) -> Iterator[Self]:
        """A server of one's own below the directory `place`, gone at the end; both its addresses are on loopback."""
        for name in ("repositories", "teams"):
            (place / name).mkdir(parents=True)
        _certificate(place)
        argv = [sys.executable, "-I", "-B", str(ROOT / "lab" / "gitserver"), "--listen", "127.0.0.1:0"]
        argv += [f"--{name}={place / path}" for name, path in _FILES.items()]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                port = process.stdout.readline().split()[-1]
                url = f"https://localhost:{port}"
                ca, log = str(place / _FILES["cert"]), str(place / _FILES["log"])
                yield cls(gitplace.Place(url, url, ca, log, str(place / "repositories"), str(place / "teams")))
            finally:
                process.kill()

    @property
    def ca_pem(self) -> str:
        """The certificate that a client has to trust."""
        return Path(self.place.ca).read_text()

    def password(self, team: str) -> str:
        """The password of a team; the user is called like the team."""
        return self.place.password(team)

    def secret_manifest(self, team: str, namespace: str, name: str) -> Json:
        """The Secret with which an AppSource or DataApp of a namespace reads the team's repositories."""
        data = {"username": team, "password": self.password(team), "ca.crt": self.ca_pem}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        }

    def requests(self, team: str | None = None, repository: str | None = None) -> list[Request]:
        """What was asked so far, oldest first: everything, or of a team, or of one repository."""
        start = "/" + (f"{team}/" if team else "") + (f"{repository}.git/" if repository else "")
        log = Path(self.place.access_log)
        lines = log.read_text().splitlines() if log.exists() else []
        found = [Request(method, path, int(status), wanted) for method, path, status, wanted in map(str.split, lines)]
        return [one for one in found if one.path.startswith(start)]


def _certificate(place: Path) -> None:
    """A self-signed certificate for loopback."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    argv += ["-keyout", str(place / _FILES["key"]), "-out", str(place / _FILES["cert"]), "-subj", "/CN=localhost"]
    argv += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(argv, check=True, capture_output=True)
