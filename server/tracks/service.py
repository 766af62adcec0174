"""The verbs of the tracks: find them, edit them, and take in what a scan read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from server import errors
from server.clock import Clock
from server.db.database import Connection, Database, Row, as_dict
from server.db.sql import EVERYTHING, Where
from server.db.uow import Transaction, UnitOfWork
from server.events.log import EventLog
from server.events.model import Event
from server.tracks import corrections, delta, events, facets, folders, history, model, selection
from server.tracks.filters import compile_filters
from server.tracks.listing import Order
from server.tracks.model import Location, Values
from server.tracks.query import Term
from server.tracks.resource import finish, serialise
from server.tracks.search import Hits
from server.tracks.selection import Brief, Match
from server.tracks.store import TrackStore

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
class Move:
    """A track, the place where its file is now, and what the file says there (`model.file_values`)."""

    row: Row
    library_directory_id: str
    path: bytes
    read: Values

    def described(self) -> dict[str, str]:
        return {
            "id": self.row["id"],
            "from": self.row["relative_path"],
            "to": self.path.decode("utf-8", "replace"),
        }


@dataclass(frozen=True, slots=True)
class TakenIn:
    """Ids by what reading their files again has brought."""

    updated: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


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


class TrackService:
    def __init__(self, database: Database, uow: UnitOfWork[Event], event_log: EventLog, clock: Clock):
        self._database = database
        self._uow = uow
        self._log = event_log
        self._clock = clock
        self._store = TrackStore(database.dialect)
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

    async def search(self, terms: Sequence[Term], filters: Where, limit: int, offset: int) -> tuple[list[bytes], Hits]:
        locations = await self._known_locations()
        async with self._database.read() as connection:
            hits = await self._store.search.search(connection, terms, filters, limit, offset)
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
            head = await connection.fetch_value("SELECT seq FROM event_head WHERE id = 1")
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

    async def _known_locations(self) -> dict[str, Location]:
        seq, locations = self._locations
        if seq != self._log.seq:
            seq = self._log.seq
            locations = await self._store.locations(self._database.direct)
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
        rows = await self._store.by_ids(tx, ids, hold=True)
        now = self._clock.now_ms()
        changed = [(row, values) for row in rows if (values := _edited(row, edits))]
        await self._write(tx, [(row, {**values, "updated_at": now}) for row, values in changed])
        if changed:
            ids_, fields = tuple(row["id"] for row, _ in changed), _named(values for _, values in changed)
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
        rows = await self._store.by_ids(tx, [track_id], hold=True)
        if not rows:
            return False
        (row,) = rows
        values = {"play_count": row["play_count"] + 1, "last_played": max(at, row["last_played"] or at)}
        await self._write(tx, [(row, {**values, "updated_at": self._clock.now_ms()})])
        tx.emit(events.TrackUpdated(ids=(track_id,), fields=tuple(values)))
        return True

    # -- for the domains that build on tracks

    async def add(self, tx: Tx, rows: Sequence[Values], resources: Sequence[bytes]) -> list[Values]:
        """Take in files that weren't known, as rows of `model.new_values` with their JSON; announces what was new."""
        inserted = await self._store.insert(tx, rows, resources)
        for batch in events.batches(inserted):
            tx.emit(events.TrackAdded(ids=tuple(row["id"] for row in batch)))
        return inserted

    async def take_in(self, tx: Tx, changes_: Sequence[tuple[Row, Values]]) -> TakenIn:
        """What the files of known tracks say now, beneath what users corrected. Announces only what really differs."""
        now = self._clock.now_ms()
        written: list[tuple[Row, Values]] = []
        story: list[Values] = []
        result = TakenIn()
        for row, read in changes_:
            values = _differing(row, model.complete(corrections.read_again(as_dict(row), read)))
            if row["missing_since"] is not None:
                result.restored.append(row["id"])
                story.append(history.restored(row, now))
                written.append((row, {**values, "missing_since": None, "updated_at": now}))
            elif values.keys() - _SILENT:
                result.updated.append(row["id"])
                written.append((row, {**values, "updated_at": now}))
            else:
                result.unchanged.append(row["id"])
                written.append((row, values)) if values else None
            story += history.read_again(row, values, now)
        await self._write(tx, written)
        await history.write(tx, story)
        fields = _named(values for _, values in written)
        for batch in events.batches(result.updated):
            tx.emit(events.TrackUpdated(ids=tuple(batch), fields=fields))
        for batch in events.batches(result.restored):
            tx.emit(events.TrackRestored(ids=tuple(batch)))
        return result

    async def relocate(self, tx: Tx, moves: Sequence[Move]) -> None:
        """Tracks whose file lies somewhere else now, or that took another's place; with what the file says there."""
        now = self._clock.now_ms()
        # First everything lets go of its place, since places are swapped and handed on within one batch.
        await self._write(tx, [(move.row, {"missing_since": now}) for move in moves if not move.row["missing_since"]])
        written = []
        story: list[Values] = []
        for move in moves:
            values = {"library_directory_id": move.library_directory_id, **model.path_values(move.path)}
            whole = {**corrections.read_again(as_dict(move.row), move.read), **values}
            changed = _differing(move.row, model.complete(whole))
            written.append((move.row, {**changed, "missing_since": None, "updated_at": now}))
            story += [history.moved(move.row, values, now), *history.read_again(move.row, changed, now)]
        await self._write(tx, written)
        await history.write(tx, story)
        for batch in events.batches(moves):
            tx.emit(
                events.TrackMoved(
                    ids=tuple(move.row["id"] for move in batch), moves=tuple(move.described() for move in batch)
                )
            )

    async def hand_over(self, tx: Tx, pairs: Sequence[tuple[Row, Row]]) -> None:
        """Let each first track go on as the file of the second, which stays behind, missing, where the first was."""
        now = self._clock.now_ms()
        left = []
        for old, new in pairs:
            place = {"library_directory_id": old["library_directory_id"], **model.path_values(bytes(old["path"]))}
            changed = _differing(new, model.complete({**as_dict(new), **place}))
            left.append((new, {**changed, "missing_since": now, "updated_at": now}))
        await self._write(tx, left)
        await self.relocate(
            tx,
            [
                Move(old, new["library_directory_id"], bytes(new["path"]), model.file_part(as_dict(new)))
                for old, new in pairs
            ],
        )
        await history.write(tx, [history.missing(new, now) for _, new in pairs])
        for batch in events.batches(new["id"] for _, new in pairs):
            tx.emit(events.TrackMissing(ids=tuple(batch)))

    async def show_analysis(self, tx: Tx, values: Mapping[str, Values]) -> dict[str, list[str]]:
        """Let every track with one of some audios show what its analysis found: audio hash → `model.NO_ANALYSIS`'s
        columns. What a user set stays in effect. Returns audio hash → ids of its tracks, changed or not.
        """
        now = self._clock.now_ms()
        ids: dict[str, list[str]] = {audio_hash: [] for audio_hash in values}
        written: list[tuple[Row, Values]] = []
        for row in await self._store.like(tx, list(values), [], hold=True):
            ids[row["audio_hash"]].append(row["id"])
            shown = {**as_dict(row), **corrections.under_overrides(as_dict(row), values[row["audio_hash"]])}
            if changed := _differing(row, model.complete(shown)):
                written.append((row, {**changed, "updated_at": now}))
        await self._write(tx, written)
        for batch in events.batches(written):
            tx.emit(
                events.TrackUpdated(
                    ids=tuple(row["id"] for row, _ in batch), fields=_named(changed for _, changed in batch)
                )
            )
        return ids

    async def mark_missing(self, tx: Tx, pks: Sequence[int]) -> int:
        """Files that a complete walk of their folder didn't find."""
        now = self._clock.now_ms()
        rows = [row for row in await self._store.by_pks(tx, pks, hold=True) if row["missing_since"] is None]
        await self._write(tx, [(row, {"missing_since": now}) for row in rows])
        await history.write(tx, [history.missing(row, now) for row in rows])
        for batch in events.batches(rows):
            tx.emit(events.TrackMissing(ids=tuple(row["id"] for row in batch)))
        return len(rows)

    async def mark_found(self, tx: Tx, ids: Sequence[str]) -> int:
        """Files that were missing and are there again, unchanged."""
        rows = [row for row in await self._store.by_ids(tx, ids, hold=True) if row["missing_since"] is not None]
        await self._write(tx, [(row, {"missing_since": None}) for row in rows])
        await history.write(tx, [history.restored(row, self._clock.now_ms()) for row in rows])
        for batch in events.batches(rows):
            tx.emit(events.TrackRestored(ids=tuple(row["id"] for row in batch)))
        return len(rows)

    async def delete_of_directory(self, tx: Tx, library_directory_id: str) -> int:
        """Delete every row of a library directory, and its location."""
        where = Where("library_directory_id = :directory", {"directory": library_directory_id})
        ids = await self._store.ids_where(tx, where)
        for batch in events.batches(ids):
            rows = await self._store.by_ids(tx, list(batch))
            await self._store.delete(tx, [row["pk"] for row in rows])
            tx.emit(events.TrackDeleted(ids=tuple(batch)))
        await self._store.delete_location(tx, library_directory_id)
        return len(ids)

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

    async def missing_files(self, connection: Connection, library_directory_id: str, before: int) -> list[Row]:
        """Whole rows of tracks whose file has been missing since before a moment (Unix ms)."""
        return await self._store.missing_files(connection, library_directory_id, before)

    async def remove_missing(self, tx: Tx, ids: Sequence[str]) -> int:
        """Delete the rows of tracks whose file is (still) missing; returns how many."""
        removed = 0
        for batch in events.batches(ids):
            known = await self._store.by_ids(tx, list(batch), hold=True)
            rows = [row for row in known if row["missing_since"] is not None]
            if rows:
                await self._store.delete(tx, [row["pk"] for row in rows])
                tx.emit(events.TrackDeleted(ids=tuple(row["id"] for row in rows)))
            removed += len(rows)
        return removed

    async def bring_back(self, tx: Tx, rows: Sequence[Values]) -> list[str]:
        """Insert rows that were removed, as they were and as missing; those whose id exists are left alone.

        Returns the ids of those that came.
        """
        known = {row["id"] for row in await self._store.by_ids(tx, [row["id"] for row in rows])}
        roots = {key: location.root for key, location in (await self._store.locations(tx)).items()}
        wanted = [
            model.complete({name: value for name, value in row.items() if name not in _COMPUTED})
            for row in rows
            if row["id"] not in known
        ]
        added = await self.add(tx, wanted, [serialise(row, roots[row["library_directory_id"]]) for row in wanted])
        return [row["id"] for row in added]

    async def file_history(self, track_id: str, limit: int) -> list[dict[str, Any]]:
        """What happened to a track's file, latest first, `at` in Unix milliseconds; raises `NotFound`."""
        return await history.latest(self._database.direct, await self.row(track_id), limit)

    async def put_location(self, tx: Tx, location: Location) -> None:
        """Say where the tracks of a library directory lie, and whether they can be reached. Costs nothing per track."""
        await self._store.put_location(tx, location)

    async def key_range(self, tx: Tx) -> tuple[int, int]:
        """The first and the last row number there are; (0, -1) when there are none."""
        return await self._store.key_range(tx)

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

    # Whoever writes back what it derived from a row reads it with `hold`, in the same transaction.

    async def by_paths(
        self, connection: Connection, library_directory_id: str, paths: Sequence[bytes], *, hold: bool = False
    ) -> list[Row]:
        return await self._store.by_paths(connection, library_directory_id, paths, hold=hold)

    async def by_ids(self, connection: Connection, ids: Sequence[str], *, hold: bool = False) -> list[Row]:
        return await self._store.by_ids(connection, ids, hold=hold)

    async def by_pks(self, connection: Connection, pks: Sequence[int], *, hold: bool = False) -> list[Row]:
        return await self._store.by_pks(connection, pks, hold=hold)

    async def like(
        self, connection: Connection, hashes: Sequence[str], inodes: Sequence[int], *, hold: bool = False
    ) -> list[Row]:
        """Tracks that hold one of the audio hashes, or whose file has one of the inodes."""
        return await self._store.like(connection, hashes, inodes, hold=hold)

    async def shared_audio(self, connection: Connection, ids: Sequence[str]) -> list[str]:
        """The audio hashes of some tracks that other tracks have, too."""
        return await self._store.shared_audio(connection, ids)

    async def all_shared_audio(self, connection: Connection) -> list[str]:
        """The audio hashes that several tracks have."""
        return await self._store.all_shared_audio(connection)

    async def groups_where(self, connection: Connection, where: Where) -> list[str]:
        """The groups of duplicates that tracks which fulfil a condition belong to."""
        return await self._store.groups_where(connection, where)

    async def assign_groups(self, tx: Tx, groups: Sequence[tuple[Row, str | None]]) -> None:
        """Say which group of duplicates each track belongs to (None: to none); that is no edit of the track."""
        changed = [(row, {"duplicate_group_id": group}) for row, group in groups if row["duplicate_group_id"] != group]
        await self._write(tx, changed)
        for batch in events.batches(changed):
            tx.emit(events.TrackUpdated(ids=tuple(row["id"] for row, _ in batch), fields=("duplicate_group_id",)))

    async def merge(self, tx: Tx, row: Row, values: Values) -> None:
        """Columns that a track takes over from its duplicates, or gives back; announced when they differ."""
        changed = _differing(row, model.complete({**as_dict(row), **values}))
        if changed:
            await self._write(tx, [(row, {**changed, "updated_at": self._clock.now_ms()})])
            tx.emit(events.TrackUpdated(ids=(row["id"],), fields=_named([changed])))

    async def locations(self, connection: Connection) -> dict[str, Location]:
        return await self._store.locations(connection)

    async def hash_pending(self, library_directory_id: str, limit: int) -> list[Row]:
        return await self._store.hash_pending(self._database.direct, library_directory_id, limit)

    async def _write(self, tx: Tx, rows: Sequence[tuple[Row, Values]]) -> None:
        if rows:
            roots = {key: location.root for key, location in (await self._store.locations(tx)).items()}
            await self._store.update(tx, [(as_dict(row), values) for row, values in rows], roots)

    async def matching(
        self, connection: Connection, where: Where, order: Order, limit: int | None = None
    ) -> list[Match]:
        """Tracks that fulfil a compiled condition over `tracks`, in order."""
        return await selection.matching(connection, where, order, limit)

    async def following(self, connection: Connection, track_id: str, where: Where, order: Order) -> str | None:
        """The first track after one, in an order, of those that fulfil a condition over `tracks`."""
        return await selection.following(connection, track_id, where, order)

    async def ids_where(self, where: Where) -> list[str]:
        """Ids of the tracks that fulfil a condition, in the order in which they came into the library."""
        return await self._store.ids_where(self._database.direct, where)

    async def count_where(self, connection: Connection, where: Where) -> int:
        return await self._store.count(connection, where)

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

    async def row(self, track_id: str) -> Row:
        """A track's row; raises `NotFound`."""
        rows = await self._store.by_ids(self._database.direct, [track_id])
        if not rows:
            raise errors.NotFound(f"there is no track {track_id}")
        return rows[0]

    def condition(self, filters: Mapping[str, Any]) -> Where:
        return compile_filters(filters)


# Columns that the database fills in itself.
_COMPUTED = {"pk", "words", "fragments"}
# What a file system may change about a file that is no change of the track: nobody needs to hear of it.
_SILENT = {"file_inode", "file_device"}


def _finished(row: Row, locations: Mapping[str, Location]) -> bytes:
    return finish(row["json"], row["missing_since"], locations.get(row["library_directory_id"]))


def _named(changes_: Iterable[Values]) -> tuple[str, ...]:
    """The columns that changed in any of several rows."""
    return tuple(sorted({name for values in changes_ for name in values} | {"updated_at"}))


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
    return _differing(row, model.complete({**as_dict(row), **values}))


def _stored(name: str, value: Any) -> Any:
    if name == "tags":
        return orjson.dumps(list(dict.fromkeys(value or []))).decode()
    return int(bool(value)) if name == "is_favorite" else value


def _differing(row: Row, values: Mapping[str, Any]) -> Values:
    return {name: value for name, value in values.items() if row[name] != value}
