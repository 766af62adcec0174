"""The scan as a resource: what was asked for, how far it is, what it counted, and every file that failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any

import orjson

from server.clock import to_rfc3339
from server.db.database import Row


class Strategy(StrEnum):
    """`fast`: tags of new and changed files, hashes follow; `hybrid`: their tags and hashes; `full`: all files."""

    FAST = "fast"
    HYBRID = "hybrid"
    FULL = "full"


class Priority(IntEnum):
    LOW = 0
    NORMAL = 1
    HIGH = 2


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_active(self) -> bool:
        return self in (State.QUEUED, State.RUNNING, State.PAUSED)


@dataclass(slots=True)
class Counts:
    """Files, by what a scan made of them. `found` is all that the walk saw."""

    found: int = 0
    added: int = 0
    updated: int = 0
    moved: int = 0
    restored: int = 0
    missing: int = 0
    unchanged: int = 0
    failed: int = 0

    def add(self, other: Counts) -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    def plus(self, other: Counts) -> Counts:
        total = replace(self)
        total.add(other)
        return total


@dataclass(frozen=True, slots=True)
class Failure:
    """A file or folder that couldn't be read, or not wholly; `code` for programs, `reason` for people."""

    path: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """`owner` is the run of a process that works on it."""

    id: str
    library_directory_id: str
    strategy: Strategy
    priority: Priority
    path: bytes
    state: State
    counts: Counts
    error: str | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    owner: str | None = None
    is_cancel_asked: bool = False
    failures: tuple[Failure, ...] = field(default=())

    def as_json(self, max_failures: int | None = None) -> dict[str, Any]:
        """The scan as the API shows it; an event carries at most `max_failures` of the failures."""
        failures = self.failures if max_failures is None else self.failures[:max_failures]
        return {
            "id": self.id,
            "library_directory_id": self.library_directory_id,
            "strategy": self.strategy,
            "priority": self.priority.name.lower(),
            "path": self.path.decode("utf-8", "replace"),
            "state": self.state,
            "created_at": to_rfc3339(self.created_at),
            "started_at": to_rfc3339(self.started_at),
            "finished_at": to_rfc3339(self.finished_at),
            "counts": asdict(self.counts),
            "failures": [asdict(failure) for failure in failures],
            "error": self.error,
        }


def from_row(row: Row, failures: tuple[Failure, ...] = ()) -> Scan:
    return Scan(
        id=row["id"],
        library_directory_id=row["library_directory_id"],
        strategy=Strategy(row["strategy"]),
        priority=Priority(row["priority"]),
        path=bytes(row["path"]),
        state=State(row["state"]),
        counts=Counts(**orjson.loads(row["counts"])),
        error=row["error"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        owner=row["owner"],
        is_cancel_asked=bool(row["is_cancel_asked"]),
        failures=failures,
    )
