"""A rename that refuses to overwrite, relative to open folders (blocking)."""

from __future__ import annotations

import ctypes
import errno
import os

from server.operations.failure import OperationFailed

_RENAME_NOREPLACE = 1
# Linux: file systems and kernels that don't know the flag.
_UNKNOWN_FLAG = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}

_libc = ctypes.CDLL(None, use_errno=True)
_renameat2 = getattr(_libc, "renameat2", None)


def rename(from_folder: int, from_name: bytes, to_folder: int, to_name: bytes) -> None:
    """Give a file another name in one step; raises FileExistsError when there is something by that name.

    `renameat2(RENAME_NOREPLACE)`; where that isn't known, a hard link under the new name and then the old name removed,
    which refuses to overwrite as well. Raises OSError (EXDEV between file systems), or `OperationFailed` when the file
    system offers neither.
    """
    error = _rename_exclusively(from_folder, from_name, to_folder, to_name)
    if error == 0:
        return
    if error not in _UNKNOWN_FLAG:
        raise OSError(error, os.strerror(error), os.fsdecode(to_name))
    _link_and_unlink(from_folder, from_name, to_folder, to_name)


def _rename_exclusively(from_folder: int, from_name: bytes, to_folder: int, to_name: bytes) -> int:
    """The error number, 0 for success."""
    if _renameat2 is None:
        return errno.ENOSYS
    while True:
        if _renameat2(from_folder, from_name, to_folder, to_name, _RENAME_NOREPLACE) == 0:
            return 0
        error = ctypes.get_errno()
        if error != errno.EINTR:
            return error


def _link_and_unlink(from_folder: int, from_name: bytes, to_folder: int, to_name: bytes) -> None:
    try:
        os.link(from_name, to_name, src_dir_fd=from_folder, dst_dir_fd=to_folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise OperationFailed(
                "no_safe_rename", "this file system can't rename without the risk of overwriting"
            ) from error
        raise
    os.fsync(to_folder)
    os.unlink(from_name, dir_fd=from_folder)
