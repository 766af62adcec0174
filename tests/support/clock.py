"""A clock that tests move."""

from __future__ import annotations

import time


class MovedClock:
    """Starts at the present time and stands still until it is moved."""

    def __init__(self) -> None:
        self._now_ms = time.time_ns() // 1_000_000

    def now_ms(self) -> int:
        return self._now_ms

    def move(self, *, hours: float = 0, seconds: float = 0) -> None:
        self._now_ms += round((hours * 3600 + seconds) * 1000)

    def set_ms(self, milliseconds: int) -> None:
        self._now_ms = milliseconds
