"""Forgetting: events and tombstones older than the retention time go, a day's worth at a time."""

from __future__ import annotations

import asyncio

from server import errors, log
from server.clock import Clock
from server.events.log import EventLog

logger = log.get(__name__)
INTERVAL_SECONDS = 3600.0
DAY_MS = 24 * 3600 * 1000


class Retention:
    name = "retention"

    def __init__(self, event_log: EventLog, clock: Clock, days: int):
        self._log = event_log
        self._clock = clock
        self._days = days

    async def run(self) -> None:
        while True:
            try:
                gone = await self._log.forget(self._clock.now_ms() - self._days * DAY_MS)
                if gone:
                    logger.info("old events forgotten", events=gone)
            except (errors.Unavailable, errors.DiskFull) as error:
                logger.warning("old events can't be forgotten now", error=str(error))
            await asyncio.sleep(INTERVAL_SECONDS)
