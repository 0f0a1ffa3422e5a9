"""What the git server does with one request: who may, what is broken on purpose, the body, and git itself.

Whatever ends a request without git raises RefusedError with the status to answer.
"""

import base64
import binascii
import hmac
import os
import re
import secrets
import subprocess
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO

_NAME = "[a-z0-9][a-z0-9-]{0,62}"
_PATH = re.compile(rf"/({_NAME})/([A-Za-z0-9][A-Za-z0-9._-]{{0,99}}\.git)/(info/refs|git-upload-pack|git-receive-pack)")
_REQUEST = 64 * 2**20  # bytes of a push
_ANSWER = 512 * 2**20
_SETTINGS = {
    "http.receivepack": "true",
    "uploadpack.allowAnySHA1InWant": "true",  # as the large hosts do
    "uploadpack.allowFilter": "true",
    "receive.autogc": "false",  # it would outlive the request
}


class RefusedError(Exception):
    """An answer without git: its status, and the headers that belong to it."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.headers = status, headers or {}


@dataclass(frozen=True, slots=True)
class Places:
    """What the server reads and writes."""

    root: Path  # <team>/<repository>.git
    teams: Path  # a file per team, its password in it
    log: Path


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of git's smart protocol."""

    method: str
    team: str
    repository: str
    service: str
    query: str

    @classmethod
    def parse(cls, method: str, target: str) -> "Asked":
        """What a request line asks for."""
        path, _, query = target.partition("?")
        found = _PATH.fullmatch(path)
        if found is None or (found[3] == "info/refs") != (method == "GET"):
            raise RefusedError(404)
        if method == "GET" and query not in ("service=git-upload-pack", "service=git-receive-pack"):
            raise RefusedError(403)  # the dumb protocol
        return cls(method, found[1], found[2], found[3], query)

    @property
    def tail(self) -> str:
        """What follows the repository in the request line."""
        return f"/{self.service}?{self.query}" if self.query else f"/{self.service}"


def fault(places: Places, asked: Asked) -> str:
    """The fault of a repository that still lets git answer ("slow"), or "". Raises for the others."""
    try:
        text = (places.root / asked.team / asked.repository).with_suffix(".fault").read_text()
    except OSError:
        return ""
    word, _, where = text.strip().partition(" ")
    if word == "down":
        raise RefusedError(503)
    if word == "redirect":
        raise RefusedError(302, {"Location": where + asked.tail})
    return word


def admit(places: Places, asked: Asked, authorization: str) -> None:
    """Raise unless the password is right for the team whose repository it is."""
    try:
        kind, _, said = authorization.partition(" ")
        user, _, password = base64.b64decode(said, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        kind = user = password = ""
    known = secrets.token_hex()
    if re.fullmatch(_NAME, user):
        with suppress(OSError):
            known = (places.teams / user).read_text().strip()
    if kind.lower() != "basic" or not hmac.compare_digest(known.encode(), password.encode()):
        raise RefusedError(401, {"WWW-Authenticate": 'Basic realm="git of the lab"'})
    if user != asked.team or not (places.root / asked.team / asked.repository).is_dir():
        raise RefusedError(404)


def receive(source: IO[bytes], headers: Message, body: IO[bytes]) -> None:
    """Take the whole request in; raises for one that is too large or not well-formed."""
    chunked = headers.get("Transfer-Encoding", "").lower() == "chunked"
    while True:
        size = source.readline(64).split(b";")[0].strip().decode("latin-1") if chunked else headers["Content-Length"]
        if not re.fullmatch("[0-9a-fA-F]{1,8}" if chunked else "[0-9]{1,10}", size or ("" if chunked else "0")):
            raise RefusedError(400)
        left = int(size or "0", 16 if chunked else 10)
        if body.tell() + left > _REQUEST:
            raise RefusedError(413)
        last = left == 0 or not chunked
        while left:
            piece = source.read(min(left, 65536))
            if not piece:
                raise RefusedError(400)
            left -= body.write(piece)
        if chunked:
            source.readline(64)
        if last:
            return


def wanted(asked: Asked, body: IO[bytes], encoding: str) -> str:
    """What git wants (ls-refs, fetch, push), read from the first line of its request; "-" for the opening."""
    if asked.service != "git-upload-pack":
        return "push" if asked.service == "git-receive-pack" else "-"
    body.seek(0)
    head = body.read(512)
    if encoding == "gzip":
        with suppress(zlib.error):
            head = zlib.decompressobj(31).decompress(head, 512)
    found = re.match(rb"[0-9a-f]{4}command=([a-z-]{1,20})", head)
    return found[1].decode() if found else "fetch"


def run_git(
    places: Places, asked: Asked, headers: Message, body: IO[bytes], answer: IO[bytes]
) -> tuple[int, dict[str, str]]:
    """Let git answer; leaves `answer` at the beginning of its body. Returns status and headers."""
    size = body.seek(0, os.SEEK_END)
    body.seek(0)
    version = headers.get("Git-Protocol", "")
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_PROJECT_ROOT": str(places.root), "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{asked.team}/{asked.repository}/{asked.service}", "QUERY_STRING": asked.query,
        "REQUEST_METHOD": asked.method, "REMOTE_USER": asked.team, "REMOTE_ADDR": "lab",
        "CONTENT_TYPE": headers.get("Content-Type", ""), "CONTENT_LENGTH": str(size),
        "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": version if re.fullmatch("[a-z0-9=:]{1,64}", version) else "",
        "GIT_CONFIG_COUNT": str(len(_SETTINGS)),
    }  # fmt: skip
    for number, (name, value) in enumerate(_SETTINGS.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    argv = ["prlimit", f"--fsize={_ANSWER}", "timeout", "-k", "5", "120", "git", "http-backend"]
    done = subprocess.run(argv, stdin=body, stdout=answer, env=environment, check=False)
    answer.seek(0)
    told = {}
    while line := answer.readline(4096).strip():
        name, _, value = line.decode("latin-1").partition(":")
        told[name.title()] = value.strip()
    if done.returncode != 0 or not told:
        raise RefusedError(500)
    return int(told.pop("Status", "200").split()[0]), told
