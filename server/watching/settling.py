"""When files have come to rest: each is looked at until nothing about it has changed for a while."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from server.scanning.part import Part
from server.scanning.walk import AUDIO_EXTENSIONS, is_system_folder

# What came in a folder's stead may come to rest a little later; it is waited for, but not for ever.
GONE_PATIENCE = 1.5
Signature = tuple[int, int, int] | None
"""Size, time of change (ns) and inode of a file; None when it isn't there."""


@dataclass(slots=True)
class _Waiting:
    signature: Signature
    since: float


@dataclass(slots=True)
class _Folder:
    """A new folder: it is listed again and again, since news of what is made in it quickly get lost."""

    since: float
    seen: dict[bytes, Signature] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the disk has shown: files that were asked for, and the listings of new folders."""

    files: dict[bytes, Signature]
    folders: dict[bytes, dict[bytes, Signature]]


class Settling:
    """Paths that were touched and aren't at rest yet. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._files: dict[bytes, _Waiting] = {}
        self._folders: dict[bytes, _Folder] = {}
        self._gone: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._files) + len(self._folders) + len(self._gone)

    @property
    def growing(self) -> frozenset[bytes]:
        """Files that somebody may still be writing."""
        return frozenset(self._files)

    def touch(self, path: bytes, now: float) -> None:
        """News of a file: it waits from now on, unless a look has shown it at rest meanwhile."""
        if path not in self._files:
            self._files[path] = _Waiting((-1, -1, -1), now)

    def touch_folder(self, path: bytes, now: float) -> None:
        """News of a folder that is new, or may be."""
        if path not in self._folders:
            self._folders[path] = _Folder(now)

    def touch_gone(self, path: bytes, now: float) -> None:
        """News that nothing is there any more: it may have been a folder, and its files may be in another one now.

        Both places are scanned at once then, so that none of them is missing in between.
        """
        self._gone.setdefault(path, now)

    def asked(self) -> tuple[list[bytes], list[bytes]]:
        """Files and folders that the next look is about."""
        return list(self._files), list(self._folders)

    def judge(self, look: Look, now: float, settle: float) -> list[Part]:
        """Take in a look; returns the parts that have come to rest, to be scanned."""
        parts: list[Part] = []
        for path, listing in look.folders.items():
            folder = self._folders.get(path)
            if folder is None:
                continue
            for name, signature in listing.items():
                if folder.seen.get(name) != signature:
                    folder.since = now
                    self._files.setdefault(name, _Waiting(signature, now))
            folder.seen = listing
            if now - folder.since >= settle:
                del self._folders[path]
                parts.append(Part(path))
        for path, signature in look.files.items():
            waiting = self._files.get(path)
            if waiting is None:
                continue
            if waiting.signature != signature:
                self._files[path] = _Waiting(signature, now)
            elif now - waiting.since >= settle:
                del self._files[path]
                parts.append(Part(os.path.dirname(path), is_recursive=False))
        patience = GONE_PATIENCE if self._files or self._folders else 1
        for path, since in list(self._gone.items()):
            if now - since >= settle * patience:
                del self._gone[path]
                parts.append(Part(path))
        return parts


def is_audio(path: bytes) -> bool:
    name = os.path.basename(path)
    return os.path.splitext(name)[1].lower() in AUDIO_EXTENSIONS and not name.startswith(b"._")


def is_ignored(path: bytes) -> bool:
    """Whether it lies in a folder that scans never enter."""
    return any(is_system_folder(name) for name in path.split(b"/"))


def look(root: bytes, files: Iterable[bytes], folders: Iterable[bytes]) -> Look:
    """Look at the disk (blocking)."""
    return Look(
        {path: signature_of(os.path.join(root, path)) for path in files},
        {path: dict(_listing(root, path)) for path in folders},
    )


def signature_of(path: bytes, lstat: Callable[[bytes], os.stat_result] = os.lstat) -> Signature:
    try:
        status = lstat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _listing(root: bytes, folder: bytes) -> Iterable[tuple[bytes, Signature]]:
    """Every audio file below a folder, and every folder (whose appearance is news too)."""
    try:
        with os.scandir(os.path.join(root, folder)) as entries:
            found = list(entries)
    except OSError:
        return
    for entry in found:
        path = os.path.join(folder, entry.name)
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode):
            if not is_system_folder(entry.name):
                yield from _listing(root, path)
        elif is_audio(path):
            yield path, (status.st_size, status.st_mtime_ns, status.st_ino)
