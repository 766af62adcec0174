"""What a reading process is asked at once: some files, and what is common to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server import ids
from server.scanning.reader import Order, Task
from server.scanning.walk import Entry
from server.tracks.model import FileFacts

MAX_FILES = 32
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """Files to read, and how many bytes they have in all."""

    order: Order
    tasks: Sequence[Task]
    size: int


def requests(order: Order, entries: Sequence[Entry]) -> Iterator[Request]:
    """Entries in portions that keep a process busy for a moment."""
    tasks: list[Task] = []
    size = 0
    for entry in entries:
        tasks.append(task_of(entry))
        size += entry.size
        if len(tasks) >= MAX_FILES or size >= MAX_BYTES:
            yield Request(order, tasks, size)
            tasks, size = [], 0
    if tasks:
        yield Request(order, tasks, size)


def task_of(entry: Entry) -> Task:
    """What a worker is asked to do about a file; its track, if it is new, gets the id that stands in it."""
    return Task(entry.path, ids.new_id(), FileFacts(entry.size, entry.mtime_ns, entry.inode, entry.device))
