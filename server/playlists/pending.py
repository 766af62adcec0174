"""Which smart playlists wait to be evaluated, from when on, and for which tracks: the SQL of `playlist_refreshes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from server.db.database import Connection, Row

QUIET_MS = 5_000
LATEST_MS = 30_000
# More tracks than these are looked at all together.
MAX_TRACKS = 100
_COLUMNS = "playlist_id, first_change_at, last_change_at, clock_at, due_at, track_ids, is_order, version"


@dataclass(frozen=True, slots=True)
class Mark:
    """Changes concern a list: between two moments (Unix milliseconds), or without a first one so that it is due at
    once. `track_ids`: which tracks may have come or gone (None: any). `is_order`: these may stand elsewhere now.
    """

    playlist_id: str
    track_ids: frozenset[str] | None
    is_order: bool
    first: int | None
    last: int

    def joined(self, other: Mark) -> Mark:
        """Both; the later one is given."""
        is_whole = self.track_ids is None or other.track_ids is None
        return Mark(
            self.playlist_id,
            None if is_whole else (self.track_ids or frozenset()) | (other.track_ids or frozenset()),
            is_order=self.is_order or other.is_order,
            first=None if self.first is None or other.first is None else min(self.first, other.first),
            last=max(self.last, other.last),
        )


@dataclass(frozen=True, slots=True)
class Pending:
    """A list that waits. `track_ids` and `is_order` as in `Mark`; `clock_at` when the clock alone asks for it.

    `version` tells whether another change came since this was read.
    """

    playlist_id: str
    track_ids: frozenset[str] | None
    is_order: bool
    clock_at: int | None
    version: int


async def mark(connection: Connection, marks: Sequence[Mark]) -> None:
    """Note that changes concern lists, each named once."""
    if not marks:
        return
    rows = await connection.fetch_all(
        f"SELECT {_COLUMNS} FROM playlist_refreshes WHERE playlist_id IN :ids",
        {"ids": [item.playlist_id for item in marks]},
    )
    known = {row["playlist_id"]: row for row in rows}
    await connection.execute_many(
        """
        INSERT INTO playlist_refreshes (playlist_id, first_change_at, last_change_at, clock_at, due_at, track_ids,
            is_order, version)
        VALUES (:playlist_id, :first, :last, :clock, :due, :track_ids, :is_order, 1)
        ON CONFLICT (playlist_id) DO UPDATE SET first_change_at = excluded.first_change_at,
            last_change_at = excluded.last_change_at, due_at = excluded.due_at, track_ids = excluded.track_ids,
            is_order = excluded.is_order, version = playlist_refreshes.version + 1
        """,
        [_row(item, known.get(item.playlist_id)) for item in sorted(marks, key=lambda item: item.playlist_id)],
    )


def _row(new: Mark, known: Row | None) -> dict[str, Any]:
    """A list waits until things have been quiet for a while, but never longer than the latest moment allows."""
    clock = None if known is None else known["clock_at"]
    begun = new.last if new.first is None else new.first
    whole = new
    if known is not None and known["first_change_at"] is not None:
        begun = min(begun, known["first_change_at"])
        whole = _waiting(known).joined(new)
    due = new.last if new.first is None else min(whole.last + QUIET_MS, begun + LATEST_MS)
    if clock is not None:
        due = min(due, clock)
    ids = whole.track_ids
    is_narrow = ids is not None and len(ids) <= MAX_TRACKS
    return {
        "playlist_id": new.playlist_id,
        "first": begun,
        "last": whole.last,
        "clock": clock,
        "due": due,
        "track_ids": orjson.dumps(sorted(ids)).decode() if ids is not None and is_narrow else None,
        "is_order": int(whole.is_order),
    }


def _waiting(row: Row) -> Mark:
    return Mark(
        row["playlist_id"], _ids(row), is_order=bool(row["is_order"]), first=row["first_change_at"],
        last=row["last_change_at"],
    )  # fmt: skip


def _ids(row: Row) -> frozenset[str] | None:
    return None if row["track_ids"] is None else frozenset(orjson.loads(row["track_ids"]))


async def set_clock(connection: Connection, playlist_id: str, moment: int) -> None:
    """Evaluate a list at a moment even when nothing changes until then."""
    await connection.execute(
        """
        INSERT INTO playlist_refreshes (playlist_id, clock_at, due_at, version)
        VALUES (:id, :moment, :moment, 1)
        ON CONFLICT (playlist_id) DO UPDATE SET clock_at = excluded.clock_at,
            due_at = CASE WHEN playlist_refreshes.due_at < excluded.due_at
                     THEN playlist_refreshes.due_at ELSE excluded.due_at END
        """,
        {"id": playlist_id, "moment": moment},
    )


async def due(connection: Connection, now: int) -> list[Pending]:
    """What is to be looked at by now. What the clock asks for isn't about any tracks alone."""
    rows = await connection.fetch_all(
        f"SELECT {_COLUMNS} FROM playlist_refreshes WHERE due_at <= :now ORDER BY due_at, playlist_id", {"now": now}
    )
    return [
        Pending(
            row["playlist_id"],
            None if row["clock_at"] is not None and row["clock_at"] <= now else _ids(row),
            bool(row["is_order"]),
            row["clock_at"],
            row["version"],
        )
        for row in rows
    ]


async def next_due(connection: Connection) -> int | None:
    moment: int | None = await connection.fetch_value("SELECT min(due_at) FROM playlist_refreshes")
    return moment


async def timed(connection: Connection) -> set[str]:
    """Lists that have a moment by the clock."""
    return set(await connection.fetch_values("SELECT playlist_id FROM playlist_refreshes WHERE clock_at IS NOT NULL"))


async def take(connection: Connection, pending: Pending) -> bool:
    """Cross a list off; False when it was marked again meanwhile, or when another process has done it."""
    return bool(
        await connection.execute(
            "DELETE FROM playlist_refreshes WHERE playlist_id = :id AND version = :version",
            {"id": pending.playlist_id, "version": pending.version},
        )
    )


async def forget(connection: Connection, playlist_ids: Sequence[str]) -> None:
    await connection.execute("DELETE FROM playlist_refreshes WHERE playlist_id IN :ids", {"ids": list(playlist_ids)})
