"""One step on the disk: a file from its source to its target, there whole at every instant (blocking).

Doing a step again is harmless: what an earlier attempt has achieved, perhaps before a crash, is found on the disk and
taken from there. So recovery is nothing but doing the job again, or taking it back.
"""

from __future__ import annotations

import errno
import os
import unicodedata

from server.operations.copying import copy
from server.operations.disk import Disk, is_result, is_source, look, remove
from server.operations.failure import OperationFailed
from server.operations.model import Facts, Step
from server.operations.rename import rename
from server.tracks.model import signed


def temporary_name(operation_id: str, number: int) -> bytes:
    """The name beside the target that only this step uses."""
    return f".mismo-{operation_id}-{number}.part".encode()


def transfer(operation_id: str, number: int, step: Step, disk: Disk) -> None:
    """Bring the file to its target. Raises OSError, `OperationFailed`, `Stopped`."""
    disk.go_on()
    from_name, to_name = os.path.basename(step.source.path), os.path.basename(step.target.path)
    temporary = temporary_name(operation_id, number)
    with disk.folder(step.source) as from_folder, disk.folder(step.target) as to_folder:
        if to_folder is None:
            raise OperationFailed("no_such_folder", "the target's folder isn't there")
        at_source = None if from_folder is None else look(from_folder, from_name)
        at_target = look(to_folder, to_name)
        if from_folder is None or at_source is None or not is_source(at_source, step.facts):
            _finish(step, to_folder, to_name, temporary, was_there=at_source is not None)
        elif at_target is None:
            _put(operation_id, number, step, disk, from_folder, to_folder)
        elif _is_same_file(at_source, at_target):
            _resolve_two_names(from_folder, from_name, to_folder, to_name, temporary)
        elif step.copy_inode is not None and is_result(at_target, step):
            # The copy got its name; all that is left is to remove the source.
            remove(from_folder, from_name)
        else:
            raise OperationFailed("target_exists", "something lies at the target already")
        if from_folder is not None and look(from_folder, temporary) is not None:
            remove(from_folder, temporary)  # of a copy back that was cut short
        _sync(from_folder, to_folder)


def _sync(from_folder: int | None, to_folder: int) -> None:
    os.fsync(to_folder)
    if from_folder is not None:
        os.fsync(from_folder)


def _finish(step: Step, to_folder: int, to_name: bytes, temporary: bytes, *, was_there: bool) -> None:
    """The source is gone or another file: fine when the file has arrived already."""
    if is_result(look(to_folder, to_name), step):
        return
    if is_source(look(to_folder, temporary), step.facts):
        rename(to_folder, temporary, to_folder, to_name)
        return
    if was_there:
        raise OperationFailed("changed_on_disk", "the file changed since the library last saw it")
    raise OperationFailed("vanished", "the file isn't there any more")


def _put(operation_id: str, number: int, step: Step, disk: Disk, from_folder: int, to_folder: int) -> None:
    from_name, to_name = os.path.basename(step.source.path), os.path.basename(step.target.path)
    try:
        rename(from_folder, from_name, to_folder, to_name)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    temporary = temporary_name(operation_id, number)
    remove(to_folder, temporary)
    copied = copy(
        from_folder, from_name, to_folder, temporary, step.facts,
        lambda done: disk.progress(operation_id, done, step.facts.size),
    )  # fmt: skip
    disk.note(operation_id, number, {"copy_inode": copied.inode})
    rename(to_folder, temporary, to_folder, to_name)
    os.fsync(to_folder)
    left = look(from_folder, from_name)
    if is_source(left, step.facts):
        remove(from_folder, from_name)
    elif left is not None and signed(left.st_ino) == step.facts.inode:
        # Written to between the check and here: the copy is out of date, what counts is the source.
        remove(to_folder, to_name)
        raise OperationFailed("changed_on_disk", "the file changed while it was being copied")


def _is_same_file(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _resolve_two_names(from_folder: int, from_name: bytes, to_folder: int, to_name: bytes, temporary: bytes) -> None:
    """One file answers to both names: two links of a rename in two parts, or a file system that ignores case."""
    if _is_same_file(os.fstat(from_folder), os.fstat(to_folder)) and is_case_change(from_name, to_name):
        names = {os.fsencode(name) for name in os.listdir(from_folder)}
        if not {from_name, to_name} <= names:
            rename(from_folder, from_name, from_folder, temporary)
            rename(from_folder, temporary, to_folder, to_name)
            return
    remove(from_folder, from_name)


def is_case_change(one: bytes, other: bytes) -> bool:
    """Whether two names differ in case or in the composition of their letters only."""
    return one != other and folded(one) == folded(other)


def folded(name: bytes) -> str:
    """A name as file systems that ignore case compare it."""
    return unicodedata.normalize("NFC", os.fsdecode(name)).casefold()


def take_back(operation_id: str, number: int, step: Step, disk: Disk) -> None:
    """Bring the file back to its source, from wherever the step has got to; nothing of the step stays.

    A source that somebody else has filled meanwhile is left alone, and so the file stays at the target.
    """
    from_name, to_name = os.path.basename(step.source.path), os.path.basename(step.target.path)
    temporary = temporary_name(operation_id, number)
    with disk.folder(step.source) as from_folder, disk.folder(step.target) as to_folder:
        if to_folder is None:
            return
        at_source = None if from_folder is None else look(from_folder, from_name)
        at_target = look(to_folder, to_name)
        if not is_source(look(to_folder, temporary), step.facts):
            remove(to_folder, temporary)
        elif from_folder is not None and at_source is None:
            rename(to_folder, temporary, from_folder, from_name)
        else:
            # Between two names, and the old one taken: forward is the only way left.
            rename(to_folder, temporary, to_folder, to_name)
        if is_result(at_target, step):
            if is_source(at_source, step.facts):
                remove(to_folder, to_name)
            elif at_source is None and from_folder is not None:
                _put_back(operation_id, number, step, disk, from_folder, to_folder)
        if from_folder is not None and look(from_folder, temporary) is not None:
            remove(from_folder, temporary)
        _sync(from_folder, to_folder)


def _put_back(operation_id: str, number: int, step: Step, disk: Disk, from_folder: int, to_folder: int) -> None:
    from_name, to_name = os.path.basename(step.source.path), os.path.basename(step.target.path)
    try:
        rename(to_folder, to_name, from_folder, from_name)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    temporary = temporary_name(operation_id, number)
    remove(from_folder, temporary)
    there = disk.facts(step.target)
    if there is None:
        raise OperationFailed("vanished", "the file isn't there any more")
    facts = Facts(there.size, there.mtime_ns, there.inode)
    try:
        copied = copy(
            to_folder, to_name, from_folder, temporary, facts,
            lambda done: disk.progress(operation_id, done, facts.size),
        )  # fmt: skip
        # From here on the copy is "the source", should this be interrupted.
        disk.note(operation_id, number, {"inode": copied.inode, "copy_inode": there.inode})
        rename(from_folder, temporary, from_folder, from_name)
    except BaseException:
        remove(from_folder, temporary)
        raise
    os.fsync(from_folder)
    remove(to_folder, to_name)
