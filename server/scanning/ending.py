"""The end of a scan: files that a complete walk didn't find are missing, or went on somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.db.database import Row
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
    """For a directory that was there when the walk had ended. `in_use` as in `ScanRun`."""

    tools: Tools
    directory: LibraryDirectory
    is_in_flight: Callable[[bytes], bool]
    in_use: handover.InUse

    async def look(self, pks: Sequence[int]) -> Absent:
        """Look at the disk for the files of some tracks. Raises `Unresponsive` when it doesn't answer.

        Meanwhile this scan, or that of another directory, may have found them elsewhere.
        """
        tools = self.tools
        known = await tools.tracks.by_pks(tools.database.direct, pks)
        rows = [row for row in known if self._may_be_gone(row)]
        absent = await tools.file_system.call_at(self.directory.path, place.gone, self.directory, rows)
        if not absent:
            return Absent((), ())
        return Absent(
            absent,
            await handover.successors(absent, tools.database, tools.tracks, tools.libraries, tools.file_system),
        )

    async def write(self, absent: Absent, tx: Tx) -> Counts:
        """Say of the tracks that are still where they were seen what became of their files."""
        paths = {row["pk"]: row["path"] for row in absent.rows}
        found = await self.tools.tracks.by_pks(tx, list(paths))
        going = [row for row in found if row["path"] == paths[row["pk"]] and self._may_be_gone(row)]
        moved = await self._hand_over(tx, going, absent.present)
        rest = [row["pk"] for row in going if row["pk"] not in moved]
        return Counts(moved=len(moved), missing=await self.tools.tracks.mark_missing(tx, rest))

    async def _hand_over(self, tx: Tx, going: Sequence[Row], present: Sequence[Row]) -> set[int]:
        """Let tracks go on where a newer file with their audio lies; returns the row numbers of those that could."""
        if not going or not present:
            return set()
        tracks = self.tools.tracks
        seen = {row["pk"]: row["updated_at"] for row in present}
        known = await tracks.by_pks(tx, list(seen))
        still = [row for row in known if row["updated_at"] == seen[row["pk"]]]
        in_use = await self.in_use(tx, [row["id"] for row in (*going, *still)])
        chosen = handover.pairs(going, [row for row in still if row["missing_since"] is None], in_use)
        await tracks.hand_over(tx, chosen)
        return {old["pk"] for old, _ in chosen}

    def _may_be_gone(self, row: Row) -> bool:
        return (
            row["library_directory_id"] == self.directory.id
            and row["missing_since"] is None
            and not self.is_in_flight(bytes(row["path"]))
        )
