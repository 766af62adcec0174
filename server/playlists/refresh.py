"""Keeping smart playlists true: changes mark the lists they may concern, which are evaluated once things are quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from server import errors, log
from server.clock import Clock
from server.db.database import Connection, Database
from server.db.uow import Transaction, UnitOfWork
from server.events.bus import Bus
from server.events.consumer import Consumer
from server.events.log import EventLog
from server.events.model import Entry, Event
from server.playlists import pending, store
from server.playlists.model import Kind, Playlist
from server.playlists.pending import Pending
from server.playlists.smart import SmartLists, criteria_of, in_order

logger = log.get(__name__)
Tx = Transaction[Event]
# Another process may have marked a list, or its turn may have come by the clock.
LOOK_SECONDS = 30.0
RETRY_SECONDS = 1.0
_MISSING = frozenset({"missing_since", "library_directory_id"})
# What an event may have changed about tracks; those that aren't here say so themselves, or it may be anything.
_TOUCHED = {
    "track:missing": _MISSING,
    "library:media:connected": _MISSING,
    "library:media:disconnected": _MISSING,
    "library:directory:added": _MISSING,
    "library:directory:removed": _MISSING,
    "duplicate:detected": frozenset({"duplicate_group_id"}),
    "duplicate:resolved": frozenset({"duplicate_group_id"}),
}
_ANYTHING = {"track:updated", "track:moved", "track:restored"}
_ENTRIES = {"playlist:track:added", "playlist:track:removed", "playlist:track:updated"}


@dataclass(slots=True)
class Touch:
    """What some events have changed. `columns` of tracks; `is_new`: tracks came; `is_less`: tracks went."""

    columns: set[str] = field(default_factory=set)
    playlists: set[str] = field(default_factory=set)
    is_new: bool = False
    is_less: bool = False
    is_any: bool = False

    def take(self, entry: Entry) -> bool:
        """Note what an event tells; False when it says nothing about tracks or lists."""
        if entry.name in _ANYTHING and not entry.data.get("fields"):
            self.is_any = True
        elif entry.name in _ANYTHING:
            self.columns.update(entry.data["fields"])
        elif entry.name == "track:added":
            self.is_new = True
        elif entry.name == "track:deleted":
            self.is_less = True
        elif entry.name in _TOUCHED:
            self.columns |= _TOUCHED[entry.name]
        elif entry.name in _ENTRIES:
            self.playlists.add(entry.data["playlist_id"])
        elif entry.name == "playlist:deleted":
            self.playlists.add(entry.data["id"])
        elif entry.name == "session:track:played":
            self.playlists.add(entry.data["session"]["id"])
        else:
            return False
        return True

    def concerns(self, playlist: Playlist) -> bool:
        """Whether a smart playlist may hold other tracks now, or in another order."""
        criteria = criteria_of(playlist)
        if self.is_any or self.is_new or self.columns & criteria.columns or self.playlists & criteria.playlist_ids:
            return True
        # Tracks that were deleted leave by themselves; others may follow them in, and some be like them no more.
        return self.is_less and (criteria.limit is not None or bool(criteria.track_ids))


class SmartMarker(Consumer):
    """Reads the log and marks the smart playlists that a change may concern, once for a whole batch of changes."""

    name = "smart playlists"

    def __init__(self, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus, refresher: SmartRefresher):
        super().__init__(uow, event_log, bus)
        self._refresher = refresher

    async def react(self, tx: Tx, entries: Sequence[Entry]) -> None:
        touch = Touch()
        moments = [entry.ts for entry in entries if touch.take(entry)]
        if not moments:
            return
        lists = await store.of_kind(tx, Kind.SMART)
        marked = [playlist.id for playlist in lists if touch.concerns(playlist)]
        await pending.mark(tx, marked, moments[0], moments[-1])
        tx.on_commit(self._refresher.wake)


class SmartRefresher:
    """Evaluates smart playlists whose time has come: five quiet seconds after a change, or by the clock."""

    name = "smart refresher"

    def __init__(self, database: Database, uow: UnitOfWork[Event], smart: SmartLists, clock: Clock):
        self._database = database
        self._uow = uow
        self._smart = smart
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
        """Evaluate what is due, each list after those it depends on; returns the ids of those evaluated.

        A list that changed makes those that depend on it due at once.
        """
        evaluated: list[str] = []
        while due := await pending.due(self._database.direct, self._clock.now_ms()):
            lists = await store.by_ids(self._database.direct, [item.playlist_id for item in due])
            waiting = {item.playlist_id: item for item in due}
            for playlist in in_order([item for item in lists.values() if item.kind is Kind.SMART]):
                await self._refresh(playlist, waiting[playlist.id])
                evaluated.append(playlist.id)
            others = [item for item in due if item.playlist_id not in set(evaluated)]
            if others:
                # Converted meanwhile: there is nothing to evaluate any more.
                async with self._uow() as tx:
                    await pending.forget(tx, [item.playlist_id for item in others])
        return evaluated

    async def _refresh(self, playlist: Playlist, mark: Pending) -> None:
        # Looked at by a reader first: what hasn't changed shouldn't make the writer wait.
        async with self._database.read() as connection:
            wanted = await self._smart.wanted(connection, playlist)
        async with self._uow() as tx:
            if not await pending.take(tx, mark):
                return
            present = await store.locked(tx, playlist.id)
            if present is None or present.criteria != playlist.criteria:
                return  # deleted, converted, or filled by its new criteria meanwhile
            if wanted is not None:
                before = len(tx.events)
                await self._smart.put(tx, present, wanted)
                if len(tx.events) > before:
                    await self._mark_dependents(tx, playlist.id)
            else:
                await store.update(tx, playlist.id, {"last_refreshed": self._clock.now_ms()})
            if criteria_of(playlist).windows:
                await pending.set_clock(tx, playlist.id, self._next_moment(playlist))

    async def _mark_dependents(self, tx: Tx, playlist_id: str) -> None:
        dependents = await dependents_of(tx, [playlist_id])
        await pending.mark(tx, dependents, None, self._clock.now_ms())

    def _next_moment(self, playlist: Playlist) -> int:
        """A hundredth of the shortest window, but at least ten seconds and at most an hour, from now."""
        shortest = min(window.milliseconds for window in criteria_of(playlist).windows)
        return self._clock.now_ms() + min(3_600_000, max(10_000, shortest // 100))


async def dependents_of(connection: Connection, playlist_ids: Iterable[str]) -> list[str]:
    """Smart playlists whose criteria refer to one of some playlists."""
    wanted = set(playlist_ids)
    lists = await store.of_kind(connection, Kind.SMART)
    return [item.id for item in lists if criteria_of(item).playlist_ids & wanted]
