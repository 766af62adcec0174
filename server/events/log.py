"""The event log: appends within a transaction, reads in order, forgets what is too old."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from server import ids
from server.clock import Clock
from server.db.database import Connection, Database
from server.events import changes
from server.events.model import Entry, Event, Recorded, ResourceEvent, SpanEvent

DAY_MS = 24 * 3600 * 1000
UNREAD_DAYS = 30


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log stands. `epoch` changes only when history was lost; `oldest_seq` is the first that is kept."""

    epoch: str
    seq: int
    oldest_seq: int


class EventLog:
    """Implements the recorder of the unit of work, and the reading side for everyone who follows the log."""

    def __init__(self, database: Database, clock: Clock):
        self._database = database
        self._clock = clock
        self.head = Head("", 0, 1)
        self.woken = asyncio.Event()

    async def open(self) -> None:
        """Read the head; a database without one (new, or made from a backup) gets its epoch here."""
        async with self._database.write() as connection:
            await connection.execute(
                """
                INSERT INTO event_head (id, seq, oldest_seq, epoch)
                SELECT 1, coalesce(max(seq), 0), coalesce((SELECT min(seq) FROM events), max(seq) + 1, 1), :epoch
                FROM (SELECT seq FROM events UNION ALL SELECT seq FROM changes
                    UNION ALL SELECT seq FROM event_consumers) AS numbers
                WHERE true
                ON CONFLICT (id) DO NOTHING
                """,
                {"epoch": ids.new_id().replace("-", "")},
            )
        await self.refresh()

    async def refresh(self) -> None:
        """Learn what other processes have committed."""
        row = await self._database.fetch_one("SELECT epoch, seq, oldest_seq FROM event_head WHERE id = 1")
        if row is not None:
            self.head = Head(row["epoch"], max(row["seq"], self.head.seq), row["oldest_seq"])

    @property
    def seq(self) -> int:
        """The last event this process knows to be committed. Read it before a query, to say what is true."""
        return self.head.seq

    async def record(self, connection: Connection, events: Sequence[Event]) -> int:
        """Insert events as the last act of a transaction; returns the last number.

        The head row is updated here, at the end, since it stays locked until the commit: that makes the order of
        numbers the order of commits also among several processes, and keeps the lock short.
        """
        now = self._clock.now_ms()
        recorded = [event for event in events if isinstance(event, Recorded)]
        if len(recorded) != len(events):
            raise TypeError("a transient event can't be recorded: publish it on the bus")
        total = sum(_weight(event) for event in recorded)
        last: int = await connection.fetch_value(
            "UPDATE event_head SET seq = seq + :total WHERE id = 1 RETURNING seq", {"total": total}
        )
        seq = last - total
        rows = []
        for event in recorded:
            if isinstance(event, ResourceEvent):
                await changes.stamp(connection, event, seq + 1, now)
            elif isinstance(event, SpanEvent):
                await changes.stamp_span(connection, event, seq + 1)
            seq += _weight(event)
            rows.append(
                {
                    "seq": seq,
                    "ts": now,
                    "name": event.name,
                    "data": orjson.dumps(event.data()).decode(),
                    "client_id": event.client_id,
                }
            )
        await connection.execute_many(
            "INSERT INTO events (seq, ts, name, data, client_id) VALUES (:seq, :ts, :name, :data, :client_id)", rows
        )
        return last

    def committed(self, number: int) -> None:
        if number > self.head.seq:
            self.head = Head(self.head.epoch, number, self.head.oldest_seq)
            self.woken.set()

    def wake(self) -> None:
        """Somebody else may have committed."""
        self.woken.set()

    async def read(self, after: int, limit: int = 1000) -> list[Entry]:
        """Events with `seq > after`, oldest first."""
        rows = await self._database.fetch_all(
            "SELECT seq, ts, name, data, client_id FROM events WHERE seq > :after ORDER BY seq LIMIT :limit",
            {"after": after, "limit": limit},
        )
        return [Entry(row[0], row[1], row[2], orjson.loads(row[3]), row[4]) for row in rows]

    async def forget(self, before_ms: int) -> int:
        """Delete events older than a moment, and the tombstones that go with them; returns how many events went.

        What a reaction inside the server hasn't read yet stays for another `UNREAD_DAYS`.
        """
        async with self._database.write() as connection:
            last = await connection.fetch_value(
                """
                SELECT max(seq) FROM events WHERE ts < :unread_before
                OR (ts < :before AND seq <= coalesce((SELECT min(seq) FROM event_consumers), seq))
                """,
                {"before": before_ms, "unread_before": before_ms - UNREAD_DAYS * DAY_MS},
            )
            if last is None:
                return 0
            gone = await connection.execute("DELETE FROM events WHERE seq <= :last", {"last": last})
            await connection.execute("UPDATE event_head SET oldest_seq = :oldest WHERE id = 1", {"oldest": last + 1})
            await changes.forget(connection, last)
        await self.refresh()
        return gone


async def seq_seen(connection: Connection) -> int:
    """The last event whose change a snapshot holds: neither an earlier nor a later one is true for what it reads."""
    seq: int = await connection.fetch_value("SELECT seq FROM event_head WHERE id = 1")
    return seq


def _weight(event: Event) -> int:
    if isinstance(event, SpanEvent):
        return max(1, event.last_key - event.first_key + 1)
    return len(event.ids) if isinstance(event, ResourceEvent) else 1
