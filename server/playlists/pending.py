"""Which smart playlists wait to be evaluated, and from when on: the SQL of `playlist_refreshes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.db.database import Connection, Dialect, Row

QUIET_MS = 5_000
LATEST_MS = 30_000


@dataclass(frozen=True, slots=True)
class Pending:
    """`version` tells whether another change came since this was read."""

    playlist_id: str
    version: int


async def mark(connection: Connection, playlist_ids: Sequence[str], first: int | None, last: int) -> None:
    """Changes between two moments (Unix milliseconds) concern some lists; without a first one they are due at once."""
    lock = " FOR UPDATE" if connection.dialect is Dialect.POSTGRES else ""
    known = {
        row["playlist_id"]: row
        for row in await connection.fetch_all(
            f"SELECT * FROM playlist_refreshes WHERE playlist_id IN :ids ORDER BY playlist_id{lock}",
            {"ids": list(playlist_ids)},
        )
    }
    rows = [_marked(playlist_id, known.get(playlist_id), first, last) for playlist_id in sorted(playlist_ids)]
    if rows:
        await connection.execute_many(
            """
            INSERT INTO playlist_refreshes (playlist_id, first_change_at, last_change_at, clock_at, due_at, version)
            VALUES (:playlist_id, :first, :last, :clock, :due, 1)
            ON CONFLICT (playlist_id) DO UPDATE SET first_change_at = excluded.first_change_at,
                last_change_at = excluded.last_change_at, due_at = excluded.due_at,
                version = playlist_refreshes.version + 1
            """,
            rows,
        )


def _marked(playlist_id: str, known: Row | None, first: int | None, last: int) -> dict[str, int | str | None]:
    """A list waits until things have been quiet for a while, but never longer than the latest moment allows."""
    clock = None if known is None else known["clock_at"]
    earliest = None if known is None else known["first_change_at"]
    begun = min(moment for moment in (earliest, first, last) if moment is not None)
    due = last if first is None else min(last + QUIET_MS, begun + LATEST_MS)
    if clock is not None:
        due = min(due, clock)
    return {"playlist_id": playlist_id, "first": begun, "last": last, "clock": clock, "due": due}


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
    rows = await connection.fetch_all(
        "SELECT playlist_id, version FROM playlist_refreshes WHERE due_at <= :now ORDER BY due_at, playlist_id",
        {"now": now},
    )
    return [Pending(row["playlist_id"], row["version"]) for row in rows]


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
