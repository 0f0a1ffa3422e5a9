"""What one session probe found: a verdict, what was measured, and what the session said.

The words end up in `AppRelease.status` and in `kubectl describe`, so they are written for the author of the app.
"""

from dataclasses import dataclass

from dataapp_operator.api.verdict import Verdict

LONGEST_MESSAGE = 1000
"""Characters kept of what an app says: a message is an explanation, not a log."""


@dataclass(frozen=True, slots=True)
class SessionResult:
    """The outcome of one session probe.

    `measured` is what was seen, e.g. "output total = 1,204 after 0.8 s". `message` says why the verdict is not *pass*:
    for *fail* in the session's own words, e.g. "ModuleNotFoundError: No module named 'jinja3'". `seconds` is the time
    from the first byte sent to the verdict.
    """

    verdict: Verdict
    measured: str
    message: str
    seconds: float


def shorten(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """The text on one line, at most `longest` characters, with an ellipsis where it was cut."""
    line = " ".join(text[: longest * 8].split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
