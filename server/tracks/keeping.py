"""What the domains that build on tracks write of them, within their own transactions: a scan, a move, an analysis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.clock import Clock
from server.db.database import Database, Row, as_dict
from server.db.sql import Where
from server.db.uow import Transaction
from server.events.model import Event
from server.tracks import corrections, events, history, location_store, model
from server.tracks.model import Location, Values
from server.tracks.resource import serialise
from server.tracks.rows import TrackRows

Tx = Transaction[Event]
# Columns that the database fills in itself.
_COMPUTED = {"pk", "words", "fragments"}
REFILED = ("pk", "id", "library_directory_id", "path", "relative_path", "missing_since")
# What a file system may change about a file that is no change of the track: nobody needs to hear of it.
_SILENT = {"file_inode", "file_device"}


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


class TrackKeeping(TrackRows):
    """Writes rows and announces what really differs."""

    def __init__(self, database: Database, clock: Clock):
        super().__init__(database)
        self._clock = clock

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
            values = differing(row, model.complete(corrections.read_again(as_dict(row), read)))
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
        fields = named(values for _, values in written)
        for batch in events.batches(result.updated):
            tx.emit(events.TrackUpdated(ids=tuple(batch), fields=fields))
        for batch in events.batches(result.restored):
            tx.emit(events.TrackRestored(ids=tuple(batch)))
        return result

    async def relocate(self, tx: Tx, moves: Sequence[Move]) -> None:
        """Tracks whose file lies somewhere else now, or that took another's place; with what the file says there."""
        now = self._clock.now_ms()
        # First whoever is in another's way lets go, since places are swapped and handed on within one batch.
        wanted = {(move.library_directory_id, move.path) for move in moves}
        in_the_way = [
            move.row
            for move in moves
            if not move.row["missing_since"] and (move.row["library_directory_id"], bytes(move.row["path"])) in wanted
        ]
        await self._write(tx, [(row, {"missing_since": now}) for row in in_the_way])
        written = []
        story: list[Values] = []
        for move in moves:
            values = {"library_directory_id": move.library_directory_id, **model.path_values(move.path)}
            if move.read or values["file_name"] != move.row["file_name"]:
                whole = {**corrections.read_again(as_dict(move.row), move.read), **values}
                changed = differing(move.row, model.complete(whole))
            else:
                changed = differing(move.row, values)  # nothing else follows from the folder
            written.append((move.row, {**changed, "missing_since": None, "updated_at": now}))
            story += [history.moved(move.row, values, now), *history.read_again(move.row, changed, now)]
        await self._write(tx, written)
        await history.write(tx, story)
        _announce(tx, moves, named(differing(row, values) for row, values in written))

    async def refile(self, tx: Tx, moves: Sequence[Move]) -> None:
        """Tracks whose file lies in another folder now, under the name it had, where no other track is in the way.

        Of the rows only `REFILED` is needed.
        """
        if not moves:
            return
        now = self._clock.now_ms()
        places = {move.row["pk"]: (move.library_directory_id, move.path) for move in moves}
        await self._store.refile(tx, places, await self._roots(tx), now)
        changes_: list[Values] = []
        story: list[Values] = []
        for move in moves:
            place = {"library_directory_id": move.library_directory_id, **model.path_values(move.path)}
            values = {name: place[name] for name in ("library_directory_id", "path", "relative_path")}
            changes_.append(differing(move.row, {**values, "missing_since": None}))
            story.append(history.moved(move.row, values, now))
        await history.write(tx, story)
        _announce(tx, moves, named(changes_))

    async def hand_over(self, tx: Tx, pairs: Sequence[tuple[Row, Row]]) -> None:
        """Let each first track go on as the file of the second, which stays behind, missing, where the first was."""
        now = self._clock.now_ms()
        left = []
        for old, new in pairs:
            place = {"library_directory_id": old["library_directory_id"], **model.path_values(bytes(old["path"]))}
            changed = differing(new, model.complete({**as_dict(new), **place}))
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

    async def mark_missing(self, tx: Tx, pks: Sequence[int], at: int | None = None) -> int:
        """Files that a complete walk of their folder didn't find, or that were deleted `at` (Unix milliseconds)."""
        now = self._clock.now_ms() if at is None else at
        rows = [row for row in await self._store.by_pks(tx, pks) if row["missing_since"] is None]
        await self._write(tx, [(row, {"missing_since": now}) for row in rows])
        await history.write(tx, [history.missing(row, now) for row in rows])
        for batch in events.batches(rows):
            tx.emit(events.TrackMissing(ids=tuple(row["id"] for row in batch)))
        return len(rows)

    async def mark_found(self, tx: Tx, pks: Sequence[int]) -> int:
        """Files that were missing and are there again, unchanged."""
        rows = [row for row in await self._store.by_pks(tx, pks) if row["missing_since"] is not None]
        await self._write(tx, [(row, {"missing_since": None}) for row in rows])
        await history.write(tx, [history.restored(row, self._clock.now_ms()) for row in rows])
        for batch in events.batches(rows):
            tx.emit(events.TrackRestored(ids=tuple(row["id"] for row in batch)))
        return len(rows)

    async def remove_missing(self, tx: Tx, ids: Sequence[str]) -> int:
        """Delete the rows of tracks whose file is (still) missing; returns how many."""
        removed = 0
        for batch in events.batches(ids):
            known = await self._store.by_ids(tx, list(batch))
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
        roots = await self._roots(tx)
        wanted = [
            model.complete({name: value for name, value in row.items() if name not in _COMPUTED})
            for row in rows
            if row["id"] not in known
        ]
        added = await self.add(tx, wanted, [serialise(row, roots[row["library_directory_id"]]) for row in wanted])
        return [row["id"] for row in added]

    async def delete_of_directory(self, tx: Tx, library_directory_id: str) -> int:
        """Delete every row of a library directory, and its location."""
        where = Where("library_directory_id = :directory", {"directory": library_directory_id})
        ids = await self._store.ids_where(tx, where)
        for batch in events.batches(ids):
            rows = await self._store.by_ids(tx, list(batch))
            await self._store.delete(tx, [row["pk"] for row in rows])
            tx.emit(events.TrackDeleted(ids=tuple(batch)))
        await location_store.delete(tx, library_directory_id)
        return len(ids)

    async def show_analysis(self, tx: Tx, values: Mapping[str, Values]) -> dict[str, list[str]]:
        """Let every track with one of some audios show what its analysis found: audio hash → `model.NO_ANALYSIS`'s
        columns. What a user set stays in effect. Returns audio hash → ids of its tracks, changed or not.
        """
        now = self._clock.now_ms()
        ids: dict[str, list[str]] = {audio_hash: [] for audio_hash in values}
        written: list[tuple[Row, Values]] = []
        for row in await self._store.by_hashes(tx, list(values)):
            ids[row["audio_hash"]].append(row["id"])
            shown = {**as_dict(row), **corrections.under_overrides(as_dict(row), values[row["audio_hash"]])}
            if changed := differing(row, model.complete(shown)):
                written.append((row, {**changed, "updated_at": now}))
        await self._write(tx, written)
        for batch in events.batches(written):
            tx.emit(
                events.TrackUpdated(
                    ids=tuple(row["id"] for row, _ in batch), fields=named(changed for _, changed in batch)
                )
            )
        return ids

    async def assign_groups(self, tx: Tx, groups: Sequence[tuple[Row, str | None]]) -> None:
        """Say which group of duplicates each track belongs to (None: to none); that is no edit of the track.

        The rows need `pk, id, duplicate_group_id` only.
        """
        changed = [(row, group) for row, group in groups if row["duplicate_group_id"] != group]
        for batch in events.batches(changed):
            await self._store.set_groups(tx, {row["pk"]: group for row, group in batch})
            tx.emit(events.TrackUpdated(ids=tuple(row["id"] for row, _ in batch), fields=("duplicate_group_id",)))

    async def merge(self, tx: Tx, row: Row, values: Values) -> None:
        """Columns that a track takes over from its duplicates, or gives back; announced when they differ."""
        changed = differing(row, model.complete({**as_dict(row), **values}))
        if changed:
            await self._write(tx, [(row, {**changed, "updated_at": self._clock.now_ms()})])
            tx.emit(events.TrackUpdated(ids=(row["id"],), fields=named([changed])))

    async def put_location(self, tx: Tx, location: Location) -> None:
        """Say where the tracks of a library directory lie, and whether they can be reached. Costs nothing per track."""
        await location_store.put(tx, location)

    async def _write(self, tx: Tx, rows: Sequence[tuple[Row, Values]]) -> None:
        if rows:
            await self._store.update(tx, [(as_dict(row), values) for row, values in rows], await self._roots(tx))

    async def _roots(self, tx: Tx) -> dict[str, bytes]:
        return {key: location.root for key, location in (await location_store.all_locations(tx)).items()}


def _announce(tx: Tx, moves: Sequence[Move], fields: tuple[str, ...]) -> None:
    for batch in events.batches(moves):
        tx.emit(
            events.TrackMoved(
                ids=tuple(move.row["id"] for move in batch),
                moves=tuple(move.described() for move in batch),
                fields=fields,
            )
        )


def named(changes_: Iterable[Values]) -> tuple[str, ...]:
    """The columns that changed in any of several rows."""
    return tuple(sorted({name for values in changes_ for name in values} | {"updated_at"}))


def differing(row: Row, values: Mapping[str, Any]) -> Values:
    return {name: value for name, value in values.items() if row[name] != value}
