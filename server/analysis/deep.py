"""Deep analysis: the stages that nobody waits for, of audios that have the first ones, while nothing else waits."""

from __future__ import annotations

import asyncio

from server import errors, log
from server.analysis import job_store
from server.analysis.job import Priority, State
from server.analysis.pace import Pace
from server.analysis.queue import Queue, Wish
from server.analysis.stage import DEEP, Stage

logger = log.get(__name__)
_BATCH = 20
_LOOKED_AT = 500
_WISH = Wish(DEEP, Priority.LOW, revives=frozenset({State.COMPLETED}), is_idle=True)


class DeepAnalysis:
    """A service."""

    name = "deep analysis"

    def __init__(self, queue: Queue, pace: Pace, *, is_automatic: bool):
        self.pace = pace
        self._queue = queue
        self._is_automatic = is_automatic
        self._after = ""

    async def run(self) -> None:
        if not self._is_automatic:
            return
        while True:
            await asyncio.sleep(self.pace.idle)
            try:
                if not await job_store.has_active(self._queue.direct):
                    await self._ask_for_some()
            except (errors.Unavailable, errors.DiskFull) as error:
                logger.warning("deep analysis has to wait", error=str(error))

    async def _ask_for_some(self) -> None:
        wanted: list[str] = []
        while len(wanted) < _BATCH:
            hashes = await self._queue.results.with_stage(Stage.BASIC_FEATURES, self._after, _LOOKED_AT)
            if not hashes:
                # All were looked at; what was added meanwhile is found in the next round.
                self._after = ""
                break
            settled = await self._queue.results.settled(self._queue.direct, hashes)
            lacking = [audio_hash for audio_hash in hashes if not set(DEEP) <= settled[audio_hash]]
            taken = lacking[: _BATCH - len(wanted)]
            wanted += taken
            self._after = taken[-1] if len(taken) < len(lacking) else hashes[-1]
        if wanted:
            async with self._queue.uow() as tx:
                # Meanwhile something else may have been asked for, which goes first.
                if not await job_store.has_active(tx):
                    await self._queue.add(tx, wanted, _WISH)
