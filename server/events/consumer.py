"""Reactions inside the server: consumers of the log whose place in it is stored with what they did."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Sequence

from server import errors, log
from server.db.database import Connection, Dialect
from server.db.uow import Transaction, UnitOfWork
from server.events.bus import Bus
from server.events.log import EventLog
from server.events.model import Entry, Event

logger = log.get(__name__)
BATCH = 500
RETRY_SECONDS = 1.0


class Consumer(abc.ABC):
    """A service that reacts to every recorded event once, in order, also to those from before a crash.

    What `react` writes, and the place in the log it has reached, are one transaction. Several processes on one
    PostgreSQL share the place: a batch is done by the one that locks it first.
    """

    name: str

    def __init__(self, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus):
        self._uow = uow
        self._log = event_log
        self._bus = bus

    @abc.abstractmethod
    async def react(self, tx: Transaction[Event], entries: Sequence[Entry]) -> None:
        """Do what follows from some events, oldest first."""

    async def run(self) -> None:
        after = await self._stored_place()
        while True:
            await self._bus.beyond(after)
            try:
                after = await self._step(after)
            except (errors.Unavailable, errors.DiskFull) as error:
                logger.warning("a reaction has to wait", consumer=self.name, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _step(self, after: int) -> int:
        entries = await self._log.read(after, BATCH)
        if not entries:
            return after
        async with self._uow() as tx:
            place = await self._lock_place(tx)
            news = [entry for entry in entries if entry.seq > place]
            if news:
                await self.react(tx, news)
                await tx.execute(
                    "UPDATE event_consumers SET seq = :seq WHERE name = :name",
                    {"seq": news[-1].seq, "name": self.name},
                )
        return entries[-1].seq

    async def _stored_place(self) -> int:
        async with self._uow() as tx:
            await tx.execute(
                "INSERT INTO event_consumers (name, seq) VALUES (:name, 0) ON CONFLICT (name) DO NOTHING",
                {"name": self.name},
            )
            return await self._lock_place(tx)

    async def _lock_place(self, connection: Connection) -> int:
        lock = " FOR UPDATE" if connection.dialect is Dialect.POSTGRES else ""
        place: int = await connection.fetch_value(
            f"SELECT seq FROM event_consumers WHERE name = :name{lock}", {"name": self.name}
        )
        return place
