"""The verbs of library directories: add, change, remove, and look whether they are there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from server import errors, ids, log
from server.clock import Clock
from server.db.database import Database
from server.db.uow import Transaction, UnitOfWork
from server.events.model import Event
from server.filesystem import FileSystem, Unresponsive
from server.libraries import availability, events, inner_mounts, mounts, store
from server.libraries.availability import Probe, Reason
from server.libraries.inner_mounts import InnerMount
from server.libraries.model import LibraryDirectory, ScanStatus, lineage
from server.tracks.model import Location, Missing
from server.tracks.service import TrackService

logger = log.get(__name__)
Tx = Transaction[Event]

DEFAULTS: dict[str, Any] = {
    "is_active": True,
    "recursive_scan": True,
    "max_depth": -1,
    "scan_patterns": [],
    "exclude_patterns": [],
    "follow_symlinks": False,
    "priority": 0,
    "watch": True,
}


class Nested(errors.Conflict):
    """A library directory can't contain another one."""

    code = "directory_nested"


class DirectoryExists(errors.Conflict):
    """This directory is in the library already."""

    code = "directory_exists"


class DirectoryUnavailable(errors.Conflict):
    """This directory can't be reached just now."""

    code = "directory_unavailable"


class LibraryService:
    def __init__(
        self,
        database: Database,
        uow: UnitOfWork[Event],
        tracks: TrackService,
        file_system: FileSystem,
        clock: Clock,
    ):
        self._database = database
        self._uow = uow
        self._tracks = tracks
        self._files = file_system
        self._clock = clock
        # Set by the scanner, which knows; a directory shows what it is doing.
        self.scan_status: Callable[[str], Awaitable[ScanStatus]] = _idle

    # -- reading

    async def get(self, directory_id: str) -> LibraryDirectory:
        """A directory; raises `NotFound`."""
        found = await store.by_id(self._database.direct, directory_id)
        if found is None:
            raise errors.NotFound(f"there is no library directory {directory_id}")
        return found

    async def find(self, tx: Tx, directory_id: str) -> LibraryDirectory | None:
        """A directory as it is within a transaction."""
        return await store.by_id(tx, directory_id)

    async def all(self) -> list[LibraryDirectory]:
        return await store.all_directories(self._database.direct)

    async def describe(self, directory: LibraryDirectory) -> dict[str, Any]:
        """The directory as the API shows it."""
        total, missing = await self._tracks.count_directory(self._database.direct, directory.id)
        return directory.as_json(total, missing, await self.scan_status(directory.id))

    async def statistics(self, directory_id: str) -> dict[str, Any]:
        """The figures of a directory's tracks."""
        directory = await self.get(directory_id)
        return await self._tracks.directory_statistics(directory.id)

    # -- changing

    async def add(self, path: str, values: Mapping[str, Any]) -> LibraryDirectory:
        """Manage a folder from now on; one that was removed comes back with its id and its tracks.

        Raises `Invalid` for a path that is no readable directory, `Nested` and `DirectoryExists` (409).
        """
        raw = os.fsencode(path)
        if not raw.startswith(b"/"):
            raise errors.Invalid.field("path", "must be absolute")
        try:
            raw, real, seen, own_lineage = await self._files.call(_look, raw)
        except FileNotFoundError:
            raise errors.Invalid.field("path", "doesn't exist") from None
        except NotADirectoryError:
            raise errors.Invalid.field("path", "isn't a directory") from None
        except OSError as error:
            raise errors.Invalid.field("path", f"can't be read: {error.strerror or error}") from None
        await self._refuse_nesting(raw, own_lineage)
        mount = mounts.mount_of(real, await self._files.call(mounts.read_mounts))
        detected = {
            "is_removable": mount is not None and mount.is_removable,
            "filesystem": mounts.facts_of(mount).as_json(),
            "fingerprint": seen.fingerprint,
            "is_available": True,
            "unavailable_reason": None,
        }
        async with self._uow() as tx:
            directory = await self._put(tx, raw, {**detected, **_given(values)})
            await self._tracks.put_location(tx, Location(directory.id, directory.path))
            described = await self._described(tx, directory)
            tx.emit(events.DirectoryAdded(directory=described, **await self._span(tx, directory)))
        logger.info("library directory added", directory=directory.id, path=directory.readable_path)
        return directory

    async def _put(self, tx: Tx, path: bytes, values: dict[str, Any]) -> LibraryDirectory:
        now = self._clock.now_ms()
        known = await store.by_path(tx, path)
        if known is not None and known.removed_at is None:
            raise _exists(known)
        if known is not None:
            await store.update(tx, known.id, {**values, "removed_at": None, "updated_at": now})
            directory_id = known.id
        else:
            directory_id = ids.new_id()
            name = os.path.basename(path) or path
            fresh = {"name": name.decode("utf-8", "replace"), **DEFAULTS, **values}
            await store.insert(tx, {"id": directory_id, "path": path, **fresh, "created_at": now, "updated_at": now})
        found = await store.by_id(tx, directory_id)
        assert found is not None
        return found

    async def _refuse_nesting(self, path: bytes, own: list[tuple[int, int]]) -> None:
        for other in await self.all():
            if other.path == path:
                raise _exists(other)
            try:
                others = await self._files.call_at(other.path, lineage, other.path)
            except OSError:
                others = []  # not there just now: its name is all there is to compare
            if others and others[0] == own[0]:
                raise _exists(other, " by another path")
            if (others and others[0] in own) or path.startswith(other.path.rstrip(b"/") + b"/"):
                raise Nested(f"lies inside the library directory {other.readable_path!r} ({other.id})")
            if (others and own[0] in others) or other.path.startswith(path.rstrip(b"/") + b"/"):
                raise Nested(f"contains the library directory {other.readable_path!r} ({other.id})")

    async def change(self, directory_id: str, values: Mapping[str, Any]) -> LibraryDirectory:
        """Change what a person may change; the same values again announce nothing."""
        async with self._uow() as tx:
            before = await self._in(tx, directory_id)
            await store.update(tx, directory_id, {**_given(values), "updated_at": before.updated_at})
            after = await self._in(tx, directory_id)
            if after != before:
                await store.update(tx, directory_id, {"updated_at": self._clock.now_ms()})
                tx.emit(events.DirectoryUpdated(directory=await self._described(tx, after)))
        return after

    async def remove(self, directory_id: str, *, delete_tracks: bool) -> None:
        """Stop managing a folder, whose files are never touched. Its tracks wait for it as missing, or are deleted."""
        async with self._uow() as tx:
            directory = await self._in(tx, directory_id)
            described = await self._described(tx, directory)
            if delete_tracks:
                await self._tracks.delete_of_directory(tx, directory_id)
                await store.delete(tx, directory_id)
            else:
                now = self._clock.now_ms()
                await store.update(tx, directory_id, {"removed_at": now, "is_available": False, "updated_at": now})
                await self._tracks.put_location(tx, Location(directory_id, directory.path, Missing.REMOVED, now))
            tx.emit(events.DirectoryRemoved(directory=described, **await self._span(tx, directory)))
        logger.info("library directory removed", directory=directory_id, tracks_deleted=delete_tracks)

    async def scanned(self, tx: Tx, directory_id: str, at: int) -> None:
        """Note when a directory was last walked, and what it looked like then."""
        await store.update(tx, directory_id, {"last_scan": at})

    async def set_watch_state(self, directory_id: str, state: str, detail: str | None = None) -> None:
        """Note how the watcher follows a directory; announces it when that has changed."""
        async with self._uow() as tx:
            directory = await store.by_id(tx, directory_id)
            if directory is None or (directory.watch_state, directory.watch_detail) == (state, detail):
                return
            await store.update(tx, directory_id, {"watch_state": state, "watch_detail": detail})
            after = await self._in(tx, directory_id)
            tx.emit(events.DirectoryUpdated(directory=await self._described(tx, after)))

    async def remember(self, directory: LibraryDirectory) -> list[InnerMount]:
        """Note what the directory looks like now, to compare with when it comes back.

        Returns the drives that were mounted inside of it, and aren't any more, while tracks wait for them.
        """
        seen = await self._probe(directory)
        if not seen.is_available:
            return []
        try:
            inner = await self._files.call_at(directory.path, inner_mounts.look, directory.path, directory.inner_mounts)
        except OSError:
            return []
        away = [mount for mount in inner.away if await self._tracks.has_files_below(directory.id, mount.path)]
        mounts_now = [mount.as_json() for mount in (*inner.there, *away)]
        fingerprint = {**(seen.fingerprint or {}), "mounts": mounts_now}
        if fingerprint != directory.fingerprint:
            async with self._uow() as tx:
                await store.update(tx, directory.id, {"fingerprint": fingerprint})
        return away

    # -- availability

    async def check(self, directory_id: str) -> LibraryDirectory:
        """Look now whether a directory is there, and announce it when that has changed."""
        directory = await self.get(directory_id)
        seen = await self._probe(directory)
        if seen.is_available == directory.is_available and (
            seen.reason is None or seen.reason == directory.unavailable_reason
        ):
            return directory
        return await self._set_availability(directory, seen)

    async def check_all(self) -> list[LibraryDirectory]:
        """Look at all directories at once, since one of them may take its time to answer."""
        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(self.check(directory.id)) for directory in await self.all()]
        return [look.result() for look in looks]

    async def _probe(self, directory: LibraryDirectory) -> Probe:
        try:
            seen = await self._files.call_at(directory.path, availability.probe, directory.path, directory.fingerprint)
        except Unresponsive:
            return Probe(Reason.UNRESPONSIVE)
        if seen.reason is Reason.EMPTY and seen.is_same_device:
            total, missing = await self._tracks.count_directory(self._database.direct, directory.id)
            if total == missing:
                return Probe(None, seen.fingerprint)  # its last file was moved away, or is known to be gone
        return seen

    async def _set_availability(self, looked_at: LibraryDirectory, seen: Probe) -> LibraryDirectory:
        mount = None
        if seen.is_available:
            mount = await self._files.call_at(looked_at.path, mounts.find_mount, looked_at.path)
        async with self._uow() as tx:
            directory = await self._in(tx, looked_at.id)
            if (directory.is_available, directory.unavailable_reason) == (seen.is_available, seen.reason):
                return directory  # somebody else looked at the same time
            values: dict[str, Any] = {"is_available": seen.is_available, "unavailable_reason": seen.reason}
            if seen.is_available and seen.fingerprint is not None:
                inside = {"mounts": [mount.as_json() for mount in directory.inner_mounts]}
                values |= {
                    "fingerprint": seen.fingerprint | inside,
                    "filesystem": mounts.facts_of(mount).as_json(),
                }
            await store.update(tx, directory.id, values)
            after = await self._in(tx, directory.id)
            if seen.is_available == directory.is_available:
                tx.emit(events.DirectoryUpdated(directory=await self._described(tx, after)))
            else:
                await self._tracks.put_location(tx, self._location(after))
                described = await self._described(tx, after)
                kind = events.MediaConnected if seen.is_available else events.MediaDisconnected
                count = described["total_tracks"]
                tx.emit(kind(directory=described, track_count=count, **await self._span(tx, after)))
        logger.info("availability changed", directory=after.id, available=seen.is_available, reason=seen.reason)
        return after

    def _location(self, directory: LibraryDirectory) -> Location:
        if directory.is_available:
            return Location(directory.id, directory.path)
        return Location(directory.id, directory.path, Missing.MEDIA, self._clock.now_ms())

    async def _span(self, tx: Tx, directory: LibraryDirectory) -> dict[str, Any]:
        """Which tracks an event of a whole directory is about: of all row numbers those that are in it."""
        first, last = await self._tracks.key_range(tx)
        return {"scope": directory.id, "first_key": first, "last_key": last}

    async def _in(self, tx: Tx, directory_id: str) -> LibraryDirectory:
        found = await store.by_id(tx, directory_id)
        if found is None:
            raise errors.NotFound(f"there is no library directory {directory_id}")
        return found

    async def _described(self, tx: Tx, directory: LibraryDirectory) -> dict[str, Any]:
        total, missing = await self._tracks.count_directory(tx, directory.id)
        return directory.as_json(total, missing, await self.scan_status(directory.id))


async def _idle(_: str) -> ScanStatus:
    return ScanStatus.IDLE


def _look(path: bytes) -> tuple[bytes, bytes, Probe, list[tuple[int, int]]]:
    """A first look at a folder that is to be added (blocking): its path tidied up and resolved, and what is in it.

    Raises OSError when it can't be listed.
    """
    path = os.path.normpath(path)
    with os.scandir(path) as entries:
        next(entries, None)
    return path, os.path.realpath(path), availability.probe(path, None), lineage(path)


def _exists(other: LibraryDirectory, how: str = "") -> DirectoryExists:
    return DirectoryExists(
        f"this directory is in the library already{how}, as {other.name!r} ({other.id})",
        extra={"library_directory_id": other.id},
    )


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
