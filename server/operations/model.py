"""A file operation as data: what was asked for, and the exact steps that were planned for the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import orjson

from server.clock import to_rfc3339
from server.db.database import Row


class Kind(StrEnum):
    MOVE = "move"
    RENAME = "rename"
    DELETE = "delete"
    UNDO = "undo"


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDONE = "undone"


class OnConflict(StrEnum):
    """When something lies at the target: `fail`, or take the next free name (`Title (2).mp3`)."""

    FAIL = "fail"
    SUFFIX = "suffix"


@dataclass(frozen=True, slots=True)
class Place:
    """A path within a library directory, byte for byte."""

    library_directory_id: str
    path: bytes

    def as_json(self) -> dict[str, str]:
        return {"library_directory_id": self.library_directory_id, "path": self.path.decode("utf-8", "replace")}

    def stored(self) -> list[str]:
        return [self.library_directory_id, quote_from_bytes(self.path, safe="/ ")]


def place_of(stored: list[str]) -> Place:
    return Place(stored[0], unquote_to_bytes(stored[1]))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file is recognised by: bytes, ns since the epoch, and the inode (signed, as in the tracks' rows)."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Step:
    """One file that goes from one place to another. `facts` describe it at its source.

    `copy_inode` is noted before a copy on another file system gets its final name, so that after a crash the copy is
    known from any other file that may lie there.
    """

    source: Place
    target: Place
    facts: Facts
    copy_inode: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything an operation does to the disk. The first step is the track's own file, others are side-cars.

    `folders` didn't exist and are made first; taking the plan back removes them again. `manifest` is written to
    `manifest_at` before the file comes. `discard` are removed, and `tidy` (folders, if empty) too, once every step of
    the whole job is done. `audio_hash`, when given, is what the file's audio must still have.
    """

    steps: tuple[Step, ...]
    folders: tuple[Place, ...] = ()
    manifest_at: Place | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    discard: tuple[Place, ...] = ()
    tidy: tuple[Place, ...] = ()
    audio_hash: str | None = None

    def stored(self) -> str:
        return orjson.dumps(
            {
                "steps": [
                    {
                        "source": step.source.stored(),
                        "target": step.target.stored(),
                        "facts": [step.facts.size, step.facts.mtime_ns, step.facts.inode],
                        "copy_inode": step.copy_inode,
                    }
                    for step in self.steps
                ],
                "folders": [place.stored() for place in self.folders],
                "manifest_at": None if self.manifest_at is None else self.manifest_at.stored(),
                "manifest": self.manifest,
                "discard": [place.stored() for place in self.discard],
                "tidy": [place.stored() for place in self.tidy],
                "audio_hash": self.audio_hash,
            }
        ).decode()


def plan_of(stored: str) -> Plan:
    content = orjson.loads(stored)
    return Plan(
        steps=tuple(
            Step(place_of(step["source"]), place_of(step["target"]), Facts(*step["facts"]), step["copy_inode"])
            for step in content["steps"]
        ),
        folders=tuple(place_of(place) for place in content["folders"]),
        manifest_at=None if content["manifest_at"] is None else place_of(content["manifest_at"]),
        manifest=content["manifest"],
        discard=tuple(place_of(place) for place in content["discard"]),
        tidy=tuple(place_of(place) for place in content["tidy"]),
        audio_hash=content["audio_hash"],
    )


@dataclass(frozen=True, slots=True)
class Options:
    """How an operation is to be done. `audio_hash`: refuse unless the file's audio still has this hash."""

    create_directories: bool = True
    on_conflict: OnConflict = OnConflict.FAIL
    with_sidecars: bool = True
    permanent: bool = False
    audio_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for: a track's file to `target`, or (without one) to the trash."""

    kind: Kind
    track_id: str
    target: Place | None = None
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A line of the journal. `source` is where the file was when it was asked for; times in Unix milliseconds."""

    id: str
    job_id: str
    batch_id: str | None
    kind: Kind
    state: State
    track_id: str
    undo_of: str | None
    source: Place
    target: Place | None
    options: Options
    plan: Plan | None
    attempts: int
    error_code: str | None
    error: str | None
    bytes: int
    created_at: int
    started_at: int | None
    finished_at: int | None

    def as_json(self) -> dict[str, Any]:
        """The operation as the API shows it."""
        return {
            "id": self.id,
            "batch_id": self.batch_id,
            "kind": self.kind,
            "state": self.state,
            "track_id": self.track_id,
            "undo_of": self.undo_of,
            "from": self.source.as_json(),
            "to": None if self.target is None else self.target.as_json(),
            "options": {
                "create_directories": self.options.create_directories,
                "on_conflict": self.options.on_conflict,
                "with_sidecars": self.options.with_sidecars,
                "permanent": self.options.permanent,
            },
            "attempts": self.attempts,
            "error": None if self.error_code is None else {"code": self.error_code, "detail": self.error},
            "bytes": self.bytes,
            "created_at": to_rfc3339(self.created_at),
            "started_at": to_rfc3339(self.started_at),
            "finished_at": to_rfc3339(self.finished_at),
        }


def from_row(row: Row) -> Operation:
    options = orjson.loads(row["options"])
    has_target = row["to_directory_id"] is not None
    return Operation(
        id=row["id"],
        job_id=row["job_id"],
        batch_id=row["batch_id"],
        kind=Kind(row["kind"]),
        state=State(row["state"]),
        track_id=row["track_id"],
        undo_of=row["undo_of"],
        source=Place(row["library_directory_id"], bytes(row["path"])),
        target=Place(row["to_directory_id"], bytes(row["to_path"])) if has_target else None,
        options=Options(**{**options, "on_conflict": OnConflict(options["on_conflict"])}),
        plan=None if row["steps"] is None else plan_of(row["steps"]),
        attempts=row["attempts"],
        error_code=row["error_code"],
        error=row["error"],
        bytes=row["bytes"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
