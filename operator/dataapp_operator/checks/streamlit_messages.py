"""The few Streamlit messages that a session probe writes and reads, with their field numbers.

The numbers are those of Streamlit 1.67 (`streamlit/proto/*.proto`): `BackMsg.rerun_script` starts the script for this
session; `ForwardMsg` carries its elements, exceptions and its end. Anything else is counted as "other".
"""

from dataclasses import dataclass

from dataapp_operator.checks import protobuf
from dataapp_operator.checks.result import shorten

# BackMsg
_RERUN_SCRIPT = 11
_QUERY_STRING = 1
# ForwardMsg, a oneof
_NEW_SESSION = 4
_DELTA = 5
_SCRIPT_FINISHED = 6
_SESSION_STATUS = 9
_SESSION_EVENT = 10
# Delta, Element, SessionEvent, SessionStatus
_NEW_ELEMENT = 3
_ELEMENT_EXCEPTION = 8
_COMPILATION_EXCEPTION = 3
_SCRIPT_IS_RUNNING = 2
# Exception
_TYPE, _MESSAGE, _IS_WARNING = 1, 2, 5

FINISHED, FINISHED_WITH_COMPILE_ERROR, FINISHED_FOR_RERUN = 0, 1, 2
"""`ScriptFinishedStatus`. `FINISHED` comes after an exception too: it says that the run ended, not how."""


@dataclass(frozen=True, slots=True)
class AppException:
    """An exception as the browser would show it, e.g. type "KeyError", message "'price'"."""

    type: str
    message: str
    is_warning: bool

    def words(self) -> str:
        """`KeyError: 'price'`: the last line of a traceback, the way an author knows it."""
        last_line = self.message.strip().rpartition("\n")[2]
        if self.type and last_line.startswith(f"{self.type}: "):
            return shorten(last_line)  # compile errors carry the whole excerpt, and end in the line we want
        return shorten(f"{self.type}: {self.message}" if self.type and self.message else self.type or self.message)


@dataclass(frozen=True, slots=True)
class Forward:
    """One message of the server, reduced to what a probe needs.

    At most one of the fields says something: `finished` is a `ScriptFinishedStatus`.
    """

    new_run: bool = False
    element: bool = False
    exception: AppException | None = None
    finished: int | None = None
    idle: bool = False


def rerun_script() -> bytes:
    """The first message of a browser: run the script for this session."""
    return protobuf.encode_bytes(_RERUN_SCRIPT, protobuf.encode_text(_QUERY_STRING, ""))


def read_forward(data: bytes) -> Forward:
    """Read one `ForwardMsg`. Raises `protobuf.MalformedMessage`."""
    message = protobuf.decode(data)
    if message.has(_DELTA):
        delta = message.message(_DELTA)
        element = delta.message(_NEW_ELEMENT)
        if element.has(_ELEMENT_EXCEPTION):
            return Forward(element=True, exception=_exception(element.message(_ELEMENT_EXCEPTION)))
        return Forward(element=delta.has(_NEW_ELEMENT))
    if message.has(_SESSION_EVENT):
        event = message.message(_SESSION_EVENT)
        if event.has(_COMPILATION_EXCEPTION):
            return Forward(exception=_exception(event.message(_COMPILATION_EXCEPTION)))
    if message.has(_SCRIPT_FINISHED):
        return Forward(finished=message.integer(_SCRIPT_FINISHED))
    if message.has(_SESSION_STATUS):
        return Forward(idle=not message.message(_SESSION_STATUS).boolean(_SCRIPT_IS_RUNNING))
    return Forward(new_run=message.has(_NEW_SESSION))


def _exception(message: protobuf.Message) -> AppException:
    return AppException(message.text(_TYPE), message.text(_MESSAGE), message.boolean(_IS_WARNING))
