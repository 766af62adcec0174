"""The trash of a library directory: what lies in it, and emptying it (blocking parts, and the verbs around them)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from server import ids, log, paths
from server.clock import Clock, from_rfc3339, to_rfc3339
from server.db.database import Database
from server.filesystem import FileSystem
from server.libraries.service import LibraryService
from server.operations import store
from server.operations.model import State
from server.operations.planning import MANIFEST

logger = log.get(__name__)
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Trashed:
    """One deletion: the files of an operation. `deleted_at` in Unix milliseconds."""

    operation_id: str
    track_id: str
    deleted_at: int
    files: tuple[str, ...]
    bytes: int

    def as_json(self) -> dict[str, Any]:
        return {
            "operation_id": self.operation_id,
            "track_id": self.track_id,
            "deleted_at": to_rfc3339(self.deleted_at),
            "files": list(self.files),
            "bytes": self.bytes,
        }


class TrashService:
    def __init__(self, database: Database, libraries: LibraryService, file_system: FileSystem, clock: Clock):
        self._database = database
        self._libraries = libraries
        self._files = file_system
        self._clock = clock

    async def entries(self, directory_id: str) -> list[Trashed]:
        """What lies in a directory's trash, oldest first. Raises `NotFound`, and OSError when it can't be read."""
        directory = await self._libraries.get(directory_id)
        return await self._files.call(list_trash, directory.path)

    async def empty(self, directory_id: str, older_than_days: float | None) -> list[Trashed]:
        """Remove for good what is older than so many days, or everything; answers what went.

        What an operation is working on just now stays.
        """
        directory = await self._libraries.get(directory_id)
        before = self._clock.now_ms() - round((older_than_days or 0) * DAY_MS)
        found = [item for item in await self.entries(directory_id) if item.deleted_at <= before]
        gone = []
        for item in found:
            if await self._is_busy(item.operation_id):
                continue
            await self._files.call(remove_entry, directory.path, item.operation_id)
            gone.append(item)
        if gone:
            logger.info("trash emptied", directory=directory_id, deletions=len(gone))
        return gone

    async def _is_busy(self, operation_id: str) -> bool:
        own = await store.by_ids(self._database.direct, [operation_id])
        undos = await store.undos_of(self._database.direct, [operation_id])
        return any(item.state in (State.QUEUED, State.RUNNING) for item in (*own, *undos))


def list_trash(root: bytes) -> list[Trashed]:
    """The deletions that have a manifest (blocking)."""
    return sorted(_entries(root), key=lambda item: (item.deleted_at, item.operation_id))


def _entries(root: bytes) -> Iterator[Trashed]:
    trash = os.path.join(os.path.realpath(root), paths.real(root, paths.TRASH))
    try:
        names = [name for name in os.listdir(trash) if ids.is_id(os.fsdecode(name))]
    except FileNotFoundError:
        return
    for name in names:
        folder = os.path.join(trash, name)
        try:
            with open(os.path.join(folder, MANIFEST), "rb") as file:
                manifest: Mapping[str, Any] = orjson.loads(file.read())
            files = [entry for entry in os.scandir(folder) if entry.name != MANIFEST]
            yield Trashed(
                operation_id=os.fsdecode(name),
                track_id=manifest["track_id"],
                deleted_at=from_rfc3339(manifest["deleted_at"]),
                files=tuple(sorted(item["from"] for item in manifest["files"])),
                bytes=sum(entry.stat(follow_symlinks=False).st_size for entry in files),
            )
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            continue  # not put there by Mismo, so not its to list or remove


def remove_entry(root: bytes, operation_id: str) -> None:
    """Remove a deletion's files, and at last its manifest (blocking)."""
    trash = paths.open_folder(root, paths.TRASH)
    try:
        folder = paths.open_folder(root, paths.TRASH + b"/" + operation_id.encode())
        try:
            names = sorted(os.listdir(folder), key=lambda name: os.fsencode(name) == MANIFEST)
            for name in names:
                os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
        os.rmdir(operation_id, dir_fd=trash)
        os.fsync(trash)
    finally:
        os.close(trash)
