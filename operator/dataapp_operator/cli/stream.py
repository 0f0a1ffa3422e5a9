"""What a watching kubectl prints: events in JSON, one after the other, cut anywhere; and the objects they add up to. Pure.

A stream that is begun anew tells all objects again, and not what was deleted meanwhile. So what was known is forgotten
with the first event of the new stream, and not before: until then it is the best that is known.
"""

import codecs
import json
from typing import Any

Json = dict[str, Any]

MOST_CHARACTERS = 64 * 1024 * 1024
"""Of one event. An object in etcd has 1.5 MB at most; more without an end is no JSON."""


class NotJson(ValueError):  # noqa: N818 - it says what it is
    """What came is no stream of JSON objects."""


class Decoder:
    """Takes bytes as they come and gives the objects that are whole."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._json = json.JSONDecoder()
        self._text = ""

    def feed(self, data: bytes) -> list[Json]:
        """The objects that end within ``data``."""
        new = self._utf8.decode(data)
        self._text += new
        if "}" not in new:  # none can end here
            return []
        found: list[Json] = []
        at = 0
        while True:
            while at < len(self._text) and self._text[at].isspace():
                at += 1
            try:
                item, at = self._json.raw_decode(self._text, at)
            except ValueError:
                break
            if isinstance(item, dict):
                found.append(item)
        self._text = self._text[at:]
        if len(self._text) > MOST_CHARACTERS:
            raise NotJson("an event has no end")
        return found


class Objects:
    """The objects of several kinds as the events tell them."""

    def __init__(self) -> None:
        self._known: dict[str, dict[tuple[str, str], Json]] = {}
        self._begun: set[str] = set()

    def put(self, kind: str, items: list[Json]) -> None:
        """What there is of a kind, all of it."""
        self._known[kind] = {_key(item): item for item in items}

    def begin(self, kind: str) -> None:
        """A new stream of a kind begins."""
        self._begun.add(kind)

    def take(self, kind: str, event: Json) -> bool:
        """Take an event; whether it told anything. Errors and bookmarks tell nothing."""
        what, item = event.get("type"), event.get("object")
        if what not in {"ADDED", "MODIFIED", "DELETED"} or not isinstance(item, dict):
            return False
        known = self._known.setdefault(kind, {})
        if kind in self._begun:
            self._begun.discard(kind)
            known.clear()
        if what == "DELETED":
            known.pop(_key(item), None)
        else:
            known[_key(item)] = item
        return True

    def of(self, kind: str) -> list[Json]:
        """The objects of a kind."""
        return list(self._known.get(kind, {}).values())


def _key(item: Json) -> tuple[str, str]:
    metadata = item.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))
