"""Watching the mount table, so that a drive that goes or comes is noticed at once, also one absent at the start."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from server import errors, log
from server.libraries.mounts import MOUNTINFO
from server.libraries.service import LibraryService

logger = log.get(__name__)
# What no mount table tells: a root that was deleted or closed to us, a network that stopped to answer.
LOOK_SECONDS = 10.0


class MountMonitor:
    """A service: looks at every library directory when the mount table has changed, and every `LOOK_SECONDS`."""

    name = "mount monitor"

    def __init__(self, libraries: LibraryService, table: Path = MOUNTINFO):
        self._libraries = libraries
        self._table = table
        self._changed = asyncio.Event()
        # Called after a look, whatever it has shown: a drive may have gone and come back between two looks.
        self.on_mounts_changed: Callable[[], None] = lambda: None

    async def run(self) -> None:
        async with self._notified():
            while True:
                is_mount_change = self._changed.is_set()
                self._changed.clear()
                try:
                    await self._libraries.check_all()
                except* (errors.Unavailable, errors.DiskFull) as group:
                    logger.warning("the state of drives can't be stored yet", error=str(group.exceptions[0]))
                except* errors.NotFound:
                    pass  # a directory was removed while it was looked at
                if is_mount_change:
                    self.on_mounts_changed()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._changed.wait()

    @asynccontextmanager
    async def _notified(self) -> AsyncIterator[None]:
        """While this is open, every change of the mount table sets `_changed`.

        The table is always readable, and says by POLLPRI that it has changed (proc_pid_mountinfo(5)). asyncio waits
        only for readable files, so it waits for an epoll that waits for nothing but POLLPRI.
        """
        try:
            descriptor = os.open(self._table, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            yield  # no such table here: what is left is looking from time to time
            return
        loop = asyncio.get_running_loop()
        with select.epoll() as poll:
            poll.register(descriptor, select.EPOLLPRI | select.EPOLLERR)
            loop.add_reader(poll.fileno(), self._table_changed, poll)
            try:
                yield
            finally:
                loop.remove_reader(poll.fileno())
                os.close(descriptor)

    def _table_changed(self, poll: select.epoll) -> None:
        poll.poll(0)  # only asking again makes the table quiet until its next change
        self._changed.set()
