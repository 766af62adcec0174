"""Reading one file: what it says and what it is. Runs in a worker process, since parsers meet hostile files."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from server.hashing.container import Container, identify_window
from server.hashing.errors import HashingError
from server.hashing.recording import hash_window
from server.hashing.window import CAPACITY, Window
from server.metadata.assemble import assemble
from server.metadata.draft import Draft
from server.metadata.read import read
from server.scanning.model import Failure
from server.tracks.model import FileFacts, HashState, Values, file_values, new_values, signed
from server.tracks.resource import serialise


@dataclass(frozen=True, slots=True)
class Task:
    """A file to read. `path` is relative to `Order.root`; `track_id` is given to it if it turns out to be new.

    `facts` are those of the walk, for a file that can't be read at all.
    """

    path: bytes
    track_id: str
    facts: FileFacts


@dataclass(frozen=True, slots=True)
class Order:
    """What is common to the files of one request. `now` in Unix milliseconds is when new tracks were added."""

    root: bytes
    library_directory_id: str
    with_hash: bool
    follow_symlinks: bool
    now: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. `row` and `json` are those of a new track; `read` is the part that comes from the file.

    All three are None when the file couldn't be opened or changed under the reader: then nothing is known of it.
    """

    path: bytes
    track_id: str
    read: Values | None
    row: Values | None
    json: bytes | None
    failures: tuple[Failure, ...]


def read_task(task: Task, order: Order) -> Outcome:
    """Read a file. Nothing that is in it, or that happens to it meanwhile, raises."""
    readable = task.path.decode("utf-8", "replace")
    try:
        values, failures = _read(task, order, readable)
    except OSError as error:
        code = {PermissionError: "permission_denied", FileNotFoundError: "vanished"}.get(type(error), "io_error")
        return _unread(task, Failure(readable, code, error.strerror or str(error)))
    except MemoryError:
        return by_name_only(task, order, "out_of_memory", "reading it takes more memory than a file may use")
    if values is None:
        return _unread(task, Failure(readable, "changed_while_read", "it changed while it was being read"))
    return _outcome(task, order, values, failures)


def by_name_only(task: Task, order: Order, code: str, reason: str) -> Outcome:
    """A file whose parser failed badly is still a track, known by its name."""
    name = os.fsdecode(os.path.basename(task.path))
    metadata = assemble(Draft(), None, name, f"{code}: {reason}")
    values = file_values(metadata, task.facts, None, HashState.FAILED)
    return _outcome(task, order, values, [Failure(task.path.decode("utf-8", "replace"), code, reason)])


def _outcome(task: Task, order: Order, values: Values, failures: list[Failure]) -> Outcome:
    row = new_values(task.track_id, order.library_directory_id, task.path, values, order.now)
    return Outcome(task.path, task.track_id, values, row, serialise(row, order.root), tuple(failures))


def _unread(task: Task, failure: Failure) -> Outcome:
    return Outcome(task.path, task.track_id, None, None, None, (failure,))


def _read(task: Task, order: Order, readable: str) -> tuple[Values | None, list[Failure]]:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if order.follow_symlinks else os.O_NOFOLLOW)
    descriptor = os.open(os.path.join(order.root, task.path), flags)
    with open(descriptor, "rb", buffering=0) as file, Window(file) as window:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(None, "isn't a regular file")
        failures: list[Failure] = []
        # What is hashed is read anyway, so for most files one read serves identification, tags and hash.
        window.view(0, CAPACITY if order.with_hash else 1)
        name = os.fsdecode(os.path.basename(task.path))
        container = identify_window(window, name)
        metadata = read(file, container, name, window)
        hash_state, audio_hash = HashState.PENDING, None
        if order.with_hash:
            hash_state, audio_hash = _hash(window, container, readable, failures)
        if metadata.tags_error is not None:
            code, _, reason = metadata.tags_error.partition(": ")
            if code == "io_error":
                # The drive failed, not the file: what is known of it must stay.
                raise OSError(errno.EIO, reason)
            failures.append(Failure(readable, code, reason))
        facts = _facts(before)
        if _facts(os.fstat(descriptor)) != facts:
            return None, failures
        return file_values(metadata, facts, audio_hash, hash_state), failures


def _hash(
    window: Window, container: Container | None, readable: str, failures: list[Failure]
) -> tuple[HashState, str | None]:
    if container is None:
        return HashState.FAILED, None
    try:
        audio_hash = hash_window(window, container)
    except HashingError as error:
        failures.append(Failure(readable, error.code, error.reason))
        return HashState.FAILED, None
    return (HashState.EMPTY, None) if audio_hash is None else (HashState.DONE, audio_hash)


def _facts(status: os.stat_result) -> FileFacts:
    return FileFacts(status.st_size, status.st_mtime_ns, signed(status.st_ino), signed(status.st_dev))
