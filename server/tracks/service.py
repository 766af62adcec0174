"""The verbs of the tracks: find them and edit them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from server import errors
from server.clock import Clock
from server.db.database import Connection, Database, Row, as_dict
from server.db.sql import EVERYTHING, Where
from server.db.uow import Transaction, UnitOfWork
from server.events.log import EventLog, seq_seen
from server.events.model import Event
from server.tracks import corrections, delta, events, facets, folders, history, location_store, model
from server.tracks.keeping import TrackKeeping, differing, named
from server.tracks.listing import Order
from server.tracks.model import Location, Values
from server.tracks.query import parse_query, parse_symbols
from server.tracks.resource import finish
from server.tracks.search import Hits

Tx = Transaction[Event]
MAX_BULK = 100_000
# A count that took long may be this old while the library keeps changing.
SLOW_COUNT_SECONDS = 0.02
STALE_COUNT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Page:
    """Resources as JSON, and where the list goes on: the sort values and `pk` of the last row."""

    items: list[bytes]
    total: int
    last: list[Any] | None


@dataclass(frozen=True, slots=True)
class Delta:
    """What happened to tracks after a number, up to `seq`."""

    added: list[bytes]
    updated: list[bytes]
    deleted: list[str]
    seq: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class Browsed:
    """Sub-folders as `{name, path, tracks, bytes}`, and tracks as JSON."""

    folders: list[dict[str, Any]]
    tracks: list[bytes]


class TrackService(TrackKeeping):
    def __init__(self, database: Database, uow: UnitOfWork[Event], event_log: EventLog, clock: Clock):
        super().__init__(database, clock)
        self._uow = uow
        self._log = event_log
        self._locations: tuple[int, dict[str, Location]] = (-1, {})
        self._counts: dict[str, tuple[int, int, float, float]] = {}

    # -- reading

    async def get(self, track_id: str) -> bytes:
        """A track as JSON; raises `NotFound`."""
        found = await self.resources([track_id])
        if track_id not in found:
            raise errors.NotFound(f"there is no track {track_id}")
        return found[track_id]

    async def resources(self, ids: Sequence[str]) -> dict[str, bytes]:
        """id → the track as JSON, for those that exist."""
        connection = self._database.direct
        locations = await self._known_locations()
        rows = await self._store.resources(connection, ids)
        return {row["id"]: _finished(row, locations) for row in rows}

    async def list_page(
        self, filters: Where, order: Order, limit: int, *, after: Sequence[Any] | None = None, offset: int = 0
    ) -> tuple[list[bytes], list[Any] | None]:
        """One page, and the position after it (None on the last one)."""
        locations = await self._known_locations()
        # One more than asked for tells whether there is a next page.
        rows = await self._store.page(self._database.direct, filters, order, after, limit + 1, offset)
        items = [_finished(row, locations) for row in rows[:limit]]
        if len(rows) <= limit:
            return items, None
        last = rows[limit - 1]
        return items, [*(last[column] for column in order.columns), last["pk"]]

    async def count(self, filters: Where) -> int:
        """How many tracks pass; remembered until the next event, or for a moment where counting is slow."""
        key = f"{filters.sql}|{orjson.dumps(dict(filters.params), default=repr).decode()}"
        seq, now = self._log.seq, time.monotonic()
        known = self._counts.get(key)
        if known is not None:
            counted_seq, total, counted_at, took = known
            if counted_seq == seq or (took > SLOW_COUNT_SECONDS and now - counted_at < STALE_COUNT_SECONDS):
                return total
        total = await self._store.count(self._database.direct, filters)
        if len(self._counts) > 1000:
            self._counts.clear()
        self._counts[key] = (seq, total, time.monotonic(), time.monotonic() - now)
        return total

    async def search(self, query: str, filters: Where, limit: int, offset: int) -> tuple[list[bytes], Hits]:
        """A page of what a person looks for, as `parse_query` understands it, and where it has no words at all, names
        without any."""
        locations = await self._known_locations()
        index = self._store.search
        async with self._database.read() as connection:
            if terms := parse_query(query):
                hits = await index.search(connection, terms, filters, limit, offset)
            else:
                hits = await index.search_symbols(connection, parse_symbols(query), filters, limit, offset)
            rows = await self._store.resources_by_pk(connection, hits.pks)
        return [_finished(row, locations) for row in rows], hits

    async def count_directory(self, connection: Connection, library_directory_id: str) -> tuple[int, int]:
        """How many tracks a library directory has, and how many of their files are missing."""
        own = Where("library_directory_id = :directory", {"directory": library_directory_id})
        missing = await self._store.count(connection, own & Where("missing_since IS NOT NULL"))
        return await self._store.count(connection, own), missing

    async def directory_statistics(self, library_directory_id: str) -> dict[str, Any]:
        async with self._database.read() as connection:
            return await facets.directory_statistics(connection, library_directory_id)

    async def statistics(self) -> dict[str, Any]:
        async with self._database.read() as connection:
            return await facets.statistics(connection)

    async def facets(self, names: Sequence[str], filters: Where, limit: int) -> dict[str, Any]:
        async with self._database.read() as connection:
            return {name: await facets.facet(connection, name, filters, limit) for name in names}

    async def delta(self, since: int, limit: int) -> Delta:
        """Tracks that changed after `since`, each at its latest change; raises `Gone` for what isn't kept any more."""
        if since and since < self._log.head.oldest_seq - 1:
            raise errors.Gone
        locations = await self._known_locations()
        async with self._database.read() as connection:
            head = await seq_seen(connection)
            if since > head:
                raise errors.Gone("this number was never given by this log; start again from 0")
            found = await delta.changed(connection, self._store, since, limit)
            rows = await self._store.resources(connection, [item.id for item in found.page if not item.is_deleted])
        by_id = {row["id"]: _finished(row, locations) for row in rows}
        present = [item for item in found.page if not item.is_deleted and item.id in by_id]
        return Delta(
            added=[by_id[item.id] for item in present if item.first_seq > since],
            updated=[by_id[item.id] for item in present if item.first_seq <= since],
            deleted=[item.id for item in found.page if item.is_deleted and item.first_seq <= since],
            seq=found.page[-1].seq if found.has_more else head,
            has_more=found.has_more,
        )

    async def browse(self, library_directory_id: str, folder: bytes, limit: int) -> Browsed:
        """One folder of a directory: what lies below it, and up to `limit` of its own tracks."""
        locations = await self._known_locations()
        async with self._database.read() as connection:
            below = await folders.subfolders(connection, library_directory_id, folder)
            ids = await folders.track_ids(connection, library_directory_id, folder, limit)
            rows = {row["id"]: row for row in await self._store.resources(connection, ids)}
        prefix = folder.decode("utf-8", "replace") + "/" if folder else ""
        return Browsed(
            [{**asdict(item), "path": prefix + item.name} for item in below],
            [_finished(rows[track_id], locations) for track_id in ids],
        )

    async def missing_page(self, library_directory_id: str, limit: int, offset: int) -> tuple[list[bytes], int]:
        """Tracks of a directory whose file is missing, longest first, and how many there are."""
        where = Where(
            "library_directory_id = :directory AND missing_since IS NOT NULL", {"directory": library_directory_id}
        )
        locations = await self._known_locations()
        async with self._database.read() as connection:
            total = await self._store.count(connection, where)
            rows = await self._store.resources_by_pk(
                connection, await self._store.missing_pks(connection, library_directory_id, limit, offset)
            )
        return [_finished(row, locations) for row in rows], total

    async def file_history(self, track_id: str, limit: int) -> list[dict[str, Any]]:
        """What happened to a track's file, latest first, `at` in Unix milliseconds; raises `NotFound`."""
        return await history.latest(self._database.direct, await self.row(track_id), limit)

    async def _known_locations(self) -> dict[str, Location]:
        seq, locations = self._locations
        if seq != self._log.seq:
            seq = self._log.seq
            locations = await location_store.all_locations(self._database.direct)
            self._locations = (seq, locations)
        return locations

    # -- editing

    async def edit(self, track_id: str, edits: Mapping[str, Any]) -> bytes:
        """A user's edit of one track: user data, and corrections to what its tags say. Answers the track."""
        async with self._uow() as tx:
            if not await self._edit(tx, [track_id], edits):
                raise errors.NotFound(f"there is no track {track_id}")
        return await self.get(track_id)

    async def edit_many(self, ids: Sequence[str] | None, filters: Where | None, edits: Mapping[str, Any]) -> int:
        """The same edit to many tracks in one transaction; returns how many there were. An unknown id stops it all."""
        async with self._uow() as tx:
            wanted = (
                list(dict.fromkeys(ids)) if ids is not None else await self._store.ids_where(tx, filters or EVERYTHING)
            )
            if len(wanted) > MAX_BULK:
                raise errors.Invalid.field("filter", f"selects {len(wanted)} tracks; the limit is {MAX_BULK}")
            total = 0
            for batch in events.batches(wanted):
                found = await self._edit(tx, list(batch), edits)
                if ids is not None and found < len(batch):
                    known = {row["id"] for row in await self._store.by_ids(tx, list(batch))}
                    missing = [track_id for track_id in batch if track_id not in known]
                    raise errors.Invalid.field("ids", f"there is no track {', '.join(missing[:5])}")
                total += found
        return total

    async def _edit(self, tx: Tx, ids: Sequence[str], edits: Mapping[str, Any]) -> int:
        rows = await self._store.by_ids(tx, ids)
        now = self._clock.now_ms()
        changed = [(row, values) for row in rows if (values := _edited(row, edits))]
        await self._write(tx, [(row, {**values, "updated_at": now}) for row, values in changed])
        if changed:
            ids_, fields = tuple(row["id"] for row, _ in changed), named(values for _, values in changed)
            tx.emit(events.TrackUpdated(ids=ids_, fields=fields))
        return len(rows)

    async def delete(self, track_id: str) -> None:
        """Remove the row, not the file."""
        async with self._uow() as tx:
            rows = await self._store.by_ids(tx, [track_id])
            if not rows:
                raise errors.NotFound(f"there is no track {track_id}")
            await self._store.delete(tx, [rows[0]["pk"]])
            tx.emit(events.TrackDeleted(ids=(track_id,)))

    async def count_play(self, tx: Tx, track_id: str, at: int) -> bool:
        """One more play, at a moment in Unix milliseconds; False when the track is gone."""
        rows = await self._store.by_ids(tx, [track_id])
        if not rows:
            return False
        (row,) = rows
        values = {"play_count": row["play_count"] + 1, "last_played": max(at, row["last_played"] or at)}
        await self._write(tx, [(row, {**values, "updated_at": self._clock.now_ms()})])
        tx.emit(events.TrackUpdated(ids=(track_id,), fields=tuple(values)))
        return True


def _finished(row: Row, locations: Mapping[str, Location]) -> bytes:
    return finish(row["json"], row["missing_since"], locations.get(row["library_directory_id"]))


def _edited(row: Row, edits: Mapping[str, Any]) -> Values:
    """The columns that an edit changes in a row."""
    values: Values = {}
    corrected = {name: value for name, value in edits.items() if name in (*model.EDITABLE_TAGS, *model.EDITABLE_BEATS)}
    if corrected:
        values |= corrections.override(as_dict(row), corrected)
    for name, column in model.USER_COLUMNS.items():
        if name in edits:
            values[column] = _stored(name, edits[name])
    if "key" in edits:
        values["user_key"] = None if edits["key"] is None else model.key_index(edits["key"])
    return differing(row, model.complete({**as_dict(row), **values}))


def _stored(name: str, value: Any) -> Any:
    if name == "tags":
        return orjson.dumps(list(dict.fromkeys(value or []))).decode()
    return int(bool(value)) if name == "is_favorite" else value
