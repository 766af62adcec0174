"""One file by itself: taken into the library now, or read again and held against what the library knows of it."""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass

from server import errors, paths
from server.db.database import Row
from server.libraries.model import LibraryDirectory
from server.libraries.service import DirectoryUnavailable
from server.scanning.intake import Intake, Tools
from server.scanning.model import Failure
from server.scanning.reader import Order, Outcome
from server.scanning.request import Request, task_of
from server.scanning.walk import AUDIO_EXTENSIONS, Entry, entry_of, is_system_folder


@dataclass(frozen=True, slots=True)
class Verdict:
    """What reading a track's file again has shown. None: it couldn't be told."""

    present: bool
    same_size: bool | None = None
    same_audio_hash: bool | None = None
    file_size: int | None = None
    audio_hash: str | None = None
    failures: tuple[Failure, ...] = ()


class SingleFiles:
    def __init__(self, tools: Tools):
        self._tools = tools

    async def add(self, file_path: str) -> tuple[str, bool]:
        """Take in a file; returns its track's id, and whether the track is new.

        Raises `Invalid` for what isn't an audio file of the library.
        """
        directory, path = await self._place_of(file_path)
        try:
            entry = await self._look(directory, path)
        except FileNotFoundError:
            raise errors.Invalid.field("file_path", "doesn't exist") from None
        except OSError as error:
            raise errors.Invalid.field("file_path", f"can't be read: {error.strerror or error}") from None
        outcome = await self._read(directory, entry)
        if outcome.read is None:
            raise errors.Invalid.field("file_path", f"can't be read: {outcome.failures[0].reason}")
        intake = Intake(self._tools, directory)
        candidates = await intake.candidates([outcome])
        async with self._tools.uow() as tx:
            (track_id,), counts = await intake.write_named(tx, [outcome], candidates)
        return track_id, counts.added > 0

    async def verify(self, track_id: str) -> Verdict:
        """Read a track's file again; changes nothing. Raises `NotFound`, and `DirectoryUnavailable`."""
        row = await self._tools.tracks.row(track_id)
        directory = await self._available(row["library_directory_id"])
        try:
            entry = await self._look(directory, bytes(row["path"]))
        except (FileNotFoundError, NotADirectoryError):
            return Verdict(present=False)
        except OSError as error:
            return Verdict(True, failures=(Failure(row["relative_path"], "io_error", error.strerror or str(error)),))
        return _verdict(row, await self._read(directory, entry))

    async def _available(self, directory_id: str) -> LibraryDirectory:
        try:
            directory = await self._tools.libraries.check(directory_id)
        except errors.NotFound:
            raise DirectoryUnavailable("the track's directory was removed from the library") from None
        if not directory.is_available:
            raise DirectoryUnavailable(f"{directory.readable_path} can't be reached ({directory.unavailable_reason})")
        return directory

    async def _place_of(self, path: str) -> tuple[LibraryDirectory, bytes]:
        """The library directory that a file lies in, and its path there."""
        if os.path.splitext(path)[1].lower().encode(errors="replace") not in AUDIO_EXTENSIONS:
            raise errors.Invalid.field("file_path", "isn't an audio file by its name")
        roots = {item.id: item.path for item in await self._tools.libraries.all()}
        directory_id, relative = paths.under("file_path", path, roots)
        directory = await self._available(directory_id)
        if not await self._tools.file_system.call_at(directory.path, _is_inside, directory, relative):
            raise paths.Outside.field("file_path", "isn't inside a library directory")
        return directory, relative

    async def _look(self, directory: LibraryDirectory, path: bytes) -> Entry:
        return await self._tools.file_system.call_at(directory.path, _entry, directory, path)

    async def _read(self, directory: LibraryDirectory, entry: Entry) -> Outcome:
        order = Order(
            root=directory.path,
            library_directory_id=directory.id,
            with_hash=True,
            follow_symlinks=directory.follow_symlinks,
            now=self._tools.clock.now_ms(),
        )
        (outcome,) = await self._tools.workers.read(Request(order, [task_of(entry)], entry.size))
        return outcome


def _verdict(row: Row, outcome: Outcome) -> Verdict:
    read = outcome.read
    if read is None:
        return Verdict(True, failures=outcome.failures)
    is_hashed = row["audio_hash"] is not None and read["audio_hash"] is not None
    return Verdict(
        present=True,
        same_size=read["file_size"] == row["file_size"],
        same_audio_hash=read["audio_hash"] == row["audio_hash"] if is_hashed else None,
        file_size=read["file_size"],
        audio_hash=read["audio_hash"],
        failures=outcome.failures,
    )


def as_json(track_id: str, verdict: Verdict) -> dict[str, object]:
    return {"id": track_id, **asdict(verdict)}


def _is_inside(directory: LibraryDirectory, path: bytes) -> bool:
    """Whether a path leads to a place inside the directory, through no link unless these are followed (blocking)."""
    root = os.path.realpath(directory.path)
    real = os.path.realpath(os.path.join(directory.path, path))
    if any(is_system_folder(name) for name in path.split(b"/")):
        return False
    if directory.follow_symlinks:
        return real.startswith(root.rstrip(b"/") + b"/")
    return real == os.path.join(root, path)


def _entry(directory: LibraryDirectory, path: bytes) -> Entry:
    status = os.stat(os.path.join(directory.path, path), follow_symlinks=directory.follow_symlinks)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(None, "isn't a regular file")
    return entry_of(path, status)
