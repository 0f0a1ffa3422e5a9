"""A repository's address, the credentials for it, and what may stand where a branch, a tag or a commit is named.

All of it is checked here, before any process is started, against what we allow, never against what we forbid: git takes
a great deal more for an address or a ref than anybody would expect.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.errors import Redactor, SourceError, listing, name
from dataapp_operator.source.hosts import HostPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataapp_operator.api.code import GitRef

__all__ = ["Credential", "Head", "HostPolicy", "Remote", "SourceError", "Wanted", "is_commit", "wanted"]

_URL = re.compile(
    r"https://(?P<host>[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?)(?::(?P<port>[0-9]{1,5}))?/(?P<path>[A-Za-z0-9._~/+-]+)"
)
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MAX_URL, _MAX_HOST, _MAX_REF, _MAX_PORT, _HTTPS = 2048, 253, 255, 65535, 443
_MAX_SECRET = 16 * 1024
_USUAL_USER = "git"  # servers that take a token as a password do not look at the name


@dataclass(frozen=True, slots=True)
class Credential:
    """What a Secret holds for a repository: a user and a password, or a bearer token, and the authority of the
    server's certificate (PEM). Its values are never shown.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    bearer_token: str | None = field(default=None, repr=False)
    ca: str | None = field(default=None, repr=False)

    @classmethod
    def from_secret(cls, data: Mapping[str, str]) -> Credential:
        """From `Secret.data`: username and password, or bearerToken, and ca.crt; SourceError(CredentialMissing)."""
        username, password, token, ca = (
            _decoded(data, key) for key in ("username", "password", "bearerToken", "ca.crt")
        )
        if not (password or token or ca):
            has = f"it has {listing(sorted(data))}" if data else "it is empty"
            raise _unusable(f"the Secret holds neither username and password, nor bearerToken, nor ca.crt: {has}")
        if password and token:
            raise _unusable("the Secret holds both a password and a bearerToken: keep the one that the server takes")
        if ca and "-----BEGIN CERTIFICATE-----" not in ca:
            raise _unusable("ca.crt in the Secret is not a certificate: it must begin with -----BEGIN CERTIFICATE-----")
        if ":" in (username or ""):
            raise _unusable("the username in the Secret has a colon in it, which no server can understand")
        return cls(
            username=(username or _USUAL_USER) if password else None, password=password, bearer_token=token, ca=ca
        )

    @property
    def header(self) -> str | None:
        """The value of the Authorization header, or None where there is nothing to say. A secret."""
        if self.bearer_token:
            return f"Bearer {self.bearer_token}"
        if self.password is not None:
            pair = f"{self.username or _USUAL_USER}:{self.password}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        return None

    @property
    def redactor(self) -> Redactor:
        """Hides these values. Some servers take a token for a user's name, so a long name is hidden too."""
        secrets = [self.password, self.bearer_token]
        if self.password is not None:
            secrets.append(f"{self.username or _USUAL_USER}:{self.password}")
            secrets.append(self.username if len(self.username or "") >= 20 else None)  # noqa: PLR2004
        return Redactor(filter(None, secrets))


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository on a server, as one who may hold a credential sees it. Making one checks the address: it raises
    SourceError(InvalidURL). The host is in small letters and the usual port is left out, so that equal is the same.
    """

    url: str
    credential: Credential | None = None
    host: str = field(init=False, compare=False, default="")
    port: int = field(init=False, compare=False, default=_HTTPS)

    def __post_init__(self) -> None:
        host, port, path = _parts(self.url)
        object.__setattr__(self, "host", host)
        object.__setattr__(self, "port", port)
        object.__setattr__(self, "url", f"https://{host}{f':{port}' if port != _HTTPS else ''}/{path}")

    @property
    def redactor(self) -> Redactor:
        """Hides what is secret about this repository."""
        return self.credential.redactor if self.credential else Redactor()

    def key(self, salt: bytes) -> str:
        """A name for this (address, credential) that gives neither away."""
        held = self.credential or Credential()
        parts = (self.url, held.username, held.password, held.bearer_token, held.ca)
        text = "\0".join("-" if part is None else f"+{part}" for part in parts)
        return hashlib.blake2b(text.encode(), key=salt, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Head:
    """Where a ref is: `revision` as in status ("main@sha1:…", "sha1:…"); `tags` only when asked for."""

    commit: str
    revision: str
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ref, ready to be looked for: its full name (HEAD for the default branch), or a commit."""

    full: str | None = None
    commit: str | None = None
    shown: str = ""

    @property
    def branch(self) -> str | None:
        """The branch's own name, if it is one."""
        return self.full.removeprefix("refs/heads/") if self.full and self.full.startswith("refs/heads/") else None


def wanted(ref: GitRef) -> Wanted:
    """What a GitRef asks for, checked; raises SourceError(InvalidSpec)."""
    given = [value for value in (ref.branch, ref.tag, ref.commit, ref.name) if value is not None]
    if len(given) > 1:
        raise SourceError(
            Reason.INVALID_SPEC, "name one of branch, tag, commit and name, not several: they could disagree"
        )
    if ref.commit is not None:
        if not is_commit(ref.commit):
            message = "ref.commit must be all 40 hexadecimal digits of a commit, in small letters"
            raise SourceError(Reason.INVALID_SPEC, message)
        return Wanted(commit=ref.commit, shown=f"commit {ref.commit[:12]}")
    if ref.branch is not None:
        return Wanted(full=f"refs/heads/{_checked(ref.branch, 'branch')}", shown=f"the branch {ref.branch}")
    if ref.tag is not None:
        return Wanted(full=f"refs/tags/{_checked(ref.tag, 'tag')}", shown=f"the tag {ref.tag}")
    if ref.name is not None:
        if not _checked(ref.name, "ref").startswith("refs/"):
            raise SourceError(Reason.INVALID_SPEC, "ref.name must be a full ref, like refs/pull/420/head")
        return Wanted(full=ref.name, shown=f"the ref {ref.name}")
    return Wanted(full="HEAD", shown="the default branch")


def is_commit(text: str) -> bool:
    """Whether a text is a full commit id."""
    return bool(_COMMIT.fullmatch(text))


def _checked(text: str, what: str) -> str:
    parts = text.split("/")
    # git's own rule (check-ref-format) would let "--upload-pack=x" pass.
    good = len(text) <= _MAX_REF and _REF.fullmatch(text) and ".." not in text and not text.endswith(".")
    if not good or any(not part or part.startswith((".", "-")) or part.endswith(".lock") for part in parts):
        raise SourceError(Reason.INVALID_SPEC, f"{name(text)!r} is not a name that may be used for a {what}")
    return text


def _parts(url: str) -> tuple[str, int, str]:
    """Host, port and path. What was given is not repeated in a refusal: there may be a password in it."""
    found = _URL.fullmatch(url) if len(url) <= _MAX_URL else None
    if not found:
        raise SourceError(Reason.INVALID_URL, f"{_what_is_wrong(url)}: write it as https://host/path/name.git")
    host, path = found["host"].lower(), found["path"].strip("/")
    port = int(found["port"] or _HTTPS)
    labels = host.split(".")
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels) or not 0 < port <= _MAX_PORT:
        raise SourceError(
            Reason.INVALID_URL, "the repository's address names no possible host: check it for typing errors"
        )
    parts = path.split("/")
    if any(part in {"", ".", ".."} or part.startswith("-") for part in parts if part != "-"):
        raise SourceError(Reason.INVALID_URL, "the path in the repository's address has an empty part, . or .. in it")
    return host, port, path


def _what_is_wrong(url: str) -> str:
    if "@" in url.partition("://")[2].partition("/")[0]:
        return (
            "the repository's address has a user or a password in it; put them into a Secret and name that in secretRef"
        )
    if re.match(r"(?:ssh|git)://|[\w.-]+@[\w.-]+:", url):
        return "the repository's address is not for https, the one way that this operator reads a repository"
    if url.startswith("http://"):
        return "the repository's address is http, where everybody on the way can read and change it"
    if "?" in url or "#" in url:
        return "the repository's address has a query in it"
    return "this is not the address of a repository that can be read over https"


def _decoded(data: Mapping[str, str], key: str) -> str | None:
    """One value of a Secret. People write files with a newline at the end, which is no part of a password."""
    if (given := data.get(key)) is None:
        return None
    try:
        text = base64.b64decode(given, validate=True).decode().strip("\r\n")
    except (binascii.Error, ValueError):
        raise _unusable(f"{key} in the Secret is not text") from None
    if not text:
        return None
    if key != "ca.crt" and (len(text) > _MAX_SECRET or not text.isprintable()):
        raise _unusable(f"{key} in the Secret has a line break or another character in it that cannot be sent")
    return text


def _unusable(message: str) -> SourceError:
    return SourceError(Reason.CREDENTIAL_MISSING, message)
