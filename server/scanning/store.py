"""The SQL of `scans` and `scan_failures`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson

from server.db.database import Connection, Row
from server.scanning.model import Counts, Failure, Scan, State, from_row

_ACTIVE = ("queued", "running", "paused")


async def insert(connection: Connection, scan: Scan) -> None:
    await connection.execute(
        """
        INSERT INTO scans (id, library_directory_id, strategy, priority, path, state, counts, created_at)
        VALUES (:id, :directory, :strategy, :priority, :path, :state, :counts, :now)
        """,
        {
            "id": scan.id,
            "directory": scan.library_directory_id,
            "strategy": scan.strategy.value,
            "priority": int(scan.priority),
            "path": scan.path,
            "state": scan.state.value,
            "counts": _json(scan.counts),
            "now": scan.created_at,
        },
    )


async def update(connection: Connection, scan_id: str, values: dict[str, Any]) -> None:
    """Change columns; `counts` as the value, `state` as the enum."""
    encoded = {name: _json(value) if isinstance(value, Counts) else value for name, value in values.items()}
    assignments = ", ".join(f"{name} = :{name}" for name in encoded)
    await connection.execute(f"UPDATE scans SET {assignments} WHERE id = :id", {**encoded, "id": scan_id})


async def add_failures(connection: Connection, scan_id: str, failures: Sequence[Failure]) -> None:
    await connection.execute_many(
        "INSERT INTO scan_failures (scan_id, path, code, reason) VALUES (:scan, :path, :code, :reason)",
        [
            {"scan": scan_id, "path": failure.path, "code": failure.code, "reason": failure.reason}
            for failure in failures
        ],
    )


async def get(connection: Connection, scan_id: str) -> Scan | None:
    row = await connection.fetch_one("SELECT * FROM scans WHERE id = :id", {"id": scan_id})
    return None if row is None else await _whole(connection, row)


async def active(connection: Connection, library_directory_id: str | None = None) -> list[Scan]:
    """Scans that are queued, running or paused, first in line first."""
    condition = "" if library_directory_id is None else " AND library_directory_id = :directory"
    rows = await connection.fetch_all(
        f"SELECT * FROM scans WHERE state IN :states{condition} ORDER BY priority DESC, created_at, id",
        {"states": list(_ACTIVE), **({} if library_directory_id is None else {"directory": library_directory_id})},
    )
    return [await _whole(connection, row) for row in rows]


async def latest(connection: Connection, library_directory_id: str) -> Scan | None:
    row = await connection.fetch_one(
        "SELECT * FROM scans WHERE library_directory_id = :directory ORDER BY created_at DESC, id DESC LIMIT 1",
        {"directory": library_directory_id},
    )
    return None if row is None else await _whole(connection, row)


async def latest_state(connection: Connection, library_directory_id: str) -> State | None:
    state = await connection.fetch_value(
        "SELECT state FROM scans WHERE library_directory_id = :directory ORDER BY created_at DESC, id DESC LIMIT 1",
        {"directory": library_directory_id},
    )
    return None if state is None else State(state)


async def history(
    connection: Connection, library_directory_id: str | None, limit: int, offset: int
) -> tuple[list[Scan], int]:
    """Scans, newest first, and how many there are in all."""
    condition = "" if library_directory_id is None else " WHERE library_directory_id = :directory"
    params = {} if library_directory_id is None else {"directory": library_directory_id}
    rows = await connection.fetch_all(
        f"SELECT * FROM scans{condition} ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset",
        {**params, "limit": limit, "offset": offset},
    )
    total: int = await connection.fetch_value(f"SELECT count(*) FROM scans{condition}", params)
    return [await _whole(connection, row) for row in rows], total


async def _whole(connection: Connection, row: Row) -> Scan:
    failures = await connection.fetch_all(
        "SELECT path, code, reason FROM scan_failures WHERE scan_id = :id ORDER BY id", {"id": row["id"]}
    )
    return from_row(row, tuple(Failure(item["path"], item["code"], item["reason"]) for item in failures))


def _json(counts: Counts) -> str:
    return orjson.dumps(asdict(counts)).decode()
