"""Drives that are mounted inside a library directory: known by what was on them, so that they can be away.

Blocking, for a thread. An empty mount point looks like a folder whose files were all deleted; what tells them apart is
that something was mounted there before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.libraries import mounts
from server.libraries.availability import names_in

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Away(OSError):
    """What lies on this drive can't be looked at, since it isn't there."""


@dataclass(frozen=True, slots=True)
class InnerMount:
    """`path` is relative to the library directory; `names` are some of what was on it, as `names_in` gives them."""

    path: bytes
    device: int
    names: tuple[str, ...]

    @property
    def prefix(self) -> bytes:
        return self.path + b"/"

    def as_json(self) -> dict[str, Any]:
        return {"path": self.path.hex(), "device": self.device, "names": list(self.names)}


def from_json(value: Mapping[str, Any]) -> InnerMount:
    return InnerMount(bytes.fromhex(value["path"]), value["device"], tuple(value["names"]))


@dataclass(frozen=True, slots=True)
class Look:
    """The inner mounts that are there now, and those of the known ones that are away."""

    there: list[InnerMount]
    away: list[InnerMount]


def look(root: bytes, known: Sequence[InnerMount]) -> Look:
    """Raises OSError when the root can't be opened."""
    found = Look([], [])
    expected = {mount.path: mount for mount in known}
    descriptor = os.open(root, _OPEN)
    try:
        for path in mounts.below(os.path.realpath(root), mounts.read_mounts()):
            before = expected.pop(path, None)
            seen = _seen(descriptor, path) or before
            if seen is not None:
                found.there.append(seen)
        paths = {mount.path for mount in known}
        new = {(mount.device, mount.names) for mount in found.there if mount.path not in paths}
        for mount in expected.values():
            try:
                os.close(open_mount(descriptor, mount))
            except Away:
                if (mount.device, mount.names) not in new:  # else a folder above it was renamed
                    found.away.append(mount)
    finally:
        os.close(descriptor)
    return found


def _seen(root: int, path: bytes) -> InnerMount | None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, _OPEN, dir_fd=root)
        try:
            return InnerMount(path, os.fstat(descriptor).st_dev, tuple(names_in(descriptor)))
        finally:
            os.close(descriptor)
    return None  # a file, or a folder that isn't ours to read


def open_mount(root: int, mount: InnerMount) -> int:
    """A descriptor of the folder where a drive was mounted; raises `Away` when neither it nor its content is there.

    Another drive at its place is there: it has taken the place of the first. So has a folder that holds the same.
    """
    try:
        descriptor = os.open(mount.path, _OPEN, dir_fd=root)
    except OSError as error:
        raise Away(error.errno, f"nothing is mounted here ({error.strerror})") from None
    try:
        outside = os.stat(os.path.dirname(mount.path) or b".", dir_fd=root).st_dev
        if not mount.names or os.fstat(descriptor).st_dev != outside or _has_any(descriptor, mount.names):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise Away(None, "the drive that was mounted here isn't there")


def _has_any(folder: int, names: Sequence[str]) -> bool:
    for name in names:
        with contextlib.suppress(OSError):
            os.stat(bytes.fromhex(name), dir_fd=folder, follow_symlinks=False)
            return True
    return False
