"""What analyses found: stored once for each audio, shown on every track that has it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from server.analysis import result_store as store
from server.analysis.finding import Finding, track_values
from server.analysis.stage import Stage, Status
from server.analysis.waveform import Waveform
from server.clock import Clock
from server.db.database import Connection, Database
from server.db.uow import Transaction
from server.events.model import Event
from server.tracks.service import TrackService

Tx = Transaction[Event]


class Results:
    def __init__(self, database: Database, tracks: TrackService, clock: Clock):
        self._database = database
        self._tracks = tracks
        self._clock = clock

    async def put(self, tx: Tx, audio_hash: str, finding: Finding) -> bool:
        """Store what a stage found and show it; False when just that was stored before."""
        if not await store.put(tx, audio_hash, finding, self._clock.now_ms()):
            return False
        await self.show(tx, [audio_hash])
        return True

    async def show(self, tx: Tx, hashes: Sequence[str]) -> None:
        """Let the tracks with some audios show what is stored of them."""
        found = await store.found(tx, hashes)
        if found:
            await self._tracks.show_analysis(tx, {key: track_values(values) for key, values in found.items()})

    async def settled(
        self, connection: Connection, hashes: Sequence[str], *, again_unsupported: bool = False
    ) -> dict[str, set[Stage]]:
        """Audio hash → stages that needn't be asked for: done, or found unsupported unless `again_unsupported`.

        Stems that were made are never settled, since they aren't kept.
        """
        stored = await store.stages(connection, hashes)
        return {
            audio_hash: {
                stage
                for stage, status in values.items()
                if (stage is not Stage.STEMS if status is Status.DONE else not again_unsupported)
            }
            for audio_hash, values in stored.items()
        }

    async def found(self, audio_hash: str) -> store.Found:
        """Everything but beats and waveforms: stage → status, data, and when (Unix ms)."""
        return (await store.found(self._database.direct, [audio_hash])).get(audio_hash, {})

    async def with_stage(self, stage: Stage, after: str, limit: int) -> list[str]:
        return await store.with_stage(self._database.direct, stage, after, limit)

    async def beats(self, audio_hash: str) -> tuple[array[float], array[float]] | None:
        """Beats and downbeats in seconds; None when there is no analysis."""
        return await store.beats(self._database.direct, audio_hash)

    async def waveforms(self, audio_hash: str, zoom: int | None) -> list[Waveform]:
        return await store.waveforms(self._database.direct, audio_hash, zoom)
