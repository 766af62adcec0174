"""Copying a file to another file system, verified before it gets its name (blocking)."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import xxhash

from server.operations.disk import is_source
from server.operations.failure import OperationFailed
from server.operations.model import Facts
from server.tracks.model import signed

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Copy:
    """A verified copy under its temporary name."""

    inode: int


def copy(
    from_folder: int, name: bytes, to_folder: int, temporary: bytes, facts: Facts, progress: Callable[[int], None]
) -> Copy:
    """Copy a file to `temporary`, with its times and mode, synced to the disk and read back.

    Raises `OperationFailed` when the file isn't the one that `facts` describe, changes meanwhile, or doesn't fit, and
    whatever `progress` raises. What is left under the temporary name then is for the caller to remove.
    """
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=from_folder)
    try:
        _expect(source, facts)
        _make_sure_it_fits(to_folder, facts.size)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(temporary, flags, 0o600, dir_fd=to_folder)
        try:
            digest = _pour(source, target, progress)
            _expect(source, facts)
            _keep_times_and_mode(source, target)
            os.fsync(target)
            if _digest(target) != digest:
                raise OperationFailed("copy_differs", "what was read back differs from the source", is_transient=True)
            return Copy(signed(os.fstat(target).st_ino))
        finally:
            os.close(target)
    finally:
        os.close(source)


def _expect(descriptor: int, facts: Facts) -> None:
    if not is_source(os.fstat(descriptor), facts):
        raise OperationFailed("changed_on_disk", "the file changed since the library last saw it")


def _make_sure_it_fits(folder: int, size: int) -> None:
    room = os.fstatvfs(folder)
    # A file system without a fixed size says 0 blocks.
    if room.f_blocks and room.f_bavail * room.f_frsize < size:
        raise OperationFailed("disk_full", f"the target has less than the {size} bytes that the file needs")


def _pour(source: int, target: int, progress: Callable[[int], None]) -> bytes:
    digest = xxhash.xxh3_128()
    done = 0
    while chunk := os.read(source, _CHUNK):
        digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(target, rest) :]
        done += len(chunk)
        progress(done)
    return digest.digest()


def _keep_times_and_mode(source: int, target: int) -> None:
    status = os.fstat(source)
    # Only root may give a file away, and not every file system has owners or modes.
    with suppress(PermissionError):
        os.fchown(target, status.st_uid, status.st_gid)
    with suppress(PermissionError):
        os.fchmod(target, status.st_mode & 0o7777)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _digest(descriptor: int) -> bytes:
    # Out of the cache first, so that the disk itself is asked.
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.lseek(descriptor, 0, os.SEEK_SET)
    digest = xxhash.xxh3_128()
    while chunk := os.read(descriptor, _CHUNK):
        digest.update(chunk)
    return digest.digest()
