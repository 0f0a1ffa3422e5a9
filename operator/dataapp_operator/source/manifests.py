"""DataApp manifests as they stand in a repository: read strictly, every complaint with its file and line.

From git comes one kind, DataApp, into one namespace, with a name, labels, annotations and a spec; anything else in the
file is refused, and refused aloud. Which fields a spec has is read from the models, so a field that the operator does
not obey today cannot be in a manifest and do nothing.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from posixpath import dirname
from typing import Any

from dataapp_operator.api.base import API_VERSION, GROUP
from dataapp_operator.api.dataapp import MAX_APP_NAME
from dataapp_operator.source.manifest_fields import plain, short, unknown, unknown_fields, value_problems
from dataapp_operator.source.strict_yaml import Document, Place, YamlError, read

KIND = "DataApp"
_MOST_PROBLEMS = 10  # of one document: the eleventh is the same mistake again
_NAME = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?", re.ASCII
)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_TOP = ("apiVersion", "kind", "metadata", "spec")
_METADATA = ("name", "namespace", "labels", "annotations")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a manifest that has to be mended. `line` counts from 1; None means the file as a whole."""

    path: str
    line: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One DataApp in a repository: the spec as written, `path` its file, `directory` where its code is (`.` at the top),
    `line` where it begins.
    """

    name: str
    path: str
    directory: str
    spec: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    line: int = 1


def parse(path: str, text: bytes, *, namespace: str) -> tuple[tuple[Manifest, ...], tuple[Problem, ...]]:
    """The apps of one file, and what is wrong in it. A document with a problem gives no app; the others of the file do.

    `namespace` is where the apps will live. Nothing raises: the file may hold anything.
    """
    try:
        documents = read(text)
    except YamlError as error:
        return (), (Problem(path, error.line, error.message),)
    if not documents:
        return (), (Problem(path, None, f"there is no {KIND} in this file: it is empty"),)
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    for document in documents:
        found = list(_problems(document, namespace))
        problems += [Problem(path, document.line_of(place), message) for place, message in found[:_MOST_PROBLEMS]]
        if not found:
            manifests.append(_manifest(path, document))
    return tuple(manifests), tuple(problems)


def collisions(manifests: Iterable[Manifest]) -> tuple[Problem, ...]:
    """Manifests of one repository that cannot live together: one name twice, or files whose paths differ only in small
    and capital letters or in how an accent is written. Each of them gets a problem; which one is meant, nobody can say.
    """
    by_name: dict[str, list[Manifest]] = {}
    by_path: dict[str, list[Manifest]] = {}
    for one in manifests:
        by_name.setdefault(one.name, []).append(one)
        by_path.setdefault(unicodedata.normalize("NFC", one.path).casefold(), []).append(one)
    problems = []
    for name, several in by_name.items():
        for one in several if len(several) > 1 else ():
            others = ", ".join(f"{other.path}:{other.line}" for other in several if other is not one)
            message = (
                f"the name {name} is used more than once in this repository (also in {others[:400]}): give each app a name of"
                " its own"
            )
            problems.append(Problem(one.path, one.line, message))
    for several in by_path.values():
        for path in sorted({one.path for one in several}) if len({one.path for one in several}) > 1 else ():
            others = ", ".join(sorted({one.path for one in several} - {path}))
            message = f"this path and {others[:400]} are one file on some computers: rename one of them"
            problems.append(Problem(path, None, message))
    return tuple(problems)


def _manifest(path: str, document: Document) -> Manifest:
    metadata = document.value["metadata"]
    return Manifest(
        name=metadata["name"],
        path=path,
        directory=dirname(path) or ".",
        spec=document.value.get("spec") or {},
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        line=document.line,
    )


def _problems(document: Document, namespace: str) -> Iterator[tuple[Place, str]]:
    value = document.value
    if not isinstance(value, dict):
        yield (), f"a manifest begins with apiVersion: {API_VERSION} and kind: {KIND}; this is no mapping of fields"
        return
    wrong_kind = _wrong_kind(value)
    if wrong_kind is not None:
        yield wrong_kind
        return
    for key in value:
        if key not in _TOP:
            yield (key,), unknown(key, "", _TOP)
    yield from _metadata_problems(value.get("metadata"), namespace)
    spec = value.get("spec")
    if spec is not None and not isinstance(spec, dict):
        yield ("spec",), "spec holds fields, like spec: {} or, on lines of their own, app: and environments:"
    elif spec:
        strangers = list(unknown_fields(spec))
        yield from strangers
        yield from value_problems(spec, {place for place, _ in strangers})


def _wrong_kind(value: Mapping[str, Any]) -> tuple[Place, str] | None:
    kind, version = value.get("kind"), value.get("apiVersion")
    if kind is None or version is None:
        missing = "kind" if kind is None else "apiVersion"
        return (), f"a manifest begins with apiVersion: {API_VERSION} and kind: {KIND}; {missing} is missing"
    if kind == "List" or (isinstance(kind, str) and kind == f"{KIND}List"):
        return ("kind",), f"a {kind} is not read: write each {KIND} as a document of its own, with --- between them"
    if kind != KIND or not isinstance(version, str) or version.partition("/")[0] != GROUP:
        return (
            ("kind",),
            f"only objects of kind {KIND} ({API_VERSION}) come from a repository; this is {short(kind)} ({short(version)})",
        )
    if version != API_VERSION:
        return ("apiVersion",), f"apiVersion is {API_VERSION}, not {short(version)}"
    return None


def _metadata_problems(metadata: Any, namespace: str) -> Iterator[tuple[Place, str]]:
    if not isinstance(metadata, dict):
        yield ("metadata",), "metadata holds at least the app's name: metadata: {name: sales}"
        return
    for key in metadata:
        if key not in _METADATA:
            yield ("metadata", key), unknown(key, "metadata.", _METADATA)
    name = metadata.get("name")
    if not isinstance(name, str) or len(name) > MAX_APP_NAME or not _NAME.fullmatch(name):
        told = "is missing" if name is None else f"{short(name)} is not allowed"
        yield (
            ("metadata", "name"),
            (
                f"metadata.name {told}: an app's name has at most {MAX_APP_NAME} characters: small letters, digits and '-',"
                " beginning with a letter"
            ),
        )
    given = metadata.get("namespace")
    if given is not None and given != namespace:
        yield (
            ("metadata", "namespace"),
            f"apps of this repository live in the namespace {namespace}, not in {short(given)}: leave metadata.namespace out",
        )
    for kind in ("labels", "annotations"):
        yield from _label_problems(metadata.get(kind), kind)


def _label_problems(given: Any, kind: str) -> Iterator[tuple[Place, str]]:
    if given is None:
        return
    if not isinstance(given, dict):
        yield ("metadata", kind), f"metadata.{kind} holds names with a text each"
        return
    for key, value in given.items():
        place = ("metadata", kind, key)
        owner = key.rpartition("/")[0]
        if not _QUALIFIED.fullmatch(key):
            yield (
                place,
                f"{short(key)} in metadata.{kind} is no name that Kubernetes allows, like team or example.org/team",
            )
        elif owner == GROUP or owner.endswith(f".{GROUP}"):
            yield (
                place,
                (
                    f"{key} cannot come from a repository: what begins with {GROUP}/ is written by the operator, or is a command"
                    " given in the cluster"
                ),
            )
        elif key == _LAST_APPLIED:
            yield place, f"{key} was written by kubectl: leave it out of the repository"
        elif not isinstance(value, str):
            yield place, f'metadata.{kind}.{key} must be a text: put it in quotes, like "{plain(value)}"'
        elif kind == "labels" and not _LABEL_VALUE.fullmatch(value):
            yield (
                place,
                (
                    f"metadata.labels.{key}: a label's value has at most 63 letters, digits, '-', '_' and '.'; use an annotation"
                    " for longer texts"
                ),
            )
