"""Taking in what was read: which track each file is, and the rows, counts and events that follow from it."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from server.clock import Clock
from server.db.database import Connection, Database, Row
from server.db.uow import Transaction, UnitOfWork
from server.events.model import Event
from server.filesystem import FileSystem
from server.libraries.model import LibraryDirectory
from server.libraries.service import LibraryService
from server.scanning import identity, place
from server.scanning.model import Counts
from server.scanning.reader import Outcome
from server.scanning.walk import Entry
from server.scanning.workers import WorkerPool
from server.tracks.keeping import REFILED, Move
from server.tracks.service import TrackService

Tx = Transaction[Event]
# What tells a file that only got another path; all ninety columns of many tracks are dear.
_OF_FILES = (*REFILED, "file_device", "file_inode", "file_size", "file_mtime_ns", "metadata_source")


@dataclass(frozen=True, slots=True)
class Tools:
    """What everything that reads files into the library works with."""

    database: Database
    uow: UnitOfWork[Event]
    tracks: TrackService
    libraries: LibraryService
    file_system: FileSystem
    workers: WorkerPool
    clock: Clock


class Intake:
    """Takes files of one library directory into the library."""

    def __init__(self, tools: Tools, directory: LibraryDirectory):
        self._tools = tools
        self._directory = directory

    async def candidates(self, outcomes: Sequence[Outcome]) -> list[Row]:
        """Tracks that some files may be: those whose own file isn't where their row says.

        To be called before the transaction, since it looks at the disk.
        """
        reads = [outcome.read for outcome in outcomes if outcome.read is not None]
        hashes = sorted({read["audio_hash"] for read in reads if read["audio_hash"]})
        inodes = sorted({read["file_inode"] for read in reads})
        return await self._free(hashes, inodes, frozenset(outcome.path for outcome in outcomes))

    async def left(self, outcomes: Sequence[Outcome]) -> set[bytes]:
        """Paths at which what was read doesn't lie any more: somebody moved or deleted it before it was written down.

        To be called before the transaction, since it looks at the disk.
        """
        try:
            return await self._tools.file_system.call_at(
                self._directory.path,
                place.left,
                self._directory,
                {outcome.path: outcome.read for outcome in outcomes if outcome.read is not None},
            )
        except OSError:
            return set()  # what is the matter with the whole directory is for the scan to say

    async def write(self, tx: Tx, outcomes: Sequence[Outcome], candidates: Sequence[Row]) -> Counts:
        """Write what was read; says what came of it."""
        return (await self.write_named(tx, outcomes, candidates))[1]

    async def write_named(
        self, tx: Tx, outcomes: Sequence[Outcome], candidates: Sequence[Row]
    ) -> tuple[list[str], Counts]:
        """The same, with the ids of the tracks that the files are, in the order of those that were read."""
        tracks = self._tools.tracks
        whole = [outcome for outcome in outcomes if outcome.read is not None]
        at_place: dict[bytes, list[Row]] = {}
        rows = await tracks.by_paths(tx, self._directory.id, [outcome.path for outcome in whole])
        for row in sorted(rows, key=lambda row: (row["missing_since"] is not None, row["pk"])):
            at_place.setdefault(bytes(row["path"]), []).append(row)
        free = await self._still_free(tx, candidates)
        matches = identity.match(self._directory.id, whole, at_place, free)
        missing = await tracks.mark_missing(tx, [row["pk"] for row in matches.displaced])
        moves = [Move(row, self._directory.id, outcome.path, outcome.read or {}) for outcome, row in matches.moved]
        await tracks.relocate(tx, moves)
        taken = await tracks.take_in(tx, [(row, outcome.read or {}) for outcome, row in matches.known])
        added = await tracks.add(
            tx,
            [outcome.row for outcome in matches.new if outcome.row is not None],
            [outcome.json for outcome in matches.new if outcome.json is not None],
        )
        ids = {outcome.path: row["id"] for outcome, row in (*matches.moved, *matches.known)}
        counts = Counts(
            added=len(added),
            updated=len(taken.updated),
            moved=len(moves),
            restored=len(taken.restored),
            missing=missing,
            unchanged=len(taken.unchanged),
        )
        return [ids.get(outcome.path, outcome.track_id) for outcome in whole], counts

    async def moved_candidates(self, entries: Sequence[Entry]) -> list[Row]:
        """Tracks whose very file may be one of the entries, under another path now."""
        paths = frozenset(entry.path for entry in entries)
        return await self._free([], sorted({entry.inode for entry in entries}), paths, _OF_FILES)

    async def move(self, tx: Tx, entries: Sequence[Entry], candidates: Sequence[Row]) -> tuple[int, list[Entry]]:
        """Move tracks whose very file has only got another path; returns how many, and the entries to be read.

        `candidates` come from `moved_candidates`. The same device, inode, size and time of change are the same file, so
        that nothing needs to be opened.
        """
        tracks = self._tools.tracks
        rows = await tracks.by_paths(tx, self._directory.id, [entry.path for entry in entries])
        taken = {bytes(row["path"]) for row in rows if row["missing_since"] is None}
        pairs, rest = identity.recognise(entries, await self._still_free(tx, candidates, _OF_FILES), taken)
        renamed: dict[int, bytes] = {}
        refiled: list[Move] = []
        for entry, row in pairs:
            if os.path.basename(entry.path) == os.path.basename(bytes(row["path"])):
                refiled.append(Move(row, self._directory.id, entry.path, {}))
            else:
                renamed[row["pk"]] = entry.path
        await tracks.refile(tx, refiled)
        whole = await tracks.by_pks(tx, list(renamed)) if renamed else []
        await tracks.relocate(tx, [Move(row, self._directory.id, renamed[row["pk"]], {}) for row in whole])
        return len(pairs), rest

    async def _still_free(
        self, tx: Connection, candidates: Sequence[Row], columns: Sequence[str] = ("*",)
    ) -> list[Row]:
        """The same tracks as they are within a transaction, without those that another scan has moved meanwhile."""
        if not candidates:
            return []
        known = {row["pk"]: place.of(row) for row in candidates}
        rows = await self._tools.tracks.by_pks(tx, list(known), columns)
        return [row for row in rows if place.of(row) == known[row["pk"]]]

    async def _free(
        self, hashes: Sequence[str], inodes: Sequence[int], new: Collection[bytes], columns: Sequence[str] = ("*",)
    ) -> list[Row]:
        """Tracks with one of the hashes or inodes whose own file isn't where it was: looked up on disk."""
        found = await self._tools.tracks.like(self._tools.database.direct, hashes, inodes, columns)
        if not found:
            return []
        directories = {directory.id: directory for directory in await self._tools.libraries.all()}
        free: list[Row] = []
        for directory_id in sorted({row["library_directory_id"] for row in found}):
            rows = [row for row in found if row["library_directory_id"] == directory_id]
            directory = directories.get(directory_id)
            if directory is None:
                free += rows  # a person took it out of the library
            elif directory.is_available:
                free += await self._elsewhere(rows, directory, new)
            else:
                free += _gone_before(rows)
        return free

    async def _elsewhere(self, rows: Sequence[Row], directory: LibraryDirectory, new: Collection[bytes]) -> list[Row]:
        is_here = directory.id == self._directory.id
        try:
            absent = await self._tools.file_system.call_at(
                directory.path, place.elsewhere, directory, rows, new if is_here else ()
            )
        except OSError:
            return _gone_before(rows)  # its root can't be reached; what it holds isn't gone
        if not absent or is_here:
            return absent
        # An empty mount point has none of the files either. Whether the other drive is there must be known first.
        return absent if (await self._tools.libraries.check(directory.id)).is_available else _gone_before(rows)


def _gone_before(rows: Sequence[Row]) -> list[Row]:
    """Where nobody can look: a file that had gone before its drive went isn't on it."""
    return [row for row in rows if row["missing_since"] is not None]
