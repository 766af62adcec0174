"""What follows from changes of tracks: copies show what is known of their audio, new audio is queued."""

from __future__ import annotations

from collections.abc import Sequence

from server.analysis.job import Priority, State
from server.analysis.queue import Queue, Wish
from server.analysis.stage import FIRST
from server.db.uow import Transaction
from server.events.bus import Bus
from server.events.consumer import Consumer
from server.events.log import EventLog
from server.events.model import Entry, Event

_TRACK_EVENTS = frozenset({"track:added", "track:updated", "track:moved", "track:restored"})
_RETURNS = frozenset(
    {
        "track:moved",
        "track:restored",
        "library:media:connected",
        "library:directory:added",
    }
)
# What grouping copies changes of a track; a scan of a library with many of them says it for every second batch.
_NO_NEWS = frozenset({"duplicate_group_id", "updated_at"})
_BATCH = 500


class Newcomers(Consumer):
    name = "analysis of new tracks"

    def __init__(self, queue: Queue, event_log: EventLog, bus: Bus, *, is_automatic: bool):
        super().__init__(queue.uow, event_log, bus)
        self._queue = queue
        self._is_automatic = is_automatic

    def concerns(self, entry: Entry) -> bool:
        return entry.name in _RETURNS or _concerns_audio(entry)

    async def react(self, tx: Transaction[Event], entries: Sequence[Entry]) -> None:
        if any(entry.name in _RETURNS for entry in entries):
            tx.on_commit(self._queue.review_missing)
        changed = [id_ for entry in entries if _concerns_audio(entry) for id_ in entry.data["ids"]]
        unique = list(dict.fromkeys(changed))
        batches = [unique[start : start + _BATCH] for start in range(0, len(unique), _BATCH)]
        hashes: list[str] = []
        for ids in batches:
            hashes += await self._ask_for(tx, ids)
        for start in range(0, len(hashes), _BATCH):
            await self._queue.results.show(tx, hashes[start : start + _BATCH])

    async def _ask_for(self, tx: Transaction[Event], ids: Sequence[str]) -> list[str]:
        """Queue the audios of tracks; returns all of them, also those of missing files."""
        found = await self._queue.tracks.by_ids(tx, ids, ("audio_hash", "missing_since"))
        rows = [row for row in found if row["audio_hash"] is not None]
        present = list(dict.fromkeys(row["audio_hash"] for row in rows if row["missing_since"] is None))
        if self._is_automatic and present:
            # A job that failed or was cancelled isn't started again by itself.
            revives = frozenset({State.COMPLETED, State.FILE_MISSING})
            await self._queue.add(tx, present, Wish(FIRST, Priority.NORMAL, revives=revives))
        return list(dict.fromkeys(row["audio_hash"] for row in rows))


def _concerns_audio(entry: Entry) -> bool:
    fields = entry.data.get("fields")
    return entry.name in _TRACK_EVENTS and not (fields and _NO_NEWS.issuperset(fields))
