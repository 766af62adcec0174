"""What a delta sync tells: single changes, and those of whole directories, merged in the order of their numbers."""

from __future__ import annotations

from dataclasses import dataclass

from server.db.database import Connection
from server.events import changes
from server.events.changes import Change
from server.tracks.store import TrackStore


@dataclass(frozen=True, slots=True)
class Found:
    """The first changes after a number, each track once, and whether there are more."""

    page: list[Change]
    has_more: bool


async def changed(connection: Connection, store: TrackStore, since: int, limit: int) -> Found:
    """Up to `limit` changes after `since`.

    When a drive goes or comes back, all its tracks change without a row being written: the log has reserved a number
    for each of them, and a track is told at its own number, as if it had been changed by itself.
    """
    found = await changes.since(connection, "track", since, limit + 1)
    for span in await changes.spans_since(connection, "track", since):
        rows = await store.in_directory(connection, span.scope, span.first_key_after(since), span.last_key, limit + 1)
        first_seqs = await changes.first_seqs(connection, "track", [row["id"] for row in rows])
        found += [
            Change(row["id"], first_seqs.get(row["id"], 0), span.seq_of(row["pk"]), is_deleted=False) for row in rows
        ]
    found.sort(key=lambda change: change.seq)
    page = {change.id: change for change in found[:limit]}
    return Found(sorted(page.values(), key=lambda change: change.seq), len(found) > limit)
