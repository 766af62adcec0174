"""What a test learns of other processes from the kernel: when they open a file, and when they end."""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 60
_IN_OPEN = 0x20
_LONGEST_MESSAGE = 4096


def ended(pid: int) -> bool:
    """Whether a process has ended, or does so soon. It blocks meanwhile."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], PATIENCE_SECONDS)[0])
    finally:
        os.close(descriptor)


def children(parent: int) -> list[int]:
    """Process ids of the children of a process (Linux)."""
    found: list[int] = []
    for thread in Path(f"/proc/{parent}/task").iterdir():
        found += [int(number) for number in (thread / "children").read_text().split()]
    return found


class Opening:
    """Told by inotify, which Python knows nothing of."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    async def seen(self) -> None:
        """Wait until somebody opens the file."""
        await asyncio.to_thread(self._wait)

    def _wait(self) -> None:
        assert select.select([self._descriptor], [], [], PATIENCE_SECONDS)[0], "nobody opens the file"
        os.read(self._descriptor, _LONGEST_MESSAGE)


@contextmanager
def opening(path: Path) -> Iterator[Opening]:
    """Listen from here on to who opens a file (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0 or libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_OPEN) < 0:
        raise OSError(ctypes.get_errno(), "inotify refuses", path)
    try:
        yield Opening(descriptor)
    finally:
        os.close(descriptor)
