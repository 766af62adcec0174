"""How long the queue waits for what."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """All in seconds but the counts. `retry` is before the first retry and doubles with each further one.

    `lease`: how long a job stays with a Mismo that has stopped renewing it. `afterthought`: how long results may come
    after the server said that it is done. `losses`: how often a server may die with the same job.
    """

    timeout: float
    retries: int
    retry: float = 5.0
    longest_retry: float = 3600.0
    losses: int = 10
    lease: float = 60.0
    tick: float = 1.0
    ask_after: float = 10.0
    afterthought: float = 10.0
    away: float = 1.0
    longest_away: float = 30.0
    answer: float = 10.0
    missing: float = 60.0
    idle: float = 30.0

    def retry_pause_ms(self, attempts: int) -> int:
        """Milliseconds before the next try after so many that failed: 5 s · 2ⁿ, spread by up to a fifth.

        The spread keeps jobs that failed together from coming back together.
        """
        pause = min(self.retry * 2.0**attempts, self.longest_retry)
        return round(pause * random.uniform(0.8, 1.2) * 1000)  # noqa: S311 # jitter, not a secret
