"""Why an operation failed, as a stable code; and which failures may go away by themselves."""

from __future__ import annotations

import errno

from server import paths

_TRANSIENT = {
    errno.EIO: "io_error",
    errno.EBUSY: "busy",
    errno.ETXTBSY: "busy",
    errno.EAGAIN: "busy",
    errno.EINTR: "busy",
    errno.EMFILE: "too_many_open_files",
    errno.ENFILE: "too_many_open_files",
    errno.ENOMEM: "out_of_memory",
    errno.ESTALE: "network_error",
    errno.ETIMEDOUT: "network_error",
    errno.EHOSTDOWN: "network_error",
    errno.EHOSTUNREACH: "network_error",
    errno.ENETUNREACH: "network_error",
    errno.ECONNRESET: "network_error",
    errno.ENOTCONN: "network_error",
    errno.EREMOTEIO: "network_error",
}
_DEFINITE = {
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EROFS: "read_only",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.ENAMETOOLONG: "name_too_long",
    errno.EINVAL: "invalid_name",
    errno.EILSEQ: "invalid_name",
    errno.EEXIST: "target_exists",
    errno.ENOENT: "vanished",
    errno.ENOTDIR: "not_a_folder",
    errno.ELOOP: "changed_on_disk",
    errno.EISDIR: "changed_on_disk",
}


class OperationFailed(Exception):
    """The disk wasn't as it had to be, or refused. `is_transient`: the same again may work in a moment."""

    def __init__(self, code: str, reason: str, *, is_transient: bool = False):
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.is_transient = is_transient


def failure_of(error: Exception) -> OperationFailed:
    """What an exception from the file system means."""
    if isinstance(error, OperationFailed):
        return error
    if isinstance(error, paths.Outside):
        return OperationFailed(error.code, error.detail)
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        if error.errno in _DEFINITE:
            return OperationFailed(_DEFINITE[error.errno], reason)
        return OperationFailed(_TRANSIENT.get(error.errno or 0, "io_error"), reason, is_transient=True)
    raise error
