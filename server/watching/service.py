"""Which directories are followed (all that are active, there, and wanted), and scans for what went unheard."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from server import errors, log
from server.events.bus import Bus
from server.events.model import Entry, Transient
from server.libraries import mounts
from server.libraries.model import LibraryDirectory
from server.scanning.model import Priority
from server.scanning.service import ScanActive
from server.watching.follow import Follow, Tools
from server.watching.model import Followed, Status, WatchState
from server.watching.settling import Settling

logger = log.get(__name__)
LOOK_SECONDS = 30.0
MINUTE_SECONDS = 60.0
SIGNAL = "watcher"
_ON, _OFF = "on", "off"


@dataclass(slots=True)
class _Running:
    key: tuple[object, ...]
    follow: Follow
    task: asyncio.Task[None]
    reconciled_at: float | None = None  # in seconds of the loop's clock


class WatchService:
    """A service, and the verbs that switch it on and off."""

    name = "watcher"

    def __init__(self, tools: Tools, bus: Bus):
        self._tools = tools
        self._is_on = True
        self._running: dict[str, _Running] = {}
        self._wake = asyncio.Event()
        self._matched = asyncio.Condition()
        self._rounds = 0
        self._is_at_work = False
        self._signals = bus.signals
        self._signals.on(SIGNAL, self._hear)
        bus.attach(self)

    # -- the verbs

    async def start(self) -> Status:
        """Follow the directories."""
        await self._switch(is_on=True)
        return await self.status()

    async def stop(self) -> Status:
        """Follow none, until started again."""
        await self._switch(is_on=False)
        return await self.status()

    def switch_off(self) -> None:
        """Stay off, before the service has begun."""
        self._is_on = False

    async def _switch(self, *, is_on: bool) -> None:
        wanted = self._rounds + 1
        await self._signals.send(SIGNAL, _ON if is_on else _OFF)
        async with self._matched:
            await self._matched.wait_for(
                lambda: not self._is_at_work or (self._rounds >= wanted and not self._wake.is_set())
            )

    def _hear(self, words: str) -> None:
        self._is_on = words == _ON
        self._wake.set()

    async def status(self) -> Status:
        """What is followed; where another process follows it, as the database knows."""
        if not self._is_at_work:
            followed = [item for item in await self._tools.libraries.all() if item.watch_state != WatchState.OFF]
            return Status(
                self._is_on,
                tuple(
                    Followed(item.id, item.readable_path, WatchState(item.watch_state), item.watch_detail, 0)
                    for item in sorted(followed, key=lambda item: item.id)
                ),
            )
        return Status(
            self._is_on,
            tuple(
                Followed(
                    directory_id,
                    running.follow.directory.readable_path,
                    running.follow.state,
                    running.follow.detail,
                    running.follow.pending,
                )
                for directory_id, running in sorted(self._running.items())
            ),
        )

    def growing(self, directory_id: str) -> Collection[bytes]:
        """Files of a directory that somebody may still be writing."""
        running = self._running.get(directory_id)
        return running.follow.settling.growing if running is not None else ()

    def look_again(self) -> None:
        """Something about drives or directories has changed."""
        self._wake.set()

    # -- hearing of directories that come and go

    def recorded(self, entries: Sequence[Entry]) -> None:
        if any(_is_about_directories(entry.name) for entry in entries):
            self._wake.set()

    def transient(self, event: Transient, ts: int) -> None:
        """Progress is no change."""

    # -- the service

    async def run(self) -> None:
        self._is_at_work = True
        try:
            await self._follow()
        finally:
            self._is_at_work = False
            self._running.clear()
            async with self._matched:
                self._matched.notify_all()

    async def _follow(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    await self._match(group)
                    await self._reconcile()
                except errors.NotFound:
                    self._wake.set()  # a directory was removed meanwhile
                except (errors.Unavailable, errors.DiskFull) as error:
                    logger.warning("the watcher has to wait for the database", error=str(error))
                self._rounds += 1
                async with self._matched:
                    self._matched.notify_all()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()

    async def _match(self, group: asyncio.TaskGroup) -> None:
        """Follow what should be followed, and nothing else."""
        directories = await self._tools.libraries.all()
        wanted = {}
        for directory in directories:
            if self._is_on and directory.is_active and directory.is_available and directory.watch:
                wanted[directory.id] = (directory, await self._key(directory))
        waiting = {}
        for directory_id, running in list(self._running.items()):
            if directory_id not in wanted or wanted[directory_id][1] != running.key:
                running.task.cancel()
                waiting[directory_id] = running.follow.settling
                del self._running[directory_id]
        for directory in directories:
            if directory.id not in wanted and directory.watch_state != WatchState.OFF:
                await self._tools.libraries.set_watch_state(directory.id, WatchState.OFF)
        for directory_id, (directory, key) in wanted.items():
            if directory_id not in self._running:
                settling = waiting.get(directory_id, Settling())  # what is being copied now still grows
                follow = Follow(directory, self._tools, partial(self._set_state, directory_id), settling=settling)
                task = group.create_task(follow.run(), name=f"follow {directory_id}")
                self._running[directory_id] = _Running(key, follow, task)

    async def _set_state(self, directory_id: str, state: WatchState, detail: str | None) -> None:
        await self._tools.libraries.set_watch_state(directory_id, state, detail)
        # Nobody hears of a state that the database knew already, from a process which followed the directory before.
        self._wake.set()

    async def _key(self, directory: LibraryDirectory) -> tuple[object, ...]:
        """What makes it another thing to follow: above all another mount at the same place, or inside."""
        try:
            ids = await self._tools.file_system.call_at(directory.path, mounts.mount_ids, directory.path)
        except OSError:
            ids = ()
        return directory.path, directory.recursive_scan, ids

    # -- what the operating system didn't tell

    async def _reconcile(self) -> None:
        """Look through each followed directory from time to time, at first for what happened before we listened."""
        interval = await self._tools.settings.get("reconcile_interval_minutes") * MINUTE_SECONDS
        now = asyncio.get_running_loop().time()
        for directory_id, running in list(self._running.items()):
            is_first = running.reconciled_at is None
            if running.follow.state is WatchState.OFF:
                continue
            if running.reconciled_at is not None and now - running.reconciled_at < interval:
                continue
            directory = await self._tools.libraries.get(directory_id)
            if not (is_first and directory.last_scan is None):  # the first scan of all is a person's decision
                try:
                    await self._tools.scans.start(directory_id, priority=Priority.LOW)
                except ScanActive:
                    continue  # it may have passed already what has changed since; looked at again later
                except errors.Conflict as error:
                    logger.debug("no reconciling scan", directory=directory_id, reason=str(error))
            running.reconciled_at = now


def _is_about_directories(name: str) -> bool:
    return name.startswith(("library:directory:", "library:media:")) and ":scan:" not in name
