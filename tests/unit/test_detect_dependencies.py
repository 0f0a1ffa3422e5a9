"""Which packages an app asks for, how far they are fixed, and what is refused before any build."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.api.reasons import Reason
from dataapp_operator.build import r_code
from dataapp_operator.build.detect import DetectionError, Tree, detect
from dataapp_operator.build.requirements import RequirementsError, read_requirements

APP = {"app.py": "import streamlit"}
SHINY = {"app.R": "library(shiny)\nshinyApp(ui, server)\n"}
HASH = "--hash=sha256:" + "0" * 64
PROJECT = '[project]\nname = "x"\nversion = "1"\ndependencies = ["streamlit"]\n'


def asked(contents: dict[str, str]) -> tuple[str, str | None, int | None]:
    found = detect(Tree(frozenset(contents), contents), framework=None, entrypoint=None, dockerfile=None).dependencies
    return found.trust, found.source, found.count


def refused(contents: dict[str, str]) -> str:
    with pytest.raises(DetectionError) as caught:
        asked(contents)
    assert caught.value.reason == Reason.DEPENDENCIES_MISSING
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "trust", "count"),
    [
        ("streamlit\n", "floating", 1),
        ("streamlit==1.67.0\npandas>=2\n", "floating", 2),
        ("streamlit==1.67.0\nPandas == 2.0 ; python_version < '4'\n", "pinned", 2),
        ("streamlit===1.67.0 # why\n\n# nothing\npandas==2.*\n", "floating", 2),
        (f"streamlit==1.67.0 \\\n    {HASH} \\\n    {HASH}\nsix==1.0 {HASH}\n", "locked", 2),
        (f"streamlit==1.67.0 {HASH}\nsix==1.0\n", "pinned", 2),
        ("--index-url https://pypi.example.org/simple\n-i https://x.org\nstreamlit[charts]~=1.0\n", "floating", 1),
        ("\ufeffstreamlit==1\r\n", "pinned", 1),
        ("streamlit==1\nother @ https://files.example.org/other-1.whl\n", "floating", 2),
        (f"streamlit==1\nother @ https://files.example.org/other-1.whl#sha256={'0' * 64}\n", "pinned", 2),
    ],
)
def test_requirements_txt(text: str, trust: str, count: int) -> None:
    assert asked(APP | {"requirements.txt": text}) == (trust, "requirements.txt", count)


def test_requirements_that_take_in_others() -> None:
    more = {
        "requirements.txt": "-r requirements-base.txt\n-c constraints.txt\n-r requirements/plots.txt\n",
        "requirements-base.txt": "streamlit==1\n-r requirements.txt\n",
        "constraints.txt": "six<2\n",
        "requirements/plots.txt": "altair==1\n",
    }
    assert asked(APP | more) == ("pinned", "requirements.txt", 2)
    assert "which is not in the app's directory" in refused(APP | {"requirements.txt": "-r base.txt"})
    assert "give it such a name" in refused(APP | {"requirements.txt": "-r deps/base.txt", "deps/base.txt": ""})
    assert "outside of the app's directory" in refused(APP | {"requirements.txt": "-r ../base.txt"})
    assert "outside of the app's directory" in refused(APP | {"requirements.txt": "-r https://x.org/base.txt"})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-e .", "line 2 installs code from '.'"),
        ("--editable=./lib", "line 2 installs code from './lib'"),
        ("-e git+ext::sh -c id", "line 2 installs code from"),
        ("git+https://example.org/x.git", "line 2 takes code from a repository"),
        ("mine @ git+ssh://git@example.org/x.git", "line 2 takes code from a repository"),
        ("./lib", "line 2 installs from a file or directory"),
        ("mine @ file:///etc", "line 2 installs from a file or directory"),
        ("wheels/mine-1.whl", "line 2 installs from a file or directory"),
        ("foo bar", "line 2: 'foo bar' is no package's name"),
        ("$(id)", "is no package's name"),
    ],
)
def test_a_line_that_a_build_cannot_obey_is_told_with_its_number(line: str, words: str) -> None:
    assert words in refused(APP | {"requirements.txt": f"streamlit\n{line}\n"})


def test_a_password_in_a_line_is_not_repeated() -> None:
    told = refused(APP | {"requirements.txt": "streamlit\nx @ git+https://me:hunter2@example.org/x.git\n"})
    assert "hunter2" not in told


@given(st.text(max_size=200))
def test_any_text_as_requirements_is_read_or_refused_in_words(text: str) -> None:
    try:
        read_requirements("requirements.txt", frozenset({"requirements.txt"}), {"requirements.txt": text})
    except RequirementsError as error:
        assert str(error).startswith("requirements.txt line ")  # noqa: PT017


def test_the_framework_must_be_named() -> None:
    assert "does not name streamlit, without which app.py (Streamlit) cannot run" in refused(
        APP | {"requirements.txt": "pandas"}
    )
    api = {"main.py": "import fastapi\napp = fastapi.FastAPI()"}
    assert "does not name uvicorn or fastapi[standard]" in refused(api | {"requirements.txt": "fastapi"})
    assert asked(api | {"requirements.txt": "FastAPI[Standard]==1"})[0] == "pinned"
    assert asked(api | {"requirements.txt": "fastapi\nUvicorn[standard]"})[2] == 2


def test_python_without_a_dependency_file_is_told_what_to_add() -> None:
    told = refused(APP)
    assert "add a requirements.txt that names streamlit" in told
    assert "poetry export" in refused(APP | {"poetry.lock": ""})
    assert "environment.yml is not read" in refused(APP | {"environment.yml": ""})
    assert "add a requirements.txt" in refused(APP | {"pyproject.toml": "[tool.ruff]\n"})


def lock(*packages: str) -> dict[str, str]:
    return {
        "pyproject.toml": PROJECT,
        "uv.lock": "version = 1\n" + "".join(f"[[package]]\n{one}\n" for one in packages),
    }


REGISTRY = 'source = { registry = "https://pypi.org/simple" }'


def test_uv_lock_comes_first_and_is_locked() -> None:
    contents = APP | {"requirements.txt": "pandas"}
    contents |= lock(
        f'name = "streamlit"\n{REGISTRY}', f'name = "six"\n{REGISTRY}', 'name = "x"\nsource = { virtual = "." }'
    )
    assert asked(contents) == ("locked", "uv.lock", 2)


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({"uv.lock": "version = 1"}, "without its pyproject.toml"),
        ({"uv.lock": "version = ", "pyproject.toml": PROJECT}, "uv.lock cannot be read"),
        ({"uv.lock": "package = 3", "pyproject.toml": PROJECT}, "its packages are no list"),
        ({"uv.lock": "", "pyproject.toml": "[project"}, "pyproject.toml cannot be read"),
        (lock('name = "x"\nsource = { editable = "lib" }'), "takes x from the directory lib"),
        (lock('name = "x"\nsource = { path = "x.whl" }'), "takes x from the directory x.whl"),
        (lock('name = "x"\nsource = { git = "https://example.org/x" }'), "takes x from a git repository"),
        (lock(f'name = "six"\n{REGISTRY}'), "does not name streamlit"),
        ({"pyproject.toml": '[project]\nname = "x"\ndynamic = ["dependencies"]\n'}, "to another file (dynamic)"),
        ({"pyproject.toml": "[tool.poetry.dependencies]\nstreamlit = '*'\n"}, "for Poetry only"),
        ({"pyproject.toml": '[project]\ndependencies = ["!!"]\n'}, "is no package's name"),
    ],
)
def test_a_lock_or_project_that_cannot_be_used_is_told(contents: dict[str, str], words: str) -> None:
    assert words in refused(APP | contents)


def test_pyproject_alone() -> None:
    assert asked(APP | {"pyproject.toml": PROJECT}) == ("floating", "pyproject.toml", 1)
    pinned = PROJECT.replace('"streamlit"', '"streamlit==1.67.0", "six==1.0"')
    assert asked(APP | {"pyproject.toml": pinned}) == ("pinned", "pyproject.toml", 2)


def test_r_files() -> None:
    renv = json.dumps(
        {"R": {"Version": "4.5.0"}, "Packages": {"shiny": {"Version": "1.10.0"}, "R6": {"Version": "2.6.1"}}}
    )
    described = "Package: x\nDepends: R (>= 4.1)\nImports: shiny (>= 1.7),\n    dplyr,\n    utils\n"
    assert asked(SHINY | {"renv.lock": renv, "DESCRIPTION": described}) == ("locked", "renv.lock", 2)
    assert asked(SHINY | {"DESCRIPTION": described}) == ("floating", "DESCRIPTION", 3)
    assert "renv.lock cannot be read" in refused(SHINY | {"renv.lock": "{"})
    assert "renv.lock lists no packages" in refused(SHINY | {"renv.lock": "[]"})
    assert "DESCRIPTION line 2: expected a field" in refused(SHINY | {"DESCRIPTION": "Package: x\nnonsense\n"})


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("library(shiny)\n", 0),
        ("library(shiny); library('dplyr')\nrequire(\"DT\")\nx <- purrr::map(y, z)\nstats::median(1)\n", 3),
        ("# library(dplyr)\nx <- 'library(DT)'\ny <- r\"--(library(z))--\"\n", 0),
        ("library(  ggplot2  )\n`my pkg`::x\n", 2),
        ('library("unclosed', 0),
    ],
)
def test_r_without_a_file_counts_what_the_code_names_beyond_shiny(text: str, count: int) -> None:
    assert asked(SHINY | {"global.R": text, "scripts/train.R": "library(torch)"}) == ("none", None, count)


@given(st.text(alphabet="rR\"'`()[]{}#-\\:,.ab \n", max_size=120))
def test_any_text_as_r_gives_tokens_on_rising_lines(text: str) -> None:
    lines = [token.line for token in r_code.tokens(text)]
    assert lines == sorted(lines)
    assert not lines or lines[-1] <= text.count("\n") + 1
