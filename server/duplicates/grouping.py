"""Keeping the groups true: a consumer of the log that looks only at what its events name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from server import log
from server.clock import Clock
from server.db.database import Connection, Row
from server.db.uow import Transaction, UnitOfWork
from server.duplicates import store
from server.duplicates.events import DuplicateDetected, DuplicateResolved
from server.duplicates.model import COLUMNS, Group, Status, group_id, sizes
from server.duplicates.suggesting import Suggester
from server.events.bus import Bus
from server.events.consumer import Consumer
from server.events.log import EventLog
from server.events.model import Entry, Event
from server.tracks.service import TrackService

logger = log.get(__name__)
Tx = Transaction[Event]
ASKED_AT_ONCE = 1000
CHUNK = 100  # so many at once hold the event loop for some ten milliseconds
# An update that touched none of these changes no group.
_TELLING = {"audio_hash", "file_size", "missing_since"}


@dataclass(slots=True)
class Changes:
    """What a look at some audio hashes has changed."""

    appeared: list[Group] = field(default_factory=list)
    changed: list[Group] = field(default_factory=list)
    gone: list[Group] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.appeared) + len(self.changed) + len(self.gone)

    def add(self, other: Changes) -> None:
        self.appeared += other.appeared
        self.changed += other.changed
        self.gone += other.gone


class Grouper:
    """Derives the groups of given audio hashes anew, and writes and announces what differs."""

    def __init__(self, tracks: TrackService, suggester: Suggester, clock: Clock):
        self._tracks = tracks
        self._suggester = suggester
        self._clock = clock

    async def concerned(self, connection: Connection, track_ids: Sequence[str]) -> list[str]:
        """The audio hashes whose groups some tracks may have changed; mostly none."""
        hashes: set[str] = set()
        for start in range(0, len(track_ids), ASKED_AT_ONCE):
            chunk = track_ids[start : start + ASKED_AT_ONCE]
            hashes.update(await self._tracks.shared_audio(connection, chunk))
            hashes.update(await store.hashes_of_members(connection, chunk))
        return sorted(hashes)

    async def regroup(self, tx: Tx, hashes: Sequence[str]) -> Changes:
        """Make the groups of these hashes what the tracks say."""
        result = Changes()
        for start in range(0, len(hashes), CHUNK):
            result.add(await self._regroup(tx, hashes[start : start + CHUNK]))
        return result

    async def _regroup(self, tx: Tx, hashes: Sequence[str]) -> Changes:
        now = self._clock.now_ms()
        known = await store.by_hashes(tx, hashes)
        members = await store.members(tx, [group.id for group in known.values()])
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in await self._tracks.by_hashes(tx, hashes, COLUMNS):
            rows[row["audio_hash"]].append(row)
        result, joined, left = Changes(), {}, set[str]()
        assigned: list[tuple[Row, str | None]] = []
        for audio_hash in hashes:
            own, group = rows[audio_hash], known.get(audio_hash)
            before = members[group.id] if group is not None else set()
            if len(own) < 2:
                assigned += [(row, None) for row in own]
                left |= before
                if group is not None:
                    result.gone.append(group)
                continue
            after = _derived(audio_hash, own, group, before, now)
            assigned += [(row, after.id) for row in own]
            ids = {row["id"] for row in own}
            left |= before - ids
            joined.update(dict.fromkeys(ids - before, after.id))
            if group is None or (group.status is not Status.OPEN and after.status is Status.OPEN):
                result.appeared.append(after)
            elif after != replace(group, updated_at=after.updated_at):
                result.changed.append(after)
        # A track whose audio was replaced has left one group and perhaps joined another one.
        await self._write(tx, result, joined, sorted(left - joined.keys()), assigned)
        await self._announce(tx, result, rows)
        return result

    async def _write(
        self,
        tx: Tx,
        changes: Changes,
        joined: Mapping[str, str],
        left: Sequence[str],
        assigned: Iterable[tuple[Row, str | None]],
    ) -> None:
        await store.put(tx, [*changes.appeared, *changes.changed])
        if joined or left:
            await store.put_members(tx, joined, left)
        if changes.gone:
            await store.delete(tx, [group.id for group in changes.gone])
        # Whose audio can't be told any more is found by no hash.
        leavers = await self._tracks.by_ids(tx, left, COLUMNS) if left else []
        strays = [(row, None) for row in leavers if row["audio_hash"] is None]
        await self._tracks.assign_groups(tx, [*assigned, *strays])

    async def _announce(self, tx: Tx, changes: Changes, rows: Mapping[str, Sequence[Row]]) -> None:
        appeared = {group.audio_hash: rows[group.audio_hash] for group in changes.appeared}
        suggestions = await self._suggester.suggestions(tx, appeared) if appeared else {}
        for group in changes.appeared:
            tx.emit(DuplicateDetected(group=group.as_json(suggestions[group.audio_hash])))
        for group in changes.gone:
            tx.emit(DuplicateResolved(group=gone(group)))


def gone(group: Group) -> dict[str, Any]:
    """A group of which at most one track is left, as it is announced."""
    return {"id": group.id, "audio_hash": group.audio_hash, "status": "gone"}


def _derived(audio_hash: str, rows: Sequence[Row], group: Group | None, before: set[str], now: int) -> Group:
    total, reclaimable = sizes([{name: row[name] for name in ("file_size", "missing_since")} for row in rows])
    if group is None:
        return Group(group_id(audio_hash), audio_hash, Status.OPEN, len(rows), total, reclaimable, now, now)
    status = group.status
    if status is Status.RESOLVED and any(row["id"] not in before for row in rows):
        status = Status.OPEN  # a further copy came after the decision
    derived = replace(group, status=status, track_count=len(rows), total_bytes=total, reclaimable_bytes=reclaimable)
    return derived if derived == group else replace(derived, updated_at=now)


class DuplicateDetection(Consumer):
    """Follows the log of the tracks."""

    name = "duplicates"

    def __init__(self, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus, grouper: Grouper):
        super().__init__(uow, event_log, bus)
        self._grouper = grouper

    def concerns(self, entry: Entry) -> bool:
        return bool(_tracks_of(entry))

    async def react(self, tx: Tx, entries: Sequence[Entry]) -> None:
        ids = list(dict.fromkeys(track_id for entry in entries for track_id in _tracks_of(entry)))
        hashes = await self._grouper.concerned(tx, ids)
        if hashes:
            changes = await self._grouper.regroup(tx, hashes)
            if changes.appeared:
                logger.info("duplicates detected", groups=len(changes.appeared))


def _tracks_of(entry: Entry) -> Sequence[str]:
    if not entry.name.startswith("track:"):
        return ()
    fields = entry.data.get("fields")
    if fields and not _TELLING & set(fields):
        return ()
    ids: Sequence[str] = entry.data.get("ids", ())
    return ids
