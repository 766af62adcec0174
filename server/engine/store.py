"""The SQL of `engine_decks`."""

from __future__ import annotations

from server.db.database import Connection
from server.engine.decks import Deck


async def put(connection: Connection, deck: Deck, now: int) -> None:
    await connection.execute(
        """
        INSERT INTO engine_decks (deck, track_id, started_at, on_air_ms, has_counted, updated_at)
        VALUES (:deck, :track, :started, :on_air, :counted, :now)
        ON CONFLICT (deck) DO UPDATE SET track_id = excluded.track_id, started_at = excluded.started_at,
            on_air_ms = excluded.on_air_ms, has_counted = excluded.has_counted, updated_at = excluded.updated_at
        """,
        {
            "deck": deck.name,
            "track": deck.track_id,
            "started": deck.started_at,
            "on_air": deck.on_air_ms,
            "counted": int(deck.has_counted),
            "now": now,
        },
    )


async def all_decks(connection: Connection) -> list[Deck]:
    rows = await connection.fetch_all("SELECT deck, track_id, started_at, on_air_ms, has_counted FROM engine_decks")
    return [
        Deck(
            name=row["deck"],
            track_id=row["track_id"],
            started_at=row["started_at"],
            on_air_ms=row["on_air_ms"],
            has_counted=bool(row["has_counted"]),
        )
        for row in rows
    ]
