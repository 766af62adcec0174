"""Which jobs may start: in order for each file and each place, several at once overall. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.operations.model import Operation, Place, State
from server.operations.transfer import folded


@dataclass(frozen=True, slots=True)
class Job:
    """Operations that are done together or not at all, in the order they were asked for."""

    id: str
    operations: tuple[Operation, ...]

    @property
    def is_running(self) -> bool:
        return any(operation.state is State.RUNNING for operation in self.operations)


def jobs_of(operations: Iterable[Operation]) -> list[Job]:
    """The jobs of operations that come in order."""
    found: dict[str, list[Operation]] = {}
    for operation in operations:
        found.setdefault(operation.job_id, []).append(operation)
    return [Job(job_id, tuple(members)) for job_id, members in found.items()]


def ready(waiting: Sequence[Job], running: Iterable[Job], room: int) -> list[Job]:
    """The first `room` jobs that touch nothing which a job before them, or one that runs, touches too."""
    busy: set[object] = set()
    for job in running:
        busy |= touched(job)
    chosen: list[Job] = []
    for job in waiting:
        if len(chosen) >= room:
            break
        own = touched(job)
        if not busy & own:
            chosen.append(job)
        busy |= own  # what comes later waits for it, too
    return chosen


def touched(job: Job) -> set[object]:
    """The tracks, and the places as a file system that ignores case knows them."""
    found: set[object] = set()
    for operation in job.operations:
        found.add(operation.track_id)
        found.add(_key(operation.source))
        if operation.target is not None:
            found.add(_key(operation.target))
    return found


def _key(place: Place) -> tuple[str, str]:
    return place.library_directory_id, folded(place.path)
