"""Commands of several people in one annotation, and a stream of events cut anywhere: nothing of it is lost or mixed up."""

import json
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from dataapp_operator.cli import words
from dataapp_operator.cli.stream import Decoder
from dataapp_operator.plan import promotion

DEEP = os.environ.get("DATAAPP_DEEP") == "1"
settings.register_profile("cli", max_examples=1000 if DEEP else 100, deadline=None)

environment = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
command = st.one_of(
    st.integers(1, 999_999).map(str),
    st.builds("{}.{}".format, st.integers(1, 999), st.integers(0, 9)),
    st.builds("{}:{}".format, st.integers(1, 999), st.integers(1, 999)),
)
anything = st.text(alphabet="abp14=,.: \t", max_size=40)
said = st.lists(st.tuples(environment, command), max_size=6)


def annotation(tokens: list[tuple[str, str]]) -> str | None:
    return ",".join(f"{env}={word}" for env, word in tokens) or None


@settings(settings.get_profile("cli"))
@given(st.one_of(st.none(), anything), environment, command)
def test_what_was_set_is_what_is_said(before: str | None, env: str, word: str) -> None:
    after = words.with_word(before, env, word)
    assert words.word(after, env) == word
    assert words.with_word(after, env, word) == after, "to say it twice is to say it once"
    assert words.word(words.with_word(after, env, None), env) is None


@settings(settings.get_profile("cli"))
@given(st.one_of(st.none(), anything), environment, environment, st.one_of(st.none(), command))
def test_the_words_of_others_stay_as_they_are(before: str | None, env: str, other: str, word: str | None) -> None:
    if env != other:
        assert words.word(words.with_word(before, env, word), other) == words.word(before, other)


@settings(settings.get_profile("cli"))
@given(said, environment, st.integers(1, 999_999))
def test_the_operator_reads_what_was_written(tokens: list[tuple[str, str]], env: str, number: int) -> None:
    before = annotation(tokens)
    after = dict(promotion.words(words.with_word(before, env, str(number)) or ""))
    assert after.pop(env) == str(number)
    others = dict(promotion.words(before or ""))
    others.pop(env, None)
    assert after == others


json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(settings.get_profile("cli"))
@given(
    st.lists(st.dictionaries(st.text(), json_value, max_size=4), max_size=5),
    st.sampled_from([None, 1, 4]),
    st.booleans(),
    st.data(),
)
def test_events_are_whole_however_the_stream_is_cut(
    events: list[dict[str, object]], indent: int | None, escaped: object, data: st.DataObject
) -> None:
    whole = "\n".join(json.dumps(event, indent=indent, ensure_ascii=bool(escaped)) for event in events)
    stream = whole.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    decoder = Decoder()
    found = [event for part in parts for event in decoder.feed(part)]
    assert found == events
