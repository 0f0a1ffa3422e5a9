"""Reading a front's session count: a number, or unknown; never empty by mistake."""

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.checks.fronts import FrontSessions, parse_sessions, read_sessions


@pytest.mark.parametrize(
    ("body", "sessions"),
    [
        (b'{"live": 3, "quietFor": 0}\n', FrontSessions(3, 0.0)),
        (b'{"live": 0, "quietFor": 12.5, "more": true}', FrontSessions(0, 12.5)),
        (b'{"live": 2.0, "quietFor": 0}', FrontSessions(2, 0.0)),
        (b'{"live": 0}', None),
        (b'{"live": null, "quietFor": 3}', None),
        (b'{"live": false, "quietFor": 3}', None),
        (b'{"live": -1, "quietFor": 3}', None),
        (b'{"live": 0.5, "quietFor": 3}', None),
        (b'{"live": 0, "quietFor": NaN}', None),
        (b'{"live": 0, "quietFor": 1' + b"0" * 400 + b"}", None),
        (b'{"live": "0", "quietFor": "9"}', None),
        (b"[0, 9]", None),
        (b"", None),
        (b"<html>not here</html>", None),
    ],
)
def test_only_a_proper_answer_counts(body: bytes, sessions: FrontSessions | None) -> None:
    assert parse_sessions(body) == sessions


@given(st.binary(max_size=200))
def test_no_body_crashes_the_reader(body: bytes) -> None:
    parse_sessions(body)


@pytest.mark.asyncio
async def test_an_unreachable_front_is_unknown() -> None:
    async with aiohttp.ClientSession() as client:
        assert await read_sessions("127.0.0.1", client=client, timeout=0.5) is None
