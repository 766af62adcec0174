"""What entries owe to their tracks: they go when a track is deleted, and their lengths follow the files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from server.clock import Clock
from server.db.uow import Transaction, UnitOfWork
from server.events.bus import Bus
from server.events.consumer import Consumer
from server.events.log import EventLog
from server.events.model import Entry as LogEntry
from server.events.model import Event
from server.playlists import events, store
from server.playlists.entries import milliseconds, remove
from server.playlists.model import Entry, Kind
from server.tracks.service import TrackService

Tx = Transaction[Event]
_MAY_CHANGE_LENGTH = {"track:updated", "track:moved", "track:restored"}
_BATCH = 1000


class EntryUpkeep(Consumer):
    """Deleted tracks leave every list but sessions, which are history and know title and artist by themselves."""

    name = "playlist entries"

    def __init__(self, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus, tracks: TrackService, clock: Clock):
        super().__init__(uow, event_log, bus)
        self._tracks = tracks
        self._clock = clock

    def concerns(self, entry: LogEntry) -> bool:
        return entry.name == "track:deleted" or _may_change_length(entry)

    async def react(self, tx: Tx, entries: Sequence[LogEntry]) -> None:
        deleted: set[str] = set()
        measured: set[str] = set()
        for entry in entries:
            if entry.name == "track:deleted":
                deleted.update(entry.data["ids"])
            elif _may_change_length(entry):
                measured.update(entry.data["ids"])
        # One that was undone meanwhile exists again, and keeps its entries.
        gone = deleted - (await self._tracks.briefs(tx, sorted(deleted))).keys() if deleted else set()
        if gone:
            await self._remove(tx, sorted(gone))
        if measured:
            await self._measure(tx, sorted(measured))

    async def start_over(self, tx: Tx) -> None:
        """Nobody knows which tracks were deleted: every one that stands in a list is asked for."""
        listed = await store.listed_tracks(tx)
        for start in range(0, len(listed), _BATCH):
            batch = listed[start : start + _BATCH]
            gone = set(batch) - (await self._tracks.briefs(tx, batch)).keys()
            if gone:
                await self._remove(tx, sorted(gone))

    async def _remove(self, tx: Tx, track_ids: Sequence[str]) -> None:
        now = self._clock.now_ms()
        for playlist_id, found in (await _by_playlist(tx, track_ids)).items():
            playlist = await store.get(tx, playlist_id)
            if playlist is None or playlist.kind is Kind.SESSION:
                continue
            is_smart = playlist.kind is Kind.SMART
            await remove(tx, playlist, found, now, is_announced=not is_smart)
            if is_smart:
                removed = tuple(item.track_id for item in found)
                total = playlist.track_count - len(found)
                tx.emit(events.SmartRefreshed(playlist_id=playlist_id, added=(), removed=removed, total=total))

    async def _measure(self, tx: Tx, track_ids: Sequence[str]) -> None:
        tracks = await self._tracks.briefs(tx, track_ids)
        for playlist_id, found in (await _by_playlist(tx, track_ids)).items():
            playlist = await store.get(tx, playlist_id)
            if playlist is None or playlist.kind is Kind.SESSION:
                continue
            lengths = {
                item.id: milliseconds(tracks[item.track_id].duration_seconds)
                for item in found
                if item.track_id in tracks
            }
            changed = {
                id_: lengths[id_] for id_, before in _lengths(found).items() if lengths.get(id_, before) != before
            }
            if changed:
                await store.set_durations(tx, changed)
                more = sum(changed[item.id] - item.duration_ms for item in found if item.id in changed)
                await store.add_to_totals(tx, playlist_id, 0, more, playlist.updated_at)


def _may_change_length(entry: LogEntry) -> bool:
    fields = entry.data.get("fields")
    return entry.name in _MAY_CHANGE_LENGTH and (not fields or "duration_seconds" in fields)


def _lengths(found: Sequence[Entry]) -> dict[str, int]:
    return {item.id: item.duration_ms for item in found}


async def _by_playlist(tx: Tx, track_ids: Sequence[str]) -> dict[str, list[Entry]]:
    """Entries of tracks, grouped by playlist in the order of ids."""
    grouped: dict[str, list[Entry]] = defaultdict(list)
    for item in await store.of_tracks(tx, track_ids):
        grouped[item.playlist_id].append(item)
    return dict(sorted(grouped.items()))
