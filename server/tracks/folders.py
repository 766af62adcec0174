"""A library directory as folders, from the database: nothing is walked, and an unplugged drive can be browsed too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.db.database import Connection, Dialect, Row

_REPLACEMENT = "\ufffd".encode()


@dataclass(frozen=True, slots=True)
class Folder:
    """A sub-folder with all that is below it."""

    name: str
    tracks: int
    bytes: int


async def subfolders(connection: Connection, library_directory_id: str, folder: bytes) -> list[Folder]:
    """The folders right below one, with the present tracks in them at any depth."""
    first = "split_part(substr(relative_path, CAST(:start AS integer)), '/', 1)"
    if connection.dialect is Dialect.SQLITE:
        first = "substr(relative_path, :start, instr(substr(relative_path, :start), '/') - 1)"
    readable = folder.decode("utf-8", "replace")
    rows = await connection.fetch_all(
        f"""
        SELECT name, count(*) AS tracks, coalesce(sum(file_size), 0) AS bytes FROM (
            SELECT {first} AS name, file_size FROM tracks WHERE {_in_folder(folder)}
            AND length(relative_path) - length(replace(relative_path, '/', '')) > :depth
        ) AS below GROUP BY name ORDER BY name
        """,
        {**_range(library_directory_id, folder), "start": len(readable) + 2 if folder else 1, "depth": _depth(folder)},
    )
    return [Folder(row["name"], row["tracks"], int(row["bytes"])) for row in rows]


async def track_ids(connection: Connection, library_directory_id: str, folder: bytes, limit: int) -> list[str]:
    """The present tracks that lie right in a folder, in the order of their paths."""
    rows: Sequence[Row] = await connection.fetch_all(
        f"""
        SELECT id FROM tracks WHERE {_in_folder(folder)}
        AND length(relative_path) - length(replace(relative_path, '/', '')) = :depth ORDER BY path LIMIT :limit
        """,
        {**_range(library_directory_id, folder), "depth": _depth(folder), "limit": limit},
    )
    return [row["id"] for row in rows]


def _in_folder(folder: bytes) -> str:
    below = " AND path > :after AND path < :end" if folder else ""
    if _is_only_shown(folder):
        below = " AND substr(relative_path, 1, CAST(:length AS integer)) = :prefix"
    return f"library_directory_id = :directory AND missing_since IS NULL{below}"


def _range(library_directory_id: str, folder: bytes) -> dict[str, object]:
    found: dict[str, object] = {"directory": library_directory_id}
    if _is_only_shown(folder):
        prefix = folder.decode() + "/"
        return {**found, "prefix": prefix, "length": len(prefix)}
    return {**found, "after": folder + b"/", "end": folder + b"0"} if folder else found


def _is_only_shown(folder: bytes) -> bool:
    """Whether a name may stand for bytes that aren't UTF-8: who browses knows a folder by what was shown of it."""
    return _REPLACEMENT in folder


def _depth(folder: bytes) -> int:
    return folder.count(b"/") + 1 if folder else 0
