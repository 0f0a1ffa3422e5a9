"""The Dockerfile of an app that brings none: a template per language under recipes/, filled from what was detected.

The packages come first, in a layer of their own that depends on the files that name them and on nothing else; the code
comes last. Text from a repository reaches a Dockerfile in one place only, the entry point, and there in quotes.
The Dockerfile is whole: helper scripts stand in it, so that the build needs no file beside it and the context.
"""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Literal

from dataapp_operator.api.appbuild import AppBuildSpec
from dataapp_operator.api.dataapp import DEFAULT_PORTS
from dataapp_operator.build.rules import Framework, rules

DOCKERFILE = "dockerfile"
RECIPES: dict[str, int] = {row.name: row.image.version for row in rules().supported if row.image} | {DOCKERFILE: 1}
"""Name and version of every recipe; `dockerfile` is the repository's own Dockerfile."""

_BASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*(?:@sha256:[0-9a-f]{64})?")
_DAY = re.compile(r"[0-9TZ:.+-]+")
_END = "DATAAPP-END-OF-FILE"
_IGNORE_NOTHING = (
    "# The context holds exactly the app's files: a .dockerignore of the repository is for its own Dockerfile.\n"
)


def base_of(recipe: str) -> Literal["python", "r", ""]:
    """Which of the platform's base images a recipe starts from; "" for a repository's own Dockerfile."""
    name = recipe.partition("/")[0]
    return "" if name == DOCKERFILE else rules().framework(name).language


def needs_as_of(recipe: str, trust: str) -> bool:
    """Whether the day of the commit matters for what is installed. R's packages are those of the base image."""
    return base_of(recipe) == "python" and trust in {"floating", "pinned"}


def render(spec: AppBuildSpec) -> dict[str, bytes]:
    """The files of a recipe: `recipe/Dockerfile` and what belongs beside it; none for a repository's own Dockerfile.

    Raises ValueError: the spec asks for a recipe or holds a text that cannot be put into a Dockerfile.
    """
    name, _, version = spec.recipe.partition("/")
    if RECIPES.get(name) is None or version != str(RECIPES[name]):
        known = ", ".join(f"{one}/{number}" for one, number in RECIPES.items())
        raise ValueError(f"there is no recipe {spec.recipe} (there are {known})")
    if name == DOCKERFILE:
        return {}
    row = rules().framework(name)
    if row.image is None:
        raise ValueError(f"{row.title} has no recipe")
    if not _BASE.fullmatch(spec.base):
        raise ValueError(f"the base image {spec.base!r} is no image's name")
    text = _filled(
        _template(f"{row.image.template}.Dockerfile"),
        title=row.title,
        recipe=spec.recipe,
        base=spec.base,
        helpers="\n".join(_heredoc(file) for file in _helpers(row)),
        packages=_packages(row, spec).rstrip("\n"),
        environment=_environment(row, spec),
        start=_json(["sh", "-c", row.image.start]),
    )
    return {"recipe/Dockerfile": text.encode(), "recipe/Dockerfile.dockerignore": _IGNORE_NOTHING.encode()}


def _helpers(row: Framework) -> list[str]:
    wanted = list(row.image.files if row.image else ())
    return ["install.sh", *wanted] if row.language == "python" else wanted


def _packages(row: Framework, spec: AppBuildSpec) -> str:
    asked = spec.dependencies
    if row.language == "r":
        if asked.source in {"renv.lock", "DESCRIPTION"}:
            return _filled(_template("packages-r-file.Dockerfile"), file=asked.source)
        if asked.count == 0:
            return "# The code names no package but shiny and R's own."
        return _template("packages-r-code.Dockerfile")
    if asked.source == "uv.lock":
        return _template("packages-uv-lock.Dockerfile")
    options = []
    if asked.trust == "locked":
        options.append("--require-hashes")
    elif spec.as_of is not None:
        if not _DAY.fullmatch(spec.as_of):
            raise ValueError(f"{spec.as_of!r} is no day")
        options += ["--exclude-newer", spec.as_of]
    template = {"requirements.txt": "packages-requirements", "pyproject.toml": "packages-pyproject"}.get(
        asked.source or ""
    )
    if template is None:
        raise ValueError(f"there is no way to install from {asked.source!r}")
    return _filled(_template(f"{template}.Dockerfile"), arguments="".join(f", {_json(option)}" for option in options))


def _environment(row: Framework, spec: AppBuildSpec) -> str:
    values = dict(row.image.env if row.image else {})
    if row.language == "python":
        values["PYTHONPATH"] = "/app:/app/src"
    values["DATAAPP_PORT"] = str(DEFAULT_PORTS[row.name])
    values["DATAAPP_ENTRYPOINT"] = spec.entrypoint
    return "ENV " + " \\\n    ".join(f"{name}={quoted(value)}" for name, value in values.items())


def quoted(text: str) -> str:
    """A text as one value of ENV, exactly as it is: nothing in it is expanded.

    Raises ValueError: it holds a line break or another character that a Dockerfile's line cannot.
    """
    if not text.isprintable():
        raise ValueError(f"{text!r} cannot stand in a Dockerfile")
    return '"' + re.sub(r'(["\\$])', r"\\\1", text) + '"'


def _json(value: str | list[str]) -> str:
    """A text or list of texts in the JSON form of an instruction: no shell reads it, and only ASCII stands in it."""
    return json.dumps(value)


def _heredoc(name: str) -> str:
    text = _template(name)
    if _END in text:
        raise ValueError(f"{name} holds its own end mark")
    return f"COPY --link --chown=0:0 <<'{_END}' /opt/dataapp/{name}\n{text}{_END}"


def _filled(template: str, **values: str) -> str:
    """The template with its {{names}} replaced, in one pass: a value that looks like a name is left alone."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)


@cache
def _template(name: str) -> str:
    return files(__package__).joinpath("recipes", name).read_text(encoding="utf-8")
