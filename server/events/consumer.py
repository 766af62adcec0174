"""Reactions inside the server: consumers of the log whose place in it is stored with what they did."""

from __future__ import annotations

import abc
import asyncio
import time
from collections.abc import Sequence

from server import errors, log
from server.db.database import Connection
from server.db.uow import Transaction, UnitOfWork
from server.events.bus import Bus
from server.events.log import EventLog
from server.events.model import Entry, Event

logger = log.get(__name__)
BATCH = 500
RETRY_SECONDS = 1.0
# In a burst of events, a reaction takes them so far apart: each time costs a commit, and a scan has hundreds.
PACE_SECONDS = 0.25
# How far, and how long, the stored place may stay behind what was read and concerned nobody. Events are kept for it,
# but on a quiet server not for ever.
UNSTORED = 1000
UNSTORED_SECONDS = 3600.0


class Consumer(abc.ABC):
    """A service that reacts to every recorded event once, in order, also to those from before a crash.

    What `react` writes, and the place in the log it has reached, are one transaction. Several processes on one
    PostgreSQL share the place: a batch is done by the one that writes first. The first event after a pause is reacted
    to at once, and what follows within `PACE_SECONDS` together.
    """

    name: str

    def __init__(self, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus):
        self._uow = uow
        self._log = event_log
        self._bus = bus
        self._stored, self._stored_at = 0, 0.0
        # The last event that it has considered in this process, stored or not.
        self.considered = 0

    @abc.abstractmethod
    def concerns(self, entry: Entry) -> bool:
        """Whether anything may follow from an event. If not, `react` doesn't get it, and it costs no transaction."""

    @abc.abstractmethod
    async def react(self, tx: Transaction[Event], entries: Sequence[Entry]) -> None:
        """Do what follows from events that concern it, oldest first."""

    async def start_over(self, tx: Transaction[Event]) -> None:
        """Take the present state instead of events that were forgotten before this reaction read them.

        Called for a reaction that is new on an old log, or whose server was off for longer than the log reaches back.
        """
        logger.warning("events were forgotten before a reaction read them", consumer=self.name)

    async def run(self) -> None:
        has_begun = False
        while True:
            try:
                if not has_begun:
                    self.considered = await self._begin()
                    has_begun = True
                await self._bus.beyond(self.considered)
                began = time.monotonic()
                self.considered = await self._step(self.considered)
                if self._bus.published - self.considered < BATCH:
                    await asyncio.sleep(began + PACE_SECONDS - time.monotonic())
            except (errors.Unavailable, errors.DiskFull) as error:
                logger.warning("a reaction has to wait", consumer=self.name, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _begin(self) -> int:
        """The place to go on from."""
        async with self._uow() as tx:
            place = await self._stored_place(tx)
            head = await tx.fetch_one("SELECT seq, oldest_seq FROM event_head WHERE id = 1")
            if head is not None and place < head["oldest_seq"] - 1:
                await self.start_over(tx)
                place = head["oldest_seq"] - 1
                await self._store_place(tx, place)
        self._stored, self._stored_at = place, time.monotonic()
        return place

    async def _step(self, after: int) -> int:
        published = self._bus.published
        entries = await self._log.read(after, BATCH)
        if not entries:
            return published  # the events were forgotten meanwhile
        last = entries[-1].seq
        concerning = [entry for entry in entries if self.concerns(entry)]
        may_wait = last - self._stored < UNSTORED and time.monotonic() - self._stored_at < UNSTORED_SECONDS
        if may_wait and not concerning:
            return last
        async with self._uow(is_patient=True) as tx:
            place = await self._place(tx)
            if news := [entry for entry in concerning if entry.seq > place]:
                await self.react(tx, news)
            if last > place:
                await self._store_place(tx, last)
        self._stored, self._stored_at = max(place, last), time.monotonic()
        return self._stored

    async def _stored_place(self, tx: Transaction[Event]) -> int:
        await tx.execute(
            "INSERT INTO event_consumers (name, seq) VALUES (:name, 0) ON CONFLICT (name) DO NOTHING",
            {"name": self.name},
        )
        return await self._place(tx)

    async def _store_place(self, tx: Transaction[Event], seq: int) -> None:
        await tx.execute("UPDATE event_consumers SET seq = :seq WHERE name = :name", {"seq": seq, "name": self.name})

    async def _place(self, connection: Connection) -> int:
        place: int = await connection.fetch_value(
            "SELECT seq FROM event_consumers WHERE name = :name", {"name": self.name}
        )
        return place
