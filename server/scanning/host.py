"""What the scanning process does: it works on scans that the server orders, and says how they go and end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from server.db.turn import Turn
from server.scanning.handover import People
from server.scanning.intake import Tools
from server.scanning.job import Ended, Job
from server.scanning.pipe import Pipe
from server.scanning.progress import Progress
from server.scanning.run import ScanRun
from server.scanning.trouble import EXPECTED, TakenOver, first_of


class LentTurn(Turn):
    """The server's own line of writers, in which the scanning process stands, too, once there is a pipe."""

    def __init__(self) -> None:
        super().__init__()
        self.pipe: Pipe | None = None

    @asynccontextmanager
    async def taken(self, *, is_patient: bool = False) -> AsyncIterator[None]:
        async with super().taken(is_patient=is_patient):
            pipe = self.pipe
            if pipe is None:
                yield
                return
            try:
                if await pipe.ask("take_turn", is_patient):
                    self.demanded()
                yield
            finally:
                pipe.tell("end_turn")


@dataclass(slots=True)
class _Work:
    run: ScanRun
    task: asyncio.Task[None] | None = None
    is_cancelled: bool = False


@dataclass(slots=True)
class ScanHost:
    """The verbs that the server may say over the `pipe`."""

    tools: Tools
    people: People
    pipe: Pipe
    _working: dict[str, _Work] = field(default_factory=dict)

    def scan(self, job: Job) -> Awaitable[Ended]:
        async def growing() -> Collection[bytes]:
            found: Collection[bytes] = await self.pipe.ask("growing", job.scan.id)
            return found

        def report(progress: Progress) -> None:
            self.pipe.tell("progress", job.scan.id, progress, run.counts)

        run = ScanRun(job.scan, job.directory, self.tools, report, job.parts, growing, self.people)
        self._working[job.scan.id] = work = _Work(run)
        return self._see_through(work)

    async def _see_through(self, work: _Work) -> Ended:
        run, error, is_taken_over = work.run, None, False
        try:
            async with asyncio.TaskGroup() as group:
                if not work.is_cancelled:
                    work.task = group.create_task(run.run())
        except Exception as raised:
            cause = first_of(raised)
            is_taken_over = isinstance(cause, TakenOver)
            if not isinstance(cause, EXPECTED):
                raise
            error = str(cause)
        finally:
            del self._working[run.scan.id]
        return Ended(run.counts, run.remaining_failures(), error, is_taken_over)

    def hold(self, scan_id: str, is_paused: bool) -> None:
        work = self._working.get(scan_id)
        if work is not None:
            work.run.hold(is_paused=is_paused)

    def cancel(self, scan_id: str) -> None:
        work = self._working.get(scan_id)
        if work is not None and not work.is_cancelled:
            work.is_cancelled = True
            if work.task is not None:
                work.task.cancel()
