"""The SQL of `hot_cues`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.db.database import Connection, Row
from server.tracks.cue import Cue, CueSource

OF_TRACK = """
    SELECT cue_index, source, position, name, color, is_loop, loop_end FROM hot_cues
    WHERE track_id = :track ORDER BY cue_index, source
"""


async def of_track(connection: Connection, track_id: str) -> list[Cue]:
    return cues(await connection.fetch_all(OF_TRACK, {"track": track_id}))


def cues(rows: Sequence[Row]) -> list[Cue]:
    return [Cue(row[0], CueSource(row[1]), row[2], row[3], row[4], bool(row[5]), row[6]) for row in rows]


async def of_tracks(connection: Connection, track_ids: Sequence[str]) -> list[tuple[str, Cue]]:
    """(track id, cue) of every cue of some tracks."""
    rows = await connection.fetch_all(
        """
        SELECT track_id, cue_index, source, position, name, color, is_loop, loop_end FROM hot_cues
        WHERE track_id IN :ids ORDER BY track_id, cue_index, source
        """,
        {"ids": list(track_ids)},
    )
    return [(row[0], Cue(row[1], CueSource(row[2]), row[3], row[4], row[5], bool(row[6]), row[7])) for row in rows]


async def with_source(connection: Connection, track_ids: Sequence[str], sources: Iterable[CueSource]) -> set[str]:
    """Which of some tracks have cues of one of the sources."""
    found = await connection.fetch_values(
        "SELECT DISTINCT track_id FROM hot_cues WHERE track_id IN :ids AND source IN :sources",
        {"ids": list(track_ids), "sources": [source.value for source in sources]},
    )
    return set(found)


async def put(connection: Connection, track_id: str, cues: Iterable[Cue], now: int) -> None:
    await connection.execute_many(
        """
        INSERT INTO hot_cues (track_id, source, cue_index, position, name, color, is_loop, loop_end, updated_at)
        VALUES (:track, :source, :index, :position, :name, :color, :is_loop, :loop_end, :now)
        ON CONFLICT (track_id, source, cue_index) DO UPDATE SET position = excluded.position, name = excluded.name,
            color = excluded.color, is_loop = excluded.is_loop, loop_end = excluded.loop_end,
            updated_at = excluded.updated_at
        """,
        [{**cue.as_json(), "is_loop": int(cue.is_loop), "track": track_id, "now": now} for cue in cues],
    )


async def delete(connection: Connection, track_id: str, cues: Iterable[Cue]) -> None:
    await connection.execute_many(
        "DELETE FROM hot_cues WHERE track_id = :track AND source = :source AND cue_index = :index",
        [{"track": track_id, "source": cue.source.value, "index": cue.index} for cue in cues],
    )
