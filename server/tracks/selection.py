"""Tracks for those who don't show them: which ones fulfil a condition, and the few facts that lists are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.db.database import Connection, Row
from server.db.sql import Where
from server.tracks.listing import Order, segments


@dataclass(frozen=True, slots=True)
class Match:
    """A track that fulfils a condition; `duration_seconds` and `file_size` (bytes) to limit a list by."""

    id: str
    duration_seconds: float | None
    file_size: int


@dataclass(frozen=True, slots=True)
class Brief:
    """What a list needs to know of a track. `path` lies within its library directory, byte for byte."""

    id: str
    library_directory_id: str
    path: bytes
    relative_path: str
    audio_hash: str | None
    title: str | None
    artist: str | None
    genre: str | None
    duration_seconds: float | None
    bpm: float | None
    key_index: int | None
    energy: float | None
    is_missing: bool


_BRIEF = (
    "id, library_directory_id, path, relative_path, audio_hash, title, artist, genre, duration_seconds, bpm, key_index,"
    " energy, missing_since"
)


async def matching(connection: Connection, where: Where, order: Order, limit: int | None = None) -> list[Match]:
    """Tracks that fulfil a condition, in order; of equals the one that came first into the library comes first."""
    direction = "DESC" if order.is_descending else "ASC"
    sort = ", ".join([*(key.order for key in order.keys), f"pk {direction}"])
    cut = "" if limit is None else f" LIMIT {int(limit)}"
    rows = await connection.fetch_all(
        f"SELECT id, duration_seconds, file_size FROM tracks{where.clause()} ORDER BY {sort}{cut}", where.params
    )
    return [Match(row[0], row[1], row[2]) for row in rows]


async def following(connection: Connection, track_id: str, where: Where, order: Order) -> str | None:
    """The first track after one, in an order, of those that fulfil a condition; None when there is none."""
    columns = ", ".join([*order.columns, "pk"])
    row = await connection.fetch_one(f"SELECT {columns} FROM tracks WHERE id = :id", {"id": track_id})
    if row is None:
        return None
    for segment in segments(order, list(row)):
        keys = ", ".join([*(key.order for key in segment.remaining), f"pk {'DESC' if order.is_descending else 'ASC'}"])
        condition = where & segment.where
        found: str | None = await connection.fetch_value(
            f"SELECT id FROM tracks{condition.clause()} ORDER BY {keys} LIMIT 1", condition.params
        )
        if found is not None:
            return found
    return None


async def holds(connection: Connection, track_id: str, conditions: Sequence[Where]) -> list[bool] | None:
    """Which of several conditions a track fulfils; None when there is no such track. Parameter names must differ."""
    columns = ", ".join(
        f"CASE WHEN {condition.sql or '1 = 1'} THEN 1 ELSE 0 END AS c{n}" for n, condition in enumerate(conditions)
    )
    params: dict[str, Any] = {"wanted_track": track_id}
    for condition in conditions:
        params.update(condition.params)
    row = await connection.fetch_one(f"SELECT {columns or '1'} FROM tracks WHERE tracks.id = :wanted_track", params)
    return None if row is None else [bool(row[n]) for n in range(len(conditions))]


async def briefs(connection: Connection, ids: Sequence[str]) -> dict[str, Brief]:
    """id → facts, for those that exist."""
    rows = await connection.fetch_all(f"SELECT {_BRIEF} FROM tracks WHERE id IN :ids", {"ids": list(ids)})
    return {row["id"]: _brief(row) for row in rows}


async def resembling(
    connection: Connection, *, stems: Sequence[str], titles: Sequence[str], hashes: Sequence[str]
) -> list[Brief]:
    """Tracks that have one of the folded file names (without extension), folded titles or audio hashes."""
    rows = await connection.fetch_all(
        f"""
        SELECT {_BRIEF} FROM tracks WHERE pk IN (
            SELECT pk FROM tracks WHERE file_name_fold IN :stems
            UNION SELECT pk FROM tracks WHERE title_fold IN :titles AND title_fold IS NOT NULL
            UNION SELECT pk FROM tracks WHERE audio_hash IN :hashes AND audio_hash IS NOT NULL
        ) ORDER BY pk
        """,
        {"stems": list(stems), "titles": list(titles), "hashes": list(hashes)},
    )
    return [_brief(row) for row in rows]


def _brief(row: Row) -> Brief:
    return Brief(
        row["id"], row["library_directory_id"], bytes(row["path"]), row["relative_path"], row["audio_hash"],
        row["title"], row["artist"], row["genre"], row["duration_seconds"], row["bpm"], row["key_index"],
        row["energy"], row["missing_since"] is not None,
    )  # fmt: skip
