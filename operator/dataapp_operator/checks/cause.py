"""From a container's log to the one line that says why it failed. Pure text.

The true cause is often only in the log: frameworks hide it from the browser (sanitised errors, closed sessions,
redacted messages). `find_cause` knows tracebacks of Python (chained, rich, exception groups), errors of R (on one
line or several, Shiny's "Warning: Error in", rlang's "!"), servers that cannot load an app, and kills for memory.
Everything that leaves this module has passed `redact`: logs hold connection strings, and status is read by many.
"""

import re

from dataapp_operator.checks.r_errors import r_errors
from dataapp_operator.checks.redaction import redact
from dataapp_operator.checks.result import shorten

__all__ = ["find_cause", "join_reason", "redact", "tail"]

_MOST_LINES = 2000  # of the end of a log that are looked at
_LONGEST_LINE = 2000  # characters of a line; the rest is data, not a message
_LONGEST_CAUSE = 500
_LONGEST_SAID = 8_000  # characters of a session's message that are looked at
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)")
_EXCEPTION = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")
_BARE_EXCEPTION = re.compile(
    r"^(?:SyntaxError|IndentationError|TabError|ModuleNotFoundError|ImportError|MemoryError)\b.*"
)
_GROUP_MARGIN = re.compile(r"^\s*[|+][ |+-]*")
_NOTHING_TO_SEE = {"SystemExit", "KeyboardInterrupt", "asyncio.exceptions.CancelledError", "asyncio.CancelledError"}
_CHAIN = (
    "The above exception was the direct cause of the following exception",
    "During handling of the above exception, another exception occurred",
)
_SERVER_ERRORS = re.compile(
    r"^(?:ERROR|Error):\s+(?P<words>Error loading ASGI app.*|Invalid value.*|.*address already in use.*)$"
)
_NOT_STARTED = re.compile(
    r"(?:exec|sh|tini|python[\d.]*|Rscript)\b.*(?:not found|No such file or directory|Permission denied)$"
)
_KILLED = re.compile(r"^(?:Killed|.*\b(?:OOMKilled|Out of memory: Killed process|oom-kill)\b.*)$")
_OUT_OF_MEMORY = (
    "the process was killed, most likely because it needed more memory than its limit: choose a larger size"
)
_READ_ONLY = re.compile(r"Read-only file system|unable to open database file|attempt to write a readonly database")
_READ_ONLY_HINT = "the app's own directory is read-only: write to the home directory or to /tmp"
_SAYS_NOTHING = re.compile(
    r"^(?:an error has occurred\b|this app has encountered an error\b|.*original error message is redacted)",
    re.IGNORECASE,
)


def find_cause(log: str) -> str | None:
    """The last failure that a container log tells of, as one line without secrets; None where it tells of none.

    Python gives "ModuleNotFoundError: No module named 'jinja3'" ("…; caused by …" where exceptions are chained), R the
    message alone: "there is no package called ‘janitor’".
    """
    lines = [_ANSI.sub("", line[:_LONGEST_LINE]).rstrip() for line in log.splitlines()[-_MOST_LINES:]]
    found = [*_tracebacks(lines), *r_errors(lines), *_single_lines(lines)]
    if not found:
        return None
    _, cause = max(found, key=lambda entry: entry[0])  # max keeps the first of equals: a traceback before a bare line
    if _READ_ONLY.search(cause):
        cause = f"{cause} ({_READ_ONLY_HINT})"
    return shorten(redact(cause), _LONGEST_CAUSE)


def tail(log: str, lines: int = 20) -> str:
    """The last `lines` lines of a log that are not empty, without colours and secrets, long ones cut."""
    kept = [_ANSI.sub("", line).rstrip() for line in log.splitlines()[-lines * 10 :]]
    cut = [line if len(line) <= _LONGEST_CAUSE else line[: _LONGEST_CAUSE - 1] + "…" for line in kept if line]
    return redact("\n".join(cut[-lines:]) if lines > 0 else "")


def join_reason(session_message: str, cause: str | None) -> str:
    """One sentence of what the session said and what the log says, each thing once, without secrets."""
    said, logged = (shorten(redact(text[:_LONGEST_SAID])) for text in (session_message, cause or ""))
    if not logged or not said:
        return said or logged
    if _SAYS_NOTHING.search(said) or _same_words(said) in _same_words(logged):
        return logged
    if _same_words(logged) in _same_words(said):
        return said
    return shorten(f"{said.rstrip('.')}; the log says: {logged}")


def _same_words(text: str) -> str:
    return re.sub(r"[‘’“”'\"`\s]+", " ", text).strip(" .").lower()


def _tracebacks(lines: list[str]) -> list[tuple[int, str]]:
    """(line, "Type: message") of every traceback, the earlier ones of a chain added as causes."""
    found: list[tuple[int, str]] = []
    inside = chained = False
    for index, line in enumerate(lines):
        inner = _GROUP_MARGIN.sub("", line)
        if _TRACEBACK.search(inner):
            inside = True
        elif any(words in inner for words in _CHAIN):
            chained = bool(found)
        elif inside and (match := _EXCEPTION.match(inner if inner != line else line)):
            inside = False
            if match["type"] in _NOTHING_TO_SEE:
                continue
            words = _with_continuation(lines, index, inner)
            if chained:
                words = f"{words}; caused by {found[-1][1]}"
            found.append((index, words))
            chained = False
    return found


def _with_continuation(lines: list[str], index: int, words: str) -> str:
    """Messages such as "1 validation error for Settings" say what is wrong on the next, indented lines."""
    if not (words.endswith(":") or "validation error" in words):
        return words
    more = [line.strip() for line in lines[index + 1 : index + 3] if line.strip() and not _TRACEBACK.search(line)]
    return " ".join([words, *more])


def _single_lines(lines: list[str]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for index, line in enumerate(lines):
        if _BARE_EXCEPTION.match(line) or _NOT_STARTED.search(line):
            found.append((index, line))
        elif match := _SERVER_ERRORS.match(line):
            found.append((index, match["words"]))
        elif _KILLED.match(line):
            found.append((index, _OUT_OF_MEMORY))
    return found
