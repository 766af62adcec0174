"""The SQL of `library_directories`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from server.db.database import Connection
from server.libraries.model import LibraryDirectory, from_row

_JSON = {"filesystem", "fingerprint", "scan_patterns", "exclude_patterns"}


async def all_directories(connection: Connection, *, with_removed: bool = False) -> list[LibraryDirectory]:
    condition = "" if with_removed else " WHERE removed_at IS NULL"
    rows = await connection.fetch_all(f"SELECT * FROM library_directories{condition} ORDER BY created_at, id")
    return [from_row(row) for row in rows]


async def by_id(connection: Connection, directory_id: str) -> LibraryDirectory | None:
    row = await connection.fetch_one(
        "SELECT * FROM library_directories WHERE id = :id AND removed_at IS NULL", {"id": directory_id}
    )
    return None if row is None else from_row(row)


async def by_path(connection: Connection, path: bytes) -> LibraryDirectory | None:
    """Also one that was removed: adding it again revives it."""
    row = await connection.fetch_one("SELECT * FROM library_directories WHERE path = :path", {"path": path})
    return None if row is None else from_row(row)


async def insert(connection: Connection, values: Mapping[str, Any]) -> None:
    columns = list(values)
    await connection.execute(
        f"INSERT INTO library_directories ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})",
        _encoded(values),
    )


async def update(connection: Connection, directory_id: str, values: Mapping[str, Any]) -> None:
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    await connection.execute(
        f"UPDATE library_directories SET {assignments} WHERE id = :id", {**_encoded(values), "id": directory_id}
    )


async def delete(connection: Connection, directory_id: str) -> None:
    await connection.execute("DELETE FROM library_directories WHERE id = :id", {"id": directory_id})


def _encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Lists and objects as JSON text, flags as 0 and 1."""
    return {
        name: orjson.dumps(value).decode()
        if name in _JSON and value is not None
        else int(value)
        if isinstance(value, bool)
        else value
        for name, value in values.items()
    }
