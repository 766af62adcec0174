"""A look at a few tracks of a smart playlist: which of them came, went or moved, with no eye on all the others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from server.clock import Clock
from server.db.database import Connection
from server.db.uow import Transaction
from server.events.model import Event
from server.playlists import entries, events, store
from server.playlists.compile import Compiler
from server.playlists.entries import milliseconds
from server.playlists.model import Entry, Playlist
from server.playlists.rules import LimitBy
from server.playlists.smart import criteria_of, member
from server.tracks.listing import parse_sort
from server.tracks.selection import Match
from server.tracks.service import TrackService

Tx = Transaction[Event]
# To find the place of more tracks than these, one by one, costs more than to evaluate the list.
MAX_PLACED = 8


@dataclass(frozen=True, slots=True)
class Look:
    """`placed` in the order of the list: the tracks that came, and those that stayed but may stand elsewhere now."""

    placed: tuple[Match, ...]
    came: frozenset[str]
    went: tuple[Entry, ...]

    @property
    def is_nothing(self) -> bool:
        return not (self.placed or self.went)


class Looks:
    def __init__(self, tracks: TrackService, clock: Clock):
        self._tracks = tracks
        self._clock = clock

    async def at(
        self, connection: Connection, playlist: Playlist, track_ids: Collection[str], *, is_order: bool
    ) -> Look | None:
        """What became of some tracks; None when that can't be said without a look at the others.

        `is_order`: their places may have changed, too.
        """
        criteria = criteria_of(playlist)
        if criteria.limit is not None and criteria.limit_by is not LimitBy.COUNT:
            return None
        compiler = Compiler(connection.dialect, self._clock.now_ms())
        where = compiler.rule(criteria.rule) & compiler.tracks(track_ids)
        found = await self._tracks.matching(connection, where, parse_sort(criteria.sort))
        matching = {match.id for match in found}
        entries_ = await store.of_tracks_in(connection, playlist.id, sorted(track_ids))
        members = {item.track_id for item in entries_}
        is_moving = is_order and bool(criteria.sort)
        look = Look(
            tuple(match for match in found if is_moving or match.id not in members),
            frozenset(matching - members),
            tuple(item for item in entries_ if item.track_id not in matching),
        )
        is_cut = criteria.limit is not None and not look.is_nothing
        return None if is_cut or len(look.placed) > MAX_PLACED else look

    async def put(self, tx: Tx, playlist: Playlist, look: Look) -> None:
        """Let a smart playlist follow a look that was taken within the transaction."""
        now = self._clock.now_ms()
        count = playlist.track_count - len(look.went)
        await store.delete_entries(tx, [item.id for item in look.went])
        order = parse_sort(criteria_of(playlist).sort)
        is_moved = False
        # From the last to the first: what follows a track in the order stands in its place by then.
        for match in reversed(look.placed):
            follower = await self._tracks.following(tx, match.id, store.held_by(playlist.id), order)
            after = None if follower is None else await store.first_of_track(tx, playlist.id, follower)
            place = count if after is None else await store.position_of(tx, after)
            if match.id in look.came:
                (rank,) = await entries.make_room(tx, playlist.id, place, 1, count)
                await store.insert_entries(tx, [member(playlist.id, match, rank, now)])
                count += 1
            else:
                is_moved = await self._move(tx, playlist, match, place, count) or is_moved
        came = [match for match in look.placed if match.id in look.came]
        gone_ms = sum(item.duration_ms for item in look.went)
        come_ms = sum(milliseconds(match.duration_seconds) for match in came)
        values = {
            "track_count": count,
            "total_duration_ms": playlist.total_duration_ms - gone_ms + come_ms,
            "last_refreshed": now,
        }
        await store.update(tx, playlist.id, values)
        if came or look.went or is_moved:
            added, removed = tuple(match.id for match in came), tuple(item.track_id for item in look.went)
            tx.emit(events.SmartRefreshed(playlist_id=playlist.id, added=added, removed=removed, total=count))

    async def _move(self, tx: Tx, playlist: Playlist, match: Match, place: int, count: int) -> bool:
        """Put a member before the entry that stands at `place` now; False when it stands there already."""
        entry = await store.first_of_track(tx, playlist.id, match.id)
        assert entry is not None
        if await store.position_of(tx, entry) == place - 1:
            return False
        (rank,) = await entries.make_room(tx, playlist.id, place, 1, count)
        await store.set_ranks(tx, {entry.id: rank})
        return True
