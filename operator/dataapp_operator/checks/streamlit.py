"""The session probe of Streamlit: do what the browser does, and read what the user would see.

Streamlit answers 200 on every path while its script cannot even import, and it says FINISHED_SUCCESSFULLY after an
exception. So the probe opens a session (websocket `/_stcore/stream`), has the script run, and fails on the first
exception element or compile error. A script that is still running at the time-out and has raised nothing is
inconclusive: slow is not broken.
"""

import time
from collections.abc import Sequence

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks import protobuf, streamlit_messages
from dataapp_operator.checks.conversation import Finding, Target, converse
from dataapp_operator.checks.result import SessionResult

PATH = "/_stcore/stream"
SUBPROTOCOL = "streamlit"


class StreamlitConversation:
    """One run of the script, heard to its end. Pure."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._elements = 0
        self._does_not_compile = False
        self._finding: Finding | None = None

    def opening(self) -> Sequence[str | bytes]:
        """Ask for a run of the script."""
        return [streamlit_messages.rerun_script()]

    def hear(self, frame: str | bytes) -> Sequence[str | bytes]:
        """Take in one message of the server; nothing is ever answered. A verdict, once there, stays."""
        if self._finding is not None:
            return []
        try:
            message = streamlit_messages.read_forward(frame if isinstance(frame, bytes) else frame.encode())
        except protobuf.MalformedMessage as error:
            self._finding = Finding(
                Verdict.ERROR,
                "an answer that is not Streamlit's",
                f"the app at {PATH} does not speak Streamlit's protocol ({error}): is it a Streamlit app?",
            )
            return []
        if message.new_run:  # st.rerun() and page navigation start over, with an empty page
            self._elements = 0
        self._elements += message.element
        if message.exception is not None and not message.exception.is_warning:
            self._finding = Finding(
                Verdict.FAIL,
                "the script raised after {seconds} s",
                message.exception.words() or "an exception without words",
            )
        elif message.finished == streamlit_messages.FINISHED_WITH_COMPILE_ERROR:
            self._does_not_compile = True  # which error it is comes one message later, as a session event
        elif message.finished == streamlit_messages.FINISHED:
            self._finding = Finding(Verdict.PASS, f"script ran to its end in {{seconds}} s, {self._count()}")
        elif message.idle and self._does_not_compile:
            self._finding = self._compile_error()
        return []

    def finding(self) -> Finding | None:
        """The verdict, as soon as there is one."""
        return self._finding

    def patience(self) -> float | None:
        """The server always says when a run ends, so silence means nothing."""
        return None

    def quiet(self) -> None:
        """Never asked for."""

    def closed(self, why: str) -> Finding:
        """A script that takes its process along (out of memory, os._exit) ends here."""
        return Finding(
            Verdict.FAIL,
            "the session ended after {seconds} s",
            f"the app closed the session before its script had ended ({why})",
        )

    def time_up(self) -> Finding:
        """Slow is not broken; but a script that does not compile is, whatever else we waited for."""
        if self._does_not_compile:
            return self._compile_error()
        return Finding(
            Verdict.INCONCLUSIVE,
            f"script still running after {{seconds}} s, {self._count()} so far",
            "no value yet: the script was still running when the check's time was up, and had raised nothing",
        )

    def _count(self) -> str:
        return f"{self._elements} element{'' if self._elements == 1 else 's'}"

    def _compile_error(self) -> Finding:
        return Finding(Verdict.FAIL, "the script did not start", "the script does not compile (a syntax error)")


async def probe(target: Target, timeout: float) -> SessionResult:  # noqa: ASYNC109 - it ends in a verdict, not in an exception
    """Open one session and say what a user would have got, within `timeout` seconds."""
    return await converse(
        StreamlitConversation(), target, path=PATH, protocols=(SUBPROTOCOL,), started=time.monotonic(), timeout=timeout
    )
