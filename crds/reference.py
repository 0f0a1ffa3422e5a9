"""The API reference as Markdown, from the CRDs' schemas: every field with its type, default, bounds and rules."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

HEAD = """# API reference: `{group}/{version}`

Generated from the models in `operator/dataapp_operator/api` by `make generate`. A field that is not here is refused.
"""


def reference(definitions: list[Json]) -> str:
    """The whole page."""
    first = definitions[0]["spec"]
    parts = [HEAD.format(group=first["group"], version=first["versions"][0]["name"])]
    for definition in definitions:
        spec = definition["spec"]
        schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
        names = spec["names"]
        parts.append(f"## {names['kind']} (`{names['shortNames'][0]}`)\n\n{schema['description']}\n")
        parts += [f"- {rule['message']}\n" for rule in schema.get("x-kubernetes-validations", [])]
        for section in ("spec", "status"):
            if section in schema["properties"]:
                rows = "\n".join(_rows(schema["properties"][section], section))
                parts.append(
                    f"### {section}\n\n| field | type | default | what it is |\n| --- | --- | --- | --- |\n{rows}\n"
                )
    return "\n".join(parts)


def _rows(schema: Json, path: str) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        where = f"{path}.{name}"
        inner = field
        while inner["type"] == "array":
            inner, where = inner["items"], f"{where}[]"
        mark = " (required)" if name in required else ""
        yield f"| `{where}`{mark} | {_type(inner, is_list=inner is not field)} | {_default(field)} | {_words(field, inner)} |"
        if inner["type"] == "object":
            yield from _rows(inner, where)


def _type(field: Json, *, is_list: bool) -> str:
    kind = " \\| ".join(f"`{value}`" for value in field["enum"]) if "enum" in field else field["type"]
    low, high = field.get("minimum"), field.get("maximum")
    bounds = f" {low}…{high}" if low is not None and high is not None else ""
    return ("list of " if is_list else "") + kind + bounds


def _default(field: Json) -> str:
    default = field.get("default")
    return f"`{default}`" if default not in (None, "", [], {}) and not isinstance(default, dict) else ""


def _words(field: Json, inner: Json) -> str:
    words = [field.get("description") or inner.get("description") or ""]
    rules = field.get("x-kubernetes-validations", []) + (
        (inner is not field and inner.get("x-kubernetes-validations", [])) or []
    )
    words += [f"*Rule: {rule['message']}.*" for rule in rules]
    return " ".join(word for word in words if word).replace("|", "\\|")
