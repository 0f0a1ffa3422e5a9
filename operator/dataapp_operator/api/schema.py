"""Structural schemas from the models.

Kubernetes takes a dialect of OpenAPI that pydantic does not speak: no ``$ref``, no ``anyOf`` with null, no numeric
``exclusiveMinimum``, no tuples, everything typed. This module translates, and *raises* on whatever it cannot translate:
a field that would be silently accepted and ignored is worse than a build that stops.
"""

from typing import Any

from pydantic import BaseModel

_KEEP = {
    "type",
    "description",
    "default",
    "enum",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "required",
    "nullable",
}
_DROP = {"title", "additionalProperties"}
_NULL = {"type": "null"}


class NotStructuralError(ValueError):
    """A model says something that a structural schema cannot say."""


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """The structural schema of a model, ready for ``openAPIV3Schema``."""
    document = model.model_json_schema(by_alias=True, mode="validation")
    return _translate(document, document.get("$defs", {}), at=model.__name__, inside=())


def _translate(node: dict[str, Any], defs: dict[str, Any], *, at: str, inside: tuple[str, ...]) -> dict[str, Any]:
    node = _resolve(node, defs, at=at, inside=inside)
    inside = (*inside, node.pop("x-ref")) if "x-ref" in node else inside
    _say_pattern(node, at=at)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    kind = node.get("type")
    if kind not in {"object", "array", "string", "integer", "number", "boolean"}:
        raise NotStructuralError(f"{at}: a field needs one plain type, this one has {kind!r}")
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            out[key] = {
                name: _translate(sub, defs, at=f"{at}.{name}", inside=inside) for name, sub in sorted(value.items())
            }
        elif key == "items":
            out[key] = _translate(value, defs, at=f"{at}[]", inside=inside)
        elif key in _KEEP or key.startswith("x-kubernetes-"):
            out[key] = value
        elif key not in _DROP and key != "$defs":
            raise NotStructuralError(f"{at}: a structural schema cannot say {key!r}")
    if kind == "array" and "items" not in out:
        raise NotStructuralError(f"{at}: a list must say what it holds")
    if kind == "object" and not out.get("properties"):
        raise NotStructuralError(f"{at}: an object without fields would accept anything and lose it")
    if out.get("default") is None:
        out.pop("default", None)
    else:
        out["default"] = _without_null(out["default"])
    return out


def _say_pattern(node: dict[str, Any], *, at: str) -> None:
    """A pattern with a sentence becomes a rule: a schema's own pattern is answered with a regular expression."""
    message = node.pop("x-message", None)
    if message is None:
        return
    if "pattern" not in node or "'" in node["pattern"]:
        raise NotStructuralError(f"{at}: x-message is the sentence of a pattern (one without quotes)")
    rule = {"rule": f"self.matches(r'{node.pop('pattern')}')", "message": message}
    node["x-kubernetes-validations"] = [rule, *node.get("x-kubernetes-validations", [])]


def _without_null(value: Any) -> Any:
    """A default with absent in place of null, at every depth."""
    if isinstance(value, dict):
        return {key: _without_null(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_null(inner) for inner in value]
    return value


def _resolve(node: dict[str, Any], defs: dict[str, Any], *, at: str, inside: tuple[str, ...]) -> dict[str, Any]:
    """One node with its reference followed and ``T | None`` folded into ``T`` (absent is how we say None)."""
    node = dict(node)
    if "anyOf" in node:
        branches = [branch for branch in node.pop("anyOf") if branch != _NULL]
        if len(branches) != 1:
            raise NotStructuralError(
                f"{at}: a field has one type; use one optional object per variant instead of a union"
            )
        node = {**branches[0], **node}
    if "$ref" in node:
        name = node.pop("$ref").rsplit("/", 1)[-1]
        if name in inside:
            raise NotStructuralError(f"{at}: {name} contains itself; a structural schema cannot recurse")
        beside = node
        node = {**defs[name], "x-ref": name}
        rules = node.get("x-kubernetes-validations", []) + beside.get("x-kubernetes-validations", [])
        node |= beside
        if rules:
            node["x-kubernetes-validations"] = rules
        if "description" not in beside:
            node["description"] = defs[name].get("description", "")
    if "description" in node:
        node["description"] = " ".join(str(node["description"]).split())
    return node
