"""What the command line cannot do, in words for the person who asked, and the exit code that goes with it.

A script tells three cases apart: 1, it makes no sense or is not possible; 2, it was typed wrongly; 3, it was asked for, but
the operator has not answered yet.
"""

REFUSED = 1
USAGE = 2
UNANSWERED = 3
INTERRUPTED = 130


class CliError(Exception):
    """Something a person must know: one or two sentences, what happened and what can be done."""

    code = REFUSED


class Refusal(CliError):  # noqa: N818 - it says what happened
    """A command that makes no sense as things are. Nothing was written."""


class UsageError(CliError):
    """A command that was typed wrongly."""

    code = USAGE


class NotFound(CliError):  # noqa: N818 - it says what happened
    """There is no such object. The message is kubectl's; who asked knows what it means."""


class Conflict(CliError):  # noqa: N818 - it says what happened
    """Somebody changed the object between our look at it and our write."""


class Denied(CliError):  # noqa: N818 - it says what happened
    """The cluster knows who asks and says no; asking again does not help."""


class Unreachable(CliError):  # noqa: N818 - it says what happened
    """The cluster does not answer now."""
