"""The broker: gives jobs to the analysis server, asks after them, and tries again."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import time
from collections import deque
from functools import partial

from server import errors, log
from server.analysis import events, job_store
from server.analysis import job as jobs
from server.analysis.address import reachable
from server.analysis.audio import AudioFiles
from server.analysis.client import AnalysisClient, Away, Broken, Refused
from server.analysis.job import Claim, Job, State
from server.analysis.pace import Pace
from server.analysis.queue import Queue
from server.analysis.reach import Reach
from server.db.database import Dialect
from server.events.bus import Bus

logger = log.get(__name__)
RATE_WINDOW_MS = 600_000
_SHORTEST_SPAN_MS = 1_000
_ABANDONED_BATCH = 100
_REVIEW_BATCH = 200
_MOST_DROPS = 1000


def token_hash(token: str) -> str:
    """What is kept of a callback token."""
    return hashlib.sha256(token.encode()).hexdigest()


class Broker:
    """A service. Everything it does is in the database first, so that it can be killed at any moment."""

    name = "analysis broker"

    def __init__(
        self, queue: Queue, client: AnalysisClient, audio: AudioFiles, bus: Bus, pace: Pace, max_concurrent: int
    ):  # fmt: skip
        self.pace = pace
        self.reach = Reach(client, pace)
        self._queue = queue
        self._client = client
        self._audio = audio
        self._bus = bus
        self._max_concurrent = max_concurrent
        self._listening = asyncio.Event()
        self._own_url = ""
        self._callback_base = ""
        self._owner = ""
        self._server = str(client.url)
        # Jobs that ran when Mismo ended, and weren't asked after yet.
        self._recovered: set[str] = set()
        self._to_drop: deque[str] = deque(maxlen=_MOST_DROPS)
        self._submitting: set[str] = set()
        self._next: dict[str, float] = {}

    def listening_at(self, url: str) -> None:
        """Mismo takes callbacks at this URL of its own from now on; before that no job is given away."""
        self._own_url = url.rstrip("/")
        self._listening.set()

    async def _find_address(self) -> None:
        while True:
            try:
                own = await reachable(self._own_url, self._client.url)
                break
            except OSError as error:
                self.reach.lost(f"there is no way to {self._client.url}: {error}")
                await asyncio.sleep(self.pace.longest_away)
        self._callback_base = f"{own}/api/analysis/callback"
        host = socket.gethostname()
        self._owner = f"{host} {self._callback_base}"
        if self._client.url.host in ("127.0.0.1", "localhost", "::1"):
            # Another machine's 127.0.0.1 is another server.
            self._server = f"{host} {self._client.url}"

    def drop(self, server_job_id: str | None) -> None:
        """Let the server know, when it can be reached, that it needn't go on with a job."""
        if server_job_id is not None:
            self._to_drop.append(server_job_id)
            self._queue.woken.set()

    async def run(self) -> None:
        await self._listening.wait()
        await self._find_address()
        async with self._client.connected(), asyncio.TaskGroup() as group:
            is_recovered = False
            while True:
                self._queue.woken.clear()
                try:
                    if not is_recovered:
                        await self._recover()
                        is_recovered = True
                    await self._turn(group)
                except (errors.Unavailable, errors.DiskFull) as error:
                    logger.warning("the analysis queue has to wait", error=str(error))
                await self._wait(self.pace.tick)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._queue.woken.wait()
        except TimeoutError:
            return

    def _is_due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next.get(what, 0):
            return False
        self._next[what] = now + seconds
        return True

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        if self._is_due("lease", self.pace.lease / 3):
            await self._keep_leases()
        if self._queue.is_review_due or self._is_due("missing", self.pace.missing):
            self._queue.is_review_due = False
            await self._review_missing()
        own = await job_store.running(self._queue.direct, self._owner)
        await self._fail_overdue(own)
        if self._is_due("ask", self.pace.ask_after) or self._recovered:
            await self._ask_after(own)
        if self._to_drop and await self.reach.is_there():
            await self._send_drops()
        is_waiting = await job_store.next_queued(self._queue.direct, self._queue.clock.now_ms(), 1)
        if is_waiting and await self.reach.is_there():
            await self._give_out(group)
        if self._is_due("progress", 1.0):
            await self._report_progress()

    # -- giving out

    async def _give_out(self, group: asyncio.TaskGroup) -> None:
        claimed: list[tuple[Job, str]] = []
        now = self._queue.clock.now_ms()
        async with self._queue.uow() as tx:
            free = self._max_concurrent - await job_store.running_at(tx, self._server)
            changes = []
            for job in await job_store.next_queued(tx, now, free) if free > 0 else []:
                token = secrets.token_urlsafe(32)
                claim = Claim(
                    owner=self._owner,
                    server=self._server,
                    callback_base=self._callback_base,
                    token_hash=token_hash(token),
                    now=now,
                    lease_until=now + round(self.pace.lease * 1000),
                    deadline=now + round(self.pace.timeout * 1000),
                )
                changes.append((job, jobs.claimed(job, claim)))
                claimed.append((changes[-1][1], token))
            await self._queue.save(tx, changes)
        for job, token in claimed:
            self._submitting.add(job.audio_hash)
            group.create_task(self._submit(job, token))

    async def _submit(self, job: Job, token: str) -> None:
        try:
            await self._submit_to_server(job, token)
        except (errors.Unavailable, errors.DiskFull) as error:
            # The row says running; when the deadline has passed, that counts as an attempt.
            logger.warning(
                "a job's state can't be stored now",
                job=job.audio_hash,
                error=str(error),
            )
        finally:
            self._submitting.discard(job.audio_hash)
            self._queue.woken.set()

    async def _submit_to_server(self, job: Job, token: str) -> None:
        now = self._queue.clock.now_ms
        path = await self._audio.find(job.audio_hash)
        if path is None:
            await self._change(job, lambda current: jobs.file_missing(current, now()))
            return
        async with self._queue.uow() as tx:
            await self._queue.started(tx, job)
        try:
            url = f"{self._callback_base}/{token}"
            server_job_id = await self._client.submit(job, path, url, self._audio.files)
        except Broken as broken:
            self.reach.lost(str(broken))
            await self._lose(job, str(broken))
        except Away as away:
            self.reach.lost(str(away))
            await self._change(job, jobs.put_back)
        except Refused as refused:
            await self._fail(job, str(refused))
        except OSError as error:
            await self._fail(job, f"the file can't be read: {error.strerror or error}")
        else:
            if not await self._change(job, lambda current: jobs.accepted(current, server_job_id)):
                self.drop(server_job_id)  # it was called off before the server had answered

    async def _change(self, job: Job, to: jobs.Change) -> bool:
        """Take the job to its next state; False when this attempt of it is over already."""
        async with self._queue.uow() as tx:
            current = await self._queue.within(tx, job.audio_hash)
            if current is None or current.state is not State.RUNNING or current.token_hash != job.token_hash:
                return False
            await self._queue.save(tx, [(current, to(current))])
        return True

    async def _fail(self, job: Job, error: str) -> None:
        now, retry_at = self._queue.clock.now_ms(), self._retry_at(job.attempts)
        logger.warning(
            "an analysis failed",
            job=job.audio_hash,
            attempt=job.attempts + 1,
            error=error,
        )
        self.drop(job.server_job_id)
        await self._change(
            job,
            lambda current: jobs.attempt_failed(current, error, now, retry_at, self.pace.retries),
        )

    async def _lose(self, job: Job, error: str) -> None:
        now, retry_at = self._queue.clock.now_ms(), self._retry_at(job.losses - 2)
        await self._change(
            job,
            lambda current: jobs.lost(current, error, now, retry_at, self.pace.losses),
        )

    def _retry_at(self, attempts: int) -> int:
        return self._queue.clock.now_ms() + self.pace.retry_pause_ms(attempts)

    # -- asking after

    async def _recover(self) -> None:
        """Find the jobs that ran when this Mismo ended. One process owns a SQLite file, so there they are all its."""
        async with self._queue.uow() as tx:
            is_shared = tx.dialect is Dialect.POSTGRES
            running = await (job_store.running(tx, self._owner) if is_shared else job_store.all_running(tx))
            changes = []
            for job in running:
                if job.server_job_id is None or job.callback_base != self._callback_base:
                    # Nobody will hear of its results: it is asked again.
                    self.drop(job.server_job_id)
                    changes.append((job, jobs.put_back(job)))
                else:
                    self._recovered.add(job.audio_hash)
                    changes.append((job, jobs.taken_up(job, self._owner)))
            await self._queue.save(tx, changes)
        if running:
            again = len(running) - len(self._recovered)
            logger.info("analyses taken up", asked_after=len(self._recovered), asked_again=again)

    async def _ask_after(self, own: list[Job]) -> None:
        asked = [job for job in own if job.server_job_id is not None and job.audio_hash not in self._submitting]
        self._recovered &= {job.audio_hash for job in asked}
        if not asked or not await self.reach.is_there():
            return
        for job in asked:
            assert job.server_job_id is not None
            try:
                standing = await self._client.standing(job.server_job_id)
            except Away as away:
                self.reach.lost(str(away))
                return
            is_recovered = job.audio_hash in self._recovered
            self._recovered.discard(job.audio_hash)
            if standing.is_live:
                continue
            if is_recovered:
                await self._change(job, jobs.put_back)
            elif not standing.is_known:
                await self._lose(job, "the analysis server doesn't know the job any more")
            else:
                until = self._queue.clock.now_ms() + round(self.pace.afterthought * 1000)
                await self._change(job, partial(jobs.server_finished, deadline=until))

    async def _fail_overdue(self, own: list[Job]) -> None:
        now = self._queue.clock.now_ms()
        for job in own:
            if job.deadline is None or job.deadline > now or job.audio_hash in self._submitting:
                continue
            if job.audio_hash in self._recovered:
                self._recovered.discard(job.audio_hash)
                await self._change(job, jobs.put_back)
            else:
                waiting = ", ".join(stage for stage in job.asked if stage in job.stages)
                await self._fail(job, f"the analysis server sent no result in time for {waiting}")

    async def _send_drops(self) -> None:
        try:
            while self._to_drop:
                await self._client.drop(self._to_drop[0])
                self._to_drop.popleft()
        except Away as away:
            self.reach.lost(str(away))

    # -- housekeeping

    async def _keep_leases(self) -> None:
        now = self._queue.clock.now_ms()
        async with self._queue.uow() as tx:
            await job_store.renew(tx, self._owner, now + round(self.pace.lease * 1000))
            left = await job_store.abandoned(tx, now, _ABANDONED_BATCH)
            # Callbacks for them go to a Mismo that is gone.
            await self._queue.save(tx, [(job, jobs.put_back(job)) for job in left])
        for job in left:
            self.drop(job.server_job_id)
            logger.info(
                "took over a job that another Mismo left",
                job=job.audio_hash,
                owner=job.owner,
            )

    async def _review_missing(self) -> None:
        """Ask again for the audios whose files are back."""
        after = ""
        while hashes := await job_store.hashes_in(self._queue.direct, State.FILE_MISSING, after, _REVIEW_BATCH):
            after = hashes[-1]
            back = await self._audio.present(hashes)
            if not back:
                continue
            async with self._queue.uow() as tx:
                now = self._queue.clock.now_ms()
                before = await job_store.by_hashes(tx, back)
                await self._queue.save(
                    tx,
                    [(job, jobs.retried(job, now)) for job in before.values() if job.state is State.FILE_MISSING],
                )

    async def _report_progress(self) -> None:
        standing = await self.standing()
        if standing.queued or standing.running:
            self._bus.publish(standing)

    async def standing(self) -> events.AnalysisProgress:
        """How many jobs wait and run, how many end a minute, and how many seconds the rest will take."""
        counts: dict[str, int] = {}
        for state, _, number in await job_store.counts(self._queue.direct):
            counts[state] = counts.get(state, 0) + number
        now = self._queue.clock.now_ms()
        done, first = await job_store.completed_since(self._queue.direct, now - RATE_WINDOW_MS)
        # A queue that has just begun isn't slow because it did nothing before.
        span = min(RATE_WINDOW_MS, max(now - (first or 0), _SHORTEST_SPAN_MS))
        rate = done / (span / 60_000)
        left = counts.get("queued", 0) + counts.get("running", 0)
        return events.AnalysisProgress(
            queued=counts.get("queued", 0),
            running=counts.get("running", 0),
            rate=round(rate, 2),
            eta=round(left / rate * 60) if rate and left else None,
        )
