"""The verbs of scans, and the service that works through their queue."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from server import errors, ids, log, paths
from server.db.database import to_the_end
from server.db.uow import Transaction
from server.events.bus import Bus
from server.events.model import Entry, Event, Transient
from server.filesystem import Unresponsive
from server.libraries.events import MediaConnected
from server.libraries.in_flight import InFlight
from server.libraries.model import LibraryDirectory, ScanStatus
from server.libraries.service import DirectoryUnavailable
from server.scanning import events, handover, store
from server.scanning.intake import Tools
from server.scanning.model import Counts, Failure, Priority, Scan, State, Strategy
from server.scanning.part import WHOLE, Part, common_folder, merged
from server.scanning.run import DirectoryWentAway, Progress, ScanRun, TakenOver

logger = log.get(__name__)
_RATE_SECONDS = 0.05
RETRY_SECONDS = 2.0
# A signal of another process is missed while PostgreSQL can't be reached.
LOOK_SECONDS = 5.0
SIGNAL = "scans"
INTERRUPTED = "interrupted: the server stopped"


class ScanActive(errors.Conflict):
    """This directory is being scanned."""

    code = "scan_active"


class NoScan(errors.NotFound):
    """This directory isn't being scanned."""

    code = "no_active_scan"


@dataclass(slots=True)
class _Running:
    run: ScanRun
    task: asyncio.Task[None]
    is_cancelled: bool = False

    def hold(self, *, is_paused: bool) -> None:
        if is_paused:
            self.run.go.clear()
        else:
            self.run.go.set()

    def cancel(self) -> None:
        if not self.is_cancelled:
            self.is_cancelled = True
            self.task.cancel()


class ScanService:
    """Verbs for the API, and (as a service) the queue: at most `max_concurrent` scans at once, by priority."""

    name = "scanner"

    def __init__(self, tools: Tools, bus: Bus, max_concurrent: int):
        self.tools = tools
        self._bus = bus
        self._max_concurrent = max_concurrent
        self._running: dict[str, _Running] = {}
        self._parts: dict[str, tuple[Part, ...]] = {}
        # Set by the watcher, which knows which files of a directory somebody still writes.
        self.growing: Callable[[str], Collection[bytes]] = _nothing
        self.in_flight = InFlight()
        # Set by who knows with which tracks somebody has worked, and which somebody has deleted.
        self.people = handover.People()
        self._owner = ids.new_id()
        self._wake = asyncio.Event()
        self._signals = bus.signals
        self._signals.on(SIGNAL, lambda _: self._wake.set())
        self._finished = asyncio.Condition()
        self._returned: set[str] = set()  # directories whose drive came back while they were scanned
        bus.attach(self)

    # -- hearing of drives

    def recorded(self, entries: Sequence[Entry]) -> None:
        """A scan that is at work may have passed, in vain, what can be read again: another one will follow it."""
        busy = {running.run.directory.id for running in self._running.values()}
        returned = {entry.data["directory"]["id"] for entry in entries if entry.name == MediaConnected.name}
        self._returned |= busy & returned

    def transient(self, event: Transient, ts: int) -> None:
        """Progress is no change."""

    # -- the verbs

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
        return await self._insert(self._queued(directory_id, strategy, priority, part.path), (part,))

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
        return await self._insert(self._queued(directory_id, strategy, priority, common_folder(wanted)), wanted)

    async def _insert(self, scan: Scan, parts: tuple[Part, ...]) -> Scan:
        # After a crash, or by another process, the scan of a few folders is one of the folder that holds them.
        self._parts[scan.id] = parts
        try:
            async with self.tools.uow() as tx:
                if not await store.insert(tx, scan):
                    raise ScanActive
                await self._signals.send_with(tx, SIGNAL)
        except BaseException:
            self._parts.pop(scan.id, None)
            raise
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
            running = self._running.get(scan.id)
            if running is not None:
                running.cancel()
                await self.ended(scan.id)
                return await self.get(scan.id)
            ended = await self._end(scan, State.CANCELLED, events.ScanCancelled) if scan.owner is None else None
            if ended is not None:
                self._parts.pop(scan.id, None)
                return ended
            if scan.owner not in (None, self._owner) and await self._ask_to_cancel(scan):
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
        running = self._running.get(scan.id)
        if running is not None:
            running.hold(is_paused=state is State.PAUSED)
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

    async def ended(self, scan_id: str) -> None:
        """Wait until a scan isn't active any more."""
        async with self._finished:
            await self._finished.wait_for(lambda: scan_id not in self._running)

    async def idle(self) -> None:
        """Wait until no scan is running."""
        async with self._finished:
            await self._finished.wait_for(lambda: not self._running)

    async def next_end(self, timeout: float) -> None:
        """Wait until a scan ends, for so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._finished:
                await self._finished.wait()

    def _live(self, scan: Scan) -> Scan:
        """While a scan runs, its counts are ahead of what was stored with the last batch."""
        running = self._running.get(scan.id)
        return scan if running is None else replace(scan, counts=running.run.counts)

    async def _active(self, directory_id: str) -> Scan:
        await self.tools.libraries.get(directory_id)
        found = await store.active(self.tools.database.direct, directory_id)
        if not found:
            raise NoScan
        return found[0]

    # -- the service

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    await self.recover()
                    await self._turn(group)
                except (errors.Unavailable, errors.DiskFull) as error:
                    logger.error("the queue of scans can't be worked on; trying again", error=str(error))
                    asyncio.get_running_loop().call_later(RETRY_SECONDS, self._wake.set)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS if self._signals.is_shared else None):
                        await self._wake.wait()

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        """Do with the scans that run what was asked for, maybe of another process, and start those whose turn it is."""
        for scan in await store.active(self.tools.database.direct):
            running = self._running.get(scan.id)
            if running is not None:
                running.hold(is_paused=scan.state is State.PAUSED)
                if scan.is_cancel_asked:
                    running.cancel()
            elif scan.state is State.QUEUED and len(self._running) < self._max_concurrent:
                await self._launch(scan, group)

    async def recover(self) -> None:
        """End the scans that nobody works on any more: what they wrote is kept, the next scan goes on from there.

        Only the holder of the duty may, since it is the only one that works on scans.
        """
        for scan in await store.active(self.tools.database.direct):
            if scan.state is not State.QUEUED and scan.id not in self._running:
                await self._end(scan, State.FAILED, events.ScanFailed, error=INTERRUPTED)

    async def _launch(self, scan: Scan, group: asyncio.TaskGroup) -> None:
        directory = await self.tools.libraries.get(scan.library_directory_id)
        started = replace(scan, state=State.RUNNING, started_at=self.tools.clock.now_ms(), owner=self._owner)
        began = time.monotonic()
        run = ScanRun(
            started,
            directory,
            self.tools,
            lambda progress: self._report(started, progress, began),
            self._parts.get(scan.id, (Part(scan.path),)),
            lambda: self.growing(directory.id),
            self.in_flight,
            self.people,
        )
        async with self.tools.uow() as tx:
            if not await store.launch(tx, started):
                return  # cancelled meanwhile
            tx.emit(events.ScanStarted(scan=started.as_json()))
        # No await between here and the end, so that a cancel always finds the scan's task.
        self._running[scan.id] = _Running(run, group.create_task(self._work(run), name=f"scan {scan.id}"))

    async def _work(self, run: ScanRun) -> None:
        scan = run.scan
        try:
            await run.run()
        except asyncio.CancelledError:
            if self._running[scan.id].is_cancelled:
                await to_the_end(self._close(run, State.CANCELLED, events.ScanCancelled))
                return
            await to_the_end(self._close(run, State.FAILED, events.ScanFailed, INTERRUPTED, is_patient=False))
            raise
        except Exception as raised:
            error = _first(raised)
            if isinstance(error, TakenOver):
                logger.warning("a scan was taken over by another process", scan=scan.id)
                await self._forget(scan)
                return
            if not isinstance(error, (DirectoryWentAway, errors.MismoError, OSError)):
                raise
            logger.warning("scan failed", scan=scan.id, error=str(error))
            await self._close(run, State.FAILED, events.ScanFailed, str(error))
            await self._follow_return(run.directory.id)
        else:
            await self._close(run, State.COMPLETE, events.ScanComplete)
            await self._follow_return(run.directory.id)
            with contextlib.suppress(errors.Unavailable, errors.DiskFull):  # the next one does it
                await self.tools.database.optimize()

    async def _follow_return(self, directory_id: str) -> None:
        if directory_id in self._returned:
            self._returned.discard(directory_id)
            # Another one may have been started already, or the drive may have gone again.
            with contextlib.suppress(errors.Conflict, errors.NotFound, errors.Unavailable, errors.DiskFull):
                await self.start(directory_id)

    async def _close(
        self, run: ScanRun, state: State, kind: type[_Ended], error: str | None = None, *, is_patient: bool = True
    ) -> None:
        """Store how a scan ended. While the database can't take it (a full disk), it is tried again.

        A server that stops has no such patience: the next one finds the scan without a process, and ends it.
        """
        failures = run.remaining_failures()
        while True:
            try:
                await self._end(replace(run.scan, counts=run.counts), state, kind, error=error, failures=failures)
                break
            except (errors.Unavailable, errors.DiskFull) as trouble:
                logger.error("the end of a scan can't be stored yet", scan=run.scan.id, error=str(trouble))
                if not is_patient:
                    break
                run.tell_waiting()
                await asyncio.sleep(RETRY_SECONDS)
        await self._forget(run.scan)

    async def _forget(self, scan: Scan) -> None:
        del self._running[scan.id]
        self._parts.pop(scan.id, None)
        self._wake.set()
        async with self._finished:
            self._finished.notify_all()

    async def _end(
        self,
        scan: Scan,
        state: State,
        kind: type[_Ended],
        *,
        error: str | None = None,
        failures: Sequence[Failure] = (),
    ) -> Scan | None:
        """Store an end and announce it; None, and nothing is done, when the scan has gone on or ended meanwhile."""
        now = self.tools.clock.now_ms()
        async with self.tools.uow() as tx:
            if not await store.end(tx, scan, state, error, now):
                return None
            await store.add_failures(tx, scan.id, failures)
            if state is State.COMPLETE:
                await self.tools.libraries.scanned(tx, scan.library_directory_id, now)
            ended = await store.get(tx, scan.id)
            assert ended is not None
            tx.emit(kind(scan=ended.as_json(events.MAX_FAILURES)))
        logger.info("scan ended", scan=scan.id, state=state.value, error=error)
        return ended

    def _report(self, scan: Scan, progress: Progress, began: float) -> None:
        seconds = max(time.monotonic() - began, _RATE_SECONDS)
        rate = progress.done / seconds
        total = progress.found if progress.is_walk_over else None
        self._bus.publish(
            events.ScanProgress(
                subject=scan.id,
                scan_id=scan.id,
                library_directory_id=scan.library_directory_id,
                phase="waiting" if progress.is_waiting else progress.phase,
                found=progress.found,
                done=progress.done,
                total=total,
                rate=round(rate, 1),
                eta=None if total is None or not rate else round(max(0, total - progress.done) / rate, 1),
                current=progress.current,
            )
        )


_Ended = events.ScanComplete | events.ScanCancelled | events.ScanFailed
_STATUS = {
    State.QUEUED: ScanStatus.QUEUED,
    State.RUNNING: ScanStatus.SCANNING,
    State.PAUSED: ScanStatus.PAUSED,
    State.FAILED: ScanStatus.ERROR,
}


def _nothing(_: str) -> Collection[bytes]:
    return ()


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
