"""The SQL of `file_operations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from server.db.database import Connection
from server.operations.model import Operation, Place, Plan, from_row, plan_of

_COLUMNS = (
    "id", "job_id", "batch_id", "kind", "state", "track_id", "undo_of", "library_directory_id", "path",
    "to_directory_id", "to_path", "options", "steps", "attempts", "error_code", "error", "bytes", "created_at",
    "started_at", "finished_at",
)  # fmt: skip


async def insert(connection: Connection, operations: Sequence[Operation]) -> None:
    await connection.execute_many(
        f"INSERT INTO file_operations ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})",
        [_encoded(operation) for operation in operations],
    )


def _encoded(operation: Operation) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(operation, name, None) for name in _COLUMNS}
    return values | {
        "kind": operation.kind.value,
        "state": operation.state.value,
        **source_columns(operation.source),
        **target_columns(operation.target),
        "options": orjson.dumps(asdict(operation.options)).decode(),
        "steps": None if operation.plan is None else operation.plan.stored(),
    }


def source_columns(source: Place) -> dict[str, Any]:
    return {"library_directory_id": source.library_directory_id, "path": source.path}


def target_columns(target: Place | None) -> dict[str, Any]:
    return {
        "to_directory_id": None if target is None else target.library_directory_id,
        "to_path": None if target is None else target.path,
    }


async def update(connection: Connection, operation_id: str, values: Mapping[str, Any]) -> None:
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    await connection.execute(
        f"UPDATE file_operations SET {assignments} WHERE id = :operation_id", {**values, "operation_id": operation_id}
    )


async def update_queued(connection: Connection, operation_id: str, values: Mapping[str, Any]) -> bool:
    """The same, if the operation is still waiting; whether it was."""
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    return bool(
        await connection.execute(
            f"UPDATE file_operations SET {assignments} WHERE id = :operation_id AND state = 'queued'",
            {**values, "operation_id": operation_id},
        )
    )


async def end(connection: Connection, job_id: str, now: int) -> bool:
    """Set the end of a job that waits or runs; False when it is over already. Others who try wait for the commit."""
    changed = await connection.execute(
        "UPDATE file_operations SET finished_at = :now WHERE job_id = :job AND state IN ('queued', 'running')",
        {"job": job_id, "now": now},
    )
    return changed > 0


async def get(connection: Connection, operation_id: str) -> Operation | None:
    row = await connection.fetch_one("SELECT * FROM file_operations WHERE id = :id", {"id": operation_id})
    return None if row is None else from_row(row)


async def by_ids(connection: Connection, ids: Sequence[str]) -> list[Operation]:
    rows = await connection.fetch_all("SELECT * FROM file_operations WHERE id IN :ids ORDER BY pk", {"ids": list(ids)})
    return [from_row(row) for row in rows]


async def of_job(connection: Connection, job_id: str) -> list[Operation]:
    rows = await connection.fetch_all("SELECT * FROM file_operations WHERE job_id = :job ORDER BY pk", {"job": job_id})
    return [from_row(row) for row in rows]


async def undos_of(connection: Connection, operation_ids: Sequence[str]) -> list[Operation]:
    """Undo operations that are waiting, running or done."""
    rows = await connection.fetch_all(
        "SELECT * FROM file_operations WHERE undo_of IN :ids AND state IN ('queued', 'running', 'done')",
        {"ids": list(operation_ids)},
    )
    return [from_row(row) for row in rows]


async def deletions(connection: Connection, track_ids: Sequence[str]) -> set[tuple[str, int]]:
    """Of some tracks, which were deleted, and when; no deletion that was undone."""
    rows = await connection.fetch_all(
        """
        SELECT track_id, finished_at FROM file_operations
        WHERE track_id IN :ids AND kind = 'delete' AND state = 'done'
        """,
        {"ids": list(track_ids)},
    )
    return {(row["track_id"], row["finished_at"]) for row in rows}


async def running(connection: Connection) -> list[Plan]:
    """The plans of all operations at work."""
    rows = await connection.fetch_all(
        # The first condition is the index's own.
        "SELECT steps FROM file_operations WHERE state IN ('queued', 'running') AND state = 'running'"
    )
    return [plan_of(row["steps"]) for row in rows]


async def active(connection: Connection, limit: int) -> list[Operation]:
    """What waits or is at work, in the order it was asked for."""
    rows = await connection.fetch_all(
        "SELECT * FROM file_operations WHERE state IN ('queued', 'running') ORDER BY pk LIMIT :limit", {"limit": limit}
    )
    return [from_row(row) for row in rows]


async def page(
    connection: Connection, statuses: Sequence[str], track_id: str | None, limit: int, offset: int
) -> tuple[list[Operation], int]:
    """Operations, newest first, and how many there are."""
    conditions = []
    if statuses:
        conditions.append("state IN :statuses")
    if track_id is not None:
        conditions.append("track_id = :track_id")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    params: dict[str, Any] = {"limit": limit, "offset": offset}
    given: dict[str, Any] = {"statuses": list(statuses)} if statuses else {}
    if track_id is not None:
        given["track_id"] = track_id
    rows = await connection.fetch_all(
        f"SELECT * FROM file_operations{where} ORDER BY pk DESC LIMIT :limit OFFSET :offset", {**given, **params}
    )
    total = await connection.fetch_value(f"SELECT count(*) FROM file_operations{where}", given)
    return [from_row(row) for row in rows], total
