"""The Dockerfiles of the recipes, and the scripts in them that can run here: check.R where there is an R."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.api.appbuild import AppBuildSpec, BuildSource
from dataapp_operator.api.code import Dependencies, DetectedBy
from dataapp_operator.build import recipes
from dataapp_operator.build.recipes import RECIPES, base_of, needs_as_of, quoted, render

CHECK = Path(recipes.__file__).parent / "recipes" / "check.R"
BASE = "registry.example.org/base/python@sha256:" + "a" * 64
RSCRIPT = shutil.which("Rscript")
NEEDS_R = pytest.mark.skipif(RSCRIPT is None, reason="no Rscript on this machine: check.R is only read, not run")


def spec(framework: str = "streamlit", entrypoint: str = "app.py", **more: Any) -> AppBuildSpec:
    given_ = {"trust": "pinned", "source": "requirements.txt", "count": 2} | more.pop("dependencies", {})
    return AppBuildSpec(
        app="sales",
        commit="0" * 40,
        tree="1" * 40,
        source=BuildSource(url="https://git.example.org/sales.git"),
        framework=framework,
        entrypoint=entrypoint,
        recipe=more.pop("recipe", f"{framework}/1"),
        base=more.pop("base", BASE),
        detected_by=DetectedBy(rule="x", file="x"),
        dependencies=Dependencies(**given_),
        **more,
    )


def dockerfile(**said: Any) -> str:
    return render(spec(**said))["recipe/Dockerfile"].decode()


def instructions(text: str) -> list[str]:
    """The instructions of a Dockerfile, each on one line, without comments and the contents of files in it."""
    text = re.sub(r"<<'(?P<end>[A-Z-]+)'(?P<rest>[^\n]*)\n.*?\n(?P=end)\n", r"<<file\g<rest>\n", text, flags=re.DOTALL)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [" ".join(line.split()) for line in lines]


@pytest.mark.parametrize("framework", ["streamlit", "shiny-python", "fastapi"])
def test_packages_come_before_code_and_from_their_own_files_only(framework: str) -> None:
    lines = instructions(dockerfile(framework=framework))
    copies = [line for line in lines if line.startswith("COPY") and "<<" not in line]
    assert copies == [
        "COPY --link --chown=0:0 --parents requirements*.txt constraints*.txt requirements/*.txt ./",
        "COPY --link --chown=0:0 . /app",
    ]
    assert lines[-1] == copies[-1]
    install = lines.index(next(line for line in lines if line.startswith("RUN")))
    assert lines.index(copies[0]) < install < lines.index(copies[1])
    assert not any(line.startswith("RUN") for line in lines[install + 1 :])


@pytest.mark.parametrize("framework", ["streamlit", "shiny-python", "fastapi", "shiny-r"])
def test_every_image_runs_as_an_ordinary_user_under_tini(framework: str) -> None:
    text = dockerfile(framework=framework, dependencies={"count": 0} if framework == "shiny-r" else {})
    lines = instructions(text)
    assert lines[0].startswith(f"FROM {BASE}")
    assert [line for line in lines if line.startswith("USER")] == ["USER 0", "USER 1000:1000"]
    assert 'ENTRYPOINT ["tini", "--"]' in lines
    environment = " ".join(line for line in lines if line.startswith("ENV"))
    assert "HOME=/tmp LANG=C.UTF-8" in environment
    assert 'DATAAPP_ENTRYPOINT="app.py"' in environment
    assert "DATAAPP_PORT=" in environment
    command = json.loads(next(line for line in lines if line.startswith("CMD")).removeprefix("CMD "))
    assert command[:2] == ["sh", "-c"]
    assert command[2].startswith("exec ")
    assert "{{" not in text


def test_streamlit_s_settings_are_those_of_the_examples() -> None:
    example = (CHECK.parents[4] / "examples/apps/streamlit-base/Dockerfile").read_text()
    ours = dockerfile()
    for name, value in re.findall(r"(STREAMLIT_\w+)=(\S+)", example):
        assert f'{name}="{value}"' in ours


@pytest.mark.parametrize(
    ("dependencies", "as_of", "arguments"),
    [
        ({"trust": "floating"}, "2026-11-20T00:00:00Z", ["requirements", "--exclude-newer", "2026-11-20T00:00:00Z"]),
        ({"trust": "floating"}, None, ["requirements"]),
        ({"trust": "pinned"}, "2026-11-20T00:00:00Z", ["requirements", "--exclude-newer", "2026-11-20T00:00:00Z"]),
        ({"trust": "locked"}, "2026-11-20T00:00:00Z", ["requirements", "--require-hashes"]),
        ({"trust": "locked", "source": "uv.lock"}, None, ["lock"]),
        (
            {"trust": "floating", "source": "pyproject.toml"},
            "2026-11-20T00:00:00Z",
            ["project", "--exclude-newer", "2026-11-20T00:00:00Z"],
        ),
    ],
)
def test_how_packages_are_installed(dependencies: dict[str, Any], as_of: str | None, arguments: list[str]) -> None:
    run = next(
        line for line in instructions(dockerfile(dependencies=dependencies, as_of=as_of)) if line.startswith("RUN")
    )
    assert "--mount=type=cache,id=uv," in run
    assert "--mount=type=secret,id=ca " in run
    assert json.loads(run[run.index("[") :]) == ["sh", "/opt/dataapp/install.sh", *arguments]


def test_r_checks_by_the_file_that_names_the_packages() -> None:
    for file, trust in (("renv.lock", "locked"), ("DESCRIPTION", "floating")):
        lines = instructions(dockerfile(framework="shiny-r", dependencies={"trust": trust, "source": file}))
        assert f"COPY --link --chown=0:0 {file} /opt/dataapp/packages/" in lines
        run = next(line for line in lines if line.startswith("RUN"))
        assert f"/opt/dataapp/packages/{file}" in json.loads(run.removeprefix("RUN "))


def test_r_without_such_a_file_is_searched_only_where_the_code_names_packages() -> None:
    none = {"trust": "none", "source": None}
    assert not any(
        "RUN" in line for line in instructions(dockerfile(framework="shiny-r", dependencies=none | {"count": 0}))
    )
    lines = instructions(dockerfile(framework="shiny-r", dependencies=none | {"count": 3}))
    assert 'RUN ["Rscript", "--vanilla", "/opt/dataapp/check.R", "/app", "/opt/dataapp/packages-found"]' in lines
    assert lines[-1] == "COPY --link --chown=0:0 . /app"


def test_a_dockerignore_of_the_repository_does_not_hide_the_app_s_files() -> None:
    assert set(render(spec())) == {"recipe/Dockerfile", "recipe/Dockerfile.dockerignore"}
    assert all(line.startswith("#") for line in render(spec())["recipe/Dockerfile.dockerignore"].decode().splitlines())


def test_an_own_dockerfile_needs_no_recipe() -> None:
    assert render(spec(recipe="dockerfile/1", dockerfile="Dockerfile", base="")) == {}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"recipe": "streamlit/99"}, "there is no recipe streamlit/99"),
        ({"recipe": "cobol/1"}, "there is no recipe cobol/1"),
        ({"base": ""}, "is no image's name"),
        ({"base": "x\nRUN id"}, "is no image's name"),
        ({"entrypoint": "a\nRUN id"}, "cannot stand in a Dockerfile"),
        ({"dependencies": {"trust": "floating"}, "as_of": "x y"}, "is no day"),
        ({"dependencies": {"source": "other.txt"}}, "there is no way to install"),
    ],
)
def test_what_cannot_be_rendered_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dockerfile(**said)


def unquoted(text: str) -> str:
    """What Docker makes of a value in double quotes; a $ that is not behind a backslash would be expanded."""
    assert text[0] == text[-1] == '"'
    inner = text[1:-1]
    assert not re.search(r'(?<!\\)(?:\\\\)*["$]', inner)
    assert not re.search(r"(?<!\\)(?:\\\\)*\\$", inner)
    return re.sub(r'\\(["\\$])', r"\1", inner)


ODD = st.text(alphabet=st.sampled_from("ab $\\\"'`(){}<>#=&|;*?[]~!%^@:/.-é中"), min_size=1, max_size=20)


@given(ODD)
def test_no_name_of_a_file_leaves_its_quotes(name: str) -> None:
    assert unquoted(quoted(name)) == name
    text = dockerfile(entrypoint=name)
    assert f"DATAAPP_ENTRYPOINT={quoted(name)}" in text
    plain = instructions(dockerfile(entrypoint="app.py"))
    assert len(instructions(text.replace(quoted(name), '"app.py"'))) == len(plain)
    assert text.count(quoted(name)) >= 1


@given(st.text(min_size=1, max_size=20))
def test_a_name_that_a_line_cannot_hold_is_refused(name: str) -> None:
    if name.isprintable():
        assert len(quoted(name).splitlines()) == 1
    else:
        with pytest.raises(ValueError, match="cannot stand in a Dockerfile"):
            quoted(name)


def test_every_recipe_has_a_base_and_knows_whether_the_day_matters() -> None:
    assert {name: base_of(f"{name}/1") for name in RECIPES} == {
        "fastapi": "python",
        "shiny-python": "python",
        "streamlit": "python",
        "shiny-r": "r",
        "dockerfile": "",
    }
    assert needs_as_of("streamlit/1", "floating")
    assert needs_as_of("streamlit/1", "pinned")
    assert not needs_as_of("streamlit/1", "locked")
    assert not needs_as_of("shiny-r/1", "floating")
    assert not needs_as_of("dockerfile/1", "none")


def test_install_sh_is_a_shell_script() -> None:
    done = subprocess.run(["sh", "-n", str(CHECK.parent / "install.sh")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_check_r_fails_with_one_marked_line() -> None:
    text = CHECK.read_text()
    assert text.count('cat("DATAAPP-FAILED ", reason, " ", ') == 1
    assert len(re.findall(r"\bcat\(", text)) == 1
    assert "install.packages" not in text


def run_r(tmp_path: Path, argument: str, entrypoint: str = "app.R") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(RSCRIPT), "--vanilla", str(CHECK), str(tmp_path / argument) if argument else str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "DATAAPP_ENTRYPOINT": entrypoint, "LANG": "C.UTF-8"},
    )


@NEEDS_R
def test_check_r_lists_what_renv_lock_asks_for_and_what_there_is(tmp_path: Path) -> None:
    packages = {
        "stats": {"Version": "0.0.1"},
        "nosuch": {"Version": "9.9.9"},
        "renv": {"Version": "0.0.1"},
    }
    (tmp_path / "renv.lock").write_text(json.dumps({"R": {"Version": "2.1.0"}, "Packages": packages}))
    done = run_r(tmp_path, "renv.lock")
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith("DATAAPP-FAILED PackageNotFound renv.lock was made with R 2.1.0; the base image has R ")
    assert "renv.lock asks for nosuch 9.9.9; the base image does not have it" in line
    assert "renv.lock asks for stats 0.0.1; the base image has " in line
    assert "renv 0.0.1" not in line


@NEEDS_R
def test_check_r_respects_the_bounds_of_a_description(tmp_path: Path) -> None:
    path = tmp_path / "DESCRIPTION"
    path.write_text("Package: x\nDepends: R (>= 3.5)\nImports: utils (>= 3.0), jsonlite,\n    methods\n")
    assert run_r(tmp_path, "DESCRIPTION").returncode == 0
    path.write_text("Package: x\nDepends: R (>= 99)\nImports: utils (< 1.0), nosuch (>= 1), two words\n")
    done = run_r(tmp_path, "DESCRIPTION")
    assert done.returncode == 1
    assert "DESCRIPTION asks for R (>= 99); the base image has R " in done.stdout
    assert "DESCRIPTION asks for utils (< 1.0); the base image has " in done.stdout
    assert "DESCRIPTION asks for nosuch (>= 1); the base image does not have it" in done.stdout
    assert "DESCRIPTION: 'two words' is no package's name" in done.stdout


@NEEDS_R
def test_check_r_finds_what_the_code_certainly_loads(tmp_path: Path) -> None:
    (tmp_path / "R").mkdir()
    (tmp_path / "app.R").write_text(
        "library(stats); suppressPackageStartupMessages(library('nosuch1'))\n"
        "if (interactive()) library(nosuch2)\nx <- function(d, f = function(z) z) d[, 1]\n"
        "y <- function() nosuch3::map(1)\nsource('helpers.R')\ntryCatch(library(nosuch4), error = identity)\n"
        "library(name, character.only = TRUE)\n# library(nosuch5)\n'nosuch6::x'\n"
    )
    (tmp_path / "helpers.R").write_text("library(nosuch7)\n")
    (tmp_path / "train.R").write_text("library(nosuch8)\n")
    done = run_r(tmp_path, "")
    assert done.returncode == 1
    assert re.findall(r"nosuch\d", done.stdout) == ["nosuch1", "nosuch3", "nosuch7"]
    assert "app.R loads the package nosuch1; the base image does not have it" in done.stdout
    (tmp_path / "R" / "a.R").write_text("f <- function( {\n")
    assert "DATAAPP-FAILED BuildFailed R/a.R is not valid R, line 1: unexpected '{'" in run_r(tmp_path, "").stdout
