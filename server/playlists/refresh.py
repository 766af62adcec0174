"""Keeping smart playlists true: changes mark the lists they may concern, which are evaluated once things are quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from server import errors, log
from server.clock import Clock
from server.db.database import Connection, Database
from server.db.uow import Transaction, UnitOfWork
from server.events.bus import Bus
from server.events.consumer import Consumer
from server.events.log import EventLog
from server.events.model import Entry, Event
from server.playlists import pending, store, touch
from server.playlists.look import Look, Looks
from server.playlists.model import Kind, Playlist
from server.playlists.pending import Mark, Pending
from server.playlists.smart import SmartLists, criteria_of, in_order

logger = log.get(__name__)
Tx = Transaction[Event]
# Another process may have marked a list, or its turn may have come by the clock.
LOOK_SECONDS = 30.0
RETRY_SECONDS = 1.0


class SmartMarker(Consumer):
    """Reads the log and marks the smart playlists that a change may concern, once for a whole batch of changes."""

    name = "smart playlists"

    def __init__(self, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus, refresher: SmartRefresher, clock: Clock):
        super().__init__(uow, event_log, bus)
        self._refresher = refresher
        self._clock = clock

    def concerns(self, entry: Entry) -> bool:
        return touch.change_of(entry) is not None

    async def react(self, tx: Tx, entries: Sequence[Entry]) -> None:
        changes = [change for entry in entries if (change := touch.change_of(entry)) is not None]
        await pending.mark(tx, touch.marks(await store.of_kind(tx, Kind.SMART), changes))
        tx.on_commit(self._refresher.wake)

    async def start_over(self, tx: Tx) -> None:
        """Nobody knows what has changed: every list is looked at."""
        now = self._clock.now_ms()
        lists = await store.of_kind(tx, Kind.SMART)
        await pending.mark(tx, [Mark(item.id, None, is_order=True, first=None, last=now) for item in lists])
        tx.on_commit(self._refresher.wake)


class SmartRefresher:
    """Evaluates smart playlists whose time has come: five quiet seconds after a change, or by the clock."""

    name = "smart refresher"

    def __init__(self, database: Database, uow: UnitOfWork[Event], smart: SmartLists, looks: Looks, clock: Clock):
        self._database = database
        self._uow = uow
        self._smart = smart
        self._looks = looks
        self._clock = clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.adopt()
                await self.refresh_due()
                seconds = await self._seconds_to_wait()
            except (errors.Unavailable, errors.DiskFull) as error:
                logger.warning("smart playlists have to wait", error=str(error))
                seconds = RETRY_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _seconds_to_wait(self) -> float:
        due = await pending.next_due(self._database.direct)
        if due is None:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max(0.0, (due - self._clock.now_ms()) / 1000))

    async def adopt(self) -> None:
        """Give every list whose result changes with the clock its next moment; those of a fresh start have none."""
        direct = self._database.direct
        known = await pending.timed(direct)
        timed = [item for item in await store.of_kind(direct, Kind.SMART) if criteria_of(item).windows]
        if any(item.id not in known for item in timed):
            async with self._uow() as tx:
                for item in timed:
                    if item.id not in known:
                        await pending.set_clock(tx, item.id, self._next_moment(item))

    async def refresh_due(self) -> list[str]:
        """Look at what is due, each list after those it depends on; returns the ids of those looked at."""
        done: list[str] = []
        while due := await pending.due(self._database.direct, self._clock.now_ms()):
            lists = await store.by_ids(self._database.direct, [item.playlist_id for item in due])
            waiting = {item.playlist_id: item for item in due}
            for playlist in in_order([item for item in lists.values() if item.kind is Kind.SMART]):
                await self._refresh(playlist, waiting[playlist.id])
                done.append(playlist.id)
            others = [item for item in due if item.playlist_id not in set(done)]
            if others:
                # Converted or deleted meanwhile: there is nothing to evaluate any more.
                async with self._uow() as tx:
                    await pending.forget(tx, [item.playlist_id for item in others])
        return done

    async def _refresh(self, playlist: Playlist, mark: Pending) -> None:
        # Looked at by a reader first: what hasn't changed shouldn't make the writer wait.
        async with self._database.read() as connection:
            look = await self._look(connection, playlist, mark)
            wanted = await self._smart.wanted(connection, playlist) if look is None else None
        async with self._uow() as tx:
            if not await pending.take(tx, mark):
                return
            present = await store.get(tx, playlist.id)
            if present is None or present.criteria != playlist.criteria:
                return  # deleted, converted, or filled by its new criteria meanwhile
            if look is not None and not look.is_nothing:
                # Once more within the transaction, where nothing else comes or goes.
                look = await self._look(tx, present, mark)
                wanted = await self._smart.wanted(tx, present) if look is None else None
            if look is not None and not look.is_nothing:
                await self._looks.put(tx, present, look)
            elif wanted is not None:
                await self._smart.put(tx, present, wanted)
            else:
                await store.update(tx, playlist.id, {"last_refreshed": self._clock.now_ms()})
            if criteria_of(playlist).windows:
                # The clock asks for every track; a look at some is no answer to that.
                moment = mark.clock_at if look is not None else None
                await pending.set_clock(tx, playlist.id, moment or self._next_moment(playlist))

    async def _look(self, connection: Connection, playlist: Playlist, mark: Pending) -> Look | None:
        if mark.track_ids is None:
            return None
        return await self._looks.at(connection, playlist, mark.track_ids, is_order=mark.is_order)

    def _next_moment(self, playlist: Playlist) -> int:
        """A hundredth of the shortest window, but at least ten seconds and at most an hour, from now."""
        shortest = min(window.milliseconds for window in criteria_of(playlist).windows)
        return self._clock.now_ms() + min(3_600_000, max(10_000, shortest // 100))
