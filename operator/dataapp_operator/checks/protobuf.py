"""The wire format of protocol buffers, as little of it as a session probe needs.

Streamlit speaks protobuf over its websocket. Its generated classes would bring the whole framework into the operator
and tie us to one version, while the few field numbers that we read have not changed in years. So a message is read as
"field number -> values", nested messages are decoded only where somebody looks, and unknown fields are skipped.
The bytes come from an app that nobody has checked yet: any input ends in a value or in `MalformedMessage`.
"""

import struct
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes: 64 bits in groups of seven
_MASK64 = (1 << 64) - 1


class MalformedMessage(ValueError):  # noqa: N818 - a fact about the bytes; "Error" would add nothing
    """The bytes are not a protobuf message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded message: field number -> values in the order they came (numbers as int, the rest as bytes)."""

    fields: dict[int, list[int | bytes]]

    def has(self, number: int) -> bool:
        """Whether the field was sent at all (how a oneof tells its member)."""
        return number in self.fields

    def integer(self, number: int) -> int:
        """The last value of a varint or fixed-width field, unsigned; 0 where absent or of another type."""
        value = self.fields.get(number, [0])[-1]
        return value if isinstance(value, int) else 0

    def boolean(self, number: int) -> bool:
        """The last value of a bool field; False where absent."""
        return self.integer(number) != 0

    def double(self, number: int) -> float:
        """The last value of a double field; 0.0 where absent."""
        return float(struct.unpack("<d", struct.pack("<Q", self.integer(number) & _MASK64))[0])

    def text(self, number: int) -> str:
        """The last value of a string field; empty where absent. Bytes that are not UTF-8 are shown as U+FFFD."""
        value = self.fields.get(number, [b""])[-1]
        return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else ""

    def message(self, number: int) -> "Message":
        """The last value of a message field, decoded; an empty message where absent. Raises `MalformedMessage`."""
        value = self.fields.get(number, [b""])[-1]
        return decode(value) if isinstance(value, bytes) else Message({})

    def messages(self, number: int) -> list["Message"]:
        """All values of a repeated message field, decoded. Raises `MalformedMessage`."""
        return [decode(value) for value in self.fields.get(number, []) if isinstance(value, bytes)]


def decode(data: bytes) -> Message:
    """Read one message. Raises `MalformedMessage`."""
    fields: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise MalformedMessage("field number 0")
        value: int | bytes
        if wire_type == _VARINT:
            value, at = _read_varint(data, at)
        elif wire_type == _BYTES:
            length, at = _read_varint(data, at)
            value, at = _take(data, at, length)
        elif wire_type in (_FIXED64, _FIXED32):
            raw, at = _take(data, at, 8 if wire_type == _FIXED64 else 4)
            value = int.from_bytes(raw, "little")
        else:
            raise MalformedMessage(f"wire type {wire_type} is not in use")
        fields.setdefault(number, []).append(value)
    return Message(fields)


def encode_integer(number: int, value: int) -> bytes:
    """One varint field (int32/64, uint, bool, enum); negative numbers as two's complement of 64 bits."""
    return _varint(number << 3 | _VARINT) + _varint(value & _MASK64)


def encode_double(number: int, value: float) -> bytes:
    """One double field."""
    return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)


def encode_bytes(number: int, value: bytes) -> bytes:
    """One field of bytes or of an already encoded message."""
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def encode_text(number: int, value: str) -> bytes:
    """One string field."""
    return encode_bytes(number, value.encode())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits per byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for position in range(_LONGEST_VARINT):
        if at + position >= len(data):
            raise MalformedMessage("the message ends inside a number")
        byte = data[at + position]
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value & _MASK64, at + position + 1
    raise MalformedMessage("a number longer than 64 bits")


def _take(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if length > len(data) - at:
        raise MalformedMessage("a field longer than its message")
    return data[at : at + length], at + length
