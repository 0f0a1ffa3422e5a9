"""Which packages the code asks for, in which file, and how far that file fixes them.

One file is used, the one that fixes most: `uv.lock` before `requirements.txt` before `pyproject.toml`, `renv.lock` before
`DESCRIPTION`. What a build could not do is refused here, before any build, with the line that asks for it.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataapp_operator.api.code import Dependencies
from dataapp_operator.build.requirements import RequirementsError, normalised, read_requirements, requirement_name

UNREAD = {
    "poetry.lock": "export it with `poetry export --without-hashes -o requirements.txt`, or move to uv (`uv lock`)",
    "Pipfile.lock": "export it with `pipenv requirements > requirements.txt`",
    "Pipfile": "export it with `pipenv requirements > requirements.txt`",
    "pylock.toml": "export it with `uv export -o requirements.txt`",
    "environment.yml": "list the packages in a requirements.txt, or bring a Dockerfile",
    "environment.yaml": "list the packages in a requirements.txt, or bring a Dockerfile",
    "conda-lock.yml": "list the packages in a requirements.txt, or bring a Dockerfile",
    "pixi.lock": "list the packages in a requirements.txt, or bring a Dockerfile",
    "setup.py": "list the packages in a requirements.txt",
    "setup.cfg": "list the packages in a requirements.txt",
}
"""Files that name dependencies and are not read, with the way to one that is."""


@dataclass(frozen=True, slots=True)
class Found:
    """A dependency file, read. `names` are the packages it names, with their extras as further entries (`fastapi[all]`);
    None when they do not matter.
    """

    dependencies: Dependencies
    names: frozenset[str]


class DependencyFileError(Exception):
    """A dependency file that cannot be used; the message says which line and how to mend it."""


def python_dependencies(files: frozenset[str], contents: Mapping[str, str]) -> Found | None:
    """The packages of a Python app; None when no file names any.

    Raises DependencyFileError: the file cannot be read, or asks for what a build does not do.
    """
    if "uv.lock" in files:
        return _uv_lock(files, contents)
    if "requirements.txt" in files:
        try:
            wanted = read_requirements("requirements.txt", files, contents)
        except RequirementsError as error:
            raise DependencyFileError(str(error)) from None
        if all(one.pinned and one.hashed for one in wanted) and wanted:
            trust = "locked"
        else:
            trust = "pinned" if all(one.pinned for one in wanted) else "floating"
        names = frozenset(name for one in wanted for name in one.names)
        return Found(
            Dependencies(trust=trust, source="requirements.txt", count=len({one.name for one in wanted})), names
        )
    if "pyproject.toml" in files:
        return _pyproject(contents)
    return None


def r_dependencies(files: frozenset[str], contents: Mapping[str, str]) -> Dependencies | None:
    """The packages of an R app, from renv.lock or DESCRIPTION; None when there is neither.

    Raises DependencyFileError: the file cannot be read.
    """
    if "renv.lock" in files:
        return Dependencies(trust="locked", source="renv.lock", count=len(_renv_packages(contents)))
    if "DESCRIPTION" in files:
        fields = description_fields(_text("DESCRIPTION", contents))
        wanted = [
            name
            for key in ("depends", "imports")
            for entry in fields.get(key, "").split(",")
            if (name := entry.partition("(")[0].strip()) and name != "R"
        ]
        return Dependencies(trust="floating", source="DESCRIPTION", count=len(set(wanted)))
    return None


def description_fields(text: str) -> dict[str, str]:
    """The fields of a DESCRIPTION file, names in small letters; a line that begins with a space goes on."""
    fields: dict[str, str] = {}
    last = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line[:1] in {" ", "\t"} and last:
            fields[last] += " " + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            last = name.strip().lower()
            fields[last] = value.strip()
        elif line.strip():
            raise DependencyFileError(
                f"DESCRIPTION line {number}: expected a field like `Imports: dplyr`, found {_short(line)}"
            )
    return fields


def _text(name: str, contents: Mapping[str, str]) -> str:
    if name not in contents:
        raise DependencyFileError(f"{name} is too large to be read (more than 1 MiB), or it is no text")
    return contents[name]


def _toml(name: str, contents: Mapping[str, str]) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(name, contents))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DependencyFileError(f"{name} cannot be read: {error}") from None


def _uv_lock(files: frozenset[str], contents: Mapping[str, str]) -> Found:
    if "pyproject.toml" not in files:
        raise DependencyFileError("there is a uv.lock without its pyproject.toml: commit both")
    _toml("pyproject.toml", contents)
    packages = _toml("uv.lock", contents).get("package", [])
    if not isinstance(packages, list) or not all(isinstance(one, dict) for one in packages):
        raise DependencyFileError("uv.lock cannot be read: its packages are no list; make it anew with `uv lock`")
    names: set[str] = set()
    for package in packages:
        source = package.get("source", {})
        if not isinstance(source, dict):
            continue
        place = next((str(source[key]) for key in ("virtual", "editable", "directory") if key in source), None)
        if place == "." or "virtual" in source:
            continue
        if place is not None or "path" in source:
            raise DependencyFileError(
                f"uv.lock takes {package.get('name')} from the directory {place or source['path']}; builds take packages"
                " from the package index only. Publish it there, move its code into the app, or bring a Dockerfile"
            )
        if "git" in source:
            raise DependencyFileError(
                f"uv.lock takes {package.get('name')} from a git repository; builds take packages from the package index"
                " only. Publish it there, or bring a Dockerfile"
            )
        names.add(normalised(str(package.get("name", ""))))
    return Found(Dependencies(trust="locked", source="uv.lock", count=len(names)), frozenset(names))


def _pyproject(contents: Mapping[str, str]) -> Found | None:
    document = _toml("pyproject.toml", contents)
    project = document.get("project")
    if not isinstance(project, dict):
        if "poetry" in document.get("tool", {}):
            raise DependencyFileError(
                "pyproject.toml lists its dependencies for Poetry only ([tool.poetry]): move them to [project]"
                " dependencies, or add a requirements.txt (`poetry export -o requirements.txt`)"
            )
        return None
    if "dependencies" in project.get("dynamic", ()):
        raise DependencyFileError(
            "pyproject.toml leaves its dependencies to another file (dynamic): list them in [project] dependencies, or"
            " add a requirements.txt"
        )
    listed = project.get("dependencies")
    if not isinstance(listed, list) or not listed:
        return None
    names: set[str] = set()
    pinned = True
    for entry in listed:
        one = requirement_name(str(entry))
        if one is None:
            raise DependencyFileError(
                f"pyproject.toml: {_short(str(entry))} in [project] dependencies is no package's name"
            )
        names.update(one.names)
        pinned = pinned and one.pinned
    trust = "pinned" if pinned else "floating"
    return Found(Dependencies(trust=trust, source="pyproject.toml", count=len(listed)), frozenset(names))


def _renv_packages(contents: Mapping[str, str]) -> dict[str, Any]:
    try:
        document = json.loads(_text("renv.lock", contents))
    except (ValueError, RecursionError) as error:
        raise DependencyFileError(f"renv.lock cannot be read: {error}; make it anew with renv::snapshot()") from None
    packages = document.get("Packages") if isinstance(document, dict) else None
    if not isinstance(packages, dict):
        raise DependencyFileError("renv.lock lists no packages; make it anew with renv::snapshot()")
    return packages


def _short(text: str) -> str:
    return repr(re.sub(r"\s+", " ", text)[:60])
