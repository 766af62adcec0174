"""The SQL of `engine_decks`."""

from __future__ import annotations

from server.db.database import Connection
from server.engine.decks import Deck


async def put(connection: Connection, deck: Deck, now: int) -> None:
    await connection.execute(
        """
        INSERT INTO engine_decks
            (deck, track_id, is_playing, position, on_air_ms, since, started_at, has_counted, updated_at)
        VALUES (:deck, :track, :playing, :position, :on_air, :since, :started, :counted, :now)
        ON CONFLICT (deck) DO UPDATE SET track_id = excluded.track_id, is_playing = excluded.is_playing,
            position = excluded.position, on_air_ms = excluded.on_air_ms, since = excluded.since,
            started_at = excluded.started_at, has_counted = excluded.has_counted, updated_at = excluded.updated_at
        """,
        {
            "deck": deck.name,
            "track": deck.track_id,
            "playing": int(deck.is_playing),
            "position": deck.position,
            "on_air": deck.on_air_ms,
            "since": deck.since,
            "started": deck.started_at,
            "counted": int(deck.has_counted),
            "now": now,
        },
    )


async def remove(connection: Connection, name: str) -> None:
    await connection.execute("DELETE FROM engine_decks WHERE deck = :deck", {"deck": name})


async def all_decks(connection: Connection) -> list[Deck]:
    """As they were when they were stored, which may be long ago."""
    rows = await connection.fetch_all(
        "SELECT deck, track_id, is_playing, position, on_air_ms, since, started_at, has_counted FROM engine_decks"
    )
    return [
        Deck(
            name=row["deck"],
            track_id=row["track_id"],
            is_playing=bool(row["is_playing"]),
            position=row["position"],
            on_air_ms=row["on_air_ms"],
            since=row["since"],
            started_at=row["started_at"],
            has_counted=bool(row["has_counted"]),
            was_away=True,
        )
        for row in rows
    ]
