"""What a directory of code is taken for, and what is said when it cannot be told."""

from pathlib import Path

import pytest

from dataapp_operator.api.dataapp import DEFAULT_PORTS
from dataapp_operator.api.reasons import Reason
from dataapp_operator.build.detect import Detected, DetectionError, Tree, detect
from dataapp_operator.build.rules import rules

EXAMPLES = Path(__file__).parents[2] / "examples" / "code"
STREAMLIT = "import streamlit as st\nst.title('x')\n"
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
EXPRESS = "from shiny.express import input, ui\nui.h1('x')\n"
CORE = "from shiny import App, ui\napp = App(ui.page_fluid(), None)\n"
NEEDS = {"requirements.txt": "streamlit\nshiny\nfastapi\nuvicorn\n"}


def see(
    contents: dict[str, str],
    *,
    framework: str | None = None,
    entrypoint: str | None = None,
    dockerfile: str | None = None,
    others: tuple[str, ...] = (),
    name: str = "",
) -> Detected:
    tree = Tree(frozenset(contents) | set(others), contents, name)
    return detect(tree, framework=framework, entrypoint=entrypoint, dockerfile=dockerfile)


def error(contents: dict[str, str], **said: str | None) -> DetectionError:
    with pytest.raises(DetectionError) as caught:
        see(contents, **said)
    return caught.value


@pytest.mark.parametrize(
    ("contents", "framework", "entrypoint", "rule"),
    [
        ({"app.py": STREAMLIT}, "streamlit", "app.py", "streamlit.import"),
        ({"dashboard.py": STREAMLIT, "load.py": "import pandas"}, "streamlit", "dashboard.py", "streamlit.import"),
        (
            {"app.py": "try:\n    import streamlit\nexcept ImportError:\n    pass\n"},
            "streamlit",
            "app.py",
            "streamlit.import",
        ),
        ({"app.py": "if True:\n    from streamlit import title\n"}, "streamlit", "app.py", "streamlit.import"),
        ({"app.py": EXPRESS}, "shiny-python", "app.py", "shiny-python.express"),
        ({"app.py": CORE}, "shiny-python", "app.py:app", "shiny-python.core"),
        (
            {"app.py": "import shiny as s\nmine: s.App = s.App(1, 2)\n"},
            "shiny-python",
            "app.py:mine",
            "shiny-python.core",
        ),
        ({"main.py": FASTAPI}, "fastapi", "main.py:app", "fastapi.object"),
        ({"main.py": "import fastapi\nweb = fastapi.FastAPI(title='x')\n"}, "fastapi", "main.py:web", "fastapi.object"),
        (
            {"main.py": "from fastapi.applications import FastAPI as F\nif 1:\n    api = F()\n"},
            "fastapi",
            "main.py:api",
            "fastapi.object",
        ),
        (
            {"main.py": "import fastapi\nfrom factory import make\napp = make()\n"},
            "fastapi",
            "main.py:app",
            "fastapi.name",
        ),
        ({"service/main.py": FASTAPI, "service/__init__.py": ""}, "fastapi", "service/main.py:app", "fastapi.object"),
        ({"app.R": "library(shiny)\nshinyApp(ui, server)"}, "shiny-r", "app.R", "shiny-r.app-R"),
        ({"app.r": "library(shiny)\nshinyApp(ui, server)"}, "shiny-r", "app.r", "shiny-r.app-R"),
        ({"server.R": "", "ui.R": ""}, "shiny-r", "server.R", "shiny-r.server-R"),
        ({"server.R": "", "www/index.html": ""}, "shiny-r", "server.R", "shiny-r.server-R"),
    ],
)
def test_what_is_recognised_by_which_rule(contents: dict[str, str], framework: str, entrypoint: str, rule: str) -> None:
    found = see(contents | NEEDS)
    assert (found.framework, found.entrypoint, found.rule) == (framework, entrypoint, rule)
    assert found.file == entrypoint.partition(":")[0]
    assert found.recipe == f"{framework}/1"
    assert found.dockerfile is None


@pytest.mark.parametrize(
    ("directory", "framework", "entrypoint", "recipe"),
    [
        ("streamlit-penguins", "streamlit", "app.py", "streamlit/1"),
        ("shiny-python-waves", "shiny-python", None, "shiny-python/1"),
        ("fastapi-prices", "fastapi", None, "fastapi/1"),
        ("shiny-r-salmon", "shiny-r", "app.R", "shiny-r/1"),
        ("dockerfile-app", "shiny-r", "", "dockerfile/1"),
    ],
)
def test_the_examples(directory: str, framework: str, entrypoint: str | None, recipe: str) -> None:
    top = EXAMPLES / directory
    texts = {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}
    found = see(texts, name=directory)
    assert (found.framework, found.recipe) == (framework, recipe)
    assert entrypoint is None or found.entrypoint == entrypoint


def test_an_import_in_a_string_or_a_comment_is_none() -> None:
    found = error({"app.py": '"""\nimport streamlit\n"""\n# import streamlit\n'} | NEEDS)
    assert found.reason == Reason.NOTHING_DETECTED


def test_the_directory_s_own_name_is_a_name_of_an_entry_point() -> None:
    both = {"sales.py": STREAMLIT, "other.py": STREAMLIT} | NEEDS
    assert see(both, name="sales").entrypoint == "sales.py"
    assert error(both).reason == Reason.AMBIGUOUS


def test_a_file_that_another_candidate_imports_is_its_module() -> None:
    assert see({"start.py": STREAMLIT + "import pieces", "pieces.py": STREAMLIT} | NEEDS).entrypoint == "start.py"
    package = {"main.py": FASTAPI + "from app import route", "app.py": "import streamlit"} | NEEDS
    assert see(package).entrypoint == "main.py:app"
    circle = {"main.py": STREAMLIT + "import app", "app.py": STREAMLIT + "import main"} | NEEDS
    assert error(circle).reason == Reason.AMBIGUOUS


def test_routers_tests_and_pages_are_no_candidates() -> None:
    found = see(
        {
            "main.py": FASTAPI,
            "index.py": "from fastapi import APIRouter\nrouter = APIRouter()\n",
            "test_main.py": "from fastapi.testclient import TestClient\napp = make()\n",
            "conftest.py": "import fastapi\napp = make()\n",
            "pages/app.py": STREAMLIT,
        }
        | NEEDS
    )
    assert found.entrypoint == "main.py:app"


def test_two_candidates_are_listed_with_the_words_to_set() -> None:
    found = error({"app.py": STREAMLIT, "main.py": FASTAPI} | NEEDS)
    assert found.reason == Reason.AMBIGUOUS
    assert found.candidates == ("app.py", "main.py:app")
    assert "app.py (Streamlit), main.py (FastAPI)" in found.message
    assert "spec.build.entrypoint" in found.message
    assert "spec.app.framework" in found.message
    assert see({"app.py": STREAMLIT, "main.py": FASTAPI} | NEEDS, entrypoint="main.py").framework == "fastapi"
    assert see({"app.py": STREAMLIT, "main.py": FASTAPI} | NEEDS, framework="streamlit").entrypoint == "app.py"


def test_two_frameworks_in_one_file_are_ambiguous() -> None:
    found = error({"app.py": FASTAPI + STREAMLIT} | NEEDS)
    assert found.reason == Reason.AMBIGUOUS
    assert "app.py (FastAPI), app.py (Streamlit)" in found.message


def test_r_and_python_in_one_directory_are_ambiguous() -> None:
    found = error({"app.R": "library(shiny)", "app.py": STREAMLIT} | NEEDS)
    assert found.reason == Reason.AMBIGUOUS
    assert found.candidates == ("app.R", "app.py")
    found = error({"app.R": "library(shiny)", "plumber.R": ""})
    assert found.reason == Reason.AMBIGUOUS
    assert "plumber.R (Plumber)" in found.message


def test_scripts_of_the_other_language_do_no_harm() -> None:
    assert (
        see({"app.R": "library(shiny)", "train.py": "import pandas", "plot.py": "import bokeh"}).framework == "shiny-r"
    )
    assert see({"app.py": STREAMLIT, "analysis.R": "library(dplyr)", "x.ipynb": "{}"} | NEEDS).framework == "streamlit"


@pytest.mark.parametrize(
    ("file", "text", "title"),
    [
        ("app.py", "import dash", "Dash"),
        ("app.py", "from dash import Dash", "Dash"),
        ("app.py", "import gradio as gr", "Gradio"),
        ("app.py", "import panel as pn\nimport bokeh", "Panel"),
        ("app.py", "from bokeh.io import curdoc", "Bokeh"),
        ("app.py", "from flask import Flask", "Flask"),
        ("plumber.R", "", "Plumber"),
        ("entrypoint.r", "", "Plumber"),
        ("_server.yml", "engine: plumber2", "Plumber"),
        ("report.qmd", "", "Quarto"),
        ("_quarto.yml", "", "Quarto"),
        ("report.Rmd", "", "R Markdown"),
        ("explore.ipynb", "{}", "Voila"),
    ],
)
def test_a_framework_that_is_not_supported_is_named_with_what_works_today(file: str, text: str, title: str) -> None:
    found = error({file: text})
    assert found.reason == Reason.UNSUPPORTED_FRAMEWORK
    assert title in found.message
    assert file in found.message
    assert "spec.image" in found.message
    assert "Dockerfile" in found.message


def test_plots_with_bokeh_in_a_streamlit_app_are_streamlit() -> None:
    assert see({"app.py": STREAMLIT + "import bokeh\nimport panel"} | NEEDS).framework == "streamlit"


def test_a_syntax_error_is_told_with_file_and_line_and_a_way_round() -> None:
    broken = {"app.py": "import streamlit\nx = (1,\n"} | NEEDS
    found = error(broken)
    assert found.reason == Reason.NOTHING_DETECTED
    assert "app.py line 2 is not valid Python: '(' was never closed" in found.message
    assert see(broken, framework="streamlit", entrypoint="app.py").entrypoint == "app.py"


def test_a_broken_script_beside_the_app_is_told_only_when_nothing_is_found() -> None:
    assert see({"dash.py": STREAMLIT, "old.py": "print 'x'"} | NEEDS).entrypoint == "dash.py"
    assert "old.py line 1 is not valid Python" in error({"old.py": "print 'x'"}).message


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "-" * 50_000 + "1",
        "a." * 50_000 + "b",
        "\0",
        "1+" * 50_000 + "1",
        "x = [" * 900,
        "\ufeffimport streamlit",
        "#" * 900_000,
    ],
)
def test_hostile_python_is_text_like_any_other(text: str) -> None:
    try:
        assert see({"app.py": text} | NEEDS).framework == "streamlit"
    except DetectionError as told:
        assert told.reason == Reason.NOTHING_DETECTED  # noqa: PT017


def test_what_was_nearly_right_is_told() -> None:
    found = error({"main.py": "from fastapi import FastAPI\ndef make():\n    app = FastAPI()\n"} | NEEDS)
    assert found.message.count("main.py imports fastapi and makes no FastAPI(…) at its top level") == 1
    found = error({"util.py": "x = 1"})
    assert found.reason == Reason.NOTHING_DETECTED
    assert "util.py" in found.message
    assert error({}).message == "the app's directory has no files beside its manifest"
    assert "data.csv" in error({"data.csv": ""}).message


def test_a_file_that_is_too_large_is_named() -> None:
    with pytest.raises(DetectionError, match=r"app\.py is too large to be read"):
        see({}, others=("app.py",))


@pytest.mark.parametrize(
    ("entrypoint", "words"),
    [
        ("ap.py", "did you mean app.py"),
        ("../app.py", "write a path from the app's directory"),
        ("/app.py", "write a path from the app's directory"),
        ("a\nb.py", "write a path from the app's directory"),
        ("app.py:web", "is a file: write app.py"),
        ("main.py:wbe", "does not have at its top level"),
        ("main.py:a b", "is no name of an object"),
    ],
)
def test_an_entry_point_that_is_not_there_is_told(entrypoint: str, words: str) -> None:
    found = error({"app.py": STREAMLIT, "main.py": FASTAPI} | NEEDS, entrypoint=entrypoint)
    assert found.reason == Reason.MANIFEST_INVALID
    assert words in found.message


def test_a_named_entry_point_is_obeyed() -> None:
    many = {
        "app.py": STREAMLIT,
        "tools/view.py": STREAMLIT,
        "main.py": FASTAPI + "other = FastAPI()\n",
        "run.R": "shiny::runGadget()",
    }
    many |= NEEDS
    assert see(many, entrypoint="tools/view.py").entrypoint == "tools/view.py"
    assert see(many, entrypoint="main.py:other").entrypoint == "main.py:other"
    assert see(many, entrypoint="run.R").rule == "shiny-r.package"
    assert error({"x.R": "plot(1)"}, entrypoint="x.R").reason == Reason.NOTHING_DETECTED
    assert error({"x.ipynb": ""}, entrypoint="x.ipynb").reason in {
        Reason.NOTHING_DETECTED,
        Reason.UNSUPPORTED_FRAMEWORK,
    }
    assert error({"x.py": "import dash"}, entrypoint="x.py").reason == Reason.UNSUPPORTED_FRAMEWORK


def test_a_stated_framework_is_believed_where_no_rule_sees_it() -> None:
    hidden = {"app.py": "from pieces import show\nshow()\n"} | NEEDS
    assert error(hidden).reason == Reason.NOTHING_DETECTED
    found = see(hidden, framework="streamlit")
    assert (found.entrypoint, found.rule) == ("app.py", "streamlit.stated")
    assert see({"main.py": "from factory import app"} | NEEDS, framework="fastapi").entrypoint == "main.py:app"
    assert error({"main.py": "x = 1"} | NEEDS, framework="fastapi").reason == Reason.NOTHING_DETECTED
    assert error({"app.py": "", "main.py": ""} | NEEDS, framework="streamlit").reason == Reason.AMBIGUOUS
    assert error({"data.csv": ""}, framework="shiny-r").reason == Reason.NOTHING_DETECTED


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("library(shiny)\nrunApp(shinyApp(ui, server))", 2),
        ("library(shiny)\n\nshiny::runApp(list(ui = ui, server = server))", 3),
        ("x <- r\"(\nrunApp()\n)\"\nrunApp('.')", 4),
    ],
)
def test_an_app_r_that_starts_itself_is_told(text: str, line: int) -> None:
    found = error({"app.R": text})
    assert found.reason == Reason.NOTHING_DETECTED
    assert f"app.R line {line} calls runApp()" in found.message
    assert "shinyApp(ui, server)" in found.message


@pytest.mark.parametrize(
    "text",
    [
        "library(shiny) # runApp()\n'runApp()'\nshinyApp(ui, server)",
        "if (interactive()) runApp()",
        "if (interactive())\n  runApp()",
        "if (interactive()) {\n  runApp()\n}",
        "start <- function() runApp()",
        "start <- function() {\n  runApp()\n}\nshinyApp(ui, server)",
    ],
)
def test_a_runapp_that_does_not_run_is_no_matter(text: str) -> None:
    assert see({"app.R": text}).framework == "shiny-r"


def test_a_python_app_that_starts_its_own_server_is_told() -> None:
    found = error({"main.py": FASTAPI + "import uvicorn\nuvicorn.run(app)\n"} | NEEDS)
    assert "main.py line 4 calls uvicorn.run()" in found.message
    guarded = FASTAPI + "import uvicorn\nif __name__ == '__main__':\n    uvicorn.run(app)\n"
    assert see({"main.py": guarded} | NEEDS).framework == "fastapi"


def test_an_own_dockerfile_makes_the_image_and_the_code_says_what_it_is() -> None:
    found = see({"Dockerfile": "FROM x", "app.py": STREAMLIT})
    assert (found.framework, found.recipe, found.dockerfile, found.entrypoint) == (
        "streamlit",
        "dockerfile/1",
        "Dockerfile",
        "",
    )
    assert (found.rule, found.file) == ("streamlit.import", "app.py")
    assert found.dependencies.trust == "none"
    stated = see({"Dockerfile": "FROM x"}, framework="fastapi")
    assert (stated.framework, stated.rule, stated.file) == ("fastapi", "dockerfile.file", "Dockerfile")
    elsewhere = see({"docker/Web": "FROM x", "app.py": STREAMLIT}, dockerfile="docker/Web")
    assert elsewhere.dockerfile == "docker/Web"
    named = see({"Dockerfile": "FROM x", "app.py": STREAMLIT} | NEEDS, entrypoint="app.py")
    assert named.recipe == "streamlit/1"


def test_an_own_dockerfile_without_a_framework_asks_for_it() -> None:
    found = error({"Dockerfile": "FROM x", "server.js": ""})
    assert found.reason == Reason.NOTHING_DETECTED
    assert "set spec.app.framework to one of fastapi, shiny-python, streamlit, shiny-r" in found.message
    found = error({"Dockerfile": "FROM x", "app.py": "import dash"})
    assert found.reason == Reason.UNSUPPORTED_FRAMEWORK
    assert error({"app.py": STREAMLIT}, dockerfile="Dockrfile").reason == Reason.MANIFEST_INVALID


def test_every_message_is_short_enough_for_status_and_quotes_odd_names() -> None:
    names = {f"{index} $(reboot) `x` 'y'\n.py": STREAMLIT for index in range(300)}
    found = error(names | NEEDS)
    assert len(found.message) < 2000
    assert "\n" not in found.message


def test_every_supported_framework_has_a_port_and_an_image() -> None:
    assert {row.name for row in rules().supported} == set(DEFAULT_PORTS)
    assert all(row.image for row in rules().supported)
    ids = [rule.id for row in rules().frameworks for rule in row.rules]
    assert len(ids) == len(set(ids))
    assert all(rule.id.startswith(f"{row.name}.") for row in rules().frameworks for rule in row.rules)
