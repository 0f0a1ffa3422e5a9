"""Errors of R in a log: what R, Rscript, Shiny and rlang print when something stops. Pure text.

R prints `Error in call : message` on one line, or the message on the next, indented, where the call is long; Shiny
prints `Warning: Error in call: message` and goes on; rlang (tidyverse) prints bullets that start with "!".
"""

import re

_ERROR = re.compile(r"^(?:Warning: )?Error(?: in (?P<call>.*?))?(?: ?: ?(?P<message>.*)|:)?$")
_BULLET = re.compile(r"^\s*! (?P<words>.*)$")
_END = re.compile(
    r"^(?:Calls: |Execution halted|Backtrace:|In addition: |Warning|Error|Listening on |\s*\d+: |Called from: |"
    r"Traceback|$)"
)
_FILE = re.compile(r"cannot open (?:compressed )?file .*")
_MOST_LINES = 8  # of one message
_NEARBY = 6  # lines around an error in which R says which file it was


def r_errors(lines: list[str]) -> list[tuple[int, str]]:
    """(line, message) of every R error in a log, in order."""
    found: list[tuple[int, str]] = []
    for index, line in enumerate(lines):
        if not line.startswith(("Error in ", "Error: ", "Error:", "Warning: Error in ", "Error :")):
            continue
        match = _ERROR.match(line)
        message = _message(match["message"] or "" if match else line, lines[index + 1 : index + 1 + _MOST_LINES])
        if message == "cannot open the connection":
            message = _which_file(lines, index) or message
        if message:
            found.append((index, message))
    return found


def _message(first: str, following: list[str]) -> str:
    parts = [first.strip()]
    bullets: list[str] = []
    for line in following:
        bullet = _BULLET.match(line)
        if bullet:
            bullets.append(bullet["words"].strip())
        elif line.startswith("Caused by error") or line.lstrip().startswith(("ℹ ", "i ", "✖ ", "x ")):
            continue
        elif _END.match(line):
            break
        elif not bullets:
            parts.append(line.strip())
    return bullets[-1] if bullets else " ".join(part for part in parts if part)


def _which_file(lines: list[str], index: int) -> str | None:
    around = lines[max(0, index - _NEARBY) : index + _NEARBY]
    return next((match.group(0) for line in reversed(around) if (match := _FILE.search(line))), None)
