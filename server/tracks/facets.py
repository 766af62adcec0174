"""Counts over the library: the values of a field under the present filters, and the figures of the whole."""

from __future__ import annotations

from typing import Any

from server.clock import to_rfc3339
from server.db.database import Connection
from server.db.sql import Where
from server.tracks.filters import UNREACHABLE
from server.tracks.model import key_from_index

# Facet → the column that is grouped, and the one that shows how the value is written.
FACETS: dict[str, tuple[str, str]] = {
    "genre": ("genre_fold", "genre"),
    "artist": ("artist_fold", "artist"),
    "album": ("album_fold", "album"),
    "album_artist": ("album_artist_fold", "album_artist"),
    "label": ("label_fold", "label"),
    "composer": ("composer_fold", "composer"),
    "remixer": ("remixer_fold", "remixer"),
    "year": ("year", "year"),
    "key": ("key_index", "key_index"),
    "format": ("format", "format"),
    "codec": ("codec", "codec"),
    "rating": ("rating", "rating"),
    "energy_level": ("energy_level", "energy_level"),
    "color_tag": ("color_tag", "color_tag"),
    "bit_rate_mode": ("bit_rate_mode", "bit_rate_mode"),
    "library_directory_id": ("library_directory_id", "library_directory_id"),
    "metadata_source": ("metadata_source", "metadata_source"),
}
# Fields of which a track may have several, beside (or instead of) the column above.
SEVERAL = ("genre", "artist", "tag")
NAMES = frozenset([*FACETS, *SEVERAL])
BPM_BIN = 5


async def facet(connection: Connection, name: str, where: Where, limit: int) -> list[dict[str, Any]]:
    """Values of a field with how many tracks have each, most first. Spellings that fold alike count as one."""
    query = _several(name, where) if name in SEVERAL else _one(name, where)
    rows = await connection.fetch_all(
        f"{query.sql} GROUP BY folded ORDER BY count(*) DESC, folded LIMIT :limit", {**query.params, "limit": limit}
    )
    return [{"value": _key_name(row[0]) if name == "key" else row[0], "count": row[1]} for row in rows]


def _one(name: str, where: Where) -> Where:
    column, shown = FACETS[name]
    condition = where & Where(f"{column} IS NOT NULL")
    return Where(
        f"SELECT min({shown}) AS value, count(*) AS count FROM"
        f" (SELECT {column} AS folded, {shown} FROM tracks{condition.clause()}) AS passing",
        condition.params,
    )


def _several(name: str, where: Where) -> Where:
    """A track that has several counts under each of them, as it is found under each."""
    own = ""
    if name in FACETS:
        column, shown = FACETS[name]
        condition = where & Where(f"{column} IS NOT NULL")
        own = f"SELECT pk, {column} AS folded, {shown} AS shown FROM tracks{condition.clause()} UNION ALL"
    # The first of several is a term too; so are values that the track's own field spells in one (`A & B`).
    also = f"AND term IS DISTINCT FROM (SELECT {FACETS[name][0]} FROM tracks t WHERE t.pk = track_pk)" if own else ""
    return Where(
        f"SELECT min(shown) AS value, count(*) AS count FROM ({own}"
        f" SELECT track_pk AS pk, term AS folded, value AS shown FROM track_terms"
        f" WHERE field = '{name}' {also} AND track_pk IN (SELECT pk FROM tracks{where.clause()})) AS passing",
        where.params,
    )


async def statistics(connection: Connection) -> dict[str, Any]:
    """The figures of the whole library."""
    everything = Where("")
    sums = await connection.fetch_one(
        f"""
        SELECT count(*) AS total, coalesce(sum(duration_seconds), 0) AS seconds, coalesce(sum(file_size), 0) AS bytes,
            coalesce(sum(is_analyzed), 0) AS analyzed, coalesce(sum(CASE WHEN missing_since IS NOT NULL
            OR library_directory_id IN ({UNREACHABLE}) THEN 1 ELSE 0 END), 0) AS missing,
            coalesce(sum(CASE WHEN duplicate_group_id IS NOT NULL THEN 1 ELSE 0 END), 0) AS duplicates
        FROM tracks
        """
    )
    assert sums is not None
    bins = await connection.fetch_all(
        f"""
        SELECT CAST(floor(bpm / {BPM_BIN}) AS BIGINT) * {BPM_BIN} AS bin, count(*) AS count FROM tracks
        WHERE bpm IS NOT NULL GROUP BY 1 ORDER BY 1
        """
    )
    total = sums["total"]
    return {
        "total_tracks": total,
        "total_duration_seconds": float(sums["seconds"]),
        "total_bytes": int(sums["bytes"]),
        "missing": int(sums["missing"]),
        "duplicates": int(sums["duplicates"]),
        "analyzed": int(sums["analyzed"]),
        "analyzed_share": round(int(sums["analyzed"]) / total, 4) if total else 0.0,
        "formats": await facet(connection, "format", everything, 100),
        "genres": await facet(connection, "genre", everything, 100),
        "keys": await facet(connection, "key", everything, 24),
        "bpm_histogram": [
            {"bpm_min": row["bin"], "bpm_max": row["bin"] + BPM_BIN, "count": row["count"]} for row in bins
        ],
    }


async def directory_statistics(connection: Connection, library_directory_id: str) -> dict[str, Any]:
    """The figures of one library directory; `oldest` and `newest` are the times its files were last written."""
    own = Where("library_directory_id = :directory", {"directory": library_directory_id})
    sums = await connection.fetch_one(
        f"""
        SELECT count(*) AS total, coalesce(sum(duration_seconds), 0) AS seconds, coalesce(sum(file_size), 0) AS bytes,
            coalesce(sum(is_analyzed), 0) AS analyzed, min(file_mtime_ns) AS oldest, max(file_mtime_ns) AS newest,
            coalesce(sum(CASE WHEN missing_since IS NOT NULL
                OR library_directory_id IN ({UNREACHABLE}) THEN 1 ELSE 0 END), 0) AS missing
        FROM tracks{own.clause()}
        """,
        own.params,
    )
    assert sums is not None
    formats = await facet(connection, "format", own, 100)
    return {
        "tracks": sums["total"],
        "missing": int(sums["missing"]),
        "bytes": int(sums["bytes"]),
        "duration_seconds": float(sums["seconds"]),
        "formats": {item["value"]: item["count"] for item in formats},
        "oldest": None if sums["oldest"] is None else to_rfc3339(sums["oldest"] // 1_000_000),
        "newest": None if sums["newest"] is None else to_rfc3339(sums["newest"] // 1_000_000),
        "analyzed_share": round(int(sums["analyzed"]) / sums["total"], 4) if sums["total"] else 0.0,
    }


def _key_name(index: int) -> str:
    return key_from_index(index).camelot
