"""What is at the places that rows tell of: nothing, their file, or another one. Blocking, for a thread.

All is looked up from one open root, so that a drive that goes meanwhile doesn't make its files look gone.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress

from server.db.database import Row
from server.libraries.inner_mounts import InnerMount, open_mount
from server.libraries.model import LibraryDirectory
from server.tracks.model import Values, signed

_NOTHING_THERE = (FileNotFoundError, NotADirectoryError)


class Places:
    """The inside of a library directory, as its open root shows it."""

    def __init__(self, root: int, inner_mounts: Sequence[InnerMount], *, follow_symlinks: bool):
        self.root = root
        # The innermost first.
        self._inner_mounts = sorted(inner_mounts, key=lambda mount: len(mount.path), reverse=True)
        self._follow_symlinks = follow_symlinks
        self._listings: dict[bytes, frozenset[bytes]] = {}
        self._opened: dict[bytes, int] = {}

    def close(self) -> None:
        for descriptor in self._opened.values():
            os.close(descriptor)

    def status(self, path: bytes) -> os.stat_result:
        """Raises OSError; a link that leads nowhere is nothing where links are followed."""
        folder, rest = self._from_mount(path)
        return os.stat(rest, dir_fd=folder, follow_symlinks=self._follow_symlinks)

    def _from_mount(self, path: bytes) -> tuple[int, bytes]:
        """A path relative to the root, or to the drive inside that it lies on; raises `Away`.

        A drive is opened once, and then like the root shows the same whatever is unmounted meanwhile.
        """
        for mount in self._inner_mounts:
            if path == mount.path or path.startswith(mount.prefix):
                if mount.path not in self._opened:
                    self._opened[mount.path] = open_mount(self.root, mount)
                return self._opened[mount.path], path.removeprefix(mount.path).lstrip(b"/") or b"."
        return self.root, path or b"."

    def is_spelled(self, path: bytes) -> bool:
        """Whether each name of a path is listed just so. Where case or composition don't count, others lead there."""
        folder = b""
        for name in path.split(b"/"):
            if name not in self._names(folder):
                return False
            folder = os.path.join(folder, name)
        return True

    def _names(self, folder: bytes) -> frozenset[bytes]:
        if folder not in self._listings:
            outer, rest = self._from_mount(folder)
            descriptor = open_folder(rest, dir_fd=outer)
            try:
                self._listings[folder] = frozenset(os.fsencode(name) for name in os.listdir(descriptor))
            finally:
                os.close(descriptor)
        return self._listings[folder]


def spelling(path: bytes) -> str:
    """Paths that a file system may take for one another have the same."""
    return unicodedata.normalize("NFC", os.fsdecode(path)).casefold()


def of(row: Row) -> tuple[object, ...]:
    """Where the file of a track is known to be, and which one; two rows of one track differ when it was moved."""
    names = ("library_directory_id", "path", "file_device", "file_inode", "file_size", "file_mtime_ns")
    return tuple(row[name] for name in names)


def elsewhere(directory: LibraryDirectory, rows: Sequence[Row], new: Collection[bytes] = ()) -> list[Row]:
    """Those rows of a directory whose place holds nothing, or another file. Raises OSError without its root.

    `new` are paths of the same directory that were just found: a row whose path only spells one of them otherwise is
    that file renamed, if its own spelling isn't listed any more.
    """
    spellings = {spelling(path) for path in new}
    found = []
    with _places(directory) as places:
        for row in rows:
            path = bytes(row["path"])
            try:
                status = places.status(path)
                if not _is_file_of(row, status, has_stable_inodes=directory.has_stable_inodes) or (
                    path not in new and spelling(path) in spellings and not places.is_spelled(path)
                ):
                    found.append(row)
            except _NOTHING_THERE:
                found.append(row)
            except OSError:
                # Nobody can look; but what had gone before that isn't there.
                if row["missing_since"] is not None:
                    found.append(row)
    return found


def there(directory: LibraryDirectory, rows: Sequence[Row]) -> list[Row]:
    """Those rows of a directory whose place holds their very file. Raises OSError without its root."""
    found = []
    with _places(directory) as places:
        for row in rows:
            with suppress(OSError):
                status = places.status(bytes(row["path"]))
                if _is_file_of(row, status, has_stable_inodes=directory.has_stable_inodes):
                    found.append(row)
    return found


def gone(directory: LibraryDirectory, rows: Sequence[Row]) -> list[Row]:
    """Those rows whose path, spelled so, holds nothing; none when the root isn't on the same device any more.

    Raises OSError when the root can't be opened.
    """
    found = []
    with _places(directory) as places:
        if directory.device is not None and os.fstat(places.root).st_dev != directory.device:
            return []
        for row in rows:
            try:
                places.status(bytes(row["path"]))
                if not places.is_spelled(bytes(row["path"])):
                    found.append(row)
            except _NOTHING_THERE:
                found.append(row)
            except OSError:
                continue
    return found


def left(directory: LibraryDirectory, read: Mapping[bytes, Values]) -> set[bytes]:
    """Those paths that don't hold what was read there any more; none when the root is on another device now.

    Raises OSError when the root can't be opened.
    """
    found: set[bytes] = set()
    with _places(directory) as places:
        if directory.device is not None and os.fstat(places.root).st_dev != directory.device:
            return found
        for path, values in read.items():
            try:
                if not _is_file_of(values, places.status(path), has_stable_inodes=directory.has_stable_inodes):
                    found.add(path)
            except _NOTHING_THERE:
                found.add(path)
            except OSError:
                continue
    return found


def _is_file_of(row: Row | Values, status: os.stat_result, *, has_stable_inodes: bool) -> bool:
    """An inode says nothing on another device, or where they are made up anew at every mount."""
    if (status.st_size, status.st_mtime_ns) != (row["file_size"], row["file_mtime_ns"]):
        return False
    is_comparable = has_stable_inodes and signed(status.st_dev) == row["file_device"]
    return not is_comparable or signed(status.st_ino) == row["file_inode"]


@contextmanager
def _places(directory: LibraryDirectory) -> Iterator[Places]:
    root = open_folder(directory.path)
    try:
        places = Places(root, directory.inner_mounts, follow_symlinks=directory.follow_symlinks)
        with closing(places):
            yield places
    finally:
        os.close(root)


def open_folder(path: bytes, dir_fd: int | None = None) -> int:
    """A descriptor that stands for a folder itself, whatever is mounted over it later."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
