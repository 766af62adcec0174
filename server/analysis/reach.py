"""Whether the analysis server can be reached, without asking it all the time."""

from __future__ import annotations

import time
from typing import Any

from server import log
from server.analysis.client import AnalysisClient, Away
from server.analysis.pace import Pace

logger = log.get(__name__)


class Reach:
    """Believed to be there until something fails; then looked for with growing pauses."""

    def __init__(self, client: AnalysisClient, pace: Pace):
        self._client = client
        self._pace = pace
        self._is_there: bool | None = None
        self._detail: str | None = None
        self._pause = pace.away
        self._next_look = 0.0

    def as_json(self) -> dict[str, Any]:
        """The server as far as Mismo knows: `ok`, `away`, or `unknown` before anything was asked of it."""
        state = {True: "ok", False: "away", None: "unknown"}[self._is_there]
        return {"url": str(self._client.url), "state": state, "detail": self._detail}

    async def is_there(self) -> bool:
        """Whether to ask it something now; while it is away, it is looked for no more often than the pauses allow."""
        if self._is_there:
            return True
        if time.monotonic() < self._next_look:
            return False
        try:
            await self.look()
        except Away:
            return False
        return True

    async def look(self) -> dict[str, Any]:
        """What the server says of its health. Raises `Away`."""
        try:
            answer = await self._client.health()
        except Away as away:
            self.lost(str(away))
            raise
        if not self._is_there:
            logger.info(
                "the analysis server is there",
                url=str(self._client.url),
                version=answer.get("version"),
            )
        self._is_there, self._detail, self._pause = True, None, self._pace.away
        return answer

    def lost(self, detail: str) -> None:
        """It doesn't answer: jobs wait until it does."""
        if self._is_there is not False:
            logger.warning("the analysis server is away; jobs wait for it", detail=detail)
        self._is_there, self._detail = False, detail
        self._next_look = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, self._pace.longest_away)
