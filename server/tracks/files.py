"""What lies behind a track on disk: where its file is, and the picture in it."""

from __future__ import annotations

import asyncio
import base64
import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import xxhash

from server import child, errors, log
from server.clock import to_rfc3339
from server.db.database import Database, Row
from server.filesystem import FileSystem
from server.tracks import picture
from server.tracks.service import TrackService

logger = log.get(__name__)
PATIENCE_SECONDS = 20.0
CACHED_BYTES = 16 << 20
READERS = 2
# Only what begins like a picture is served as one, whatever a tag claims it to be.
_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)


class ArtworkNotFound(errors.NotFound):
    """This track's file holds no picture."""

    code = "artwork_not_found"


class FileUnreachable(errors.NotFound):
    """This track's file can't be reached now."""

    code = "file_unreachable"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it stands in the file. `digest` tells it from others."""

    data: bytes
    mime: str

    @property
    def digest(self) -> str:
        return xxhash.xxh3_64_hexdigest(self.data)


class FileService:
    def __init__(self, database: Database, tracks: TrackService, file_system: FileSystem):
        self._database = database
        self._tracks = tracks
        self._files = file_system
        self._turn = asyncio.Semaphore(READERS)
        self._pictures: OrderedDict[tuple[bytes, int, int], Picture | None] = OrderedDict()
        self._cached_bytes = 0

    async def facts(self, track_id: str) -> dict[str, Any]:
        """The absolute path of a track's file and what is known of it; raises `NotFound` for an unknown track."""
        row = await self._tracks.row(track_id)
        root, path = await self._place(row)
        status = await self._status(root, path)
        return {
            "id": row["id"],
            "path": path.decode("utf-8", "replace"),
            "path_bytes": base64.b64encode(path).decode(),
            "exists": status is not None,
            "size": None if status is None else status.st_size,
            "modified": None if status is None else to_rfc3339(status.st_mtime_ns // 1_000_000),
            **{
                name: row[name]
                for name in ("format", "container", "codec", "duration_seconds", "sample_rate", "channels")
            },
        }

    async def artwork(self, track_id: str) -> Picture:
        """The picture in a track's file; raises `ArtworkNotFound`, `FileUnreachable`, `NotFound`."""
        row = await self._tracks.row(track_id)
        root, path = await self._place(row)
        status = await self._status(root, path)
        if status is None:
            raise FileUnreachable
        key = (path, status.st_mtime_ns, status.st_size)
        if key not in self._pictures:
            async with self._turn:
                self._remember(key, await _read(path))
        found = self._pictures.get(key)
        if found is None:
            raise ArtworkNotFound
        self._pictures.move_to_end(key)
        return found

    async def _place(self, row: Row) -> tuple[bytes, bytes]:
        """The root of the track's library directory, and the file in it."""
        locations = await self._tracks.locations(self._database.direct)
        location = locations.get(row["library_directory_id"])
        if location is None:
            raise FileUnreachable
        return location.root, os.path.join(location.root, bytes(row["path"]))

    async def _status(self, root: bytes, path: bytes) -> os.stat_result | None:
        try:
            return await self._files.call_at(root, os.stat, path)
        except OSError:
            return None

    def _remember(self, key: tuple[bytes, int, int], found: Picture | None) -> None:
        self._pictures[key] = found
        self._cached_bytes += _weight(found)
        while self._cached_bytes > CACHED_BYTES and len(self._pictures) > 1:
            self._cached_bytes -= _weight(self._pictures.popitem(last=False)[1])


def _weight(found: Picture | None) -> int:
    return 1024 + (len(found.data) if found else 0)


async def _read(path: bytes) -> Picture | None:
    """Read a picture in a process of its own; a file that is too much for it has none."""
    process = await asyncio.create_subprocess_exec(
        *child.command(picture.__name__, os.fsdecode(path), parent=os.getpid()),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            data, _ = await process.communicate()
    except TimeoutError:
        data = b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        logger.warning("no picture could be read", path=path.decode("utf-8", "replace"), how=process.returncode)
        return None
    mime = next((mime for magic, mime in _MAGIC if data.startswith(magic)), None)
    if mime is None and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        mime = "image/webp"
    return None if mime is None else Picture(data, mime)
