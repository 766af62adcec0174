"""Time as Mismo keeps it (integer Unix milliseconds) and shows it (RFC 3339 UTC with milliseconds)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

# What four digits of a year can say: 0001-01-01 to 9999-12-31, in Unix milliseconds.
EARLIEST_MS = -62_135_596_800_000
LATEST_MS = 253_402_300_799_999
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 # UTC, and shown so


class Clock(Protocol):
    """Where the time comes from; tests hand in one they can move."""

    def now_ms(self) -> int:
        """The present time in Unix milliseconds."""


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


def to_rfc3339(milliseconds: int | None) -> str | None:
    """`1777666504123` → `"2026-05-01T20:15:04.123Z"`; None stays None.

    A moment that no such text can name, as some files bear it, is shown as the nearest that can.
    """
    if milliseconds is None:
        return None
    # Not `strftime("%Y")`, which writes the year 7 as "7". A moment with a time zone takes three times as long.
    moment = _EPOCH + timedelta(milliseconds=min(max(milliseconds, EARLIEST_MS), LATEST_MS))
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def from_rfc3339(text: str) -> int:
    """Unix milliseconds of an RFC 3339 time or ISO date; without an offset it is taken as UTC.

    Raises ValueError, also where the moment lies outside of the years 1 to 9999 in UTC.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    milliseconds = round(moment.timestamp() * 1000)
    if not EARLIEST_MS <= milliseconds <= LATEST_MS:
        raise ValueError(f"{text} lies outside of the years 1 to 9999")
    return milliseconds
