"""File systems of a test's own: they fill up, go away and come back as drives do."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@functools.cache
def can_mount() -> bool:
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
        return True


def needs_mounting() -> None:
    """Skip the test where nothing can be mounted."""
    if not can_mount():
        pytest.skip("mounting needs root")


@contextmanager
def tmpfs(place: Path, size: str = "64m") -> Iterator[Path]:
    """A file system in memory, mounted at `place`."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "mismo-test", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


class Drive:
    """A drive that can be plugged in at a place: what is on it stays when it isn't."""

    def __init__(self, medium: Path, place: Path):
        self.medium = medium
        self.place = place
        self.is_in = False
        medium.mkdir(parents=True, exist_ok=True)
        place.mkdir(parents=True, exist_ok=True)

    def plug(self) -> None:
        subprocess.run(["mount", "--bind", self.medium, self.place], check=True)
        self.is_in = True

    def unplug(self) -> None:
        subprocess.run(["umount", "--lazy", self.place], check=True)
        self.is_in = False


@contextmanager
def drive(folder: Path) -> Iterator[Drive]:
    """A tmpfs as the medium, and a place where it is plugged in by a bind mount, so that inodes stay the same."""
    with tmpfs(folder / "medium", "256m") as medium:
        found = Drive(medium, folder / "place")
        found.plug()
        try:
            yield found
        finally:
            if found.is_in:
                found.unplug()
