"""The fields of a DataApp's spec, checked against the models: what is unknown, and what has a value that it cannot have.

Everything is derived from the models in `api/`: the known fields, their types, bounds and patterns, and the sentences that
say what is allowed. The rules that compare fields with one another are checked by the API server.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dataapp_operator.api.dataapp import DataAppSpec
from dataapp_operator.api.schema import structural
from dataapp_operator.source.strict_yaml import Place

_SERVER_WRITTEN = {
    "status", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields",
    "selfLink", "deletionGracePeriodSeconds",
}  # fmt: skip
_SHOWN = 60  # characters of a value in a message


@cache
def _schema() -> dict[str, Any]:
    return structural(DataAppSpec)


def unknown_fields(spec: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Fields that no model knows, at any depth; what has a wrong type is told by `value_problems`."""
    yield from _unknown_below(spec, _schema(), ("spec",))


def _unknown_below(value: Any, schema: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        for key, inner in value.items():
            if key not in known:
                yield (*place, key), unknown(key, f"{_dotted(place)}.", tuple(known))
            else:
                yield from _unknown_below(inner, known[key], (*place, key))
    elif isinstance(value, list) and "items" in schema:
        for index, inner in enumerate(value):
            yield from _unknown_below(inner, schema["items"], (*place, index))


def unknown(key: str, prefix: str, known: tuple[str, ...]) -> str:
    name = f"{prefix}{key}"[:120]
    if key in _SERVER_WRITTEN:
        return f"{name} is written by the cluster: leave it out of the repository"
    lower = {one.lower(): one for one in known}
    near = lower.get(key.replace("_", "").replace("-", "").lower()) or next(
        iter(difflib.get_close_matches(key[:64], known, n=1)), None
    )
    hint = f"did you mean {prefix}{near}?" if near else f"known here: {', '.join(sorted(known))}"
    return f"there is no field {name}; {hint}"


def value_problems(spec: Mapping[str, Any], told: set[Place]) -> Iterator[tuple[Place, str]]:
    """What the models say about the values: types, bounds, patterns, fields that are missing."""
    try:
        DataAppSpec.model_validate_json(json.dumps(_without_null(spec)), strict=True)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_context=True):
            place: Place = ("spec", *one["loc"])
            if not any(place[: len(known)] == known for known in told):
                yield place, _sentence(one, place)


def _sentence(error: ErrorDetails, place: Place) -> str:
    name, given = _dotted(place), error["input"]
    schema = _schema_at(place)
    match error["type"]:
        case "missing":
            return f"{name} is missing"
        case "string_type":
            # A variable's value may be what nobody should read in status.
            example = "" if place[-1] == "value" else f', like "{plain(given)}"'
            return f"{name} must be a text: put it in quotes{example}"
        case "literal_error":
            choices = ", ".join(str(one) for one in schema.get("enum", ())) or error["ctx"]["expected"]
            return f"{name} is one of {choices}, not {short(given)}"
        case "string_pattern_mismatch":
            rules = schema.get("x-kubernetes-validations", ())
            said = rules[0]["message"] if rules else f"it must match {error['ctx']['pattern']}"
            return f"{name}: {short(given)} is not allowed: {said}"
        case "model_type" | "model_attributes_type" | "dict_type":
            known = ", ".join(sorted(schema.get("properties", ())))
            return f"{name} holds fields ({known}), not {short(given)}"
        case "tuple_type" | "list_type":
            return f"{name} is a list: begin each entry with a dash"
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{name} is a whole number, without quotes, not {short(given)}"
        case "bool_type" | "bool_parsing":
            return f"{name} is true or false, without quotes, not {short(given)}"
        case _:
            return f"{name}: {error['msg'][:1].lower()}{error['msg'][1:]} (it is {short(given)})"


def _schema_at(place: Place) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = {"properties": {"spec": _schema()}}
    for part in place:
        schema = schema.get("items", {}) if isinstance(part, int) else schema.get("properties", {}).get(part, {})
    return schema


def _without_null(value: Any) -> Any:
    """Without fields that are null: to Kubernetes they are absent."""
    if isinstance(value, dict):
        return {key: _without_null(inner) for key, inner in value.items() if inner is not None}
    return [_without_null(inner) for inner in value] if isinstance(value, list) else value


def _dotted(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def plain(value: Any) -> str:
    """A value as it would stand between quotes."""
    return value if isinstance(value, str) else json.dumps(value)[:40]


def short(value: Any) -> str:
    """A value for a message: on one line and not endless."""
    text = value if isinstance(value, str) else json.dumps(value)
    text = "".join(sign if sign.isprintable() else "�" for sign in text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
