"""Taking in what the analysis server calls back with. The answer is 200 only when it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from server import errors, log
from server.analysis import body, events, finding, job_store, stems, wire
from server.analysis import job as jobs
from server.analysis.broker import Broker, token_hash
from server.analysis.client import Away, Refused
from server.analysis.delivery import Delivery
from server.analysis.finding import Finding
from server.analysis.job import Asker, Job, State
from server.analysis.queue import Queue, Tx
from server.analysis.stage import Stage
from server.analysis.stems import StemCache, Stems
from server.api.parse import body_pieces, read_body

logger = log.get(__name__)
BODY_LIMIT = 8 * 1024 * 1024
_BODY_SECONDS = 120.0
_BODIES_AT_ONCE = 4
_COMPLETED = frozenset({"job_completed"})
_FAILED = frozenset({"job_failed", "error"})
_FAILED_STATUSES = frozenset({"failed", "error"})
_LONGEST_ERROR = 1000


class BadToken(errors.Forbidden):
    """This callback address belongs to no job, or to an attempt that another has replaced."""

    code = "bad_callback_token"


@dataclass(frozen=True, slots=True)
class Callback:
    """`stage` is a stage's name, or one of the words that end a job."""

    stage: str
    status: str | None
    data: Mapping[str, Any]
    body: body.Body

    @property
    def has_failed(self) -> bool:
        return self.stage in _FAILED or self.status in _FAILED_STATUSES

    @property
    def error(self) -> str:
        said = wire.words(self.data, "error", "message", longest=_LONGEST_ERROR)
        return f"the analysis server reports: {said or self.stage}"


def read(parsed: body.Body) -> tuple[Callback, Finding | None]:
    """A callback, and the checked result of its stage if it brings one (stems apart). Raises `Invalid`."""
    values = parsed.values
    name = wire.text(values, "stage", 64)
    if name is None:
        raise errors.Invalid.field("stage", "is required")
    # Whose result it is, the address says; a server that sends none doesn't speak this protocol.
    if wire.name(values, "job_id", 200) is None:
        raise errors.Invalid.field("job_id", "is required")
    data = values.get("data")
    callback = Callback(
        name,
        wire.text(values, "status", 64),
        wire.mapping({} if data is None else data, "data"),
        parsed,
    )
    if name not in set(Stage) or callback.has_failed:
        return callback, None
    stage = Stage(name)
    said = {"status": "unsupported"} if callback.status == "unsupported" else callback.data
    if stage is Stage.STEMS and said.get("status") != "unsupported":
        return callback, None
    return callback, finding.read(stage, said)


class Intake:
    def __init__(self, queue: Queue, broker: Broker, cache: StemCache, delivery: Delivery):
        self._queue = queue
        self._broker = broker
        self._cache = cache
        self._delivery = delivery
        # Parsing megabytes would hold the event loop.
        self._parser = ThreadPoolExecutor(1, thread_name_prefix="analysis")
        self._bodies = asyncio.Semaphore(_BODIES_AT_ONCE)

    def close(self) -> None:
        self._parser.shutdown(wait=False, cancel_futures=True)

    async def take(self, token: str, request: web.Request) -> None:
        """Take in one callback. Raises `BadToken` before anything of the body is read, `Invalid` and `TooLarge`."""
        key = token_hash(token)
        job = await job_store.by_token(self._queue.direct, key)
        if job is None:
            raise BadToken
        has_stems = Stage.STEMS in job.stages
        folder = await self._cache.arriving(job.audio_hash) if has_stems else None
        async with self._bodies:
            try:
                callback, result = await self._read(request, folder)
                taken = await self._take_stems(job, callback) if result is None else None
            except (errors.Invalid, errors.TooLarge) as error:
                await self._fail(key, f"the analysis server sent a bad result: {error.detail}")
                raise
            except (Away, Refused) as error:
                raise errors.Unavailable(f"the stems can't be fetched: {error}") from error
            except OSError as error:
                raise errors.Unavailable(f"the stems can't be kept: {error.strerror or error}") from error
            finally:
                if folder is not None:
                    await self._cache.forget(folder)
        async with self._queue.uow() as tx:
            current = await job_store.by_token(tx, key)
            if current is None:
                raise BadToken
            await self._commit(tx, current, callback, result, taken)

    async def _read(self, request: web.Request, folder: Path | None) -> tuple[Callback, Finding | None]:
        """`folder` takes the stems that a body may hold."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                if folder is None:
                    content = await read_body(request, BODY_LIMIT)
                    return await loop.run_in_executor(self._parser, lambda: read(body.parse(content)))
                sieve = body.Sieve(folder, BODY_LIMIT)
                try:
                    # Base64 is a third longer than what it means.
                    async for piece in body_pieces(request, self._cache.max_bytes // 3 * 4 + BODY_LIMIT):
                        await loop.run_in_executor(self._parser, sieve.feed, piece)
                    return await loop.run_in_executor(self._parser, lambda: read(sieve.finish()))
                finally:
                    sieve.close()
        except TimeoutError:
            raise errors.Invalid.field("body", f"didn't come within {_BODY_SECONDS:g} s") from None

    async def _take_stems(self, job: Job, callback: Callback) -> Stems | None:
        if callback.stage != Stage.STEMS or callback.has_failed or Stage.STEMS not in job.stages:
            return None
        gathered = await self._delivery.take(job.audio_hash, callback.data, callback.body.file_of)
        return await self._cache.put(job.audio_hash, gathered)

    async def _commit(
        self, tx: Tx, job: Job, callback: Callback, result: Finding | None, taken: Stems | None
    ) -> None:  # fmt: skip
        now = self._queue.clock.now_ms()
        pace = self._broker.pace
        after = job
        if callback.has_failed:
            retry_at = now + pace.retry_pause_ms(job.attempts)
            after = jobs.attempt_failed(job, callback.error, now, retry_at, pace.retries)
        elif callback.stage in _COMPLETED:
            after = jobs.server_finished(job, now + round(pace.afterthought * 1000))
        elif (found := finding.of_stems(taken.files) if taken is not None else result) is not None:
            stage = found.stage
            is_news = await self._queue.results.put(tx, job.audio_hash, found)
            if is_news or stage in job.stages:
                track_ids = await self._queue.track_ids(tx, job.audio_hash)
                tx.emit(events.AnalysisStage(job_id=job.audio_hash, stage=stage.value, track_ids=track_ids))
            if taken is not None:
                tell(tx, job.clients, taken)
            after = jobs.stage_arrived(job, stage, now, now + round(pace.timeout * 1000))
        else:
            logger.info(
                "a callback of an unknown kind",
                job=job.audio_hash,
                stage=callback.stage,
            )
        await self._queue.save(tx, [(job, after)])

    async def _fail(self, key: str, error: str) -> None:
        async with self._queue.uow() as tx:
            job = await job_store.by_token(tx, key)
            if job is None or job.state is not State.RUNNING:
                return
            now = self._queue.clock.now_ms()
            retry_at = now + self._broker.pace.retry_pause_ms(job.attempts)
            after = jobs.attempt_failed(job, error, now, retry_at, self._broker.pace.retries)
            await self._queue.save(tx, [(job, after)])
        self._broker.drop(job.server_job_id)


def tell(tx: Tx, askers: Iterable[Asker], ready: Stems) -> None:
    """Tell those who asked where the stems are."""
    for asker in askers:
        tx.emit(
            events.StemsReady(
                track_id=asker.track_id,
                stems=stems.urls(asker.track_id, ready),
                expires_at=stems.expiry(ready),
                client_id=asker.client_id,
            )
        )
