"""Times as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from dataapp_operator.cli import moments
from tests.unit.cli_rig import NOW


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7199, "119m"),
        (7200, "2h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (41 * 86_400, "41d"),
    ],
)
def test_lengths(seconds: int, text: str) -> None:
    assert moments.length(timedelta(seconds=seconds)) == text


def test_clock_times_are_utc_and_name_the_day_only_when_it_is_another() -> None:
    assert moments.clock(datetime(2026, 11, 22, 9, 5, tzinfo=UTC), NOW) == "09:05"
    assert moments.clock(datetime.fromisoformat("2026-11-22T12:02:00+02:00"), NOW) == "10:02"
    assert moments.clock(datetime(2026, 11, 20, 9, 5, tzinfo=UTC), NOW) == "20 Nov 09:05"
    assert moments.since(datetime(2026, 11, 22, 10, 1, tzinfo=UTC), NOW) == "since 10:01 (3m)"
    assert moments.until(datetime(2026, 11, 22, 10, 11, tzinfo=UTC), NOW) == "until 10:11 (in 7m)"
    assert moments.until(datetime(2026, 11, 22, 10, 2, tzinfo=UTC), NOW) == "until 10:02"


@pytest.mark.parametrize("text", [None, 3, "", "soon", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment_is_none(text: object) -> None:
    assert moments.read(text) is None


def test_a_moment_without_a_zone_is_utc() -> None:
    assert moments.read("2026-11-22T10:04:00") == NOW


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30.0), ("30s", 30.0), ("1m30s", 90.0), ("0", 0.0), ("soon", None), ("", None), ("-1", None)],
)
def test_patience_is_typed_as_a_number_or_a_duration(text: str, seconds: float | None) -> None:
    assert moments.duration(text) == seconds
