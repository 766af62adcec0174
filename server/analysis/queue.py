"""The queue: jobs in the database, and what is announced when one of them changes its state."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from server.analysis import events, job_store
from server.analysis import job as jobs
from server.analysis.job import Asker, Job, Priority, State
from server.analysis.results import Results
from server.analysis.stage import Stage
from server.clock import Clock
from server.db.database import Connection, Database
from server.db.uow import Transaction, UnitOfWork
from server.events.model import Event
from server.tracks.service import TrackService

Tx = Transaction[Event]


@dataclass(frozen=True, slots=True)
class Wish:
    """Stages that somebody wants of some audios. `revives`: the states of ended jobs that it makes wait again.

    `is_idle`: nobody wants them; a job that waits or runs isn't burdened with them.
    """

    stages: tuple[Stage, ...]
    priority: Priority
    asker: Asker | None = None
    revives: Collection[State] = frozenset(jobs.TERMINAL)
    again_unsupported: bool = False
    is_idle: bool = False

    def takes(self, job: Job) -> bool:
        """Whether the job may get these stages."""
        return job.state in self.revives if job.is_terminal else not self.is_idle


class Queue:
    def __init__(
        self,
        database: Database,
        uow: UnitOfWork[Event],
        tracks: TrackService,
        results: Results,
        clock: Clock,
    ):
        self.uow = uow
        self.results = results
        self.clock = clock
        self.tracks = tracks
        self._database = database
        # Set when there may be something for the broker to do.
        self.woken = asyncio.Event()
        self.is_review_due = True

    async def add(self, tx: Tx, hashes: Sequence[str], wish: Wish) -> dict[str, Job]:
        """Ask for stages of audios, at most one event's worth of them; those that are settled aren't asked for again.

        Returns audio hash → its job.
        """
        now = self.clock.now_ms()
        await job_store.insert_missing(tx, [jobs.fresh(audio_hash, now) for audio_hash in sorted(set(hashes))])
        before = await job_store.by_hashes(tx, hashes)
        settled = await self.results.settled(tx, hashes, again_unsupported=wish.again_unsupported)
        after = {}
        for audio_hash, job in before.items():
            wanted = [stage for stage in wish.stages if stage not in settled.get(audio_hash, ())]
            asker = wish.asker if wanted else None
            after[audio_hash] = (
                jobs.requested(job, wanted, wish.priority, asker, now) if wish.takes(job) else job
            )  # fmt: skip
        await self.save(tx, [(before[key], job) for key, job in after.items()])
        return after

    async def save(self, tx: Tx, changes: Sequence[tuple[Job, Job]]) -> None:
        """Write jobs as they are now, and announce those that ended."""
        changed = [(before, after) for before, after in changes if before != after]
        await job_store.save(tx, [after for _, after in changed])
        for before, after in changed:
            if after.state is State.QUEUED:
                tx.on_commit(self.woken.set)
            if after.is_terminal and after.state is not before.state:
                tx.on_commit(self.woken.set)
                kind = events.AnalysisComplete if after.state is State.COMPLETED else events.AnalysisFailed
                tx.emit(
                    kind(
                        job=after.as_json(),
                        track_ids=await self.track_ids(tx, after.audio_hash),
                    )
                )

    async def started(self, tx: Tx, job: Job) -> None:
        tx.emit(
            events.AnalysisStarted(job=job.as_json(), track_ids=await self.track_ids(tx, job.audio_hash)),
        )

    async def track_ids(self, connection: Connection, audio_hash: str) -> tuple[str, ...]:
        return tuple(row["id"] for row in await self.tracks.by_hashes(connection, [audio_hash], ("id",)))

    async def get(self, audio_hash: str) -> Job | None:
        return await job_store.by_hash(self._database.direct, audio_hash)

    async def within(self, tx: Tx, audio_hash: str) -> Job | None:
        """The job, as the transaction sees it."""
        return await job_store.by_hash(tx, audio_hash)

    def review_missing(self) -> None:
        """Files may have come back: let the broker look after the jobs that closed without one."""
        self.is_review_due = True
        self.woken.set()

    @property
    def direct(self) -> Connection:
        return self._database.direct
