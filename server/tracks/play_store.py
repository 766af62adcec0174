"""The SQL of `track_history`."""

from __future__ import annotations

from collections.abc import Sequence

from server.db.database import Connection, Row


async def add(
    connection: Connection, track_id: str, event: str, deck: str | None, position: float | None, at: int
) -> None:
    await connection.execute(
        """
        INSERT INTO track_history (track_id, event, deck, position, at)
        VALUES (:track, :event, :deck, :position, :at)
        """,
        {"track": track_id, "event": event, "deck": deck, "position": position, "at": at},
    )


async def latest(connection: Connection, track_id: str, limit: int) -> Sequence[Row]:
    """What happened to a track, latest first."""
    return await connection.fetch_all(
        """
        SELECT event, deck, position, at FROM track_history WHERE track_id = :track
        ORDER BY at DESC, id DESC LIMIT :limit
        """,
        {"track": track_id, "limit": limit},
    )


async def of_tracks(connection: Connection, track_ids: Sequence[str]) -> Sequence[Row]:
    """All that is known of some tracks, oldest first."""
    return await connection.fetch_all(
        "SELECT track_id, event, deck, position, at FROM track_history WHERE track_id IN :ids ORDER BY id",
        {"ids": list(track_ids)},
    )


async def since_start(connection: Connection, track_id: str, deck: str | None, at: int) -> Sequence[Row]:
    """The last start of a track on a deck no later than a moment, and what came after it there; oldest first."""
    return await connection.fetch_all(
        """
        SELECT event, position, at FROM track_history
        WHERE track_id = :track AND deck IS NOT DISTINCT FROM :deck AND at <= :at AND id >= (
            SELECT max(id) FROM track_history
            WHERE track_id = :track AND deck IS NOT DISTINCT FROM :deck AND event = 'start' AND at <= :at
        ) ORDER BY id
        """,
        {"track": track_id, "deck": deck, "at": at},
    )
