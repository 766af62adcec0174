"""How patient the link is, and how long it waits before it tries again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

JITTER = 0.2
"""The share of a pause that chance may take away, so that servers that lost one engine don't all come back at once."""


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds. `stable`: a link that held for so long begins the pauses anew."""

    first_pause: float = 1.0
    longest_pause: float = 30.0
    stable: float = 60.0
    ping: float = 30.0
    pong: float = 20.0
    opening: float = 10.0


class Backoff:
    """Doubles the pause between tries to connect."""

    def __init__(self, pace: Pace, chance: Callable[[], float] = random.random):
        """`chance` gives numbers from 0 to 1."""
        self._pace = pace
        self._chance = chance
        self._pause = pace.first_pause

    def after(self, seconds_up: float) -> float:
        """Seconds to wait, after a link that was up for so long; 0 where it didn't come up."""
        if seconds_up >= self._pace.stable:
            self._pause = self._pace.first_pause
        pause = self._pause * (1 - JITTER * self._chance())
        self._pause = min(self._pause * 2, self._pace.longest_pause)
        return pause
