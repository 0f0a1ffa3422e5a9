"""YAML as strict as a file from somebody else's repository deserves, with the line of everything in it.

The C parser's events are read one by one and counted, so that nothing is ever built of a file that is too large, too
deep, or that multiplies itself by aliases. Tags, anchors and merge keys are refused. So is what programs read
differently: `yes` and `on`, `1:30`, `0777`, dates, `.nan` and a key that is there twice; the author is told to write quotes.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_BYTES = 1024 * 1024
MAX_NODES = 10_000
MAX_DEPTH = 64
MAX_DOCUMENTS = 20
_MAX_KEY = 1024
_SHOWN = 40

Place = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"(?:~|null|Null|NULL|)")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,20})?(?:[eE][-+]?[0-9]{1,9})?")
_OCTAL = re.compile(r"[-+]?0o[0-7]+")
_OLD_BOOL = re.compile(r"[yYnN]")  # by the letter of YAML 1.1, though not every program takes it for true


class YamlError(Exception):
    """What is wrong, and on which line (from 1; None for the whole file)."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(slots=True)
class Document:
    """One document: its value, the line it begins on, and the line of every key and item, by its place."""

    value: Any = None
    line: int = 1
    lines: dict[Place, int] = field(default_factory=dict)

    def line_of(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, self.line)


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    value: Any
    place: Place
    key: str | None = None


def read(data: bytes) -> tuple[Document, ...]:
    """The documents of a file; empty ones are left out.

    Raises YamlError: the file is not plain YAML within the limits.
    """
    if len(data) > MAX_BYTES:
        raise YamlError(f"the file has {len(data)} bytes; a manifest has at most {MAX_BYTES}")
    text = _decoded(data)
    documents: list[Document] = []
    reader: _Reader | None = None
    try:
        events: Any = yaml.parse(text, Loader=_Loader)
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                if len(documents) == MAX_DOCUMENTS:
                    raise YamlError(f"a file holds at most {MAX_DOCUMENTS} documents", line)
                if event.tags:
                    raise YamlError("a %TAG directive is not allowed", line)
                reader = _Reader(Document(line=line), reader.nodes if reader else 0)
                documents.append(reader.document)
            elif reader is not None:
                reader.take(event, line)
    except yaml.YAMLError as error:
        raise _said(error) from None
    return tuple(one for one in documents if one.value is not None)


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise YamlError("the file is not UTF-8 text; save it as UTF-8", line) from None
    if "\0" in text:
        raise YamlError("the file is not UTF-8 text (it has null bytes, like UTF-16); save it as UTF-8")
    return text


def _said(error: yaml.YAMLError) -> YamlError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    context = getattr(error, "context", None)
    told = f"this is not valid YAML: {problem}" + (f" ({context})" if context else "")
    return YamlError(told.replace("\n", " ")[:300], mark.line + 1 if mark else None)


class _Reader:
    """Builds one document from its events."""

    def __init__(self, document: Document, nodes: int) -> None:
        self.document = document
        self.nodes = nodes
        self._open: list[_Open] = []

    def take(self, event: Any, line: int) -> None:
        """The next event of the document."""
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(f"aliases (*{event.anchor}) are not allowed: write the value out", line)
        if isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.NodeEvent):
            self._node(event, line)

    def _node(self, event: Any, line: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise YamlError(f"the file has more than {MAX_NODES} values", line)
        if event.anchor is not None:
            raise YamlError(f"anchors (&{event.anchor}) are not allowed: write the value out where it is used", line)
        if event.tag is not None:
            raise YamlError(f"tags ({event.tag[:60]}) are not allowed", line)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
            return
        if len(self._open) == MAX_DEPTH:
            raise YamlError(f"values are nested more than {MAX_DEPTH} deep", line)
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(value, self._put(value, line)))

    def _scalar(self, event: Any, line: int) -> None:
        here = self._open[-1] if self._open else None
        if here is not None and isinstance(here.value, dict) and here.key is None:
            if event.implicit[0] and event.value == "<<":
                raise YamlError("merge keys (<<) are not allowed: write the fields out", line)
            if event.implicit[0] and not isinstance(_plain(event.value, line), str):
                raise YamlError(f'a key is a word: write "{event.value[:_SHOWN]}" in quotes', line)
            if event.value in here.value:
                raise YamlError(
                    f"the key {event.value[:60]!r} is here twice; the first is on line "
                    f"{self.document.lines[(*here.place, event.value)]}",
                    line,
                )
            if len(event.value) > _MAX_KEY:
                raise YamlError(f"a key has more than {_MAX_KEY} characters", line)
            here.key = event.value
            self.document.lines[(*here.place, event.value)] = line
            return
        self._put(_plain(event.value, line) if event.implicit[0] else event.value, line)

    def _put(self, value: Any, line: int) -> Place:
        """Put a value where the document is now; the place it has there."""
        if not self._open:
            self.document.value, self.document.line = value, line
            return ()
        here = self._open[-1]
        if isinstance(here.value, list):
            place: Place = (*here.place, len(here.value))
            here.value.append(value)
            self.document.lines[place] = line
            return place
        if here.key is None:
            raise YamlError("a key must be a plain word", line)
        place = (*here.place, here.key)
        here.value[here.key] = value
        here.key = None
        return place


def _plain(text: str, line: int) -> Any:
    """The value of a scalar without quotes, if YAML 1.1 and YAML 1.2 mean the same by it."""
    kind, value = _new(text)
    if kind == _old(text):
        return value
    shown = text[:_SHOWN] + ("…" if len(text) > _SHOWN else "")
    raise YamlError(f'{shown} without quotes means different things to different programs: write "{shown}"', line)


def _new(text: str) -> tuple[str, Any]:
    if _NULL.fullmatch(text):
        return "null", None
    if _BOOL.fullmatch(text):
        return "bool", text.lower() == "true"
    if _INT.fullmatch(text):
        return "int", int(text)
    if _FLOAT.fullmatch(text):
        return "float" if math.isfinite(float(text)) else "infinite", float(text)
    return "octal" if _OCTAL.fullmatch(text) else "str", text


def _old(text: str) -> str:
    """What PyYAML's resolver, which follows YAML 1.1, takes a scalar for."""
    if _OLD_BOOL.fullmatch(text):
        return "bool"
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    for tag, pattern in (*resolvers.get(text[:1], ()), *resolvers.get(None, ())):
        if pattern.match(text):
            return str(tag).rpartition(":")[2]
    return "str"
