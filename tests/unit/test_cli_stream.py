"""A stream of events that is cut anywhere, ends, and begins anew."""

import json
from typing import Any

import pytest

from dataapp_operator.cli import stream
from dataapp_operator.cli.stream import Decoder, NotJson, Objects


def item(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n"}, **more}


def event(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "object": item(name, **more)}


EVENTS = [event("ADDED", "é‘✔", text='a "quoted" } { \\ brace'), event("DELETED", "b"), {}]
BYTES = b"\n".join(json.dumps(e, indent=4, ensure_ascii=False).encode() for e in EVENTS) + b"\n"


def test_events_are_whole_wherever_the_stream_is_cut() -> None:
    for at in range(len(BYTES) + 1):
        decoder = Decoder()
        assert decoder.feed(BYTES[:at]) + decoder.feed(BYTES[at:]) == EVENTS


def test_byte_by_byte() -> None:
    decoder = Decoder()
    assert [e for n in range(len(BYTES)) for e in decoder.feed(BYTES[n : n + 1])] == EVENTS


def test_what_is_not_whole_is_not_told() -> None:
    assert Decoder().feed(b'{"type": "ADDED", "object": {') == []


def test_what_has_no_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_CHARACTERS", 10)
    with pytest.raises(NotJson):
        Decoder().feed(b"no json at all }")


def test_objects_follow_the_events() -> None:
    objects = Objects()
    assert objects.take("app", event("ADDED", "a", v=1))
    assert objects.take("app", event("MODIFIED", "a", v=2))
    assert objects.take("app", event("ADDED", "b"))
    assert objects.of("app") == [item("a", v=2), item("b")]
    assert objects.take("app", event("DELETED", "a"))
    assert objects.take("app", event("DELETED", "a"))
    assert objects.of("app") == [item("b")]
    assert objects.of("other") == []


@pytest.mark.parametrize(
    "nothing", [{}, {"type": "BOOKMARK", "object": {}}, {"type": "ERROR", "object": {"code": 410}}, {"type": "ADDED"}]
)
def test_what_is_no_news_changes_nothing(nothing: dict[str, Any]) -> None:
    objects = Objects()
    objects.put("app", [item("a")])
    objects.begin("app")
    assert not objects.take("app", nothing)
    assert objects.of("app") == [item("a")]


def test_a_new_stream_replaces_what_was_known_with_its_first_event() -> None:
    objects = Objects()
    objects.put("app", [item("a"), item("b")])
    objects.put("other", [item("c")])
    objects.begin("app")
    assert objects.of("app") == [item("a"), item("b")], "the best that is known until then"
    objects.take("app", event("ADDED", "b", v=2))
    assert objects.of("app") == [item("b", v=2)]
    objects.take("app", event("ADDED", "d"))
    assert objects.of("app") == [item("b", v=2), item("d")]
    assert objects.of("other") == [item("c")]


def test_an_object_without_a_name_is_an_object() -> None:
    objects = Objects()
    assert objects.take("app", {"type": "ADDED", "object": {"metadata": None}})
    assert len(objects.of("app")) == 1
