"""Forgetting tracks whose file has been missing for long: only on request, with a backup that brings them back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from server.clock import Clock
from server.db.database import Connection, Database
from server.db.uow import UnitOfWork
from server.events.model import Event
from server.filesystem import FileSystem
from server.libraries import backup
from server.libraries.backup import Belongings
from server.libraries.service import LibraryService
from server.tracks.service import TrackService

DAY_MS = 24 * 3600 * 1000
BATCH = 500
InUse = Callable[[Connection, Sequence[str]], Awaitable[set[str]]]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """`matched` tracks were missing long enough; `kept` of them are in playlists; `removed` are gone.

    `backup` names the file that `restore` takes.
    """

    matched: int
    kept: int
    removed: int
    dry_run: bool
    backup: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class CleanupService:
    """`folder` is where backups go. `in_use` says which of some tracks are in a playlist."""

    def __init__(
        self,
        database: Database,
        uow: UnitOfWork[Event],
        libraries: LibraryService,
        tracks: TrackService,
        file_system: FileSystem,
        clock: Clock,
        folder: Path,
    ):
        self._database = database
        self._uow = uow
        self._libraries = libraries
        self._tracks = tracks
        self._files = file_system
        self._clock = clock
        self._folder = folder
        # Set by the playlists, which know.
        self.in_use: InUse = _none
        # By the names that they have in a backup; set by those who know.
        self.belongings: dict[str, Belongings] = {}

    async def clean(
        self, directory_id: str, *, days: int, keep_playlists_intact: bool, backup_metadata: bool, dry_run: bool
    ) -> Cleaned:
        """Delete the rows of tracks whose file has been missing for so many days. Raises `NotFound`.

        Tracks of a drive that isn't there aren't missing files, and stay.
        """
        directory = await self._libraries.get(directory_id)
        now = self._clock.now_ms()
        async with self._uow() as tx:
            rows = await self._tracks.missing_files(tx, directory_id, now - days * DAY_MS)
            kept = await self.in_use(tx, [row["id"] for row in rows]) if keep_playlists_intact else set()
            going = [row for row in rows if row["id"] not in kept]
            if dry_run or not going:
                return Cleaned(len(rows), len(kept), len(going), dry_run, None)
            ids = [row["id"] for row in going]
            name = None
            if backup_metadata:
                # Written and synced before a row goes, and in one transaction with that: what the file holds is what
                # goes, to the last cue.
                own = {key: await of.belongings(tx, ids) for key, of in self.belongings.items()}
                name = await self._files.call(backup.write, self._folder, now, directory_id, directory.path, going, own)
            removed = await self._tracks.remove_missing(tx, ids)
        return Cleaned(len(rows), len(kept), removed, dry_run, name)

    async def restore(self, directory_id: str, name: str) -> dict[str, int]:
        """Bring back the tracks of a backup, with their ids and all that went with them, as far as they aren't there.

        Returns how many tracks (`restored`) and belongings of each kind came. Raises `NotFound` and `Invalid`.
        """
        await self._libraries.get(directory_id)
        rows, own = await self._files.call(backup.read, self._folder, name, directory_id)
        restored: set[str] = set()
        async with self._uow() as tx:
            for start in range(0, len(rows), BATCH):
                restored.update(await self._tracks.bring_back(tx, rows[start : start + BATCH]))
            found = {"restored": len(restored)}
            for key, of in self.belongings.items():
                found[key] = await of.give_back(tx, [item for item in own.get(key, ()) if item["track_id"] in restored])
        return found


async def _none(_: Connection, __: Sequence[str]) -> set[str]:
    return set()
