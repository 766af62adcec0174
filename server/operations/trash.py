"""The trash of a library directory: what lies in it, and emptying it (blocking parts, and the verbs around them)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from server import ids, log, paths
from server.clock import Clock, from_rfc3339, to_rfc3339
from server.db.database import Database
from server.filesystem import FileSystem
from server.libraries.service import DirectoryUnavailable, LibraryService
from server.operations import store
from server.operations.model import State
from server.operations.planning import MANIFEST

logger = log.get(__name__)
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Trashed:
    """One deletion: the files of an operation, by where they were. `deleted_at` in Unix milliseconds.

    `names`: what Mismo has put into the deletion's folder, by their names there.
    """

    operation_id: str
    track_id: str
    deleted_at: int
    files: tuple[str, ...]
    names: tuple[bytes, ...]
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
        """What lies in a directory's trash, oldest first. Raises `NotFound`, `DirectoryUnavailable`."""
        directory = await self._libraries.get(directory_id)
        if not directory.is_available:
            raise DirectoryUnavailable(f"{directory.readable_path} can't be reached")
        try:
            return await self._files.call_at(directory.path, list_trash, directory.path)
        except OSError as error:
            raise DirectoryUnavailable(f"its trash can't be read: {error.strerror}") from error

    async def empty(self, directory_id: str, older_than_days: float | None) -> list[Trashed]:
        """Remove for good what is older than so many days, or everything; answers what went.

        What an operation is working on just now stays, and so does what Mismo hasn't put there. Raises `NotFound`,
        `DirectoryUnavailable`.
        """
        directory = await self._libraries.get(directory_id)
        before = self._clock.now_ms() - round((older_than_days or 0) * DAY_MS)
        found = [item for item in await self.entries(directory_id) if item.deleted_at <= before]
        gone = []
        for item in found:
            if await self._is_busy(item.operation_id):
                continue
            try:
                is_gone = await self._files.call_at(directory.path, remove_entry, directory.path, item)
            except OSError as error:
                raise DirectoryUnavailable(f"its trash can't be emptied: {error.strerror}") from error
            if is_gone:
                gone.append(item)
        if gone:
            logger.info("trash emptied", directory=directory_id, deletions=len(gone))
        return gone

    async def _is_busy(self, operation_id: str) -> bool:
        own = await store.by_ids(self._database.direct, [operation_id])
        undos = await store.undos_of(self._database.direct, [operation_id])
        return any(item.state in (State.QUEUED, State.RUNNING) for item in (*own, *undos))


def list_trash(root: bytes) -> list[Trashed]:
    """The deletions that have a manifest (blocking). Raises OSError when the root isn't there."""
    os.stat(root)
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
            own = {unquote_to_bytes(item["name"]) for item in manifest["files"]}
            files = [entry for entry in os.scandir(folder) if entry.name in own]
            yield Trashed(
                operation_id=os.fsdecode(name),
                track_id=manifest["track_id"],
                deleted_at=from_rfc3339(manifest["deleted_at"]),
                files=tuple(
                    sorted(unquote_to_bytes(item["from"]).decode("utf-8", "replace") for item in manifest["files"])
                ),
                names=tuple(entry.name for entry in files),
                bytes=sum(entry.stat(follow_symlinks=False).st_size for entry in files),
            )
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            continue  # not put there by Mismo, so not its to list or remove


def remove_entry(root: bytes, entry: Trashed) -> bool:
    """Remove a deletion's files, and at last its manifest (blocking); False when somebody else just has."""
    name = entry.operation_id.encode()
    try:
        folder = paths.open_folder(root, paths.TRASH + b"/" + name)
    except FileNotFoundError:
        return False
    try:
        for own in (*entry.names, MANIFEST):
            with suppress(FileNotFoundError):
                os.unlink(own, dir_fd=folder)
    finally:
        os.close(folder)
    trash = paths.open_folder(root, paths.TRASH)
    try:
        os.rmdir(name, dir_fd=trash)
    except OSError as error:
        # Somebody keeps something of their own there, or has been quicker.
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise
    finally:
        os.fsync(trash)
        os.close(trash)
    return True
