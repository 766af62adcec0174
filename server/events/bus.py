"""The bus: woken by commits, it reads the log in order and is the only publisher inside a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from server import errors, log
from server.db.database import Database
from server.events.log import EventLog
from server.events.model import Entry, Transient

logger = log.get(__name__)
BATCH = 1000


class Listener(Protocol):
    """Takes what the bus publishes. It must neither block nor raise: what it can't take now, it leaves for later."""

    def recorded(self, entries: Sequence[Entry]) -> None: ...
    def transient(self, event: Transient, ts: int) -> None: ...


class Bus:
    """Publishes each recorded event once, in order, to every listener of this process."""

    name = "event bus"

    def __init__(self, database: Database, event_log: EventLog, now_ms: Callable[[], int]):
        self._database = database
        self._log = event_log
        self._now_ms = now_ms
        self._listeners: list[Listener] = []
        # What stands in the log by now is nobody's news; all that comes after is, also before `run` begins.
        self.published = event_log.seq
        self._advanced = asyncio.Condition()

    def attach(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def publish(self, event: Transient) -> None:
        """Hand a transient event to the listeners at once."""
        now = self._now_ms()
        for listener in self._listeners:
            listener.transient(event, now)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            while True:
                await self._log.woken.wait()
                self._log.woken.clear()
                await self._drain()

    async def _drain(self) -> None:
        while entries := await self._read():
            for listener in self._listeners:
                listener.recorded(entries)
            async with self._advanced:
                self.published = entries[-1].seq
                self._advanced.notify_all()
            self._log.committed(self.published)
            if len(entries) < BATCH:
                break

    async def _read(self) -> list[Entry]:
        try:
            return await self._log.read(self.published, BATCH)
        except errors.Unavailable as error:
            logger.warning("the event log can't be read; trying again", error=str(error))
            await asyncio.sleep(1)
            self._log.wake()
            return []

    async def _listen(self) -> None:
        while True:
            try:
                await self._database.listen(self._log.wake)
            except errors.Unavailable as error:
                logger.warning("lost the database's notifications; listening again", error=str(error))
            await asyncio.sleep(1)

    async def reached(self, seq: int) -> None:
        """Wait until everything up to `seq` has been published."""
        async with self._advanced:
            await self._advanced.wait_for(lambda: self.published >= seq)

    async def beyond(self, seq: int) -> None:
        """Wait until something after `seq` has been published."""
        await self.reached(seq + 1)
