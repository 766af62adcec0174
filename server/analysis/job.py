"""The job as a value, and every way from one of its states to another. Nothing here does anything."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from server.analysis.stage import Stage, ordered
from server.clock import to_rfc3339


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    FILE_MISSING = "file_missing"


class Priority(IntEnum):
    """The lower number goes first."""

    URGENT = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


TERMINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.FILE_MISSING})
ACTIVE = frozenset({State.QUEUED, State.RUNNING})


class Asker(NamedTuple):
    """Who waits for stems: of which track, and through which websocket client (None: everybody may hear of it)."""

    track_id: str
    client_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of `analysis_jobs`, whose comment says what the fields mean. Times in Unix milliseconds."""

    audio_hash: str
    state: State
    priority: Priority
    stages: tuple[Stage, ...]
    asked: tuple[Stage, ...] = ()
    attempts: int = 0
    losses: int = 0
    not_before: int = 0
    error: str | None = None
    token_hash: str | None = None
    server: str | None = None
    server_job_id: str | None = None
    owner: str | None = None
    callback_base: str | None = None
    lease_until: int | None = None
    deadline: int | None = None
    clients: tuple[Asker, ...] = ()
    created_at: int
    queued_at: int
    started_at: int | None = None
    finished_at: int | None = None

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL

    def as_json(self) -> dict[str, Any]:
        """The job as the API shows it."""
        is_waiting = self.state is State.QUEUED and self.attempts + self.losses > 0
        return {
            "id": self.audio_hash,
            "audio_hash": self.audio_hash,
            "status": self.state,
            "priority": self.priority.name.lower(),
            "stages": list(self.stages),
            "attempts": self.attempts,
            "error": self.error,
            "retry_at": to_rfc3339(self.not_before) if is_waiting and self.not_before else None,
            "created_at": to_rfc3339(self.created_at),
            "queued_at": to_rfc3339(self.queued_at),
            "started_at": to_rfc3339(self.started_at),
            "finished_at": to_rfc3339(self.finished_at),
        }


Change = Callable[[Job], Job]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who asks which server for what, until when the lease holds, and when an answer is overdue."""

    owner: str
    server: str
    callback_base: str
    token_hash: str
    now: int
    lease_until: int
    deadline: int


def fresh(audio_hash: str, now: int) -> Job:
    """An audio that was never asked for: nothing is to be done."""
    return Job(
        audio_hash=audio_hash, state=State.COMPLETED, priority=Priority.LOW, stages=(), created_at=now, queued_at=now,
        finished_at=now,
    )  # fmt: skip


def requested(
    job: Job,
    wanted: Collection[Stage],
    priority: Priority,
    asker: Asker | None,
    now: int,
) -> Job:
    """Ask for stages that aren't stored yet: a job that waits gets them too and may move up, an ended one waits again.

    `asker` is told when the stems are there.
    """
    if not wanted:
        return job
    clients = tuple(dict.fromkeys([*job.clients, asker])) if asker is not None else job.clients
    if job.state in ACTIVE:
        stages = ordered([*job.stages, *wanted])
        not_before = job.not_before if set(wanted) <= set(job.stages) and priority >= job.priority else 0
        return replace(
            job, stages=stages, priority=min(job.priority, priority), clients=clients, not_before=not_before
        )  # fmt: skip
    return _queued(replace(job, stages=ordered(wanted), priority=priority, clients=clients, attempts=0, losses=0,
                           not_before=0, error=None, queued_at=now, started_at=None))  # fmt: skip


def claimed(job: Job, claim: Claim) -> Job:
    """The job is about to be given to the server."""
    return replace(
        job,
        state=State.RUNNING,
        asked=job.stages,
        owner=claim.owner,
        server=claim.server,
        callback_base=claim.callback_base,
        token_hash=claim.token_hash,
        server_job_id=None,
        lease_until=claim.lease_until,
        deadline=claim.deadline,
        started_at=claim.now,
    )


def stage_arrived(job: Job, stage: Stage, now: int, deadline: int) -> Job:
    """The result of a stage is stored. The job is complete with the last one, whatever else the server may send; so is
    one that had failed before. One that a person has cancelled stays cancelled.
    """
    stages = tuple(item for item in job.stages if item is not stage)
    clients = () if stage is Stage.STEMS else job.clients
    job = replace(job, stages=stages, clients=clients)
    if job.state in (State.COMPLETED, State.CANCELLED):
        return job
    if not stages:
        return _ended(job, State.COMPLETED, None, now)
    if job.state is State.RUNNING and not set(job.asked) & set(stages):
        return _queued(job)  # what was asked for meanwhile needs another round
    return replace(job, deadline=deadline) if job.state is State.RUNNING else job


def accepted(job: Job, server_job_id: str) -> Job:
    """The server has taken the job, under an id of its own."""
    return replace(job, server_job_id=server_job_id)


def taken_up(job: Job, owner: str) -> Job:
    """A Mismo that was restarted waits for the job again."""
    return replace(job, owner=owner)


def server_finished(job: Job, deadline: int) -> Job:
    """The server says that it is done; results that are still on their way have until `deadline`."""
    if job.state is not State.RUNNING or job.deadline is None:
        return job
    return replace(job, deadline=min(job.deadline, deadline))


def attempt_failed(job: Job, error: str, now: int, retry_at: int, max_retries: int) -> Job:
    """One try went wrong; another follows, up to `max_retries` of them."""
    if job.state is not State.RUNNING:
        return job
    job = replace(job, attempts=job.attempts + 1, error=error)
    if job.attempts > max_retries:
        return _ended(job, State.FAILED, error, now)
    return _queued(replace(job, not_before=retry_at))


def lost(job: Job, error: str, now: int, retry_at: int, max_losses: int) -> Job:
    """The server went away with the job: no fault of the audio's, unless it happens again and again."""
    if job.state is not State.RUNNING:
        return job
    job = replace(job, losses=job.losses + 1, error=error)
    if job.losses > max_losses:
        return _ended(job, State.FAILED, error, now)
    return _queued(replace(job, not_before=retry_at))


def put_back(job: Job) -> Job:
    """The server never had it, or nobody can tell any more: it waits again as if it had never been tried."""
    return _queued(job) if job.state is State.RUNNING else job


def retried(job: Job, now: int) -> Job:
    """A person wants another try of a job that ended without all its stages."""
    return _queued(
        replace(
            job,
            attempts=0,
            losses=0,
            not_before=0,
            error=None,
            queued_at=now,
            started_at=None,
        )
    )


def cancelled(job: Job, now: int) -> Job:
    return _ended(job, State.CANCELLED, None, now)


def file_missing(job: Job, now: int) -> Job:
    return _ended(job, State.FILE_MISSING, "no file with this audio can be reached", now)


def _queued(job: Job) -> Job:
    return replace(
        job, state=State.QUEUED, asked=(), owner=None, server_job_id=None, lease_until=None, deadline=None,
        finished_at=None,
    )  # fmt: skip


def _ended(job: Job, state: State, error: str | None, now: int) -> Job:
    return replace(
        job, state=state, error=error, asked=(), owner=None, lease_until=None, deadline=None, finished_at=now,
        clients=() if state is not State.FILE_MISSING else job.clients,
    )  # fmt: skip
