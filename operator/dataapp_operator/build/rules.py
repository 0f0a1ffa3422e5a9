"""The rules of rules.yaml as objects. Nothing here knows a framework: a new one is a row in that file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml


@dataclass(frozen=True, slots=True)
class Rule:
    """When a file is an app's entry point. Either `imports` (Python, read from the syntax tree) or `file` is given."""

    id: str
    imports: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    file: str = ""
    beside: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    asked: bool = False
    last: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that an entry point must not make while it is loaded, and the sentence that says why."""

    call: str
    says: str


@dataclass(frozen=True, slots=True)
class Image:
    """How an image is made: the template, its version, the line that starts the app, environment and helper files."""

    template: str
    version: int
    start: str
    env: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Framework:
    """One row."""

    name: str
    title: str
    supported: bool
    language: Literal["python", "r"]
    rules: tuple[Rule, ...]
    refuses: tuple[Refusal, ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The whole file."""

    search: tuple[tuple[str, ...], ...]
    ignored_files: tuple[str, ...]
    ignored_directories: tuple[str, ...]
    frameworks: tuple[Framework, ...]

    def framework(self, name: str) -> Framework:
        """The row of this name."""
        return next(row for row in self.frameworks if row.name == name)

    @property
    def supported(self) -> tuple[Framework, ...]:
        """The rows of which images are made."""
        return tuple(row for row in self.frameworks if row.supported)


@cache
def rules() -> Rules:
    """The rules this operator came with."""
    return read(files(__package__).joinpath("rules.yaml").read_text(encoding="utf-8"))


def read(text: str) -> Rules:
    """Rules from the text of such a file. A key that is not known is an error: it would be obeyed by nobody."""
    document = yaml.safe_load(text)
    return Rules(
        search=tuple(tuple(line) for line in document["search"]),
        ignored_files=tuple(document["ignored"]["files"]),
        ignored_directories=tuple(document["ignored"]["directories"]),
        frameworks=tuple(_framework(row) for row in document["frameworks"]),
    )


def _framework(row: dict[str, Any]) -> Framework:
    image = row.get("image")
    return Framework(
        **row
        | {
            "rules": tuple(Rule(**_tuples(rule)) for rule in row["rules"]),
            "refuses": tuple(Refusal(**refusal) for refusal in row.get("refuses", ())),
            "needs": tuple(tuple(choice) for choice in row.get("needs", ())),
            "image": Image(**_tuples(image)) if image else None,
        }
    )


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
