"""The latest change of each resource, kept beside the log so that a delta sync is one indexed range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.db.database import Connection
from server.events.model import Effect, ResourceEvent, SpanEvent


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


@dataclass(frozen=True, slots=True)
class Span:
    """A change to all resources of a `scope`: row number `first_key` has the number `seq`, the next one `seq + 1`, …"""

    scope: str
    seq: int
    first_key: int
    last_key: int

    def seq_of(self, key: int) -> int:
        return self.seq + key - self.first_key

    def first_key_after(self, seq: int) -> int:
        """The first row number whose change comes after a number."""
        return max(self.first_key, self.first_key + seq - self.seq + 1)


async def stamp_span(connection: Connection, event: SpanEvent, first: int) -> None:
    """Note that all resources of a scope have changed; an earlier such change of the same scope is covered by it."""
    await connection.execute(
        """
        INSERT INTO change_spans (resource, scope, seq, first_key, last_key)
        VALUES (:resource, :scope, :seq, :first_key, :last_key)
        ON CONFLICT (resource, scope) DO UPDATE SET
            seq = excluded.seq, first_key = excluded.first_key, last_key = excluded.last_key
        """,
        {
            "resource": event.resource,
            "scope": event.scope,
            "seq": first,
            "first_key": event.first_key,
            "last_key": event.last_key,
        },
    )


async def spans_since(connection: Connection, resource: str, after: int) -> list[Span]:
    """Changes of whole scopes that reach beyond a number."""
    rows = await connection.fetch_all(
        """
        SELECT scope, seq, first_key, last_key FROM change_spans
        WHERE resource = :resource AND seq + last_key - first_key > :after ORDER BY seq
        """,
        {"resource": resource, "after": after},
    )
    return [Span(row["scope"], row["seq"], row["first_key"], row["last_key"]) for row in rows]


async def first_seqs(connection: Connection, resource: str, ids: Sequence[str]) -> dict[str, int]:
    """id → where the resource appeared."""
    rows = await connection.fetch_all(
        "SELECT id, first_seq FROM changes WHERE resource = :resource AND id IN :ids",
        {"resource": resource, "ids": list(ids)},
    )
    return {row["id"]: row["first_seq"] for row in rows}


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


async def forget(connection: Connection, last: int) -> None:
    """Delete the tombstones up to a number, as the events up to there are deleted."""
    await connection.execute("DELETE FROM changes WHERE is_deleted = 1 AND seq <= :last", {"last": last})
