"""The service that works through the journal: in order for each file, several jobs at once; crashed ones first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from server import errors, log
from server.db.database import Dialect
from server.events.model import Entry, Transient
from server.operations import store
from server.operations.attempt import Attempt, Tools
from server.operations.disk import Stopped
from server.operations.model import State
from server.operations.queue import Job, jobs_of, ready

logger = log.get(__name__)
MAX_CONCURRENT = 4
WINDOW = 500
RETRY_SECONDS = 2.0
STUCK_SECONDS = 30.0
# What another process has queued is found by looking; what it has ended is told by the event log.
LOOK_SECONDS = 1.0


class OperationRunner:
    """At most `MAX_CONCURRENT` jobs at once. Of several processes on one database one works, and the others wait for
    its end; whoever takes over begins with what it has left `running`.
    """

    name = "file operations"

    def __init__(self, tools: Tools, max_concurrent: int = MAX_CONCURRENT):
        self.tools = tools
        self._max_concurrent = max_concurrent
        self._running: dict[str, Job] = {}
        self._stuck: set[str] = set()
        self._pool = ThreadPoolExecutor(max_concurrent, thread_name_prefix="file-operations")
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()

    def wake(self) -> None:
        """Something may be waiting."""
        self._wake.set()

    def is_stuck(self) -> bool:
        """Whether a job can neither be finished nor taken back just now."""
        return bool(self._stuck)

    @property
    def next_end(self) -> asyncio.Event:
        """Set when a job ends, or gets stuck, after now."""
        return self._ended

    # -- listening to the log: also to what other processes have done

    def recorded(self, entries: Sequence[Entry]) -> None:
        if any(entry.name.startswith("file_operation:") for entry in entries):
            self._note_end()
            self._wake.set()

    def transient(self, event: Transient, ts: int) -> None:
        """Progress is no end."""

    def _note_end(self) -> None:
        self._ended.set()
        self._ended = asyncio.Event()

    # -- working

    async def run(self) -> None:
        try:
            while True:
                try:
                    async with self.tools.database.alone(self.name) as lost:
                        await self._work_until(lost)
                except (errors.Unavailable, errors.DiskFull) as error:
                    logger.error("the right to work on the journal can't be had", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            # Not waited for: a thread that hangs in a network mount must not keep the server from ending.
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _work_until(self, lost: asyncio.Event) -> None:
        """Work; drop everything where it is as soon as another process may be working too."""
        self.tools.stop.clear()
        async with asyncio.TaskGroup() as group:
            work = group.create_task(self._work(), name="journal")
            await lost.wait()
            logger.error("lost the right to work on the journal; its jobs wait")
            self.tools.stop.set()
            work.cancel()
        self._stuck.clear()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            if self.tools.database.dialect is Dialect.POSTGRES:
                group.create_task(self._look(), name="journal of others")
            while True:
                try:
                    await self._launch_ready(group)
                except (errors.Unavailable, errors.DiskFull) as error:
                    logger.error("the journal can't be worked on; trying again", error=str(error))
                    asyncio.get_running_loop().call_later(RETRY_SECONDS, self._wake.set)
                await self._wake.wait()
                self._wake.clear()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._wake.set()

    async def _launch_ready(self, group: asyncio.TaskGroup) -> None:
        database = self.tools.database
        jobs = jobs_of(await store.active(database.direct, WINDOW))
        # Jobs that were at work when the server ended come first: their files are between two places.
        waiting = [
            job
            for job in sorted(jobs, key=lambda job: not job.is_running)
            if job.id not in self._running and job.id not in self._stuck
        ]
        busy = [*self._running.values(), *(job for job in jobs if job.id in self._stuck)]
        for job in ready(waiting, busy, self._max_concurrent - len(self._running)):
            # Whole: its last operations may lie beyond the window.
            members = [
                item
                for item in await store.of_job(database.direct, job.id)
                if item.state in (State.QUEUED, State.RUNNING)
            ]
            if members:
                whole = Job(job.id, tuple(members))
                self._running[job.id] = whole
                group.create_task(self._carry_out(whole), name=f"job {job.id}")

    async def _carry_out(self, job: Job) -> None:
        is_over = False
        try:
            is_over = await Attempt(job, self.tools, self._pool).run()
        except Stopped:
            logger.info("a job waits for the next start", job=job.id)
        except (errors.Unavailable, errors.DiskFull) as error:
            logger.error("a job waits for the database", job=job.id, error=str(error))
        finally:
            del self._running[job.id]
        if not is_over:
            self._stuck.add(job.id)
            asyncio.get_running_loop().call_later(STUCK_SECONDS, self._unstick, job.id)
        self._note_end()
        self._wake.set()

    def _unstick(self, job_id: str) -> None:
        self._stuck.discard(job_id)
        self._wake.set()
