"""Structural schemas: what a structural schema cannot say stops the build instead of being lost."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from dataapp_operator.api.base import Duration, Model, instant, seconds, timestamp
from dataapp_operator.api.crds import crds
from dataapp_operator.api.schema import NotStructuralError, structural


class Leaf(BaseModel):
    name: str


class Tree(BaseModel):
    children: tuple["Tree", ...] = ()


class Empty(BaseModel):
    pass


def model(kind: Any, **field: Any) -> type[BaseModel]:
    """A model with one field of a type."""
    return type("Made", (BaseModel,), {"__annotations__": {"field": kind}, "field": Field(**field)})


@pytest.mark.parametrize(
    ("made", "says", "why"),
    [
        (model(int | str), "Made.field: a field has one type", "a union"),
        (model(int | str | None), "Made.field: a field has one type", "a union that may also be absent"),
        (Tree, "contains itself", "recursion"),
        (model(Any), "needs one plain type", "no type at all"),
        (model(tuple[int, str]), "cannot say 'prefixItems'", "a tuple of different things"),
        (model(list), r"field\[\]: a field needs one plain type", "a list of anything"),
        (model(tuple[()]), "must say what it holds", "a list of nothing"),
        (model(dict[str, str]), "an object without fields", "a map: its values would be accepted and never checked"),
        (model(Empty), "an object without fields", "an empty object"),
        (model(float, gt=0), "cannot say 'exclusiveMinimum'", "a number with an open end"),
        (model(int, multiple_of=5), "cannot say 'multipleOf'", "a word we have not thought about"),
        (model(None), "needs one plain type", "null only"),
        (
            model(str, json_schema_extra={"x-message": "no pattern"}),
            "x-message is the sentence of a pattern",
            "no pattern",
        ),
        (model(str, pattern="'", json_schema_extra={"x-message": "m"}), "without quotes", "it would end the rule"),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_place(made: type[BaseModel], says: str, why: str) -> None:
    with pytest.raises(NotStructuralError, match=says):
        structural(made)
    assert why


def test_an_optional_field_is_an_absent_one_and_not_null() -> None:
    schema = structural(model(Leaf | None, default=None))
    assert schema["properties"]["field"]["type"] == "object"
    assert "required" not in schema
    assert "default" not in schema["properties"]["field"]


def test_a_default_says_absent_where_the_model_says_none() -> None:
    class Inner(BaseModel):
        a: int = 1
        b: int | None = None

    assert structural(model(Inner, default=Inner()))["properties"]["field"]["default"] == {"a": 1}
    several = structural(model(tuple[Inner, ...], default=(Inner(), Inner(b=2))))["properties"]["field"]
    assert several["default"] == [{"a": 1}, {"a": 1, "b": 2}]


def test_a_constant_is_an_enumeration_of_one() -> None:
    assert structural(model(Literal["only"], default="only"))["properties"]["field"]["enum"] == ["only"]


def test_rules_of_a_type_and_of_its_field_are_both_kept() -> None:
    class Inner(BaseModel):
        a: int
        model_config = {"json_schema_extra": {"x-kubernetes-validations": [{"rule": "r1"}]}}

    outer = model(Inner, json_schema_extra={"x-kubernetes-validations": [{"rule": "r2"}]})
    assert [r["rule"] for r in structural(outer)["properties"]["field"]["x-kubernetes-validations"]] == ["r1", "r2"]


def test_a_pattern_with_a_sentence_is_answered_with_the_sentence() -> None:
    field = structural(model(str, pattern="^a$", json_schema_extra={"x-message": "say a"}))["properties"]["field"]
    assert field["x-kubernetes-validations"] == [{"rule": "self.matches(r'^a$')", "message": "say a"}]
    assert "pattern" not in field


def nodes(schema: dict[str, Any]):
    """A schema and all schemas inside it."""
    yield schema
    for child in [*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])]:
        yield from nodes(child)


@pytest.mark.parametrize("name", sorted(crds()))
def test_every_definition_is_structural_and_bounded(name: str) -> None:
    (version,) = crds()[name]["spec"]["versions"]
    for node in nodes(version["schema"]["openAPIV3Schema"]):
        assert node["type"] in {"object", "array", "string", "integer", "number", "boolean"}
        assert not node.keys() & {"$ref", "$defs", "anyOf", "oneOf", "allOf", "title", "const", "nullable"}
        assert node["type"] != "array" or "maxItems" in node, f"a list without an end in {name}: {node}"
        for rule in node.get("x-kubernetes-validations", ()):
            assert rule["message"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30), ("10m", 600), ("1h30m", 5400), ("1h1m1s", 3661), ("0s", 0), ("99999h", 359996400)],
)
def test_durations(text: str, expected: int) -> None:
    class Holder(Model):
        value: Duration

    assert seconds(Holder(value=text).value) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "1d", "-1s", "1.5h", "1h1m1s1s", "100000s", " 1s"])
def test_what_is_no_duration(text: str) -> None:
    class Holder(Model):
        value: Duration

    with pytest.raises(ValueError, match="value"):
        Holder(value=text)


def test_a_moment_written_and_read_again_is_the_same_whole_second() -> None:
    text = "2026-11-22T10:00:01Z"
    assert timestamp(instant(text)) == text
    assert timestamp(instant("2026-11-22T11:00:01.9+01:00")) == text
