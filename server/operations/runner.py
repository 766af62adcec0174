"""The service that works through the journal: in order for each file, several jobs at once; crashed ones first."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from server import errors, log
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


class OperationRunner:
    """At most `MAX_CONCURRENT` jobs at once."""

    name = "file operations"

    def __init__(self, tools: Tools, max_concurrent: int = MAX_CONCURRENT):
        self.tools = tools
        self._max_concurrent = max_concurrent
        self._running: dict[str, Job] = {}
        self._stuck: set[str] = set()
        self._pool = ThreadPoolExecutor(max_concurrent, thread_name_prefix="file-operations")
        self._wake = asyncio.Event()
        self._ended = asyncio.Condition()

    def wake(self) -> None:
        """Something may be waiting."""
        self._wake.set()

    def is_stuck(self) -> bool:
        """Whether a job can neither be finished nor taken back just now."""
        return bool(self._stuck)

    async def next_end(self) -> None:
        """Wait until a job ends, or gets stuck."""
        async with self._ended:
            await self._ended.wait()

    async def run(self) -> None:
        self.tools.stop.clear()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    try:
                        await self._launch_ready(group)
                    except (errors.Unavailable, errors.DiskFull) as error:
                        logger.error("the journal can't be worked on; trying again", error=str(error))
                        asyncio.get_running_loop().call_later(RETRY_SECONDS, self._wake.set)
                    await self._wake.wait()
                    self._wake.clear()
        finally:
            # Not waited for: a thread that hangs in a network mount must not keep the server from ending.
            self._pool.shutdown(wait=False, cancel_futures=True)

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
                group.create_task(self._work(whole), name=f"job {job.id}")

    async def _work(self, job: Job) -> None:
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
        async with self._ended:
            self._ended.notify_all()
        self._wake.set()

    def _unstick(self, job_id: str) -> None:
        self._stuck.discard(job_id)
        self._wake.set()
