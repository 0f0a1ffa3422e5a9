"""The value that each kind of Shiny input has before anybody touched it, as Shiny's JavaScript would send it.

Rules of `srcts/src/bindings/input/*.ts` of Shiny 1.10. Dates travel as "2026-11-22", sliders over time in
milliseconds in the page and as dates or seconds on the wire.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_TEXT_KINDS = {"text": "", "search": "", "url": "", "email": "", "password": ":shiny.password"}


@dataclass(slots=True)
class Choices:
    """An input whose value is one or several of a list: checkbox group, radio buttons, select, tabs."""

    several: bool = False
    first_by_default: bool = False
    _all: list[str] = field(default_factory=list)
    _chosen: list[str] = field(default_factory=list)

    def add(self, value: str, *, chosen: bool) -> None:
        """One choice, in page order."""
        self._all.append(value)
        if chosen:
            self._chosen.append(value)

    def value(self) -> list[str] | str | None:
        """What the browser sends: a list, the last chosen one, the first of a list box, or nothing."""
        if self.several:
            return self._chosen
        if self._chosen:
            return self._chosen[-1]
        return self._all[0] if self.first_by_default and self._all else None


def text_key(identifier: str, kind: str) -> str | None:
    """The wire key of a text-like `<input type=kind>`; None for other kinds (file, hidden, submit …)."""
    suffix = _TEXT_KINDS.get(kind)
    return None if suffix is None else identifier + suffix


def number(text: str) -> float | int | None:
    """A number as JSON would have it, whole ones without a point; None for an empty or unreadable field."""
    try:
        value = float(text)
    except ValueError:
        return None
    if value != value or abs(value) == float("inf"):  # noqa: PLR0124 - NaN is unequal to itself; neither is JSON
        return None
    return int(value) if value.is_integer() else value


def slider(identifier: str, attributes: dict[str, str]) -> tuple[str, Any]:
    """Wire key and value of a slider: one value, or a pair where it is `double`."""
    kind = attributes.get("data-data-type", "number")
    start = attributes.get("data-from", attributes.get("data-min", ""))
    ends = [start, attributes.get("data-to", "")] if attributes.get("data-type") == "double" else [start]
    values = [_slider_value(number(end), kind) for end in ends]
    suffix = {"date": ":shiny.date", "datetime": ":shiny.datetime"}.get(kind, "")
    return identifier + suffix, values if len(values) > 1 else values[0]


def initial_date(attributes: dict[str, str], today: str) -> str:
    """The date a date field starts with; an empty one shows today."""
    return attributes.get("data-initial-date") or today


def _slider_value(value: float | None, kind: str) -> Any:
    if value is None:
        return None
    if kind == "datetime":
        return value / 1000
    if kind == "date":
        try:
            return datetime.fromtimestamp(value / 1000, tz=UTC).date().isoformat()
        except (ValueError, OverflowError, OSError):
            return None
    return value
