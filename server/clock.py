"""Time as Mismo keeps it (integer Unix milliseconds) and shows it (RFC 3339 UTC with milliseconds)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from; tests hand in one they can move."""

    def now_ms(self) -> int:
        """The present time in Unix milliseconds."""


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


def to_rfc3339(milliseconds: int | None) -> str | None:
    """`1777666504123` → `"2026-05-01T20:15:04.123Z"`; None stays None."""
    if milliseconds is None:
        return None
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:03d}Z"


def from_rfc3339(text: str) -> int:
    """Unix milliseconds of an RFC 3339 time or ISO date; without an offset it is taken as UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
