"""Which outputs and inputs a Shiny page declares; the pages are real ones (fixtures/sessions)."""

import json
from pathlib import Path

import pytest

from dataapp_operator.checks.shiny_inputs import number
from dataapp_operator.checks.shiny_page import MOST_BINDINGS, Output, Page, read_page

FIXTURES = Path(__file__).parent / "fixtures" / "sessions"


def page_of(name: str) -> Page:
    return read_page(json.loads((FIXTURES / f"{name}.json").read_text())["page"], today="2026-11-22")


def test_every_kind_of_input_of_shiny_for_r_has_the_value_that_the_browser_would_send() -> None:
    # What R then sees was checked against a running app: str(input) gave int 7, Date "2024-05-05", and so on.
    assert page_of("r-ok").inputs == {
        "n:shiny.number": 7,
        "s": [2, 5],
        "sd:shiny.date": "2024-05-05",
        "sel": "a",
        "selm": ["b", "c"],
        "cb": True,
        "cg": ["y"],
        "rb": "q",
        "d:shiny.date": "2024-02-03",
        "dr:shiny.date": ["2024-02-03", "2024-03-04"],
        "t": "hello",
        "ta": "area",
        "pw:shiny.password": "x",
        "go:shiny.action": 0,
        "tabs": "One",
    }


def test_every_kind_of_input_of_shiny_for_python_has_the_value_that_the_browser_would_send() -> None:
    assert page_of("py-ok").inputs == {
        "n:shiny.number": 7,
        "s": [2, 5],
        "sel": "a",
        "sw": True,
        "cg": ["y"],
        "d:shiny.date": "2024-02-03",
        "go:shiny.action": 0,
        "tabs": "A",
    }


def test_the_outputs_of_a_page() -> None:
    outputs = page_of("r-ok").outputs
    assert list(outputs) == ["total", "bytes", "p", "more", "one", "two", "cond", "dl", "dump"]
    assert outputs["p"] == Output("p", sized=True)
    assert outputs["cond"] == Output("cond", conditional=True)
    assert outputs["dl"] == Output("dl", download=True)
    assert list(page_of("py-ok").outputs) == ["total", "bytes", "more", "df", "b", "dump"]


@pytest.mark.parametrize(
    ("html", "inputs"),
    [
        ('<input id="n" type="number" value="">', {"n:shiny.number": None}),
        ('<input id="n" type="number" value="2.5">', {"n:shiny.number": 2.5}),
        ('<select id="s"><option value="a">A</option><option value="b">B</option></select>', {"s": "a"}),
        ('<select id="s" multiple><option value="a">A</option></select>', {"s": []}),
        ('<div id="d" class="shiny-date-input"><input type="text"></div>', {"d:shiny.date": "2026-11-22"}),
        (
            '<input id="t" class="js-range-slider" data-from="1704110400000" data-data-type="datetime">',
            {"t:shiny.datetime": 1704110400},
        ),
        ('<textarea id="t">a &amp; b</textarea>', {"t": "a & b"}),
        ('<input id="f" type="file"><input type="text" value="no id">', {}),
        ('<input id="t" type="text" value="x" data-shiny-no-bind-input>', {}),
        ('<div id="r" class="shiny-input-radiogroup"><input type="radio" name="r" value="a"></div>', {"r": None}),
        ("</div></p><input id=t value=1></b>", {"t": "1"}),
    ],
)
def test_one_input(html: str, inputs: dict[str, object]) -> None:
    assert read_page(html, today="2026-11-22").inputs == inputs


@pytest.mark.parametrize(
    ("html", "identifiers"),
    [
        ('<div class="leaflet html-widget html-widget-output shiny-report-size" id="map"></div>', ["map"]),
        ('<div class="shiny-text-output">without an id</div>', []),
        ('<div id="x" class="my-shiny-text-outputs"></div>', []),
        ("<shiny-data-frame id='df'></shiny-data-frame>", ["df"]),
    ],
)
def test_one_output(html: str, identifiers: list[str]) -> None:
    assert list(read_page(html, today="2026-11-22").outputs) == identifiers


def test_a_page_of_ten_thousand_outputs_is_not_announced_whole() -> None:
    html = "".join(f'<p id="o{i}" class="shiny-text-output"></p><input id="i{i}" value="">' for i in range(10_000))
    page = read_page(html, today="2026-11-22")
    assert (len(page.outputs), len(page.inputs)) == (MOST_BINDINGS, MOST_BINDINGS)


@pytest.mark.parametrize(
    ("text", "value"), [("7", 7), ("7.0", 7), ("1e400", None), ("nan", None), ("", None), ("x", None)]
)
def test_numbers_are_those_of_json(text: str, value: float | None) -> None:
    assert number(text) == value
