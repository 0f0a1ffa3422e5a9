"""From git's complaints to a sentence about what happened and how to mend it.

git is started with LC_ALL=C, so that it says the same everywhere; what it says differs a little between versions, so the
patterns here hold on to as few words as will do. What a server says itself ("remote: …") is quoted, cut and redacted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.errors import SourceError, printable, size
from dataapp_operator.source.process import Overrun

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataapp_operator.source.limits import Limits
    from dataapp_operator.source.remote import Remote

_QUOTED = 200  # characters of what a server says
_STATUS = re.compile(r"The requested URL returned error: (?P<code>[0-9]{3})")
_FSCK = re.compile(r"object (?P<oid>[0-9a-f]{40}): (?P<what>\w+)(?:: (?P<why>[^\n]*))?")
NO_SUCH_COMMIT = re.compile(
    r"not our ref|unadvertised object|couldn't find remote ref|no such remote ref", re.IGNORECASE
)


def explain(complaint: str, remote: Remote, limits: Limits) -> SourceError:
    """What a git process has failed of, by what it wrote to stderr."""
    # What the server says could look like anything: git's own lines decide.
    own = "\n".join(line for line in complaint.splitlines() if not line.startswith("remote:"))
    for pattern, say in _SENTENCES:
        if found := pattern.search(own):
            return say(Case(found, complaint, remote, limits))
    return _unreachable(f"reading {remote.url} broke off{_last_words(complaint, remote)}")


def overrun(error: Overrun, remote: Remote, limits: Limits, seconds: float) -> SourceError:
    """What to say of a process that took too much of something."""
    if error.what == "time":
        return _unreachable(f"{remote.host} did not send all of the repository within {seconds:g} s")
    if error.what == "disk":
        return SourceError(
            Reason.TOO_LARGE,
            f"the newest commit alone of {remote.url} is more than {size(limits.mirror_bytes)}, which is the limit: "
            "keep data and models in object storage, not in git",
        )
    return SourceError(Reason.TOO_LARGE, f"the repository at {remote.url} has too many branches, tags or files to list")


@dataclass(frozen=True, slots=True)
class Case:
    """One complaint: `found` is the match that says of which kind it is."""

    found: re.Match[str]
    complaint: str
    remote: Remote
    limits: Limits


def _no_login(case: Case) -> SourceError:
    remote = case.remote
    if remote.credential and remote.credential.header:
        message = f"{remote.host} does not accept the credentials in the Secret: has the token expired or been revoked?"
    else:
        message = (
            f"{remote.host} asks for a password for {remote.url}: put username and password into a Secret and name it in "
            "secretRef (a server may also ask where there is no such repository: check the address)"
        )
    return SourceError(Reason.AUTHENTICATION_FAILED, message + _last_words(case.complaint, remote, only_server=True))


def _by_status(case: Case) -> SourceError:
    code, remote = int(case.found["code"]), case.remote
    said = _last_words(case.complaint, remote, only_server=True)
    if code in {401, 407}:
        return _no_login(case)
    if code == 403:  # noqa: PLR2004 - HTTP's own numbers, here and below
        message = f"{remote.host} does not let these credentials read {remote.url}: they may lack the right to{said}"
        return SourceError(Reason.AUTHENTICATION_FAILED, message)
    if code in {404, 410}:
        return _not_found(case)
    if 300 <= code < 400:  # noqa: PLR2004
        mended = f"use {remote.url}.git" if not remote.url.endswith(".git") else "use the address it has now"
        message = f"{remote.host} sends us from {remote.url} to another address, where we do not follow: {mended}"
        return SourceError(Reason.INVALID_URL, message)
    if code == 429:  # noqa: PLR2004
        return _unreachable(f"{remote.host} wants to be asked less often (HTTP 429){said}")
    return _unreachable(f"{remote.host} has a problem of its own (HTTP {code}){said}")


def _not_found(case: Case) -> SourceError:
    remote = case.remote
    sees = "these credentials do not see it" if remote.credential and remote.credential.header else "it is private"
    return SourceError(Reason.INVALID_URL, f"there is no repository at {remote.url}, or {sees}: check the address")


def _wrong_name(case: Case) -> SourceError:
    return _unreachable(f"the certificate of {case.remote.host} is for another name: check the repository's address")


def _expired(case: Case) -> SourceError:
    return _unreachable(f"the certificate of {case.remote.host} has expired: its owner has to renew it")


def _unknown_authority(case: Case) -> SourceError:
    host, credential = case.remote.host, case.remote.credential
    if credential and credential.ca:
        why = "is not signed by the authority in ca.crt of the Secret: that may be an old one"
    else:
        why = (
            "is signed by an authority not known here: add that one's certificate as ca.crt to the Secret in secretRef"
        )
    return _unreachable(f"the certificate of {host} {why}")


def _scarce(case: Case) -> SourceError:
    room = size(case.limits.address_space)
    message = (
        f"the repository at {case.remote.url} needs more than {room} of memory to read: keep large files out of git"
    )
    return SourceError(Reason.TOO_LARGE, message)


def _file_too_large(case: Case) -> SourceError:
    return overrun(Overrun("disk"), case.remote, case.limits, 0)


def _unsafe(case: Case) -> SourceError:
    why = printable(case.remote.redactor(case.found["why"] or case.found["what"]), _QUOTED)
    return SourceError(Reason.UNSAFE_TREE, f"git refuses object {case.found['oid'][:12]} of the repository: {why}")


def _disk_full(_case: Case) -> SourceError:
    message = "the operator's disk for repositories is full: the platform team has to give it more room"
    return SourceError(Reason.TOO_LARGE, message, transient=True)


def _slow(case: Case) -> SourceError:
    pace = f"less than {case.limits.low_speed_bytes} bytes a second for {case.limits.low_speed_seconds} s"
    return _unreachable(f"{case.remote.host} answers too slowly ({pace})")


def _nobody(case: Case) -> SourceError:
    return _unreachable(f"nobody answers at {case.remote.host}:{case.remote.port}: is the server running?")


def _no_git(case: Case) -> SourceError:
    message = f"what is at {case.remote.url} is not a git repository: check the address"
    return SourceError(Reason.INVALID_URL, message)


def _sha256(case: Case) -> SourceError:
    message = f"the repository at {case.remote.url} uses SHA-256, which is not supported"
    return SourceError(Reason.INVALID_URL, message)


def _unreachable(message: str) -> SourceError:
    return SourceError(Reason.GIT_UNREACHABLE, message, transient=True)


def _last_words(complaint: str, remote: Remote, *, only_server: bool = False) -> str:
    """What the server said, or else git, as the end of a sentence."""
    redacted = remote.redactor(complaint).splitlines()
    server = [line.removeprefix("remote:").strip() for line in redacted if line.startswith("remote:")]
    own = [line for line in redacted if line.startswith(("fatal:", "error:"))]
    words = printable(" ".join(server), _QUOTED) or ("" if only_server else printable(" ".join(own[-1:]), _QUOTED))
    return f' (it says: "{words}")' if words else ""


def _said(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# The first that fits is it.
_SENTENCES: tuple[tuple[re.Pattern[str], Callable[[Case], SourceError]], ...] = (
    (_said(r"could not read (?:Username|Password)|Authentication failed"), _no_login),
    (_STATUS, _by_status),
    (_said(r"repository '[^']*' not found"), _not_found),
    (_said(r"does not match target host|no alternative certificate subject"), _wrong_name),
    (_said(r"certificate[^\n]*expired|expired[^\n]*certificate"), _expired),
    (_said(r"certificate|SSL peer|CAfile|issuer"), _unknown_authority),
    (_said(r"out of memory|unable to create thread|memory exhausted|cannot allocate"), _scarce),
    (_said(r"File too large|file size limit"), _file_too_large),
    (_FSCK, _unsafe),
    (_said(r"No space left on device"), _disk_full),
    (_said(r"too slow"), _slow),
    (_said(r"Failed to connect|Couldn't connect|Could not connect|Connection refused|timed out"), _nobody),
    (_said(r"is this a git repository|dumb http|invalid server response|unexpected content-type"), _no_git),
    (_said(r"algorithm"), _sha256),
)
