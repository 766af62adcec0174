"""The SQL of the groups, their members and their resolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from server.db.database import Connection
from server.duplicates.model import Group, from_row

SORTABLE = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "track_count": "track_count",
    "total_bytes": "total_bytes",
    "reclaimable_bytes": "reclaimable_bytes",
}


@dataclass(frozen=True, slots=True)
class Resolution:
    """`record`: what it did, in the form that undoing it reads."""

    id: str
    group_id: str
    canonical_track_id: str
    record: Mapping[str, Any]
    created_at: int
    undone_at: int | None


async def get(connection: Connection, group_id: str) -> Group | None:
    row = await connection.fetch_one("SELECT * FROM duplicate_groups WHERE id = :id", {"id": group_id})
    return None if row is None else from_row(row)


async def by_hashes(connection: Connection, hashes: Sequence[str]) -> dict[str, Group]:
    rows = await connection.fetch_all(
        "SELECT * FROM duplicate_groups WHERE audio_hash IN :hashes", {"hashes": list(hashes)}
    )
    return {row["audio_hash"]: from_row(row) for row in rows}


async def by_ids(connection: Connection, ids: Sequence[str]) -> list[Group]:
    rows = await connection.fetch_all(
        "SELECT * FROM duplicate_groups WHERE id IN :ids ORDER BY created_at, id", {"ids": list(ids)}
    )
    return [from_row(row) for row in rows]


async def page(
    connection: Connection, statuses: Sequence[str], sort: Sequence[str], limit: int, offset: int
) -> tuple[list[Group], int]:
    """Groups and how many there are; `sort` holds names of `SORTABLE`, with `-` for descending."""
    where = " WHERE status IN :statuses" if statuses else ""
    given: dict[str, Any] = {"statuses": list(statuses)} if statuses else {}
    keys = [f"{SORTABLE[name.removeprefix('-')]} {'DESC' if name.startswith('-') else 'ASC'}" for name in sort]
    rows = await connection.fetch_all(
        f"SELECT * FROM duplicate_groups{where} ORDER BY {', '.join([*keys, 'id'])} LIMIT :limit OFFSET :offset",
        {**given, "limit": limit, "offset": offset},
    )
    total = await connection.fetch_value(f"SELECT count(*) FROM duplicate_groups{where}", given)
    return [from_row(row) for row in rows], total


async def all_hashes(connection: Connection) -> list[str]:
    return await connection.fetch_values("SELECT audio_hash FROM duplicate_groups ORDER BY audio_hash")


async def hashes_of_members(connection: Connection, track_ids: Sequence[str]) -> list[str]:
    """The audio hashes of the groups that some tracks, which may be deleted by now, belonged to."""
    return await connection.fetch_values(
        """
        SELECT DISTINCT audio_hash FROM duplicate_members JOIN duplicate_groups ON duplicate_groups.id = group_id
        WHERE track_id IN :ids
        """,
        {"ids": list(track_ids)},
    )


async def members(connection: Connection, group_ids: Sequence[str]) -> dict[str, set[str]]:
    """Group → the tracks it was last known to be made of."""
    found: dict[str, set[str]] = {group_id: set() for group_id in group_ids}
    rows = await connection.fetch_all(
        "SELECT group_id, track_id FROM duplicate_members WHERE group_id IN :ids", {"ids": list(group_ids)}
    )
    for row in rows:
        found[row["group_id"]].add(row["track_id"])
    return found


async def put(connection: Connection, groups: Sequence[Group]) -> None:
    await connection.execute_many(
        """
        INSERT INTO duplicate_groups
            (id, audio_hash, status, track_count, total_bytes, reclaimable_bytes, created_at, updated_at)
        VALUES (:id, :audio_hash, :status, :track_count, :total_bytes, :reclaimable_bytes, :created_at, :updated_at)
        ON CONFLICT (id) DO UPDATE SET
            status = excluded.status, track_count = excluded.track_count, total_bytes = excluded.total_bytes,
            reclaimable_bytes = excluded.reclaimable_bytes, updated_at = excluded.updated_at
        """,
        [
            {
                "id": group.id,
                "audio_hash": group.audio_hash,
                "status": group.status.value,
                "track_count": group.track_count,
                "total_bytes": group.total_bytes,
                "reclaimable_bytes": group.reclaimable_bytes,
                "created_at": group.created_at,
                "updated_at": group.updated_at,
            }
            for group in groups
        ],
    )


async def put_members(connection: Connection, members_: Mapping[str, str], gone: Sequence[str]) -> None:
    """Track → group for those that belong to one now; `gone` belong to none any more."""
    if gone:
        await connection.execute("DELETE FROM duplicate_members WHERE track_id IN :ids", {"ids": list(gone)})
    await connection.execute_many(
        """
        INSERT INTO duplicate_members (track_id, group_id) VALUES (:track, :group)
        ON CONFLICT (track_id) DO UPDATE SET group_id = excluded.group_id
        """,
        [{"track": track_id, "group": group_id} for track_id, group_id in members_.items()],
    )


async def delete(connection: Connection, group_ids: Sequence[str]) -> None:
    await connection.execute("DELETE FROM duplicate_groups WHERE id IN :ids", {"ids": list(group_ids)})


async def statistics(connection: Connection) -> list[dict[str, Any]]:
    """For each status: groups, tracks in them, bytes, and bytes that may be freed."""
    rows = await connection.fetch_all(
        """
        SELECT status, count(*) AS groups, coalesce(sum(track_count), 0) AS tracks,
            coalesce(sum(total_bytes), 0) AS bytes, coalesce(sum(reclaimable_bytes), 0) AS reclaimable
        FROM duplicate_groups GROUP BY status
        """
    )
    # PostgreSQL's sum of integers is a decimal.
    return [{name: row[name] if name == "status" else int(row[name]) for name in row.keys()} for row in rows]  # noqa: SIM118 # a row iterates over its values


async def add_resolution(connection: Connection, resolution: Resolution) -> None:
    await connection.execute(
        """
        INSERT INTO duplicate_resolutions (id, group_id, canonical_track_id, record, created_at)
        VALUES (:id, :group, :canonical, :record, :created)
        """,
        {
            "id": resolution.id,
            "group": resolution.group_id,
            "canonical": resolution.canonical_track_id,
            "record": orjson.dumps(resolution.record).decode(),
            "created": resolution.created_at,
        },
    )


async def latest_resolution(connection: Connection, group_id: str) -> Resolution | None:
    """The group's last resolution that stands."""
    row = await connection.fetch_one(
        """
        SELECT * FROM duplicate_resolutions WHERE group_id = :group AND undone_at IS NULL
        ORDER BY created_at DESC, id DESC LIMIT 1
        """,
        {"group": group_id},
    )
    if row is None:
        return None
    return Resolution(
        row["id"], row["group_id"], row["canonical_track_id"], orjson.loads(row["record"]), row["created_at"], None
    )


async def mark_undone(connection: Connection, resolution_id: str, now: int) -> None:
    await connection.execute(
        "UPDATE duplicate_resolutions SET undone_at = :now WHERE id = :id", {"id": resolution_id, "now": now}
    )
