"""The verbs of scans: what the API, the watcher and others ask of their queue."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from dataclasses import replace

from server import errors, ids, paths
from server.db.uow import Transaction
from server.events.bus import Bus
from server.events.model import Event
from server.filesystem import Unresponsive
from server.libraries.model import LibraryDirectory, ScanStatus
from server.libraries.service import DirectoryUnavailable
from server.scanning import events, store
from server.scanning.intake import Tools
from server.scanning.model import Counts, Priority, Scan, State, Strategy
from server.scanning.part import WHOLE, Part, common_folder, merged
from server.scanning.scanner import LOOK_SECONDS, SIGNAL, Scanner


class ScanActive(errors.Conflict):
    """This directory is being scanned."""

    code = "scan_active"


class NoScan(errors.NotFound):
    """This directory isn't being scanned."""

    code = "no_active_scan"


class ScanService:
    """Puts scans into the queue that the scanner works through, holds and ends them, and tells of them."""

    def __init__(self, tools: Tools, bus: Bus, scanner: Scanner):
        self.tools = tools
        self._bus = bus
        self._signals = bus.signals
        self._scanner = scanner
        scanner.scan_again = self.start

    async def start(
        self,
        directory_id: str,
        strategy: Strategy = Strategy.HYBRID,
        priority: Priority = Priority.NORMAL,
        path: str | None = None,
    ) -> Scan:
        """Queue a scan. Raises `NotFound`, `ScanActive`, `DirectoryUnavailable`, and `Invalid` for a path outside or
        of no folder.
        """
        part = Part(paths.inside("path", path)) if path else WHOLE
        directory = await self._demand_directory(directory_id)
        if path:
            await self._demand_folder(directory, part.path)
        return await self._insert(self._queued(directory_id, strategy, priority, part.path))

    async def _demand_directory(self, directory_id: str) -> LibraryDirectory:
        directory = await self.tools.libraries.check(directory_id)
        if not directory.is_available:
            raise DirectoryUnavailable(f"{directory.readable_path} can't be reached ({directory.unavailable_reason})")
        return directory

    async def _demand_folder(self, directory: LibraryDirectory, path: bytes) -> None:
        """A folder that has gone may be scanned, since that is how its tracks are found missing; one that never was
        here is a mistake.
        """
        try:
            place = os.path.join(directory.path, path)
            is_there = await self.tools.file_system.call_at(directory.path, os.path.isdir, place)
        except Unresponsive:
            return  # what is the matter with the whole directory is for the scan to say
        if not (is_there or await self.tools.tracks.has_files_below(directory.id, path)):
            raise errors.Invalid.field("path", "there is no such folder, on the disk or in the library")

    async def start_parts(
        self,
        directory_id: str,
        parts: Iterable[Part],
        strategy: Strategy = Strategy.HYBRID,
        priority: Priority = Priority.NORMAL,
    ) -> Scan:
        """Queue one scan of some parts of a directory. Raises as `start` does."""
        wanted = merged(parts)
        await self._demand_directory(directory_id)
        scan = self._queued(directory_id, strategy, priority, common_folder(wanted))
        # After a crash, or by another process, it is a scan of the folder that holds them.
        self._scanner.parts[scan.id] = wanted
        try:
            return await self._insert(scan)
        except BaseException:
            self._scanner.parts.pop(scan.id, None)
            raise

    async def _insert(self, scan: Scan) -> Scan:
        async with self.tools.uow() as tx:
            if not await store.insert(tx, scan):
                raise ScanActive
            await self._signals.send_with(tx, SIGNAL)
        return scan

    async def enqueue(self, tx: Transaction[Event], directory_id: str) -> None:
        """Queue a hybrid scan within a transaction, unless the directory waits for one, has one, or isn't there."""
        directory = await self.tools.libraries.find(tx, directory_id)
        if directory is None or not (directory.is_available and directory.is_active):
            return
        if await store.insert(tx, self._queued(directory_id, Strategy.HYBRID, Priority.NORMAL, b"")):
            await self._signals.send_with(tx, SIGNAL)

    def _queued(self, directory_id: str, strategy: Strategy, priority: Priority, path: bytes) -> Scan:
        return Scan(
            id=ids.new_id(),
            library_directory_id=directory_id,
            strategy=strategy,
            priority=priority,
            path=path,
            state=State.QUEUED,
            counts=Counts(),
            error=None,
            created_at=self.tools.clock.now_ms(),
            started_at=None,
            finished_at=None,
        )

    async def cancel(self, directory_id: str) -> Scan:
        """Stop the directory's scan; what it has found so far is kept. Raises `NoScan`."""
        while True:
            scan = await self._active(directory_id)
            running = self._scanner.running.get(scan.id)
            if running is not None:
                running.cancel()
                await self._scanner.ended(scan.id)
                return await self.get(scan.id)
            ended = await self._scanner.end(scan, State.CANCELLED, events.ScanCancelled) if scan.owner is None else None
            if ended is not None:
                self._scanner.parts.pop(scan.id, None)
                return ended
            if scan.owner not in (None, self._scanner.owner) and await self._ask_to_cancel(scan):
                return await self._ended_elsewhere(scan.id)
            await asyncio.sleep(0)  # it left the queue just now

    async def _ask_to_cancel(self, scan: Scan) -> bool:
        async with self.tools.uow() as tx:
            is_asked = await store.ask_to_cancel(tx, scan.id)
            await self._signals.send_with(tx, SIGNAL)
        return is_asked

    async def _ended_elsewhere(self, scan_id: str) -> Scan:
        """Wait for the end of a scan that another process works on."""
        while True:
            published = self._bus.published
            scan = await self.get(scan_id)
            if not scan.state.is_active:
                return scan
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._bus.beyond(published)

    async def pause(self, directory_id: str) -> Scan:
        """Hold the directory's scan. Raises `NoScan`, and `Conflict` when it isn't running."""
        return await self._hold(directory_id, State.RUNNING, State.PAUSED)

    async def resume(self, directory_id: str) -> Scan:
        """Let a paused scan go on. Raises `NoScan`, and `Conflict` when it isn't paused."""
        return await self._hold(directory_id, State.PAUSED, State.RUNNING)

    async def _hold(self, directory_id: str, expected: State, state: State) -> Scan:
        scan = await self._active(directory_id)
        async with self.tools.uow() as tx:
            if not await store.hold(tx, scan.id, expected, state):
                raise errors.Conflict(f"the scan is {scan.state}, not {expected}")
            await self._signals.send_with(tx, SIGNAL)
        running = self._scanner.running.get(scan.id)
        if running is not None:
            running.run.hold(is_paused=state is State.PAUSED)
        return self._live(replace(scan, state=state))

    async def status(self, directory_id: str) -> Scan:
        """The directory's scan that is active, else its latest. Raises `NotFound`."""
        await self.tools.libraries.get(directory_id)
        active = await store.active(self.tools.database.direct, directory_id)
        scan = active[0] if active else await store.latest(self.tools.database.direct, directory_id)
        if scan is None:
            raise NoScan("this directory was never scanned")
        return self._live(scan)

    async def active(self) -> list[Scan]:
        return [self._live(scan) for scan in await store.active(self.tools.database.direct)]

    async def history(self, directory_id: str | None, limit: int, offset: int) -> tuple[list[Scan], int]:
        return await store.history(self.tools.database.direct, directory_id, limit, offset)

    async def get(self, scan_id: str) -> Scan:
        scan = await store.get(self.tools.database.direct, scan_id)
        if scan is None:
            raise errors.NotFound(f"there is no scan {scan_id}")
        return self._live(scan)

    async def directory_status(self, directory_id: str) -> ScanStatus:
        """What the scanner is doing with a directory."""
        state = await store.latest_state(self.tools.database.direct, directory_id)
        return _STATUS.get(state, ScanStatus.IDLE) if state is not None else ScanStatus.IDLE

    def _live(self, scan: Scan) -> Scan:
        """While a scan runs, its counts are ahead of what was stored with the last batch."""
        running = self._scanner.running.get(scan.id)
        return scan if running is None else replace(scan, counts=running.run.counts)

    async def _active(self, directory_id: str) -> Scan:
        await self.tools.libraries.get(directory_id)
        found = await store.active(self.tools.database.direct, directory_id)
        if not found:
            raise NoScan
        return found[0]


_STATUS = {
    State.QUEUED: ScanStatus.QUEUED,
    State.RUNNING: ScanStatus.SCANNING,
    State.PAUSED: ScanStatus.PAUSED,
    State.FAILED: ScanStatus.ERROR,
}
