"""Reading requirements.txt: which packages, whether each has one version and hashes, and which other files it takes in.

This is not pip's reader: uv reads the file again during the build. It is here so that what a build cannot do is told
before one is begun, and so that status can say how far the versions are fixed.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

COPIED = ("requirements*.txt", "constraints*.txt", "requirements/*.txt")
"""The files that are there while packages are installed: a change of any other file installs nothing anew."""

_MOST_FILES = 20
_REQUIREMENT = re.compile(
    r"^(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[(?P<extras>[^\]]*)\])?\s*(?P<rest>[^A-Za-z0-9].*)?$",
    re.DOTALL,
)
_PINNED = re.compile(r"^\(?\s*={2,3}\s*[^\s,;*]+\s*\)?\s*(?:;.*)?$", re.DOTALL)
_HASH = re.compile(r"\s--hash[=\s]\s*[\w-]+:[0-9a-fA-F]+")
_OPTION = re.compile(r"^(?P<option>--?[A-Za-z][\w-]*)(?:[=\s]\s*|(?<=^-[rce]))?(?P<value>.*)$", re.DOTALL)
_COMMENT = re.compile(r"(?:^|\s)#.*$")


class RequirementsError(Exception):
    """A line that a build could not obey; the message names it."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One package that is asked for. `names` has its name, and `name[extra]` for each extra."""

    name: str
    extras: tuple[str, ...]
    pinned: bool
    hashed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What it brings, as rules ask for it."""
        return (self.name, *(f"{self.name}[{extra}]" for extra in self.extras))


def normalised(name: str) -> str:
    """A package's name as indexes compare it: small letters, one dash for every run of `-`, `_` and `.`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(text: str) -> Requirement | None:
    """The requirement in one line (PEP 508, without options); None when it is none."""
    match = _REQUIREMENT.match(text.strip())
    if match is None:
        return None
    rest = (match["rest"] or "").strip()
    if rest and rest[0] not in "=<>!~@;(":
        return None
    extras = tuple(sorted(normalised(extra.strip()) for extra in (match["extras"] or "").split(",") if extra.strip()))
    by_address = rest.startswith("@")
    pinned = bool(re.search(r"#(?:.*&)?sha256=", rest)) if by_address else bool(_PINNED.match(rest))
    return Requirement(normalised(match["name"]), extras, pinned)


def read_requirements(name: str, files: frozenset[str], contents: Mapping[str, str]) -> tuple[Requirement, ...]:
    """Everything that a requirements file and the files it takes in ask for.

    Raises RequirementsError: a line that a build could not obey.
    """
    found: list[Requirement] = []
    waiting, seen = [name], {name}
    while waiting:
        current = waiting.pop(0)
        if current not in contents:
            raise RequirementsError(f"{current} is too large to be read (more than 1 MiB), or it is no text")
        for line, text in _lines(contents[current]):
            where = f"{current} line {line}"
            option = _OPTION.match(text) if text.startswith("-") else None
            if option is None:
                found.append(_requirement(text, where))
                continue
            other = _included(option["option"], option["value"].strip(), where, current)
            if other is None or other in seen:
                continue
            if other not in files:
                raise RequirementsError(f"{where} takes in {other}, which is not in the app's directory")
            if not any(fnmatchcase(other, pattern) and other.count("/") == pattern.count("/") for pattern in COPIED):
                raise RequirementsError(
                    f"{where} takes in {other}; while packages are installed, only files called"
                    f" {', '.join(COPIED)} are there: give it such a name"
                )
            if len(seen) == _MOST_FILES:
                raise RequirementsError(f"{where}: more than {_MOST_FILES} files of requirements take in one another")
            seen.add(other)
            if option["option"] in {"-r", "--requirement"}:
                waiting.append(other)
    return tuple(found)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(number, line) without comments and with continued lines joined."""
    parts: list[str] = []
    begin = 0
    for number, raw in enumerate([*text.lstrip("\ufeff").splitlines(), ""], start=1):
        line = _COMMENT.sub("", raw)
        begin = begin if parts else number
        parts.append(line.rstrip().removesuffix("\\"))
        if line.rstrip().endswith("\\"):
            continue
        joined = " ".join(part.strip() for part in parts).strip()
        parts = []
        if joined:
            yield begin, joined


def _included(option: str, value: str, where: str, current: str) -> str | None:
    """The file that an option names, when it names one that is needed."""
    if option in {"-e", "--editable"}:
        raise RequirementsError(
            f"{where} installs code from {_shown(value)}: builds take packages from the package index only. The app's own"
            " directory needs no installing: list what it needs instead, or bring a Dockerfile"
        )
    if option not in {"-r", "--requirement", "-c", "--constraint"}:
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(current), value))
    if "://" in value or path.startswith(("../", "/")):
        raise RequirementsError(f"{where} takes in {_shown(value)}, which is outside of the app's directory")
    return path


def _requirement(text: str, where: str) -> Requirement:
    hashed = bool(_HASH.search(text))
    plain = re.sub(r"\s--[a-z-]+(?:[=\s]\s*\S+)?", "", text).strip()
    if re.match(r"^(?:git|hg|svn|bzr)\+|^git:", plain) or re.search(r"@\s*(?:git|hg|svn|bzr)\+", plain):
        raise RequirementsError(
            f"{where} takes code from a repository ({_shown(plain)}): builds take packages from the package index only."
            " Publish it there, or bring a Dockerfile"
        )
    if (
        plain.startswith((".", "/", "file:"))
        or re.search(r"@\s*(?:file:|\.|/)", plain)
        or (plain.endswith((".whl", ".tar.gz")) and "://" not in plain)
    ):
        raise RequirementsError(
            f"{where} installs from a file or directory ({_shown(plain)}): builds take packages from the package index"
            " only. List what the app needs by name, or bring a Dockerfile"
        )
    one = requirement_name(plain)
    if one is None:
        raise RequirementsError(f"{where}: {_shown(plain)} is no package's name with a version, like streamlit==1.50.0")
    return Requirement(one.name, one.extras, one.pinned, hashed)


def _shown(text: str) -> str:
    """A piece of a line for a message, without a password that an address in it may have."""
    return repr(re.sub(r"//[^/@\s]*@", "//…@", text)[:80])
