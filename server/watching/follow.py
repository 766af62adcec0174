"""Following one directory: news come in, files come to rest, and one scan looks at the folders they lie in."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from server import errors, log
from server.filesystem import FileSystem, Unresponsive
from server.libraries.model import LibraryDirectory
from server.libraries.service import DirectoryUnavailable, LibraryService
from server.scanning.model import Priority
from server.scanning.part import WHOLE, Part
from server.scanning.service import ScanActive, ScanService
from server.settings.service import SettingsService
from server.watching import inotify, settling
from server.watching.model import WatchState
from server.watching.news import News
from server.watching.settling import Settling
from server.watching.source import CannotWatch, Source

logger = log.get(__name__)
_T = TypeVar("_T")
LOOK_SECONDS = 0.1
LONG_LOOK_SHARE = 4  # looking takes at most a quarter of the time, however many files wait
BUSY_SECONDS = 0.5
RETRY_SECONDS = 30.0
TROUBLE_SECONDS = 2.0
EXHAUSTED = "the limit of inotify watches is reached (fs.inotify.max_user_watches)"


@dataclass(frozen=True, slots=True)
class Tools:
    libraries: LibraryService
    scans: ScanService
    settings: SettingsService
    file_system: FileSystem
    source: Source


@dataclass(slots=True)
class Follow:
    """Follows one directory until it is cancelled. `set_state` makes known how."""

    directory: LibraryDirectory
    tools: Tools
    set_state: Callable[[WatchState, str | None], Awaitable[None]]
    state: WatchState = WatchState.OFF
    detail: str | None = None
    settling: Settling = field(default_factory=Settling)
    _parts: set[Part] = field(default_factory=set)
    _stirred: asyncio.Event = field(default_factory=asyncio.Event)
    _must_poll: str | None = None

    @property
    def pending(self) -> int:
        """Files and folders that haven't come to rest yet, and those at rest that no scan has been asked for yet."""
        return len(self.settling) + len(self._parts)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._patiently(self._listen))
            group.create_task(self._patiently(self._settle))

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin again when the database couldn't be asked. What was heard meanwhile is lost, so all is looked at."""
        while True:
            try:
                await work()
            except (errors.Unavailable, errors.DiskFull, errors.NotFound) as error:
                logger.warning("changed files have to wait", directory=self.directory.id, error=str(error))
                await asyncio.sleep(TROUBLE_SECONDS)
                self._parts.add(WHOLE)
                self._stirred.set()

    # -- hearing of changes

    async def _listen(self) -> None:
        self._must_poll = self._reason_to_poll()
        while True:
            is_polling = self._must_poll is not None
            try:
                await self._hear(is_polling=is_polling)
            except CannotWatch as error:
                logger.warning("can't watch a directory", directory=self.directory.id, error=str(error))
                if is_polling:
                    await self._set_state(WatchState.OFF, str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    self._must_poll = str(error)

    def _reason_to_poll(self) -> str | None:
        file_system = self.directory.filesystem
        if file_system.get("is_network"):
            return "a network file system doesn't tell of others' changes"
        if str(file_system.get("type") or "").startswith("fuse"):
            return "FUSE doesn't tell of all changes"
        return None

    async def _hear(self, *, is_polling: bool) -> None:
        stream = self.tools.source.news(
            self.directory.path, is_recursive=self.directory.recursive_scan, is_polling=is_polling
        )
        async with contextlib.aclosing(stream) as heard:  # type: ignore[type-var] # a generator, as all of them are
            async for news in heard:
                if not news:
                    if not is_polling and await self._is_exhausted(b""):
                        raise CannotWatch(EXHAUSTED)  # some folders are heard of, and nobody said which aren't
                    if is_polling and self.state is WatchState.WATCHING:
                        self._parts.add(WHOLE)  # what changed between the two was heard by neither
                        self._stirred.set()
                    await self._set_state(WatchState.POLLING if is_polling else WatchState.WATCHING, self._must_poll)
                    continue
                await self.take(news)
                if not is_polling and self._must_poll is not None:
                    raise CannotWatch(self._must_poll)

    async def take(self, news: Sequence[News]) -> None:
        """Take note of what has changed, whatever the kind of it: the disk is looked at before anything is believed."""
        paths = [item for item in news if item.path and not settling.is_ignored(item.path)]
        if any(item.is_anything for item in news):
            await self.tools.libraries.check(self.directory.id)
            self._parts.add(WHOLE)
        try:
            folders = await self._at_root(_folders, self.directory.path, [item.path for item in paths])
        except OSError as error:
            logger.warning("a directory doesn't answer", directory=self.directory.id, error=str(error))
            return
        now = asyncio.get_running_loop().time()
        # A folder's files are touched with it, so the scan leaves alone what still grows.
        self._parts.update(Part(item.path, is_recursive=False) for item in news if item.is_listing)
        for item in paths:
            if item.is_listing:
                continue
            if item.path in folders:
                if item.is_new:
                    self.settling.touch_folder(item.path, now)
                else:
                    self._parts.add(Part(item.path, is_recursive=False))  # it may have become readable
            elif settling.is_audio(item.path):
                self.settling.touch(item.path, now)
            if item.is_gone and item.path not in folders:
                self.settling.touch_gone(item.path, now)
        self._stirred.set()
        new = [item.path for item in paths if item.is_new and item.path in folders]
        if new and self._must_poll is None and await self._is_exhausted(new[0]):
            self._must_poll = EXHAUSTED

    async def _is_exhausted(self, folder: bytes) -> bool:
        return await self._at_root(inotify.is_exhausted, os.path.join(self.directory.path, folder))

    # -- coming to rest

    async def _settle(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self.settling and not self._parts:
                await self._stirred.wait()
            self._stirred.clear()
            began = loop.time()
            if self.settling:
                await self._look()
            took = loop.time() - began
            is_busy = bool(self._parts) and not await self._scan()
            await asyncio.sleep(max(LOOK_SECONDS, took * LONG_LOOK_SHARE, BUSY_SECONDS if is_busy else 0))

    async def _look(self) -> None:
        try:
            seen = await self._at_root(settling.look, self.directory.path, *self.settling.asked())
        except Unresponsive:
            return
        settle = await self.tools.settings.get("settle_seconds")
        self._parts.update(self.settling.judge(seen, asyncio.get_running_loop().time(), settle))

    async def _scan(self) -> bool:
        """Scan what has come to rest; False when it has to wait for another scan of this directory."""
        taken = set(self._parts)
        try:
            await self.tools.scans.start_parts(self.directory.id, taken, priority=Priority.HIGH)
        except ScanActive:
            return False
        except (DirectoryUnavailable, errors.NotFound):
            self._parts.clear()  # a scan of all of it follows its return
            return True
        except errors.MismoError as error:
            logger.warning("changed files have to wait", directory=self.directory.id, error=str(error))
            return False
        self._parts -= taken
        return True

    async def _set_state(self, state: WatchState, detail: str | None) -> None:
        self.state, self.detail = state, detail
        await self.set_state(state, detail)

    async def _at_root(self, function: Callable[..., _T], *args: object) -> _T:
        return await self.tools.file_system.call_at(self.directory.path, function, *args)


def _folders(root: bytes, paths: Sequence[bytes]) -> set[bytes]:
    """Those of the paths that are folders now (blocking)."""
    return {
        path
        for path in paths
        if os.path.isdir(os.path.join(root, path)) and not os.path.islink(os.path.join(root, path))
    }
