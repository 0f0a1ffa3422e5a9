"""Reading a Shiny page (R and Python) the way its JavaScript does: which outputs it shows, which inputs it has.

A Shiny session computes nothing by itself: the browser tells it which outputs are visible and what every input holds.
A probe that leaves the inputs out sees NULL everywhere: a broken app shows no error and a healthy one shows NaN. The
rules here are those of Shiny's input bindings (`srcts/src/bindings`, shiny 1.10; py-shiny 1.8 uses the same). An input
of a kind that is not known here is left out, and is NULL for the app.
"""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from dataapp_operator.checks.shiny_inputs import Choices, initial_date, number, slider, text_key

MOST_BINDINGS = 500  # outputs, and inputs, announced in one session: more is not a page that a person reads

_OUTPUT_CLASS = re.compile(r"shiny-[a-z-]*output|html-widget-output|shiny-download-link")
_SIZED_CLASSES = {"shiny-plot-output", "shiny-image-output", "shiny-report-size"}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass(frozen=True, slots=True)
class Output:
    """One output: its id, whether the app wants to know its size, and what kind of evidence it can be.

    `conditional`: inside a conditionalPanel, whose JavaScript condition we cannot evaluate: its errors prove nothing.
    `download`: a download link, which has a value without computing anything.
    """

    id: str
    sized: bool = False
    conditional: bool = False
    download: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What a piece of HTML declares: outputs by id in page order; inputs' defaults by wire key ("n:shiny.number")."""

    outputs: dict[str, Output]
    inputs: dict[str, Any]


def read_page(html: str, *, today: str) -> Page:
    """Outputs and inputs of a page or of a fragment that a session sent. `today` ("2026-11-22") fills empty dates."""
    reader = _Reader(today)
    reader.feed(html)
    reader.close()
    values = reader.values | {key: choices.value() for key, choices in reader.choices.items()}
    return Page(reader.outputs, dict(list(values.items())[:MOST_BINDINGS]))


@dataclass(frozen=True, slots=True)
class _Open:
    """An element that is not closed yet, and what it makes of the elements inside it."""

    tag: str
    conditional: bool = False
    active: bool = False  # class "active": the open tab
    choices: Choices | None = None
    date: str | None = None  # wire key of the date or date range input that it is
    textarea: str | None = None  # wire key of the textarea that it is


class _Reader(HTMLParser):
    """Walks the elements, keeping those that are open on a stack; badly nested HTML closes what it can."""

    def __init__(self, today: str) -> None:
        super().__init__(convert_charrefs=True)
        self.outputs: dict[str, Output] = {}
        self.values: dict[str, Any] = {}
        self.choices: dict[str, Choices] = {}
        self._today = today
        self._stack: list[_Open] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        classes = set(attributes.get("class", "").split())
        identifier = attributes.get("id", "")
        if identifier:
            self._see_output(tag, identifier, classes)
        opened = _Open(tag)
        if "data-shiny-no-bind-input" not in attributes:
            opened = self._see_container(tag, identifier, attributes, classes)
            if tag == "input":
                self._see_field(identifier, attributes, classes)
            elif "action-button" in classes and identifier:
                self.values[f"{identifier}:shiny.action"] = 0
            else:
                self._see_choice(tag, attributes, classes)
        if tag not in _VOID:
            self._stack.append(opened)

    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self._stack) - 1, -1, -1):
            if self._stack[depth].tag == tag:
                del self._stack[depth:]
                return

    def handle_data(self, data: str) -> None:
        if self._stack and (key := self._stack[-1].textarea):
            self.values[key] += data.removeprefix("\n") if self.values[key] == "" else data

    def _see_output(self, tag: str, identifier: str, classes: set[str]) -> None:
        bound = tag == "shiny-data-frame" or any(_OUTPUT_CLASS.fullmatch(name) for name in classes)
        if bound and identifier not in self.outputs and len(self.outputs) < MOST_BINDINGS:
            self.outputs[identifier] = Output(
                identifier,
                sized=bool(classes & _SIZED_CLASSES),
                conditional=any(outer.conditional for outer in self._stack),
                download="shiny-download-link" in classes,
            )

    def _see_container(self, tag: str, identifier: str, attributes: dict[str, str], classes: set[str]) -> _Open:
        """Inputs that are made of several elements, and the marks that matter to the elements inside."""
        if identifier and classes & {"shiny-date-input", "shiny-date-range-input"}:
            key = f"{identifier}:shiny.date"
            self.values[key] = [] if "shiny-date-range-input" in classes else None
            return _Open(tag, date=key)
        if identifier and tag == "textarea":
            self.values[identifier] = ""
            return _Open(tag, textarea=identifier)
        choices = None
        if identifier and tag == "select":
            several = "multiple" in attributes
            choices = Choices(several=several, first_by_default=not several)
        elif identifier and classes & {"shiny-input-checkboxgroup", "shiny-input-radiogroup", "shiny-tab-input"}:
            choices = Choices(several="shiny-input-checkboxgroup" in classes)
        if choices is not None:
            self.choices[identifier] = choices
        return _Open(tag, conditional="data-display-if" in attributes, active="active" in classes, choices=choices)

    def _see_choice(self, tag: str, attributes: dict[str, str], classes: set[str]) -> None:
        choices = self._nearest_choices()
        if choices is None:
            return
        if tag == "option":
            choices.add(attributes.get("value", ""), chosen="selected" in attributes)
        elif "data-value" in attributes and "data-toggle" in attributes:  # the link of a tab
            parent_active = bool(self._stack) and self._stack[-1].active
            choices.add(attributes["data-value"], chosen="active" in classes or parent_active)

    def _see_field(self, identifier: str, attributes: dict[str, str], classes: set[str]) -> None:
        kind = attributes.get("type", "text")
        date = next((outer.date for outer in reversed(self._stack) if outer.date), None)
        choices = self._nearest_choices()
        if date is not None:
            value, so_far = initial_date(attributes, self._today), self.values[date]
            self.values[date] = [*so_far, value] if isinstance(so_far, list) else value
        elif choices is not None and kind in ("checkbox", "radio"):
            choices.add(attributes.get("value", "on"), chosen="checked" in attributes)
        elif not identifier:
            return
        elif "js-range-slider" in classes:
            key, position = slider(identifier, attributes)
            self.values[key] = position
        elif kind == "number":
            self.values[f"{identifier}:shiny.number"] = number(attributes.get("value", ""))
        elif kind == "checkbox":
            self.values[identifier] = "checked" in attributes
        elif (text := text_key(identifier, kind)) is not None:
            self.values[text] = attributes.get("value", "")

    def _nearest_choices(self) -> Choices | None:
        return next((outer.choices for outer in reversed(self._stack) if outer.choices), None)
