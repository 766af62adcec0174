"""The SQL of `settings`."""

from __future__ import annotations

from typing import Any

import orjson

from server.db.database import Connection


async def all_values(connection: Connection) -> dict[str, tuple[Any, int]]:
    """key → (value, time of the change in Unix milliseconds), for what was ever set."""
    rows = await connection.fetch_all("SELECT key, value, updated_at FROM settings")
    return {row["key"]: (orjson.loads(row["value"]), row["updated_at"]) for row in rows}


async def put(connection: Connection, key: str, value: str, now: int) -> bool:
    """Store a value as JSON; False when it stood there already."""
    changed = await connection.fetch_all(
        """
        INSERT INTO settings (key, value, updated_at) VALUES (:key, :value, :now)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
        WHERE settings.value IS DISTINCT FROM excluded.value
        RETURNING key
        """,
        {"key": key, "value": value, "now": now},
    )
    return bool(changed)
