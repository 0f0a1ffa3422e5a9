"""The protobuf reader on anything at all: it returns a message or says `MalformedMessage`, and reads what it wrote."""

import contextlib
import struct

from hypothesis import example, given
from hypothesis import strategies as st

from dataapp_operator.checks import protobuf
from dataapp_operator.checks.protobuf import MalformedMessage
from dataapp_operator.checks.streamlit import StreamlitConversation
from dataapp_operator.checks.streamlit_messages import read_forward

NUMBERS = st.integers(min_value=1, max_value=2**29 - 1)


@given(st.binary(max_size=400))
@example(b"\x2a\x02\x1a\x7f")
@example(b"\xff" * 30)
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        message = protobuf.decode(data)
        for number in message.fields:
            message.integer(number)
            message.boolean(number)
            message.double(number)
            message.text(number)
            with contextlib.suppress(MalformedMessage):
                message.message(number)
                message.messages(number)
    with contextlib.suppress(MalformedMessage):
        read_forward(data)


@given(st.lists(st.one_of(st.binary(max_size=200), st.text(max_size=50)), max_size=20))
def test_no_frames_crash_the_conversation(frames: list[bytes | str]) -> None:
    conversation = StreamlitConversation()
    for frame in frames:
        conversation.hear(frame)
    conversation.time_up()


@given(NUMBERS, st.integers(min_value=0, max_value=2**64 - 1))
def test_integers_come_back(number: int, value: int) -> None:
    assert protobuf.decode(protobuf.encode_integer(number, value)).integer(number) == value


@given(NUMBERS, st.floats(allow_nan=False))
def test_doubles_come_back(number: int, value: float) -> None:
    assert protobuf.decode(protobuf.encode_double(number, value)).double(number) == value


@given(NUMBERS, st.text())
def test_texts_come_back(number: int, value: str) -> None:
    assert protobuf.decode(protobuf.encode_text(number, value)).text(number) == value


@given(st.lists(st.tuples(NUMBERS, st.binary(max_size=50)), max_size=20))
def test_fields_come_back_in_their_order(fields: list[tuple[int, bytes]]) -> None:
    message = protobuf.decode(b"".join(protobuf.encode_bytes(number, value) for number, value in fields))
    for number in {number for number, _ in fields}:
        assert message.fields[number] == [value for other, value in fields if other == number]


@given(NUMBERS, st.binary(min_size=1, max_size=60), st.data())
def test_a_message_that_is_cut_is_malformed_or_another_message(number: int, value: bytes, data: st.DataObject) -> None:
    whole = protobuf.encode_bytes(number, value)
    cut = data.draw(st.integers(min_value=1, max_value=len(whole) - 1))
    try:
        protobuf.decode(whole[:cut])
    except MalformedMessage:
        return
    raise AssertionError("a cut field was read")


@given(NUMBERS, st.integers(min_value=0, max_value=2**32 - 1))
def test_fixed32_fields_are_skipped_like_any_other(number: int, value: int) -> None:
    key = protobuf.encode_integer(number, 0)[:-1]
    key = bytes([key[0] | 5]) + key[1:]
    after = protobuf.encode_text(2, "after")
    message = protobuf.decode(key + struct.pack("<I", value) + after)
    assert message.fields[2][-1] == b"after"
