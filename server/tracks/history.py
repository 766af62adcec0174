"""What happened to a track's file: added, moved, missing, restored, retagged, replaced by other audio.

Written in the transaction of the change itself. Being added is in the track itself, and costs no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from server.db.database import Connection, Row
from server.tracks.model import Values

TAGS = frozenset({
    "title", "artist", "artists", "album", "album_artist", "genre", "genres", "year", "date", "track_number",
    "track_total", "disc_number", "disc_total", "comment", "composer", "remixer", "label", "isrc", "grouping",
    "compilation", "has_artwork", "has_lyrics", "tag_bpm", "tag_key", "tag_rating", "tag_energy_level", "replaygain",
})  # fmt: skip
_COLUMNS = ("track_id", "at", "event", "moved_from", "moved_to", "from_directory_id", "to_directory_id", "fields")


def missing(row: Row, at: int) -> Values:
    return _happened(row, at, "missing")


def restored(row: Row, at: int) -> Values:
    return _happened(row, at, "restored")


def moved(row: Row, after: Mapping[str, Any], at: int) -> Values:
    """Paths are relative to their library directories, which are named when they differ."""
    places: Values = {"moved_from": row["relative_path"], "moved_to": after["relative_path"]}
    before, now = row["library_directory_id"], after["library_directory_id"]
    if before != now:
        places |= {"from_directory_id": before, "to_directory_id": now}
    return _happened(row, at, "moved", **places)


def read_again(row: Row, changed: Values, at: int) -> Iterator[Values]:
    """What a file that was read again says of it; `changed` are the columns that differ."""
    if "audio_hash" in changed and row["audio_hash"] is not None:
        yield _happened(row, at, "replaced")
    elif tags := sorted(TAGS.intersection(changed)):
        yield _happened(row, at, "retagged", fields=orjson.dumps(tags).decode())


def _happened(row: Row, at: int, event: str, **values: Any) -> Values:
    return {**dict.fromkeys(_COLUMNS), "track_id": row["id"], "at": at, "event": event, **values}


async def write(connection: Connection, rows: Sequence[Values]) -> None:
    if rows:
        await connection.execute_many(
            f"INSERT INTO file_history ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})",
            rows,
        )


async def of_tracks(connection: Connection, track_ids: Sequence[str]) -> list[Values]:
    """Rows as `write` takes them, oldest first."""
    rows = await connection.fetch_all(
        f"SELECT {', '.join(_COLUMNS)} FROM file_history WHERE track_id IN :ids ORDER BY id", {"ids": list(track_ids)}
    )
    return [{name: row[name] for name in _COLUMNS} for row in rows]


class Stories:
    """The stories of files as what belongs to their tracks."""

    async def belongings(self, tx: Connection, track_ids: Sequence[str]) -> list[Values]:
        return await of_tracks(tx, track_ids)

    async def give_back(self, tx: Connection, belongings: Sequence[Mapping[str, Any]]) -> int:
        await write(tx, [dict(item) for item in belongings])
        return len(belongings)


async def latest(connection: Connection, track: Row, limit: int) -> list[dict[str, Any]]:
    """`{at, event, from?, to?, from_directory_id?, to_directory_id?, fields?}`, latest first; `at` in Unix ms."""
    rows = await connection.fetch_all(
        f"SELECT {', '.join(_COLUMNS)} FROM file_history WHERE track_id = :id ORDER BY id DESC LIMIT :limit",
        {"id": track["id"], "limit": limit},
    )
    added = {"at": track["date_added"], "event": "added"}
    return [*(_as_json(row) for row in rows), added][:limit]


def _as_json(row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = {"at": row["at"], "event": row["event"]}
    if row["moved_from"] is not None:
        shown |= {"from": row["moved_from"], "to": row["moved_to"]}
    if row["from_directory_id"] is not None:
        shown |= {"from_directory_id": row["from_directory_id"], "to_directory_id": row["to_directory_id"]}
    if row["fields"] is not None:
        shown["fields"] = orjson.loads(row["fields"])
    return shown
