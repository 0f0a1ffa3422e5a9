"""What can be wrong with a repository, said for the person who can mend it, and how secrets are kept out of saying it.

Every text that leaves this package has gone through `Redactor` and `printable`: what a server or a repository says is
untrusted, and may quote the very credentials it was given.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataapp_operator.api.reasons import Reason

HIDDEN = "…"
MAX_MESSAGE = 1024  # characters

_USERINFO = re.compile(r"(?P<keep>\b[A-Za-z][A-Za-z0-9+.-]{0,30}://)[^\s/@'\"]*@")
_HEADER = re.compile(r"(?P<keep>\b(?:Bearer|Basic)\s+)[\w.~+/=-]{6,}", re.IGNORECASE)
_QUERY = re.compile(r"(?P<keep>\b(?:[\w-]*token|sig|signature|password|x-amz-[\w-]+)=)[^\s&'\"]+", re.IGNORECASE)


class SourceError(Exception):
    """A repository, or something in it, cannot be used. `message` is for people and holds no secret; `transient` says
    that nothing is known to be wrong with the request: the same again, later.
    """

    def __init__(self, reason: Reason, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.transient = transient

    def again(self) -> SourceError:
        """The same error for one more who waits: an exception that is raised twice would collect their tracebacks."""
        return SourceError(self.reason, self.message, transient=self.transient)


class Redactor:
    """Hides known secrets in a text, in every form that a server or git could quote them in."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            forms |= _forms(secret)
        # The longest first: a shorter one may be a part of it.
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without secrets, or only "…" where one is spread over several lines of it."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        for pattern in (_USERINFO, _HEADER, _QUERY):
            text = pattern.sub(rf"\g<keep>{HIDDEN}", text)
        squeezed = re.sub(r"(?:remote:|\s|[\x00-\x1f])+", "", text)
        return HIDDEN if any(form in squeezed for form in self._forms) else text


def _forms(secret: str) -> set[str]:
    """A secret as it is, percent-encoded, and in base64 (also as a part of a longer text: at each of three offsets)."""
    if not secret:
        return set()
    raw = secret.encode()
    forms = {secret, quote(secret, safe=""), quote(secret)}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        forms |= {whole, whole.rstrip("=")}
        for offset in (0, 1, 2):
            # Only the characters that hold no bit of what stands before or behind.
            known = encode(b"\0" * offset + raw).decode()[offset + (offset > 0) : 8 * (offset + len(raw)) // 6]
            forms |= {known} if len(known) >= 8 else set()  # noqa: PLR2004 - shorter ones would hide innocent words
    return forms


def printable(text: str, limit: int = MAX_MESSAGE) -> str:
    """A text from outside in one line, without control characters or tricks of direction, cut to `limit`."""
    kept = "".join(" " if c in "\r\n\t" else c for c in text if c in "\r\n\t" or is_plain(c))
    kept = re.sub(r" {2,}", " ", kept).strip()
    return kept if len(kept) <= limit else kept[: limit - 1] + HIDDEN


def is_plain(character: str) -> bool:
    """Whether a character shows as itself: no control, format (direction!), surrogate or line separator."""
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def name(path: str) -> str:
    """A path or a name for a sentence: characters that do not show are written as escapes, and it is not endless."""
    shown = "".join(c if is_plain(c) else f"\\x{ord(c):02x}" for c in path)
    return shown if len(shown) <= 200 else f"{shown[:150]}{HIDDEN}{shown[-40:]}"  # noqa: PLR2004


def listing(names: Iterable[str], limit: int = 5) -> str:
    """A few names for a sentence: "a, b, c and 7 more"."""
    every = [name(each) for each in names]
    rest = len(every) - limit
    return ", ".join(every[:limit]) + (f" and {rest} more" if rest > 0 else "")


def size(count: int) -> str:
    """A number of bytes for people: "1.5 GiB"."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004
            return f"{amount:.0f} {unit}" if amount >= 10 or amount == int(amount) else f"{amount:.1f} {unit}"  # noqa: PLR2004
        amount /= 1024
    return f"{amount:.1f} GiB".replace(".0 ", " ")
