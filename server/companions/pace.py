"""How patient the supervisor is, and when it gives up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds but `restarts`: that many within `window`, and the companion stays down."""

    restarts: int = 5
    window: float = 300.0
    first_pause: float = 1.0
    longest_pause: float = 30.0
    grace: float = 3.0
    health_interval: float = 0.5
    slow_start: float = 60.0


class RestartLimit:
    """Counts the restarts of one companion within the window, and says how long to wait before the next."""

    def __init__(self, pace: Pace):
        self._pace = pace
        self._restarts: deque[float] = deque()

    def next_pause(self, now: float) -> float | None:
        """Seconds to wait before the restart that a crash at `now` (s, monotonic) calls for; None: not again."""
        while self._restarts and self._restarts[0] <= now - self._pace.window:
            self._restarts.popleft()
        if len(self._restarts) >= self._pace.restarts:
            return None
        pause = self._pace.first_pause * 2.0 ** len(self._restarts)
        self._restarts.append(now)
        return float(min(pause, self._pace.longest_pause))

    def forget(self) -> None:
        """Start to count anew: a person has asked for another try."""
        self._restarts.clear()
