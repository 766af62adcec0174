"""Forgetting tracks whose file has been missing for long: only on request, with a backup that brings them back."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from server import errors
from server.clock import Clock, to_rfc3339
from server.db.database import Connection, Database, Row, as_dict
from server.db.uow import UnitOfWork
from server.events.model import Event
from server.filesystem import FileSystem
from server.libraries.service import LibraryService
from server.tracks.service import TrackService

DAY_MS = 24 * 3600 * 1000
FORMAT = 1
BATCH = 500
_NAME = re.compile(r"cleanup-[0-9a-z-]+\.json")
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

    async def clean(
        self, directory_id: str, *, days: int, keep_playlists_intact: bool, backup_metadata: bool, dry_run: bool
    ) -> Cleaned:
        """Delete the rows of tracks whose file has been missing for so many days. Raises `NotFound`.

        Tracks of a drive that isn't there aren't missing files, and stay.
        """
        directory = await self._libraries.get(directory_id)
        before = self._clock.now_ms() - days * DAY_MS
        rows = await self._tracks.missing_files(self._database.direct, directory_id, before)
        ids = [row["id"] for row in rows]
        kept = await self.in_use(self._database.direct, ids) if keep_playlists_intact else set()
        going = [row for row in rows if row["id"] not in kept]
        if dry_run or not going:
            return Cleaned(len(rows), len(kept), 0 if not dry_run else len(going), dry_run, None)
        backup = None
        if backup_metadata:
            # Written and synced before a row goes, so that there is never neither.
            backup = await self._files.call(self._write, directory.id, directory.path, going)
        async with self._uow() as tx:
            removed = await self._tracks.remove_missing(tx, [row["id"] for row in going])
        return Cleaned(len(rows), len(kept), removed, dry_run, backup)

    async def restore(self, directory_id: str, backup: str) -> int:
        """Bring back the tracks of a backup, with their ids; returns how many weren't there. Raises `Invalid`."""
        await self._libraries.get(directory_id)
        if not _NAME.fullmatch(backup):
            raise errors.Invalid.field("backup", "isn't the name of a backup that a cleanup made")
        try:
            content = await self._files.call((self._folder / backup).read_bytes)
            document = orjson.loads(content)
        except FileNotFoundError:
            raise errors.Invalid.field("backup", "there is no such backup") from None
        except orjson.JSONDecodeError:
            raise errors.Invalid.field("backup", "isn't a whole backup") from None
        if document.get("format") != FORMAT or document.get("library_directory_id") != directory_id:
            raise errors.Invalid.field("backup", "belongs to another library directory, or another version")
        restored = 0
        rows = [{**row, "path": bytes.fromhex(row["path"])} for row in document["tracks"]]
        async with self._uow() as tx:
            for start in range(0, len(rows), BATCH):
                restored += await self._tracks.bring_back(tx, rows[start : start + BATCH])
        return restored

    def _write(self, directory_id: str, root: bytes, rows: Sequence[Row]) -> str:
        """Write the backup (blocking); returns its name."""
        now = self._clock.now_ms()
        document = {
            "format": FORMAT,
            "made_at": to_rfc3339(now),
            "library_directory_id": directory_id,
            "root": root.decode("utf-8", "replace"),
            "tracks": [{**as_dict(row), "path": bytes(row["path"]).hex()} for row in rows],
        }
        name = f"cleanup-{now}-{directory_id}.json"
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{name}.part"
        with temporary.open("wb") as file:
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._folder / name)
        return name


async def _none(_: Connection, __: Sequence[str]) -> set[str]:
    return set()
