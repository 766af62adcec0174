"""The SQL of `track_locations`: where the tracks of each library directory lie, and whether they can be reached."""

from __future__ import annotations

from server.db.database import Connection
from server.tracks.model import Location


async def all_locations(connection: Connection) -> dict[str, Location]:
    rows = await connection.fetch_all(
        "SELECT library_directory_id, root, unreachable_reason, unreachable_since FROM track_locations"
    )
    return {row[0]: Location(row[0], bytes(row[1]), row[2], row[3]) for row in rows}


async def put(connection: Connection, location: Location) -> None:
    await connection.execute(
        """
        INSERT INTO track_locations (library_directory_id, root, unreachable_reason, unreachable_since)
        VALUES (:directory, :root, :reason, :since)
        ON CONFLICT (library_directory_id) DO UPDATE SET root = excluded.root,
            unreachable_reason = excluded.unreachable_reason, unreachable_since = excluded.unreachable_since
        """,
        {
            "directory": location.library_directory_id,
            "root": location.root,
            "reason": location.unreachable_reason,
            "since": location.unreachable_since,
        },
    )


async def delete(connection: Connection, library_directory_id: str) -> None:
    await connection.execute(
        "DELETE FROM track_locations WHERE library_directory_id = :directory", {"directory": library_directory_id}
    )
