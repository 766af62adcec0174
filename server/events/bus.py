"""The bus: woken by commits, it reads the log in order and is the only publisher inside a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Protocol

import orjson

from server import errors, log
from server.db.database import Database
from server.events.log import EventLog
from server.events.model import Entry, Transient, ended_by, registry
from server.events.signals import MAX_BYTES, Signals

logger = log.get(__name__)
BATCH = 1000
TELL_SECONDS = 0.1
ENDS_KEPT = 100
_TRANSIENT = "transient"


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
        self._kinds = registry()
        # What stands in the log by now is nobody's news; all that comes after is, also before `run` begins.
        self.published = event_log.seq
        self._advanced = asyncio.Condition()
        self.signals = Signals(database)
        self.signals.on(_TRANSIENT, self._take_transient)
        self._to_tell: dict[tuple[str, str], Transient] = {}
        self._over: dict[tuple[str, str], None] = {}  # what has ended lately, the oldest first
        self._is_telling = asyncio.Event()

    def attach(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def publish(self, event: Transient) -> None:
        """Hand a transient event to the listeners at once, and soon to those of the other processes."""
        self._hand_out(event)
        if self.signals.is_shared:
            self._to_tell[event.name, event.subject] = event
            self._is_telling.set()

    def _hand_out(self, event: Transient) -> None:
        if (event.name, event.subject) in self._over:
            return  # another process's progress may arrive after the end
        now = self._now_ms()
        for listener in self._listeners:
            listener.transient(event, now)

    async def _tell(self) -> None:
        """Let the other processes' clients see the latest of each transient event, ten times a second at most."""
        while True:
            await self._is_telling.wait()
            self._is_telling.clear()
            telling, self._to_tell = self._to_tell, {}
            for event in telling.values():
                content = {item.name: getattr(event, item.name) for item in fields(event)}
                words = orjson.dumps([event.name, content]).decode()
                if len(words.encode()) > MAX_BYTES:
                    continue  # progress that is too long to pass on is missed there
                try:
                    await self.signals.tell_others(_TRANSIENT, words)
                except errors.Unavailable:
                    break  # it is old by the time that the database is back
            await asyncio.sleep(TELL_SECONDS)

    def _take_transient(self, words: str) -> None:
        name, content = orjson.loads(words)
        kind = self._kinds.get(name)
        if kind is not None and issubclass(kind, Transient):
            self._hand_out(kind(**content))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            if self.signals.is_shared:
                group.create_task(self._tell())
            while True:
                await self._log.woken.wait()
                self._log.woken.clear()
                await self._drain()

    async def _drain(self) -> None:
        while entries := await self._read():
            # Known before it is told: who hears of a change made elsewhere, and asks, is answered with it.
            self._log.committed(entries[-1].seq)
            self._note_ends(entries)
            for listener in self._listeners:
                listener.recorded(entries)
            async with self._advanced:
                self.published = entries[-1].seq
                self._advanced.notify_all()
            if len(entries) < BATCH:
                break

    def _note_ends(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            ended = ended_by(self._kinds.get(entry.name), entry.data)
            if ended is not None:
                self._over[ended] = None
                self._to_tell.pop(ended, None)
        while len(self._over) > ENDS_KEPT:
            del self._over[next(iter(self._over))]

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
                await self._database.listen(self._log.wake, self.signals.heard)
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
