"""The SQL of `playlists` and `playlist_entries`. Takes a connection, knows no transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from server.db.database import Connection, Row
from server.db.sql import Where, all_of, like_literal
from server.playlists.model import ENTRY_COLUMNS, Entry, Kind, Playlist, Session

_ENTRY = ", ".join(ENTRY_COLUMNS)
_INSERT_ENTRY = f"INSERT INTO playlist_entries ({_ENTRY}) VALUES ({', '.join(f':{name}' for name in ENTRY_COLUMNS)})"


# -- playlists


async def get(connection: Connection, playlist_id: str) -> Playlist | None:
    row = await connection.fetch_one("SELECT * FROM playlists WHERE id = :id", {"id": playlist_id})
    return None if row is None else _playlist(row)


async def by_ids(connection: Connection, ids: Iterable[str]) -> dict[str, Playlist]:
    rows = await connection.fetch_all("SELECT * FROM playlists WHERE id IN :ids", {"ids": sorted(ids)})
    return {row["id"]: _playlist(row) for row in rows}


async def of_kind(connection: Connection, kind: Kind) -> list[Playlist]:
    rows = await connection.fetch_all("SELECT * FROM playlists WHERE type = :type ORDER BY id", {"type": kind.value})
    return [_playlist(row) for row in rows]


async def active_session(connection: Connection) -> Playlist | None:
    row = await connection.fetch_one("SELECT * FROM playlists WHERE type = 'session' AND finalized_at IS NULL")
    return None if row is None else _playlist(row)


def condition(
    *, kind: Kind | None, is_favorite: bool | None, parent_id: str | None, is_top: bool, words: Sequence[str]
) -> Where:
    """What a list of playlists is limited to; `words` are folded, and each must occur in the name or description."""
    parts: list[Where] = []
    if kind is not None:
        parts.append(Where("type = :type", {"type": kind.value}))
    if is_favorite is not None:
        parts.append(Where("is_favorite = :favorite", {"favorite": int(is_favorite)}))
    if is_top:
        parts.append(Where("parent_id IS NULL"))
    elif parent_id is not None:
        parts.append(Where("parent_id = :parent", {"parent": parent_id}))
    for number, word in enumerate(words):
        parts.append(
            Where(f"search_words LIKE :word_{number} ESCAPE '\\'", {f"word_{number}": f"%{like_literal(word)}%"})
        )
    return all_of(parts)


async def page(
    connection: Connection, where: Where, limit: int, *, after: tuple[str, str] | None = None, offset: int = 0
) -> list[tuple[Playlist, str]]:
    """Playlists by name, with the folded text they are sorted by; `after` is that text and the id of the last one."""
    if after is not None:
        words, id_ = after
        where = where & Where(
            "search_words >= :after_words AND (search_words > :after_words OR id > :after_id)",
            {"after_words": words, "after_id": id_},
        )
    rows = await connection.fetch_all(
        f"SELECT * FROM playlists{where.clause()} ORDER BY search_words, id LIMIT :limit OFFSET :offset",
        {**where.params, "limit": limit, "offset": offset},
    )
    return [(_playlist(row), row["search_words"]) for row in rows]


async def count(connection: Connection, where: Where) -> int:
    total: int = await connection.fetch_value(f"SELECT count(*) FROM playlists{where.clause()}", where.params)
    return total


async def insert(connection: Connection, values: Mapping[str, Any]) -> None:
    encoded = _encoded(values)
    await connection.execute(
        f"INSERT INTO playlists ({', '.join(encoded)}) VALUES ({', '.join(f':{name}' for name in encoded)})", encoded
    )


async def update(connection: Connection, playlist_id: str, values: Mapping[str, Any]) -> None:
    encoded = _encoded(values)
    await connection.execute(
        f"UPDATE playlists SET {', '.join(f'{name} = :{name}' for name in encoded)} WHERE id = :id",
        {**encoded, "id": playlist_id},
    )


async def add_to_totals(connection: Connection, playlist_id: str, tracks: int, duration_ms: int, now: int) -> None:
    await connection.execute(
        """
        UPDATE playlists SET track_count = track_count + :tracks, total_duration_ms = total_duration_ms + :duration,
            updated_at = :now WHERE id = :id
        """,
        {"tracks": tracks, "duration": duration_ms, "now": now, "id": playlist_id},
    )


async def children(connection: Connection, playlist_id: str) -> list[Playlist]:
    rows = await connection.fetch_all(
        "SELECT * FROM playlists WHERE parent_id = :id ORDER BY search_words, id", {"id": playlist_id}
    )
    return [_playlist(row) for row in rows]


async def delete(connection: Connection, playlist_id: str) -> None:
    # Entries follow by their foreign key.
    await connection.execute("DELETE FROM playlists WHERE id = :id", {"id": playlist_id})


# -- entries


async def entries(
    connection: Connection, playlist_id: str, *, limit: int | None = None, offset: int = 0
) -> list[Entry]:
    """Entries in their order, from a position on."""
    cut = "" if limit is None else " LIMIT :limit OFFSET :offset"
    rows = await connection.fetch_all(
        f"SELECT {_ENTRY} FROM playlist_entries WHERE playlist_id = :id ORDER BY rank, id{cut}",
        {"id": playlist_id, "limit": limit, "offset": offset} if cut else {"id": playlist_id},
    )
    return [_entry(row) for row in rows]


async def entries_after(connection: Connection, playlist_id: str, rank: int, entry_id: str, limit: int) -> list[Entry]:
    rows = await connection.fetch_all(
        f"""
        SELECT {_ENTRY} FROM playlist_entries
        WHERE playlist_id = :id AND rank >= :rank AND (rank > :rank OR id > :entry) ORDER BY rank, id LIMIT :limit
        """,
        {"id": playlist_id, "rank": rank, "entry": entry_id, "limit": limit},
    )
    return [_entry(row) for row in rows]


async def ranks(
    connection: Connection, playlist_id: str, *, limit: int | None = None, offset: int = 0
) -> list[tuple[str, int]]:
    """(entry id, rank) in order, from an index alone."""
    cut = "" if limit is None else " LIMIT :limit OFFSET :offset"
    rows = await connection.fetch_all(
        f"SELECT id, rank FROM playlist_entries WHERE playlist_id = :id ORDER BY rank, id{cut}",
        {"id": playlist_id, "limit": limit, "offset": offset} if cut else {"id": playlist_id},
    )
    return [(row[0], row[1]) for row in rows]


async def members(connection: Connection, playlist_id: str) -> list[tuple[str, int, str, int]]:
    """(entry id, rank, track id, duration in ms) in order."""
    rows = await connection.fetch_all(
        "SELECT id, rank, track_id, duration_ms FROM playlist_entries WHERE playlist_id = :id ORDER BY rank, id",
        {"id": playlist_id},
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def position_of(connection: Connection, entry: Entry) -> int:
    """How many entries stand before it."""
    position: int = await connection.fetch_value(
        """
        SELECT count(*) FROM playlist_entries
        WHERE playlist_id = :playlist AND rank <= :rank AND (rank < :rank OR id < :id)
        """,
        {"playlist": entry.playlist_id, "rank": entry.rank, "id": entry.id},
    )
    return position


async def entry(connection: Connection, playlist_id: str, entry_id: str) -> Entry | None:
    row = await connection.fetch_one(
        f"SELECT {_ENTRY} FROM playlist_entries WHERE id = :id AND playlist_id = :playlist",
        {"id": entry_id, "playlist": playlist_id},
    )
    return None if row is None else _entry(row)


async def first_of_track(connection: Connection, playlist_id: str, track_id: str) -> Entry | None:
    row = await connection.fetch_one(
        f"""
        SELECT {_ENTRY} FROM playlist_entries WHERE track_id = :track AND playlist_id = :playlist
        ORDER BY rank, id LIMIT 1
        """,
        {"track": track_id, "playlist": playlist_id},
    )
    return None if row is None else _entry(row)


async def of_tracks(connection: Connection, track_ids: Sequence[str]) -> list[Entry]:
    """Every entry of some tracks, in whatever playlist, ordered by playlist and place."""
    rows = await connection.fetch_all(
        f"SELECT {_ENTRY} FROM playlist_entries WHERE track_id IN :tracks ORDER BY playlist_id, rank, id",
        {"tracks": list(track_ids)},
    )
    return [_entry(row) for row in rows]


async def listed_tracks(connection: Connection) -> list[str]:
    """Every track that stands in a list which isn't history."""
    return await connection.fetch_values(
        """
        SELECT DISTINCT e.track_id FROM playlist_entries e JOIN playlists p ON p.id = e.playlist_id
        WHERE p.type <> 'session' ORDER BY e.track_id
        """
    )


async def of_tracks_in(connection: Connection, playlist_id: str, track_ids: Sequence[str]) -> list[Entry]:
    """The entries of some tracks in one playlist."""
    rows = await connection.fetch_all(
        f"SELECT {_ENTRY} FROM playlist_entries WHERE track_id IN :tracks AND playlist_id = :id ORDER BY rank, id",
        {"tracks": list(track_ids), "id": playlist_id},
    )
    return [_entry(row) for row in rows]


def held_by(playlist_id: str) -> Where:
    """That a row of `tracks` stands in a playlist."""
    return Where(
        "EXISTS (SELECT 1 FROM playlist_entries e WHERE e.track_id = tracks.id AND e.playlist_id = :held_by)",
        {"held_by": playlist_id},
    )


async def position_of_play(connection: Connection, playlist_id: str, played_at: int) -> int:
    """How many of a session's entries come before a play of that time."""
    position: int = await connection.fetch_value(
        """
        SELECT count(*) FROM playlist_entries
        WHERE playlist_id = :id AND (played_at IS NULL OR played_at <= :played_at)
        """,
        {"id": playlist_id, "played_at": played_at},
    )
    return position


async def play(connection: Connection, playlist_id: str, track_id: str, played_at: int) -> Entry | None:
    """The entry of one play, if it is known."""
    row = await connection.fetch_one(
        f"""
        SELECT {_ENTRY} FROM playlist_entries
        WHERE track_id = :track AND playlist_id = :playlist AND played_at = :played_at ORDER BY rank, id LIMIT 1
        """,
        {"track": track_id, "playlist": playlist_id, "played_at": played_at},
    )
    return None if row is None else _entry(row)


async def session_span(connection: Connection, playlist_id: str) -> tuple[int | None, int | None]:
    """When a session's first play began and its last one ended, in Unix milliseconds."""
    row = await connection.fetch_one(
        """
        SELECT min(played_at) AS first, max(played_at + coalesce(play_duration_ms, duration_ms)) AS last
        FROM playlist_entries WHERE playlist_id = :id AND played_at IS NOT NULL
        """,
        {"id": playlist_id},
    )
    return (None, None) if row is None else (row["first"], row["last"])


async def last_play(connection: Connection, playlist_id: str) -> int | None:
    """When the last track of a session began, in Unix milliseconds."""
    moment: int | None = await connection.fetch_value(
        "SELECT max(played_at) FROM playlist_entries WHERE playlist_id = :id", {"id": playlist_id}
    )
    return moment


async def insert_entries(connection: Connection, new: Iterable[Entry]) -> None:
    rows = [{name: getattr(item, name) for name in ENTRY_COLUMNS} for item in new]
    if rows:
        await connection.execute_many(_INSERT_ENTRY, rows)


async def update_entry(connection: Connection, entry_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(
        f"UPDATE playlist_entries SET {', '.join(f'{name} = :{name}' for name in values)} WHERE id = :id",
        {**values, "id": entry_id},
    )


async def set_ranks(connection: Connection, changed: Mapping[str, int]) -> None:
    if changed:
        await connection.execute_many(
            "UPDATE playlist_entries SET rank = :rank WHERE id = :id",
            [{"id": entry_id, "rank": rank} for entry_id, rank in changed.items()],
        )


async def set_durations(connection: Connection, durations: Mapping[str, int]) -> None:
    """New lengths of entries, in ms."""
    if not durations:
        return
    await connection.execute_many(
        "UPDATE playlist_entries SET duration_ms = :duration WHERE id = :id",
        [{"id": entry_id, "duration": duration} for entry_id, duration in durations.items()],
    )


async def delete_entries(connection: Connection, ids: Sequence[str]) -> None:
    await connection.execute("DELETE FROM playlist_entries WHERE id IN :ids", {"ids": list(ids)})


# -- rows


def _encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    encoded: dict[str, Any] = {}
    for name, value in values.items():
        if name == "criteria" and value is not None:
            encoded[name] = orjson.dumps(value).decode()
        else:
            encoded[name] = int(value) if isinstance(value, bool) else value
    return encoded


def _playlist(row: Row) -> Playlist:
    kind = Kind(row["type"])
    return Playlist(
        id=row["id"],
        kind=kind,
        name=row["name"],
        parent_id=row["parent_id"],
        description=row["description"],
        color=row["color"],
        icon=row["icon"],
        criteria=None if row["criteria"] is None else orjson.loads(row["criteria"]),
        is_favorite=bool(row["is_favorite"]),
        is_readonly=bool(row["is_readonly"]),
        track_count=row["track_count"],
        total_duration_ms=row["total_duration_ms"],
        last_refreshed=row["last_refreshed"],
        session=_session(row) if kind is Kind.SESSION else None,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _session(row: Row) -> Session:
    return Session(
        date=row["session_date"],
        venue=row["venue"],
        started_at=row["started_at"],
        last_played_at=row["last_played_at"],
        duration_ms=row["session_duration_ms"],
        finalized_at=row["finalized_at"],
    )


def _entry(row: Row) -> Entry:
    return Entry(**dict(zip(ENTRY_COLUMNS, row, strict=True)))
