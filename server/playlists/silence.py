"""Sessions end by themselves when nothing has been played for long, also while the server was off."""

from __future__ import annotations

import asyncio

from server import errors, log
from server.clock import Clock
from server.playlists.sessions import Sessions

logger = log.get(__name__)
# The timeout is a setting that a person may change, and another process may play.
LOOK_SECONDS = 60.0


class SessionKeeper:
    name = "session keeper"

    def __init__(self, sessions: Sessions, clock: Clock):
        self._sessions = sessions
        self._clock = clock

    async def run(self) -> None:
        while True:
            try:
                ended = await self.look()
            except (errors.Unavailable, errors.DiskFull) as error:
                logger.warning("sessions can't be looked at", error=str(error))
            else:
                if ended:
                    logger.info("session ended by itself", playlist=ended)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> str | None:
        """Finalise the active session if its time has come; returns its id."""
        due = await self._sessions.due_at()
        if due is None or self._clock.now_ms() < due:
            return None
        ended = await self._sessions.expire()
        return None if ended is None else ended.id
