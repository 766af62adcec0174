"""The end of a scan: files that a complete walk didn't find are missing, or went on somewhere else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from server.db.database import Connection, Row
from server.libraries.model import LibraryDirectory
from server.scanning import handover, place
from server.scanning.intake import Tools, Tx
from server.scanning.model import Counts


@dataclass(frozen=True, slots=True)
class Absent:
    """Rows whose file isn't there, and rows with the same audio whose file is (`handover.successors`)."""

    rows: Sequence[Row]
    present: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Ending:
    """For a directory that was there when the walk had ended."""

    tools: Tools
    directory: LibraryDirectory
    people: handover.People

    async def look(self, pks: Sequence[int]) -> Absent:
        """Look at the disk for the files of some tracks. Raises `Unresponsive` when it doesn't answer.

        Meanwhile this scan, or that of another directory, may have found them elsewhere.
        """
        tools = self.tools
        known = await tools.tracks.by_pks(tools.database.direct, pks)
        in_flight = await self.people.in_flight(tools.database.direct)
        rows = [row for row in known if self._may_be_gone(row, in_flight)]
        absent = await tools.file_system.call_at(self.directory.path, place.gone, self.directory, rows)
        return Absent(absent, await handover.successors(absent, tools) if absent else ())

    async def write(self, absent: Absent, tx: Tx) -> Counts:
        """Say of the tracks that are still where they were seen what became of their files."""
        paths = {row["pk"]: row["path"] for row in absent.rows}
        found = await self.tools.tracks.by_pks(tx, list(paths))
        in_flight = await self.people.in_flight(tx)
        going = [row for row in found if row["path"] == paths[row["pk"]] and self._may_be_gone(row, in_flight)]
        moved = await handover.hand_over(tx, self.tools, going, absent.present, self.people)
        rest = [row["pk"] for row in going if row["pk"] not in moved]
        return Counts(moved=len(moved), missing=await self.tools.tracks.mark_missing(tx, rest))

    async def waiting(self, after: int, limit: int) -> list[int]:
        """Numbers of missing tracks with a newer copy, of which one is in this directory, ascending after a number."""
        return await self.tools.tracks.copied_and_missing(self.directory.id, after, limit)

    async def look_again(self, pks: Sequence[int]) -> Absent:
        """Look for newer copies of missing tracks: they may have come since, or been out of reach then.

        Scans of other directories went on while this one's tracks were called missing, and drives come back.
        """
        tools, direct = self.tools, self.tools.database.direct
        rows = await self._not_deleted(direct, await tools.tracks.by_pks(direct, pks))
        present = await handover.alike(rows, tools)
        in_use = await self.people.in_use(direct, [row["id"] for row in (*rows, *present)])
        # Most that could be are in use; the disk is asked about the others alone.
        rows = [old for old, _ in handover.pairs(rows, present, in_use)]
        # One whose file is back waits for the scan that finds it.
        back = {row["pk"] for row in await handover.there(rows, tools)}
        rows = [row for row in rows if row["pk"] not in back]
        hashes = {row["audio_hash"] for row in rows}
        return Absent(rows, await handover.there([row for row in present if row["audio_hash"] in hashes], tools))

    async def reunite(self, absent: Absent, tx: Tx) -> Counts:
        """Let missing tracks go on at their newer copies; those that somebody has had deleted stay so."""
        seen = {row["pk"]: place.of(row) for row in absent.rows}
        rows = [
            row
            for row in await self.tools.tracks.by_pks(tx, list(seen))
            if row["missing_since"] is not None and place.of(row) == seen[row["pk"]]
        ]
        waiting = await self._not_deleted(tx, rows)
        moved = await handover.hand_over(tx, self.tools, waiting, absent.present, self.people)
        return Counts(moved=len(moved))

    async def _not_deleted(self, connection: Connection, rows: Sequence[Row]) -> list[Row]:
        deleted = await self.people.deletions(connection, [row["id"] for row in rows])
        return [row for row in rows if (row["id"], row["missing_since"]) not in deleted]

    def _may_be_gone(self, row: Row, in_flight: Collection[tuple[str, bytes]]) -> bool:
        return (
            row["library_directory_id"] == self.directory.id
            and row["missing_since"] is None
            and (self.directory.id, bytes(row["path"])) not in in_flight
        )
