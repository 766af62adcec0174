"""The verbs of what is in a playlist: read its entries, add, remove, reorder, and say something about one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from server import errors, ids
from server.clock import Clock
from server.db.database import Connection, Database
from server.db.uow import Transaction, UnitOfWork
from server.events.log import seq_seen
from server.events.model import Event
from server.playlists import entries, events, store
from server.playlists.changeable import editable, existing
from server.playlists.folders import check_parent
from server.playlists.model import Entry, Kind, Playlist
from server.playlists.rows import fresh, searchable
from server.tracks.selection import Brief
from server.tracks.service import TrackService

Tx = Transaction[Event]
Json = dict[str, Any]
THINKING = "Thinking"


@dataclass(frozen=True, slots=True)
class Listing:
    """A playlist and its entries, or some of them, as they were when the event `seq` was the last one.

    Events tell positions, so that a client can only go on from exactly there. `end` is the place after the entries
    (rank, entry id, position; None at the list's end).
    """

    playlist: Playlist
    entries: list[Json]
    seq: int
    end: tuple[int, str, int] | None = None


class Contents:
    def __init__(self, database: Database, uow: UnitOfWork[Event], tracks: TrackService, clock: Clock):
        self._database = database
        self._uow = uow
        self._tracks = tracks
        self._clock = clock

    # -- reading

    async def whole(self, playlist_id: str) -> Listing:
        """Every entry with its track, which is null when it is in the library no more. Raises `NotFound`."""
        async with self._database.read() as connection:
            playlist = await existing(connection, playlist_id)
            found = await store.entries(connection, playlist_id)
            seq = await seq_seen(connection)
        return Listing(playlist, await self._with_tracks(found, 0), seq)

    async def page(
        self, playlist_id: str, limit: int, *, offset: int = 0, after: tuple[int, str, int] | None = None
    ) -> Listing:
        """Some entries, from a position or from a place on. Raises `NotFound`."""
        async with self._database.read() as connection:
            playlist = await existing(connection, playlist_id)
            if after is None:
                found = await store.entries(connection, playlist_id, limit=limit + 1, offset=offset)
            else:
                rank, entry_id, position = after
                found = await store.entries_after(connection, playlist_id, rank, entry_id, limit + 1)
                offset = position + 1
            seq = await seq_seen(connection)
        items = await self._with_tracks(found[:limit], offset)
        if len(found) <= limit:
            return Listing(playlist, items, seq)
        last = found[limit - 1]
        return Listing(playlist, items, seq, (last.rank, last.id, offset + limit - 1))

    async def _with_tracks(self, found: Sequence[Entry], offset: int) -> list[Json]:
        tracks = await self._tracks.resources(list({item.track_id for item in found}))
        described = []
        for position, item in enumerate(found, offset):
            track = tracks.get(item.track_id)
            described.append({**item.as_json(position), "track": None if track is None else orjson.Fragment(track)})
        return described

    async def described(self, entry: Json) -> Json:
        """An entry with its track."""
        track = (await self._tracks.resources([entry["track_id"]])).get(entry["track_id"])
        return {**entry, "track": None if track is None else orjson.Fragment(track)}

    # -- changing

    async def add(
        self, playlist_id: str, track_ids: Sequence[str], position: int | None = None, notes: str | None = None
    ) -> list[Json]:
        """Put tracks in at a position, or at the end; returns the entries. Raises `Invalid` for an unknown track."""
        async with self._uow() as tx:
            playlist = await editable(tx, playlist_id)
            return await self.add_in(tx, playlist, track_ids, position, notes)

    async def add_in(
        self,
        tx: Tx,
        playlist: Playlist,
        track_ids: Sequence[str],
        position: int | None = None,
        notes: str | None = None,
    ) -> list[Json]:
        known = await self.known_tracks(tx, track_ids)
        now = self._clock.now_ms()
        drafts = [entries.draft(playlist, known[track_id], now, notes=notes) for track_id in track_ids]
        return await entries.add(tx, playlist, drafts, position, now)

    async def known_tracks(self, connection: Connection, track_ids: Sequence[str]) -> dict[str, Brief]:
        """The facts of tracks; raises `Invalid` that names the first unknown one."""
        known = await self._tracks.briefs(connection, list(set(track_ids)))
        for index, track_id in enumerate(track_ids):
            if track_id not in known:
                raise errors.Invalid.field(f"track_ids[{index}]", f"there is no track {track_id}")
        return known

    async def remove_track(self, playlist_id: str, track_id: str) -> str:
        """Take out the first entry of a track; returns its id."""
        async with self._uow() as tx:
            playlist = await editable(tx, playlist_id)
            found = await store.first_of_track(tx, playlist_id, track_id)
            if found is None:
                raise errors.NotFound(f"track {track_id} isn't in the playlist")
            await entries.remove(tx, playlist, [found], self._clock.now_ms())
        return found.id

    async def remove_entry(self, playlist_id: str, entry_id: str) -> None:
        async with self._uow() as tx:
            playlist = await editable(tx, playlist_id)
            found = await self._entry(tx, playlist_id, entry_id)
            await entries.remove(tx, playlist, [found], self._clock.now_ms())

    async def arrange(self, playlist_id: str, track_ids: Sequence[str]) -> None:
        """Bring the whole list into an order, which must name exactly its tracks."""
        async with self._uow() as tx:
            playlist = await editable(tx, playlist_id)
            await entries.arrange(tx, playlist, track_ids, self._clock.now_ms())

    async def move(self, playlist_id: str, entry_id: str, position: int) -> None:
        """Put one entry at another position (from 0)."""
        async with self._uow() as tx:
            playlist = await editable(tx, playlist_id)
            found = await self._entry(tx, playlist_id, entry_id)
            await entries.move(tx, playlist, found, position, self._clock.now_ms())

    async def remark_track(self, playlist_id: str, track_id: str, values: Mapping[str, Any]) -> Json:
        """Change notes, cue points or rating of the first entry of a track."""
        async with self._uow() as tx:
            playlist = await editable(tx, playlist_id)
            found = await store.first_of_track(tx, playlist_id, track_id)
            if found is None:
                raise errors.NotFound(f"track {track_id} isn't in the playlist")
            entry = await entries.change(tx, playlist, found, values, self._clock.now_ms())
        return await self.described(entry)

    async def remark_entry(self, playlist_id: str, entry_id: str, values: Mapping[str, Any]) -> Json:
        """Change notes, cue points or rating of an entry."""
        async with self._uow() as tx:
            playlist = await editable(tx, playlist_id)
            found = await self._entry(tx, playlist_id, entry_id)
            entry = await entries.change(tx, playlist, found, values, self._clock.now_ms())
        return await self.described(entry)

    async def _entry(self, tx: Tx, playlist_id: str, entry_id: str) -> Entry:
        found = await store.entry(tx, playlist_id, entry_id)
        if found is None:
            raise errors.NotFound(f"there is no entry {entry_id} in the playlist")
        return found

    # -- the thinking playlist

    async def thinking(self) -> Playlist:
        """The one scratch pad; made when it isn't there."""
        found = await store.of_kind(self._database.direct, Kind.TEMP)
        if found:
            return found[0]
        async with self._uow() as tx:
            return await self._thinking(tx)

    async def _thinking(self, tx: Tx) -> Playlist:
        found = await store.of_kind(tx, Kind.TEMP)
        if found:
            return found[0]
        now = self._clock.now_ms()
        row = fresh(ids.new_id(), Kind.TEMP, THINKING, now)
        await store.insert(tx, row)
        made = await existing(tx, row["id"])
        tx.emit(events.PlaylistCreated(playlist=made.as_json()))
        return made

    async def think_of(self, track_ids: Sequence[str], position: int | None, notes: str | None) -> list[Json]:
        """Put tracks on the scratch pad."""
        async with self._uow() as tx:
            return await self.add_in(tx, await self._thinking(tx), track_ids, position, notes)

    async def forget(self, track_ids: Sequence[str] | None) -> int:
        """Take tracks off the scratch pad, or all of them; returns how many entries went."""
        async with self._uow() as tx:
            playlist = await self._thinking(tx)
            found = await store.entries(tx, playlist.id)
            gone = [item for item in found if track_ids is None or item.track_id in set(track_ids)]
            await entries.remove(tx, playlist, gone, self._clock.now_ms())
        return len(gone)

    async def promote(self, name: str, parent_id: str | None = None) -> Playlist:
        """Make the scratch pad a static playlist under a name; the next look at it makes an empty one."""
        async with self._uow() as tx:
            await check_parent(tx, None, parent_id)
            playlist = await self._thinking(tx)
            values = {"type": Kind.STATIC.value, "name": name, "search_words": searchable(name, None)}
            await store.update(tx, playlist.id, {**values, "parent_id": parent_id, "updated_at": self._clock.now_ms()})
            promoted = await existing(tx, playlist.id)
            tx.emit(events.PlaylistUpdated(playlist=promoted.as_json()))
        return promoted
