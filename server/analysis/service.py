"""The verbs of analysis: ask for it, look after it, call it off, and read what it found."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server import errors
from server.analysis import intake, job_store, result_store, wire
from server.analysis import job as jobs
from server.analysis.broker import Broker
from server.analysis.client import Away
from server.analysis.job import Asker, Job, Priority, State
from server.analysis.queue import Queue, Wish
from server.analysis.result_store import Found
from server.analysis.stage import Stage
from server.analysis.stems import StemCache, Stems, StemsNotReady
from server.analysis.waveform import Waveform
from server.db.database import Params, Row
from server.db.sql import Where
from server.events.bus import Bus
from server.events.log import EventLog
from server.tracks.service import TrackService

_BATCH = 500
_SHOWN = 100
_LONGEST_VERSION = 200
MAX_REQUEST = 100_000


class NotHashed(errors.Conflict):
    """The audio of this track isn't known yet, so there is nothing that an analysis could belong to."""

    code = "audio_not_hashed"


class JobEnded(errors.Conflict):
    """This job has ended already."""

    code = "job_ended"


class JobActive(errors.Conflict):
    """This job waits or runs already, or has nothing left to do."""

    code = "job_active"


class WaveformNotReady(errors.NotFound):
    """There is no waveform of this track yet; ask for one with a POST."""

    code = "waveform_not_ready"


class BeatsNotReady(errors.NotFound):
    """There are no beats of this track yet; ask for an analysis."""

    code = "beats_not_ready"


@dataclass(frozen=True, slots=True)
class Requested:
    """What came of a request: how many audios were asked for, the first of their jobs, and tracks that have none."""

    accepted: int
    jobs: list[Job]
    skipped: list[dict[str, str]]
    skipped_count: int


class AnalysisService:
    def __init__(
        self,
        queue: Queue,
        broker: Broker,
        cache: StemCache,
        tracks: TrackService,
        event_log: EventLog,
        bus: Bus,
    ):
        self._queue = queue
        self._broker = broker
        self._cache = cache
        self._tracks = tracks
        self._log = event_log
        self._bus = bus

    def listening_at(self, url: str) -> None:
        """Callbacks are taken at this URL of Mismo's own from now on; before that no job is given away."""
        self._broker.listening_at(url)

    # -- asking

    async def ensure(
        self, track_id: str, priority: str = "high", stages: Sequence[str] = (Stage.BASIC_FEATURES,)
    ) -> Job:  # fmt: skip
        """See to it that a track gets some stages; what is stored already isn't asked for again.

        Raises `NotFound`, and `NotHashed` when its audio isn't known yet. `outcome` waits for the end.
        """
        audio_hash = _audio(await self._tracks.row(track_id))
        wish = Wish(
            tuple(Stage(stage) for stage in stages),
            Priority[priority.upper()],
            again_unsupported=True,
        )
        async with self._queue.uow() as tx:
            return (await self._queue.add(tx, [audio_hash], wish))[audio_hash]

    async def outcome(self, audio_hash: str) -> Job:
        """Wait until a job has ended, however; returns it. Raises `NotFound`."""
        while True:
            seq = self._log.seq
            job = await self.job(audio_hash)
            if job.is_terminal:
                return job
            await self._bus.beyond(seq)

    async def request(self, ids: Sequence[str], wish: Wish) -> Requested:
        """Ask for stages of many tracks; an unknown id stops it all, a track without known audio is skipped."""
        accepted: dict[str, Job] = {}
        skipped: list[dict[str, str]] = []
        for start in range(0, len(ids), _BATCH):
            batch = list(dict.fromkeys(ids[start : start + _BATCH]))
            async with self._queue.uow() as tx:
                rows = {row["id"]: row for row in await self._tracks.by_ids(tx, batch)}
                if unknown := [id_ for id_ in batch if id_ not in rows]:
                    raise errors.Invalid.field("track_ids", f"there is no track {', '.join(unknown[:5])}")
                known = [row["audio_hash"] for row in rows.values() if row["audio_hash"] is not None]
                skipped += [
                    {"track_id": row["id"], "reason": NotHashed.code}
                    for row in rows.values()
                    if row["audio_hash"] is None
                ]
                accepted |= await self._queue.add(tx, list(dict.fromkeys(known)), wish)
        return Requested(
            len(accepted),
            list(accepted.values())[:_SHOWN],
            skipped[:_SHOWN],
            len(skipped),
        )

    async def matching(self, filters: Mapping[str, Any]) -> list[str]:
        """Ids of the tracks that filters select."""
        where: Where = self._tracks.condition(filters)
        ids = await self._tracks.ids_where(where)
        if len(ids) > MAX_REQUEST:
            raise errors.Invalid.field("filter", f"selects {len(ids)} tracks; the limit is {MAX_REQUEST}")
        return ids

    # -- jobs

    async def job(self, job_id: str) -> Job:
        """Raises `NotFound`."""
        job = await self._queue.get(job_id)
        if job is None:
            raise errors.NotFound(f"there is no analysis job {job_id}")
        return job

    async def describe(self, job_id: str) -> tuple[Job, tuple[str, ...], Found]:
        """A job, the tracks with its audio, and what is stored of it."""
        job = await self.job(job_id)
        return (
            job,
            await self._queue.track_ids(self._queue.direct, job_id),
            await self._queue.results.found(job_id),
        )

    async def page(self, state: State | None, page: int, limit: int) -> tuple[list[Job], int]:
        connection = self._queue.direct
        found = await job_store.page(connection, state, limit, (page - 1) * limit)
        return found, await job_store.count(connection, state)

    async def cancel(self, job_id: str) -> Job:
        """Raises `NotFound`, and `JobEnded` for one that has ended."""
        await self.job(job_id)
        async with self._queue.uow() as tx:
            before = await self._queue.within(tx, job_id)
            if before is None or before.is_terminal:
                raise JobEnded
            after = jobs.cancelled(before, self._queue.clock.now_ms())
            await self._queue.save(tx, [(before, after)])
        self._broker.drop(before.server_job_id)
        return after

    async def retry(self, job_id: str) -> Job:
        """Try again what ended without all its stages. Raises `NotFound`, `JobActive`."""
        await self.job(job_id)
        async with self._queue.uow() as tx:
            before = await self._queue.within(tx, job_id)
            if before is None or not before.is_terminal or not before.stages:
                raise JobActive
            after = jobs.retried(before, self._queue.clock.now_ms())
            await self._queue.save(tx, [(before, after)])
        return after

    async def overview(self) -> dict[str, Any]:
        """The queue as the API shows it."""
        connection = self._queue.direct
        states = {state.value: 0 for state in State}
        priorities = {priority.name.lower(): 0 for priority in Priority}
        for state, priority, number in await job_store.counts(connection):
            states[state] += number
            if state in jobs.ACTIVE:
                priorities[Priority(priority).name.lower()] += number
        standing = await self._broker.standing()
        running = await job_store.all_running(connection)
        return {
            "states": states,
            "priorities": priorities,
            "running": [job.as_json() for job in running],
            "rate_per_minute": standing.rate,
            "eta_seconds": standing.eta,
            "server": self._broker.reach.as_json(),
        }

    async def health(self) -> dict[str, Any]:
        """The analysis server's own words, or why there are none."""
        try:
            answer = await self._broker.reach.look()
        except Away:
            answer = {}
        counts = {name: wire.count(answer, name) for name in ("jobs_queued", "jobs_processing")}
        version = wire.words(answer, "version", longest=_LONGEST_VERSION)
        return {**self._broker.reach.as_json(), "version": version, **counts}

    # -- what was found

    async def beats(self, track_id: str) -> tuple[array[float], array[float]]:
        """Beats and downbeats in seconds. Raises `NotFound`, `BeatsNotReady`."""
        row = await self._tracks.row(track_id)
        found = await self._queue.results.beats(row["audio_hash"]) if row["audio_hash"] else None
        if found is None:
            raise await self._not_ready(BeatsNotReady, row)
        return found

    @staticmethod
    def beats_query(audio_hash: str) -> tuple[str, Params]:
        """For `Database.fetch_at_once`; its rows are read by `beats_in`."""
        return result_store.BEATS, {"hash": audio_hash}

    @staticmethod
    def beats_in(rows: Sequence[Row]) -> tuple[array[float], array[float]] | None:
        """Beats and downbeats of an audio, in seconds; None when it isn't analysed yet."""
        return result_store.unpacked_beats(rows)

    async def waveforms(self, track_id: str, zoom: int | None = None) -> tuple[str, list[Waveform]]:
        """The audio hash and its waveforms, at one zoom level or at all. Raises `NotFound`, `WaveformNotReady`."""
        row = await self._tracks.row(track_id)
        found = await self._queue.results.waveforms(row["audio_hash"], zoom) if row["audio_hash"] else []
        if not found:
            raise await self._not_ready(WaveformNotReady, row)
        return row["audio_hash"], found

    async def _not_ready(self, kind: type[errors.MismoError], row: Row) -> errors.MismoError:
        job = await self._queue.get(row["audio_hash"]) if row["audio_hash"] else None
        state = None if job is None else job.state.value
        doing = "nobody has asked for it" if state is None else f"its analysis is {state}"
        return kind(f"track {row['id']} has none: {doing}", extra={"job_state": state})

    # -- stems

    async def ask_for_stems(self, track_id: str, client_id: str | None) -> Job:
        """Have the stems made, before anything else; the client is told when they are there, which may be at once."""
        audio_hash = _audio(await self._tracks.row(track_id))
        asker = Asker(track_id, client_id)
        ready = await self._cache.get(audio_hash)
        stages = () if ready else (Stage.STEMS,)
        wish = Wish(stages, Priority.URGENT, asker=asker, again_unsupported=True)
        async with self._queue.uow() as tx:
            job = (await self._queue.add(tx, [audio_hash], wish))[audio_hash]
            if ready is not None:
                intake.tell(tx, (asker,), ready)
        return job

    async def stems(self, track_id: str) -> Stems:
        """Raises `NotFound`, `StemsNotReady`."""
        row = await self._tracks.row(track_id)
        found = await self._cache.get(row["audio_hash"]) if row["audio_hash"] else None
        if found is None:
            raise await self._not_ready(StemsNotReady, row)
        return found


def _audio(row: Row) -> str:
    audio_hash: str | None = row["audio_hash"]
    if audio_hash is None:
        raise NotHashed
    return audio_hash
