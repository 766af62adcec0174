"""Whether the system has inotify watches left: above the limit new folders go unwatched without a word (inotify(7))."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from dataclasses import dataclass
from pathlib import Path

_IN_ATTRIB = 0x4
_IN_CLOEXEC = os.O_CLOEXEC


LIMITS = Path("/proc/sys/fs/inotify")


@dataclass(frozen=True, slots=True)
class Usage:
    """Watches and instances that this user's processes have, and may have."""

    watches: int
    max_watches: int
    instances: int
    max_instances: int

    @property
    def is_scarce(self) -> bool:
        return self.watches > self.max_watches * 0.9 or self.instances >= self.max_instances - 1


def usage() -> Usage | None:
    """None where there is no inotify. Counted in /proc/PID/fdinfo (proc(5)), as far as it may be read."""
    try:
        max_watches, max_instances = (
            int((LIMITS / name).read_text()) for name in ("max_user_watches", "max_user_instances")
        )
    except (OSError, ValueError):
        return None
    counts = [
        _watches(process / "fdinfo" / descriptor.name)
        for process in Path("/proc").glob("[0-9]*")
        for descriptor in _inotify_descriptors(process)
    ]
    return Usage(sum(counts), max_watches, len(counts), max_instances)


def _inotify_descriptors(process: Path) -> list[Path]:
    found = []
    with contextlib.suppress(OSError):  # it has ended, or is somebody else's
        if process.stat().st_uid == os.geteuid():
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(descriptor) == "anon_inode:inotify":
                        found.append(descriptor)
    return found


def _watches(information: Path) -> int:
    try:
        return information.read_text().count("inotify wd:")
    except OSError:
        return 0


def is_exhausted(folder: bytes) -> bool:
    """Try to add one more watch, on a folder; False where that can't be tried."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = libc.inotify_init1(_IN_CLOEXEC)
    except (OSError, AttributeError):
        return False
    if descriptor < 0:
        return False  # no further instance can be had, which says nothing about the watches of those there are
    try:
        return libc.inotify_add_watch(descriptor, folder, _IN_ATTRIB) < 0 and ctypes.get_errno() == errno.ENOSPC
    finally:
        os.close(descriptor)
