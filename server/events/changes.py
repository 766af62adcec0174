"""The latest change of each resource, kept beside the log so that a delta sync is one indexed range."""

from __future__ import annotations

from dataclasses import dataclass

from server.db.database import Connection
from server.events.model import Effect, ResourceEvent


@dataclass(frozen=True, slots=True)
class Change:
    """`first_seq`: where the resource appeared; `seq`: its latest change."""

    id: str
    first_seq: int
    seq: int
    is_deleted: bool


async def stamp(connection: Connection, event: ResourceEvent, first: int, now_ms: int) -> None:
    """Note an event's resources under the numbers `first`, `first + 1`, … in the order of its ids."""
    deleted = int(event.effect is Effect.DELETED)
    # A resource that comes back after its deletion (a restore) counts as new from there on.
    await connection.execute_many(
        """
        INSERT INTO changes (resource, id, first_seq, seq, is_deleted, changed_at)
        VALUES (:resource, :id, :seq, :seq, :deleted, :now)
        ON CONFLICT (resource, id) DO UPDATE SET
            first_seq = CASE WHEN changes.is_deleted = 1 AND excluded.is_deleted = 0
                        THEN excluded.first_seq ELSE changes.first_seq END,
            seq = excluded.seq, is_deleted = excluded.is_deleted, changed_at = excluded.changed_at
        """,
        [
            {"resource": event.resource, "id": id_, "seq": first + offset, "deleted": deleted, "now": now_ms}
            for offset, id_ in enumerate(event.ids)
        ],
    )


async def since(connection: Connection, resource: str, after: int, limit: int) -> list[Change]:
    """Resources whose latest change comes after `after`, in that order."""
    rows = await connection.fetch_all(
        """
        SELECT id, first_seq, seq, is_deleted FROM changes
        WHERE resource = :resource AND seq > :after ORDER BY seq LIMIT :limit
        """,
        {"resource": resource, "after": after, "limit": limit},
    )
    return [Change(row["id"], row["first_seq"], row["seq"], bool(row["is_deleted"])) for row in rows]


async def forget(connection: Connection, before_ms: int) -> None:
    """Delete tombstones older than a moment."""
    await connection.execute("DELETE FROM changes WHERE is_deleted = 1 AND changed_at < :before", {"before": before_ms})
