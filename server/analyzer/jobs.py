"""The queue of jobs and the workers that do them."""

import asyncio
import shutil
import time
from collections import Counter, deque
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import structlog

from server.analyzer import process, protocol
from server.analyzer.callbacks import Courier, Undeliverable
from server.analyzer.options import Options
from server.analyzer.stages import Payload, Stage

FINISHED_KEPT = 1000

logger = structlog.get_logger(__name__)


class State(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass
class Job:
    """One order. `path` is the file to read; an `upload` is removed when the job ends. Times are Unix seconds."""

    job_id: str
    request: protocol.Request
    path: Path
    stem_url: str
    upload: Path | None = None
    state: State = State.QUEUED
    done: list[Stage] = field(default_factory=list)
    error: str | None = None
    created: float = field(default_factory=time.time)
    started: float | None = None
    finished: float | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_active(self) -> bool:
        return self.state in {State.QUEUED, State.PROCESSING}

    def payload(self) -> Payload:
        return {
            "job_id": self.job_id,
            "status": self.state,
            "stages": list(self.request.stages),
            "stages_completed": list(self.done),
            "error": self.error,
            "created_at": self.created,
            "started_at": self.started,
            "finished_at": self.finished,
        }


class Jobs:
    """First in, first out; `options.workers` at once. Nothing outlives the process: who ordered asks again."""

    def __init__(self, options: Options, courier: Courier, folder: Path) -> None:
        self._options = options
        self._courier = courier
        self._folder = folder
        self._jobs: dict[str, Job] = {}
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._finished: deque[str] = deque()
        self._totals: Counter[State] = Counter()
        self._busy_seconds = 0.0
        self._begun = time.monotonic()

    async def run(self) -> None:
        """Works until it is cancelled; the worker processes end with it."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._options.workers):
                group.create_task(self._work())
            group.create_task(self._sweep())

    def submit(self, request: protocol.Request, path: Path, stem_url: str, upload: Path | None = None) -> Job:
        """`stem_url` is where this server's stems are found by the one who asks; the job's id is added to it."""
        job = Job(self._free_id(request.track_hash), request, path, stem_url, upload)
        self._jobs[job.job_id] = job
        self._queue.put_nowait(job)
        return job

    def find(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    async def cancel(self, job: Job) -> None:
        """Ends the job if it isn't finished, and its process with it; no further callback is sent."""
        if job.task is not None:
            job.task.cancel()
            await asyncio.wait({job.task})
        elif job.is_active:
            self._finish(job, State.CANCELLED)

    def count(self, state: State) -> int:
        """How many jobs are queued or processing, or have finished so since the start."""
        if state in {State.QUEUED, State.PROCESSING}:
            return sum(job.state is state for job in self._jobs.values())
        return self._totals[state]

    def statistics(self) -> Payload:
        return {f"jobs_{state}": self.count(state) for state in State} | {
            "workers": self._options.workers,
            "uptime": round(time.monotonic() - self._begun, 3),
            "processing_seconds": round(self._busy_seconds, 3),
        }

    def stem_folder(self, job_id: str) -> Path:
        # Not the id itself: it may hold what a file system doesn't take.
        return self._folder / "stems" / job_id.encode().hex()

    def _free_id(self, track_hash: str) -> str:
        """The hash itself, so that whoever ordered can ask after it; with a number while that id is at work."""
        job_id, number = track_hash, 1
        while (job := self._jobs.get(job_id)) is not None and job.is_active:
            number += 1
            job_id = f"{track_hash}.{number}"
        if job_id in self._finished:
            self._finished.remove(job_id)
        return job_id

    async def _work(self) -> None:
        while True:
            job = await self._queue.get()
            if job.state is not State.QUEUED:
                continue
            job.state, job.started = State.PROCESSING, time.time()
            job.task = asyncio.create_task(self._perform(job), name=f"job {job.job_id}")
            try:
                await asyncio.wait({job.task})
            except asyncio.CancelledError:
                job.task.cancel()
                await asyncio.wait({job.task})
                raise

    async def _perform(self, job: Job) -> None:
        state = State.FAILED
        try:
            try:
                await self._analyse(job)
                await self._tell(job, protocol.JOB_COMPLETED, State.COMPLETED, {"stages": list(job.done)})
                state = State.COMPLETED
            except process.AnalysisFailed as error:
                await self._tell_failure(job, str(error), error.code)
            except Undeliverable:
                raise
            except Exception:
                logger.exception("job broke", job_id=job.job_id)
                await self._tell_failure(job, "internal error of the analysis server", "internal")
        except asyncio.CancelledError:
            state = State.CANCELLED
            raise
        except Undeliverable as error:
            job.error = job.error or str(error)
        finally:
            self._finish(job, state)

    async def _analyse(self, job: Job) -> None:
        """Raises process.AnalysisFailed, Undeliverable."""
        folder = self.stem_folder(job.job_id)
        by_url = job.request.stem_delivery is protocol.StemDelivery.CALLBACK
        analysis = process.analyse(job.path, job.request.stages, folder, self._options.stem_format)
        async with aclosing(analysis) as reports:
            async for stage, data in reports:
                if stage is Stage.STEMS and by_url:
                    await self._tell(
                        job, stage, State.COMPLETED, _with_urls(data, f"{job.stem_url}/{job.job_id}/stems")
                    )
                else:
                    await self._tell(job, stage, str(data.get("status", State.COMPLETED)), data)
                job.done.append(stage)

    async def _tell_failure(self, job: Job, error: str, code: str) -> None:
        job.error = error
        await self._tell(job, protocol.JOB_FAILED, State.FAILED, {"error": error, "code": code})

    async def _tell(self, job: Job, stage: str, status: str, data: Payload) -> None:
        await self._courier.deliver(job.request.callback_url, protocol.callback(job.job_id, stage, status, data))

    def _finish(self, job: Job, state: State) -> None:
        job.state, job.finished, job.task = state, time.time(), None
        self._totals[state] += 1
        self._busy_seconds += job.finished - job.started if job.started else 0.0
        if job.upload:
            job.upload.unlink(missing_ok=True)
        logger.info("job finished", job_id=job.job_id, status=state, error=job.error)
        self._finished.append(job.job_id)
        while len(self._finished) > FINISHED_KEPT:
            del self._jobs[self._finished.popleft()]

    async def _sweep(self) -> None:
        """Removes stems when their time is over."""
        stems = self._folder / "stems"
        while True:
            await asyncio.sleep(min(60, self._options.stem_seconds))
            await asyncio.to_thread(_remove_older, stems, time.time() - self._options.stem_seconds)


def _with_urls(data: Payload, base: str) -> Payload:
    paths = data["stems"]
    assert isinstance(paths, dict)
    urls = {name: f"{base}/{Path(path).name}" for name, path in paths.items()}
    return data | {"delivery_mode": protocol.StemDelivery.CALLBACK, "stems": urls}


def _remove_older(folder: Path, limit: float) -> None:
    if not folder.is_dir():
        return
    for job_folder in folder.iterdir():
        if job_folder.stat().st_mtime < limit:
            shutil.rmtree(job_folder, ignore_errors=True)
