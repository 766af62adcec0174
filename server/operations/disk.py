"""What the steps of a job need to know of the disk, and the small questions they ask it (blocking)."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from server import paths
from server.operations.failure import OperationFailed
from server.operations.model import Facts, Place, Step
from server.tracks.model import FileFacts, signed

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR}
PROGRESS_SECONDS = 0.1


class Stopped(Exception):
    """The server is stopping, or lost the right to work; the job is taken up again by whoever comes next."""


@dataclass(slots=True)
class Disk:
    """`roots`: the path of every library directory. `is_resumed`: the job may have been at work before.

    `note` durably changes a step in the journal (operation id, number of the step, changed fields) before it returns;
    `report` is told the bytes copied so far; `stop` ends a long copy. `at_work` is the operation that is being worked
    on; `is_past_return`: files have been removed for good, so that the job can't be taken back any more.
    """

    roots: Mapping[str, bytes]
    is_resumed: bool = False
    note: Callable[[str, int, dict[str, int]], None] = lambda *_: None
    report: Callable[[str, int, int], None] = lambda *_: None
    stop: threading.Event = field(default_factory=threading.Event)
    reported_at: float = 0.0
    at_work: str | None = None
    is_past_return: bool = False

    def go_on(self) -> None:
        """Raise `Stopped` when the job is to be left as it is: from now on another process may work on it."""
        if self.stop.is_set():
            raise Stopped

    def progress(self, operation_id: str, done: int, total: int) -> None:
        """Report a copy's progress, ten times a second at most; raises `Stopped` when it is to end."""
        self.go_on()
        now = time.monotonic()
        if now - self.reported_at >= PROGRESS_SECONDS or done == total:
            self.reported_at = now
            self.report(operation_id, done, total)

    @contextmanager
    def folder(self, place: Place) -> Iterator[int | None]:
        """The open folder that a place lies in; None when it isn't there."""
        try:
            descriptor = paths.open_folder(self.roots[place.library_directory_id], os.path.dirname(place.path))
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            self.root(place)
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def root(self, place: Place) -> bytes:
        """The root of a place's library directory; a missing root is a drive that went away, not a missing file."""
        root = self.roots.get(place.library_directory_id)
        if root is None or not os.path.isdir(root):
            raise OperationFailed("directory_unavailable", "its library directory can't be reached", is_transient=True)
        return root

    def facts(self, place: Place) -> FileFacts | None:
        """What lies at a place, if it is a regular file."""
        with self.folder(place) as folder:
            status = None if folder is None else look(folder, os.path.basename(place.path))
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        return FileFacts(status.st_size, status.st_mtime_ns, signed(status.st_ino), signed(status.st_dev))


def look(folder: int, name: bytes) -> os.stat_result | None:
    """`stat` of a name without following a link; None when there is nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise


def is_source(status: os.stat_result | None, facts: Facts) -> bool:
    """Whether this is, unchanged, the file that the facts describe."""
    return (
        status is not None
        and stat.S_ISREG(status.st_mode)
        and (status.st_size, status.st_mtime_ns, signed(status.st_ino)) == (facts.size, facts.mtime_ns, facts.inode)
    )


def is_result(status: os.stat_result | None, step: Step) -> bool:
    """Whether this is what the step has put there: the renamed file itself, or its copy.

    A copy is told by its inode alone, since some file systems round the time of change.
    """
    if status is None or not stat.S_ISREG(status.st_mode) or status.st_size != step.facts.size:
        return False
    if step.copy_inode is not None and signed(status.st_ino) == step.copy_inode:
        return True
    return is_source(status, step.facts)


def remove(folder: int, name: bytes) -> None:
    """Remove a name if it is there."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    os.fsync(folder)
