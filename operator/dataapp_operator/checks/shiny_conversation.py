"""The browser's side of a Shiny session: announce outputs and inputs, and judge by what comes back. Pure.

When is everything there that will come? The server has no message for that. It is there when the server has flushed
(a message with `values` or `errors`), is idle, recalculates nothing, and every announced output has answered; or, as
a page may declare an output that its server never fills, when it then stays silent for `SETTLED` seconds.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks.conversation import Finding
from dataapp_operator.checks.result import shorten
from dataapp_operator.checks.shiny_page import MOST_BINDINGS, Output, Page, read_page

SETTLED = 1.0  # s of silence of an idle server
_LONGEST_VALUE = 60  # characters of an output quoted as evidence
_WIDTH, _HEIGHT = 640, 400  # px told for plots: a size of 0 would keep them from being drawn
_SILENT = "shiny.silent.error"
_DEEPEST = 12  # levels of JSON searched for HTML


class ShinyConversation:
    """One session from `init` to its first complete set of values."""

    def __init__(self, page: Page, *, today: str) -> None:
        """`page`: what `GET /` declared; `today` as for `read_page`."""
        self._page = page
        self._today = today
        self._outputs: dict[str, Output] = dict(page.outputs)
        self._inputs: dict[str, Any] = dict(page.inputs)
        self._values: dict[str, Any] = {}
        self._silent: set[str] = set()
        self._failed: dict[str, str] = {}
        self._recalculating: set[str] = set()
        self._busy = self._configured = self._flushed = False
        self._finding: Finding | None = None

    def opening(self) -> Sequence[str | bytes]:
        """The `init` message: every input's default, every output visible, a window of ordinary size."""
        window = {
            "url_protocol": "http:",
            "url_hostname": "localhost",
            "url_port": "",
            "url_pathname": "/",
            "url_search": "",
            "url_hash": "",
            "url_hash_initial": "",
            "singletons": "",
            "pixelratio": 1,
            "allowDataUriScheme": True,
        }
        data = {f".clientdata_{name}": value for name, value in window.items()}
        return [json.dumps({"method": "init", "data": data | _announce(self._page)})]

    def hear(self, frame: str | bytes) -> Sequence[str | bytes]:
        """Take in one message; returns what to announce of what it added to the page. A verdict, once there, stays."""
        if self._finding is not None:
            return []
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            words = "the app at /websocket/ does not speak Shiny's protocol: is it a Shiny app?"
            self._finding = Finding(Verdict.ERROR, "an answer that is not Shiny's", words)
            return []
        self._configured |= "config" in message
        if message.get("busy") in ("busy", "idle"):
            self._busy = message["busy"] == "busy"
        progress = message.get("recalculating")
        if isinstance(progress, dict):
            change = (
                self._recalculating.add if progress.get("status") == "recalculating" else self._recalculating.discard
            )
            change(str(progress.get("name")))
        if "values" in message or "errors" in message:
            self._flush(message)
        answers = [json.dumps({"method": "update", "data": data})] if (data := self._announce_new(message)) else []
        if self._failed:
            self._finding = self._failure()
        elif self._at_rest() and not answers and self._unanswered() == set() and (self._outputs or self._configured):
            self._finding = self._conclusion()
        return answers

    def finding(self) -> Finding | None:
        """The verdict, as soon as there is one."""
        return self._finding

    def patience(self) -> float | None:
        """An idle server that has flushed may still owe an output; one that computes takes its time."""
        return SETTLED if self._at_rest() else None

    def quiet(self) -> None:
        """The idle server has nothing more to say: judge by what is there."""
        self._finding = self._conclusion()

    def closed(self, why: str) -> Finding:
        """Errors in the server function and in observers end the session, without words of their own."""
        return Finding(
            Verdict.FAIL,
            "the session ended after {seconds} s",
            f"the app closed the session before its outputs had values ({why})",
        )

    def time_up(self) -> Finding:
        """Slow is not broken."""
        if self._values and self._at_rest():
            return self._conclusion()
        waiting = sorted(self._recalculating) or sorted(self._unanswered())
        measured = f"{len(self._values)} of {len(self._outputs)} outputs after {{seconds}} s"
        what = f"output {waiting[0]} was still being computed" if waiting else "the session was still starting"
        return Finding(Verdict.INCONCLUSIVE, measured, f"no value yet: {what} when the check's time was up")

    def _flush(self, message: dict[str, Any]) -> None:
        self._flushed = True
        values, errors = message.get("values"), message.get("errors")
        for name, value in values.items() if isinstance(values, dict) else ():
            if value is None:  # how py-shiny says "silent"
                self._silent.add(name)
            else:
                self._values[name] = value
        for name, error in errors.items() if isinstance(errors, dict) else ():
            kinds = error.get("type") if isinstance(error, dict) else None
            conditional = name in self._outputs and self._outputs[name].conditional
            if conditional or _SILENT in (kinds if isinstance(kinds, list) else [kinds]):
                self._silent.add(name)
            else:
                said = str(error.get("message") or "") if isinstance(error, dict) else str(error)
                self._failed[name] = said or f"output {name} failed without saying why"

    def _announce_new(self, message: dict[str, Any]) -> dict[str, Any]:
        """Announce the outputs and inputs of HTML that came over the session (renderUI, insertUI, modules)."""
        data: dict[str, Any] = {}
        for html in _html_in(message, _DEEPEST):
            page = read_page(html, today=self._today)
            outputs = {name: output for name, output in page.outputs.items() if name not in self._outputs}
            inputs = {name: value for name, value in page.inputs.items() if name not in self._inputs}
            if len(self._outputs) + len(outputs) > MOST_BINDINGS or len(self._inputs) + len(inputs) > MOST_BINDINGS:
                break
            self._outputs |= outputs
            self._inputs |= inputs
            data |= _announce(Page(outputs, inputs))
        return data

    def _at_rest(self) -> bool:
        return self._flushed and not self._busy and not self._recalculating

    def _unanswered(self) -> set[str]:
        return self._outputs.keys() - self._values.keys() - self._silent - self._failed.keys()

    def _failure(self) -> Finding:
        name, said = next(iter(self._failed.items()))
        others = len(self._failed) - 1
        more = f" (and {others} more)" if others else ""
        return Finding(Verdict.FAIL, f"output {name}{more} failed after {{seconds}} s", said)

    def _conclusion(self) -> Finding:
        if not self._outputs:
            return Finding(Verdict.PASS, "session opened; the page declares no outputs")
        real = [name for name, output in self._outputs.items() if not output.download]
        valued = [name for name in real or self._outputs if name in self._values]
        if not valued:
            words = "no value yet: every output waits for input (req(), validate()) or was never filled by the server"
            return Finding(Verdict.INCONCLUSIVE, f"0 of {len(self._outputs)} outputs after {{seconds}} s", words)
        texts = [name for name in valued if isinstance(self._values[name], str) and self._values[name].strip()]
        if texts:
            text = shorten(self._values[texts[0]].strip().removeprefix(f"{texts[0]} = "), _LONGEST_VALUE)
            evidence = f"output {texts[0]} = {text}"
        else:
            evidence = f"output {valued[0]} has a value"
        return Finding(Verdict.PASS, f"{evidence} after {{seconds}} s")


def _announce(page: Page) -> dict[str, Any]:
    data = dict(page.inputs)
    for name, output in page.outputs.items():
        data[f".clientdata_output_{name}_hidden"] = False
        if output.sized:
            data[f".clientdata_output_{name}_width"] = _WIDTH
            data[f".clientdata_output_{name}_height"] = _HEIGHT
    return data


def _html_in(value: Any, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "html" and isinstance(inner, str):
                yield inner
            else:
                yield from _html_in(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _html_in(inner, depth - 1)
