"""The service that works through the queue of scans."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from server import errors, ids, log
from server.db.database import to_the_end
from server.events.bus import Bus
from server.events.model import Entry, Transient
from server.libraries.events import DirectoryRemoved, MediaConnected
from server.scanning import events, handover, store
from server.scanning.intake import Tools
from server.scanning.job import Job
from server.scanning.model import Failure, Scan, State
from server.scanning.part import Part
from server.scanning.process import ProcessRun, ScanProcess
from server.scanning.progress import Progress
from server.scanning.run import ScanRun
from server.scanning.trouble import EXPECTED, TakenOver, first_of

logger = log.get(__name__)
_RATE_SECONDS = 0.05
RETRY_SECONDS = 2.0
# A signal of another process is missed while PostgreSQL can't be reached.
LOOK_SECONDS = 5.0
SIGNAL = "scans"
INTERRUPTED = "interrupted: the server stopped"
REMOVED = "its directory was removed from the library"
Run = ScanRun | ProcessRun
_Ended = events.ScanComplete | events.ScanCancelled | events.ScanFailed


@dataclass(slots=True)
class Running:
    """A scan at work."""

    run: Run
    task: asyncio.Task[None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        if not self.is_cancelled:
            self.is_cancelled = True
            self.task.cancel()


class _Held(Exception):
    """The scan was paused just when it was complete."""


class Scanner:
    """Runs at most `max_concurrent` scans at once, by priority; those that are paused take nobody's place.

    Those of whole directories and folders work in the `process`, if there is one. The parts that a watcher names are
    few and are to be known at once: they are scanned here.
    """

    name = "scanner"

    def __init__(self, tools: Tools, bus: Bus, max_concurrent: int, process: ScanProcess | None = None):
        self.tools = tools
        self.process = process
        self._bus = bus
        self._max_concurrent = max_concurrent
        self.running: dict[str, Running] = {}
        # Scan → the parts of a directory that it looks at, where that is more than one folder.
        self.parts: dict[str, tuple[Part, ...]] = {}
        self.owner = ids.new_id()
        # Set by the watcher, which knows which files of a directory somebody still writes.
        self.growing: Callable[[str], Collection[bytes]] = _nothing
        # Set by who knows what somebody did with tracks and files.
        self.people = handover.People()
        # Set by who queues scans: one of a whole directory.
        self.scan_again: Callable[[str], Awaitable[object]] = _never
        self._wake = asyncio.Event()
        self._signals = bus.signals
        self._signals.on(SIGNAL, lambda _: self._wake.set())
        self._finished = asyncio.Condition()
        self._returned: set[str] = set()  # directories whose drive came back while they were scanned
        bus.attach(self)

    # -- a listener of the bus, for directories that come and go

    def recorded(self, entries: Sequence[Entry]) -> None:
        """A scan that is at work may have passed, in vain, what can be read again: another one will follow it.

        One of a directory that has left the library ends.
        """
        busy = {running.run.directory.id for running in self.running.values()}
        self._returned |= busy & _directories(entries, MediaConnected)
        if removed := _directories(entries, DirectoryRemoved):
            for running in self.running.values():
                if running.run.directory.id in removed:
                    running.cancel()
            self._wake.set()  # for those in the queue

    def transient(self, event: Transient, ts: int) -> None:
        """Progress is no change."""

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
        active = await store.active(self.tools.database.direct)
        for scan in active:
            running = self.running.get(scan.id)
            if running is not None:
                running.run.hold(is_paused=scan.state is State.PAUSED)
                if scan.is_cancel_asked:
                    running.cancel()
        for scan in active:
            if scan.state is State.QUEUED and self._busy < self._max_concurrent:
                await self._launch(scan, group)

    @property
    def _busy(self) -> int:
        return sum(running.run.go.is_set() for running in self.running.values())

    async def recover(self) -> None:
        """End the scans that nobody works on any more: what they wrote is kept, the next scan goes on from there.

        Only the holder of the duty may, since it is the only one that works on scans.
        """
        for scan in await store.active(self.tools.database.direct):
            if scan.state is not State.QUEUED and scan.id not in self.running:
                await self.end(scan, State.FAILED, events.ScanFailed, error=INTERRUPTED)

    async def _launch(self, scan: Scan, group: asyncio.TaskGroup) -> None:
        try:
            directory = await self.tools.libraries.get(scan.library_directory_id)
        except errors.NotFound:
            self.parts.pop(scan.id, None)
            await self.end(scan, State.CANCELLED, events.ScanCancelled, error=REMOVED)
            return
        started = replace(scan, state=State.RUNNING, started_at=self.tools.clock.now_ms(), owner=self.owner)
        began = time.monotonic()

        def report(progress: Progress) -> None:
            self._report(started, progress, began)

        async def growing() -> Collection[bytes]:
            return self.growing(directory.id)

        parts = self.parts.get(scan.id)
        run: Run
        if parts is None and self.process is not None:
            run = ProcessRun(Job(started, directory, (Part(scan.path),)), self.process, report, growing)
        else:
            parts = parts or (Part(scan.path),)
            run = ScanRun(started, directory, self.tools, report, parts, growing, self.people)
        async with self.tools.uow() as tx:
            if not await store.launch(tx, started):
                return  # cancelled meanwhile
            tx.emit(events.ScanStarted(scan=started.as_json()))
        # No await between here and the end, so that a cancel always finds the scan's task.
        self.running[scan.id] = Running(run, group.create_task(self._work(run), name=f"scan {scan.id}"))

    async def _work(self, run: Run) -> None:
        scan = run.scan
        try:
            await run.run()
            await run.go.wait()
        except asyncio.CancelledError:
            if self.running[scan.id].is_cancelled:
                await self._close(run, State.CANCELLED, events.ScanCancelled)
                return
            await to_the_end(self._close(run, State.FAILED, events.ScanFailed, INTERRUPTED, is_patient=False))
            raise
        except Exception as raised:
            error = first_of(raised)
            if isinstance(error, TakenOver):
                logger.warning("a scan was taken over by another process", scan=scan.id)
                await self._forget(scan)
                return
            if not isinstance(error, EXPECTED):
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
                await self.scan_again(directory_id)

    async def _close(
        self, run: Run, state: State, kind: type[_Ended], error: str | None = None, *, is_patient: bool = True
    ) -> None:
        """Store how a scan ended. While the database can't take it (a full disk), it is tried again.

        A server that stops has no such patience: the next one finds the scan without a process, and ends it. And a
        person who cancels now comes too late for the scan, but needn't wait: the queue's next turn ends it.
        """
        scan, failures = replace(run.scan, counts=run.counts), run.remaining_failures()
        end = partial(self.end, scan, state, kind, error=error, failures=failures)
        try:
            while not await self._is_stored(end) and is_patient:
                run.tell_waiting()
                await asyncio.sleep(RETRY_SECONDS)
                await run.go.wait()
        except asyncio.CancelledError:
            await to_the_end(self._is_stored(end))
            raise
        finally:
            await to_the_end(self._forget(scan))

    async def _is_stored(self, end: Callable[[], Awaitable[object]]) -> bool:
        try:
            await end()
        except _Held:
            return False
        except (errors.Unavailable, errors.DiskFull) as trouble:
            logger.error("the end of a scan can't be stored yet", error=str(trouble))
            return False
        return True

    async def _forget(self, scan: Scan) -> None:
        del self.running[scan.id]
        self.parts.pop(scan.id, None)
        self._wake.set()
        async with self._finished:
            self._finished.notify_all()

    async def end(
        self,
        scan: Scan,
        state: State,
        kind: type[_Ended],
        *,
        error: str | None = None,
        failures: Sequence[Failure] = (),
    ) -> Scan | None:
        """Store an end and announce it; None, and nothing is done, when the scan has gone on or ended meanwhile.

        Raises `_Held` when it is paused and was to be complete.
        """
        now = self.tools.clock.now_ms()
        async with self.tools.uow() as tx:
            if not await store.end(tx, scan, state, error, now):
                current = await store.get(tx, scan.id)
                if current is not None and current.state is State.PAUSED and current.owner == scan.owner:
                    raise _Held
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

    # -- for those who wait

    async def ended(self, scan_id: str) -> None:
        """Wait until a scan isn't active any more."""
        async with self._finished:
            await self._finished.wait_for(lambda: scan_id not in self.running)

    async def idle(self) -> None:
        """Wait until no scan is running."""
        async with self._finished:
            await self._finished.wait_for(lambda: not self.running)

    async def next_end(self, timeout: float) -> None:
        """Wait until a scan ends, for so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._finished:
                await self._finished.wait()


def _directories(entries: Sequence[Entry], kind: type[DirectoryRemoved] | type[MediaConnected]) -> set[str]:
    return {entry.data["directory"]["id"] for entry in entries if entry.name == kind.name}


async def _never(_: str) -> None:
    """Nobody queues scans."""


def _nothing(_: str) -> Collection[bytes]:
    return ()
