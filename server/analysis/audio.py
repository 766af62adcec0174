"""Where the files are that hold an audio."""

from __future__ import annotations

import os
from collections.abc import Sequence

from server.db.database import Database, Row
from server.filesystem import FileSystem
from server.tracks.service import TrackService


class AudioFiles:
    def __init__(self, database: Database, tracks: TrackService, files: FileSystem):
        self.files = files
        self._database = database
        self._tracks = tracks

    async def find(self, audio_hash: str) -> bytes | None:
        """The path of a file that can be reached and is still as it was when its audio was hashed; None without one."""
        for path, row in await self._candidates([audio_hash]):
            if await self._is_unchanged(path, row):
                return path
        return None

    async def present(self, hashes: Sequence[str]) -> list[str]:
        """Those of the audios that have such a file."""
        found: dict[str, None] = {}
        for path, row in await self._candidates(hashes):
            if row["audio_hash"] not in found and await self._is_unchanged(path, row):
                found[row["audio_hash"]] = None
        return list(found)

    async def _candidates(self, hashes: Sequence[str]) -> list[tuple[bytes, Row]]:
        rows = await self._tracks.by_hashes(self._database.direct, hashes)
        locations = await self._tracks.locations(self._database.direct)
        found = []
        for row in rows:
            location = locations.get(row["library_directory_id"])
            if row["missing_since"] is None and location is not None and location.unreachable_reason is None:
                found.append((os.path.join(location.root, bytes(row["path"])), row))
        return found

    async def _is_unchanged(self, path: bytes, row: Row) -> bool:
        try:
            root = path.removesuffix(bytes(row["path"])).rstrip(b"/")
            status = await self.files.call_at(root, os.stat, path)
        except OSError:
            return False
        # A file that was changed since may hold another audio: the next scan tells.
        return (status.st_size, status.st_mtime_ns) == (
            row["file_size"],
            row["file_mtime_ns"],
        )
