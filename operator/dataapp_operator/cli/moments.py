"""Moments and lengths of time as people read them. Pure.

Clock times are UTC, as in the operator's own sentences; on one screen there must not be two clocks.
"""

import re
from datetime import UTC, datetime, timedelta

from dataapp_operator.api.base import DURATION_PATTERN, instant, seconds

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEPS = (("s", 1, 120), ("m", 60, 120), ("h", 3600, 48), ("d", 86400, 10**9))


def read(text: object) -> datetime | None:
    """The moment that a timestamp names; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = instant(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def clock(moment: datetime, now: datetime) -> str:
    """``10:02``, or ``28 Nov 10:02`` on another day."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    time = f"{moment.hour:02}:{moment.minute:02}"
    return time if moment.date() == now.date() else f"{moment.day} {_MONTHS[moment.month - 1]} {time}"


def length(span: timedelta) -> str:
    """``90s``, ``14m``, ``5h``, ``41d``. A clock that goes after another one's gives no negative time."""
    total = max(0, int(span.total_seconds()))
    unit, size, _ = next(step for step in _STEPS if total < step[1] * step[2])
    return f"{total // size}{unit}"


def since(moment: datetime, now: datetime) -> str:
    """``since 10:02 (14m)``."""
    return f"since {clock(moment, now)} ({length(now - moment)})"


def until(moment: datetime, now: datetime) -> str:
    """``until 10:11 (in 7m)``; a moment that is over is only named."""
    left = f" (in {length(moment - now)})" if moment > now else ""
    return f"until {clock(moment, now)}{left}"


def duration(text: str) -> float | None:
    """Seconds of ``30``, ``30s`` or ``1m30s``; None where it is no such thing."""
    if re.fullmatch(r"[0-9]{1,6}", text):
        return float(text)
    return float(seconds(text)) if re.match(DURATION_PATTERN, text) else None
