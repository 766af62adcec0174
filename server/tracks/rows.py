"""The rows of tracks, for the domains that build on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server import errors
from server.db.database import Connection, Database, Row
from server.db.sql import Where
from server.db.uow import Transaction
from server.events.model import Event
from server.tracks import location_store, selection
from server.tracks.filters import compile_filters
from server.tracks.listing import Order
from server.tracks.model import Location
from server.tracks.selection import Brief, Match
from server.tracks.store import TrackStore

Tx = Transaction[Event]


class TrackRows:
    """Reads rows. Whoever writes back what it derived from one reads it in the same transaction."""

    def __init__(self, database: Database):
        self._database = database
        self._store = TrackStore(database.dialect)

    async def by_ids(self, connection: Connection, ids: Sequence[str], columns: Sequence[str] = ("*",)) -> list[Row]:
        """Rows of tracks, oldest first. All columns of many tracks are dear; name those that are needed."""
        return await self._store.by_ids(connection, ids, columns)

    async def by_pks(self, connection: Connection, pks: Sequence[int], columns: Sequence[str] = ("*",)) -> list[Row]:
        return await self._store.by_pks(connection, pks, columns)

    async def by_paths(self, connection: Connection, library_directory_id: str, paths: Sequence[bytes]) -> list[Row]:
        return await self._store.by_paths(connection, library_directory_id, paths)

    async def like(
        self, connection: Connection, hashes: Sequence[str], inodes: Sequence[int], columns: Sequence[str] = ("*",)
    ) -> list[Row]:
        """Tracks that hold one of the audio hashes, or whose file has one of the inodes."""
        return await self._store.like(connection, hashes, inodes, columns)

    async def by_hashes(
        self, connection: Connection, hashes: Sequence[str], columns: Sequence[str] = ("*",)
    ) -> list[Row]:
        """Rows of the tracks that hold one of the audio hashes, oldest first."""
        return await self._store.by_hashes(connection, hashes, columns)

    async def copied_and_missing(self, library_directory_id: str, after: int, limit: int) -> list[int]:
        """Numbers above `after`, ascending, of missing tracks whose audio a newer, present one has that nobody has
        marked; one of the two is in the library directory.
        """
        return await self._store.copied_and_missing(self._database.direct, library_directory_id, after, limit)

    async def row(self, track_id: str) -> Row:
        """A track's row; raises `NotFound`."""
        rows = await self._store.by_ids(self._database.direct, [track_id])
        if not rows:
            raise errors.NotFound(f"there is no track {track_id}")
        return rows[0]

    async def files(
        self,
        library_directory_id: str,
        after: bytes,
        upto: bytes | None,
        before: bytes | None,
        limit: int,
        depth: int | None = None,
    ) -> list[Row]:
        """Known files in the order of their paths, in the range `after < path <= upto` and `path < before`.

        With `depth`, only those that lie so many folders deep.
        """
        return await self._store.files(self._database.direct, library_directory_id, after, upto, before, limit, depth)

    async def has_files_below(self, library_directory_id: str, folder: bytes) -> bool:
        """Whether any track lies in a folder, at any depth, whose file isn't known to be missing."""
        where = Where(
            "library_directory_id = :directory AND path > :after AND path < :end AND missing_since IS NULL",
            {"directory": library_directory_id, "after": folder + b"/", "end": folder + b"0"},
        )
        return await self._store.count(self._database.direct, where) > 0

    async def hash_pending(self, library_directory_id: str, after: int, limit: int) -> list[Row]:
        """Whole rows of tracks whose audio is still to be hashed, from the one after a row number on."""
        return await self._store.hash_pending(self._database.direct, library_directory_id, after, limit)

    async def missing_files(self, connection: Connection, library_directory_id: str, before: int) -> list[Row]:
        """Whole rows of tracks whose file has been missing since before a moment (Unix ms)."""
        return await self._store.missing_files(connection, library_directory_id, before)

    async def shared_audio(self, connection: Connection, ids: Sequence[str]) -> list[str]:
        """The audio hashes of some tracks that other tracks have, too."""
        return await self._store.shared_audio(connection, ids)

    async def all_shared_audio(self, connection: Connection) -> list[str]:
        """The audio hashes that several tracks have."""
        return await self._store.all_shared_audio(connection)

    async def groups_where(self, connection: Connection, where: Where) -> list[str]:
        """The groups of duplicates that tracks which fulfil a condition belong to."""
        return await self._store.groups_where(connection, where)

    async def ids_where(self, where: Where) -> list[str]:
        """Ids of the tracks that fulfil a condition, in the order in which they came into the library."""
        return await self._store.ids_where(self._database.direct, where)

    async def count_where(self, connection: Connection, where: Where) -> int:
        return await self._store.count(connection, where)

    async def matching(
        self, connection: Connection, where: Where, order: Order, limit: int | None = None
    ) -> list[Match]:
        """Tracks that fulfil a compiled condition over `tracks`, in order."""
        return await selection.matching(connection, where, order, limit)

    async def following(self, connection: Connection, track_id: str, where: Where, order: Order) -> str | None:
        """The first track after one, in an order, of those that fulfil a condition over `tracks`."""
        return await selection.following(connection, track_id, where, order)

    async def holds(self, connection: Connection, track_id: str, conditions: Sequence[Where]) -> list[bool] | None:
        """Which of several compiled conditions a track fulfils; None when there is no such track."""
        return await selection.holds(connection, track_id, conditions)

    async def briefs(self, connection: Connection, ids: Sequence[str]) -> dict[str, Brief]:
        """id → the few facts that lists are made of, for tracks that exist."""
        return await selection.briefs(connection, ids)

    async def resembling(
        self, connection: Connection, *, stems: Sequence[str], titles: Sequence[str], hashes: Sequence[str]
    ) -> list[Brief]:
        """Tracks with one of the folded file names (without extension), folded titles or audio hashes."""
        return await selection.resembling(connection, stems=stems, titles=titles, hashes=hashes)

    def condition(self, filters: Mapping[str, Any]) -> Where:
        return compile_filters(filters)

    async def locations(self, connection: Connection) -> dict[str, Location]:
        return await location_store.all_locations(connection)

    async def key_range(self, tx: Tx) -> tuple[int, int]:
        """The first and the last row number there are; (0, -1) when there are none."""
        return await self._store.key_range(tx)
