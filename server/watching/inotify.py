"""Whether the system has inotify watches left: above the limit new folders go unwatched without a word (inotify(7))."""

from __future__ import annotations

import ctypes
import errno
import os

_IN_ATTRIB = 0x4
_IN_CLOEXEC = os.O_CLOEXEC


def is_exhausted(folder: bytes) -> bool:
    """Try to add one more watch, on a folder; False where there is no inotify at all."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = libc.inotify_init1(_IN_CLOEXEC)
    except (OSError, AttributeError):
        return False
    if descriptor < 0:
        return ctypes.get_errno() in (errno.EMFILE, errno.ENFILE)
    try:
        return libc.inotify_add_watch(descriptor, folder, _IN_ATTRIB) < 0 and ctypes.get_errno() == errno.ENOSPC
    finally:
        os.close(descriptor)
