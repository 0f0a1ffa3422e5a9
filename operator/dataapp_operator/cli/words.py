"""Commands as annotations: ``dataapps.dev/abort: production=14,test=9``. Pure.

One annotation a command, in it one word for each environment. Whoever writes a word for one environment keeps those of
the others as they are, also those that they do not understand. A word that the operator answers carries a mark
(``14@20261122T100400Z``): so what is said again is another word, and has an answer of its own.
"""

from datetime import datetime

from dataapp_operator.api.base import GROUP, timestamp

PROMOTE = "promote"
RETRY = "retry"
PROMOTE_FULL = "promote-full"
PAUSE = "pause"
RESUME = "resume"
ABORT = "abort"
ROLLBACK = "rollback"
RESTART = "restart"
SUSPEND = "suspend"
UNSUSPEND = "unsuspend"
"""Not an annotation: it takes away the one of ``suspend``."""

ANSWERED = (PROMOTE_FULL, PAUSE, RESUME, ABORT, ROLLBACK, RESTART)
"""Commands of an environment that the operator answers in status, each word once."""


def annotation(command: str) -> str:
    """The annotation that a command is written as."""
    return f"{GROUP}/{command}"


def word(value: str | None, environment: str) -> str | None:
    """What an annotation says for an environment. Where it says it twice, the later one counts."""
    said = [token.partition("=")[2].strip() for token in _tokens(value) if _environment(token) == environment]
    return said[-1] if said else None


def with_word(value: str | None, environment: str, new: str | None) -> str | None:
    """The annotation with another word for an environment; None takes it away, and None is what is left of nothing."""
    kept = [token for token in _tokens(value) if _environment(token) != environment]
    if new is not None:
        kept.append(f"{environment}={new}")
    return ",".join(kept) or None


def marked(new: str, moment: datetime) -> str:
    """A word that was not said before."""
    return f"{new}@{timestamp(moment).replace('-', '').replace(':', '')}"


def unmarked(said: str | None) -> str | None:
    """A word without its mark, and without the ``r`` that people put before numbers."""
    return None if said is None else said.partition("@")[0].strip().removeprefix("r")


def _tokens(value: str | None) -> list[str]:
    return [token.strip() for token in (value or "").split(",") if token.strip()]


def _environment(token: str) -> str | None:
    name, equals, _ = token.partition("=")
    return name.strip() if equals else None
