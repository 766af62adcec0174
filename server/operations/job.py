"""The operations that are done together or not at all, on the disk (blocking)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from server.hashing.errors import HashingError
from server.hashing.recording import hash_file
from server.operations.disk import Disk, is_result, look, remove
from server.operations.failure import OperationFailed
from server.operations.model import Place, Plan, Step
from server.operations.transfer import take_back, temporary_name, transfer
from server.tracks.model import FileFacts

_STILL_USED = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR}


@dataclass(frozen=True, slots=True)
class Planned:
    """An operation and its plan."""

    operation_id: str
    plan: Plan


def carry_out(job: Sequence[Planned], disk: Disk) -> dict[str, FileFacts | None]:
    """Do every step of every operation, in order; returns what lies at each target (None once it is removed for good).

    May be called again after it failed, or after a crash. Raises OSError, `OperationFailed`, `Stopped`.
    """
    for planned in job:
        disk.at_work = planned.operation_id
        _carry_out_one(planned, disk)
    arrived = {planned.operation_id: disk.facts(planned.plan.steps[0].target) for planned in job}
    # Nothing is removed for good before everything of the job that may fail is done.
    disk.is_past_return = any(planned.plan.discard for planned in job)
    for planned in job:
        _tidy_up(planned, disk)
    return arrived


def _carry_out_one(planned: Planned, disk: Disk) -> None:
    plan = planned.plan
    if disk.is_resumed and _is_discarded(plan, disk):
        return
    if plan.audio_hash is not None:
        _verify_audio(plan.steps[0], plan.audio_hash, disk)
    for folder in plan.folders:
        _make_folder(folder, disk)
    if plan.manifest_at is not None:
        _write_manifest(plan.manifest_at, plan.manifest, planned.operation_id, disk)
    for number, step in enumerate(plan.steps):
        transfer(planned.operation_id, number, step, disk)


def _is_discarded(plan: Plan, disk: Disk) -> bool:
    """Whether an earlier attempt has begun to remove the files for good: then that is all that is left to do."""
    step = plan.steps[0]
    return step.target in plan.discard and disk.facts(step.source) is None and disk.facts(step.target) is None


def _verify_audio(step: Step, expected: str, disk: Disk) -> None:
    if disk.facts(step.source) is None:
        return  # it has moved on already, or is gone, which its step finds out
    try:
        found = hash_file(Path(os.fsdecode(os.path.join(disk.root(step.source), step.source.path)))).audio_hash
    except HashingError as error:
        raise OperationFailed("audio_differs", f"its audio can't be verified: {error.reason}") from error
    if found != expected:
        raise OperationFailed("audio_differs", "its audio isn't what the library knows")


def _make_folder(place: Place, disk: Disk) -> None:
    with disk.folder(place) as parent:
        if parent is None:
            raise OperationFailed("no_such_folder", "the target's folder isn't there")
        name = os.path.basename(place.path)
        try:
            os.mkdir(name, dir_fd=parent)
        except FileExistsError:
            there = look(parent, name)
            if there is not None and stat.S_ISREG(there.st_mode):
                raise OperationFailed(
                    "not_a_folder", "something that isn't a folder lies on the way to the target"
                ) from None
            return
        os.fsync(parent)


def _write_manifest(place: Place, content: Mapping[str, Any], operation_id: str, disk: Disk) -> None:
    name, temporary = os.path.basename(place.path), temporary_name(operation_id, 0)
    with disk.folder(place) as folder:
        if folder is None:
            raise OperationFailed("no_such_folder", "the trash isn't there")
        if look(folder, name) is not None:
            return
        remove(folder, temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o644, dir_fd=folder), "wb") as file:
            file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def _tidy_up(planned: Planned, disk: Disk) -> None:
    plan = planned.plan
    own = {step.target: step for step in plan.steps}
    for place in plan.discard:
        with disk.folder(place) as folder:
            if folder is None:
                continue
            name = os.path.basename(place.path)
            if place in own and not is_result(look(folder, name), own[place]):
                continue
            remove(folder, name)
    for place in reversed(plan.tidy):
        _remove_folder(place, disk)


def _remove_folder(place: Place, disk: Disk) -> None:
    with disk.folder(place) as parent:
        if parent is None:
            return
        try:
            os.rmdir(os.path.basename(place.path), dir_fd=parent)
        except OSError as error:
            if error.errno not in _STILL_USED:
                raise
            return
        os.fsync(parent)


@dataclass(frozen=True, slots=True)
class Left:
    """Where the track's file of an operation is after all was taken back: at the target still, or at its source."""

    at_target: FileFacts | None
    at_source: FileFacts | None


def take_all_back(job: Sequence[Planned], disk: Disk) -> dict[str, Left]:
    """Undo what was done of a job, in reverse. Nothing temporary stays. May be called again.

    A file stays at its target only if its old place was taken by another one meanwhile.
    """
    for planned in reversed(job):
        plan = planned.plan
        for number, step in reversed(list(enumerate(plan.steps))):
            take_back(planned.operation_id, number, step, disk)
        if plan.manifest_at is not None and not _has_arrived(plan, disk):
            _remove_manifest(plan.manifest_at, planned.operation_id, disk)
        for folder in reversed(plan.folders):
            _remove_folder(folder, disk)
    return {planned.operation_id: _left(planned.plan, disk) for planned in job}


def _left(plan: Plan, disk: Disk) -> Left:
    step = plan.steps[0]
    return Left(disk.facts(step.target) if _has_arrived(plan, disk) else None, disk.facts(step.source))


def _has_arrived(plan: Plan, disk: Disk) -> bool:
    step = plan.steps[0]
    with disk.folder(step.target) as folder:
        return folder is not None and is_result(look(folder, os.path.basename(step.target.path)), step)


def _remove_manifest(place: Place, operation_id: str, disk: Disk) -> None:
    with disk.folder(place) as folder:
        if folder is not None:
            remove(folder, temporary_name(operation_id, 0))
            remove(folder, os.path.basename(place.path))
