"""The SQL of `scans` and `scan_failures`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import orjson

from server.db.database import Connection, Row
from server.scanning.model import Counts, Failure, Scan, State, from_row

_ACTIVE = ("queued", "running", "paused")


async def insert(connection: Connection, scan: Scan) -> bool:
    """Queue a scan; False when its directory has an active one already."""
    count = await connection.execute(
        """
        INSERT INTO scans (id, library_directory_id, strategy, priority, path, state, counts, created_at)
        VALUES (:id, :directory, :strategy, :priority, :path, :state, :counts, :now)
        ON CONFLICT DO NOTHING
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
    return bool(count)


async def launch(connection: Connection, scan: Scan) -> bool:
    """Let a queued scan be its owner's to work on; False when it isn't queued any more."""
    count = await connection.execute(
        """
        UPDATE scans SET state = 'running', owner = :owner, started_at = :started_at
        WHERE id = :id AND state = 'queued'
        """,
        {"id": scan.id, "owner": scan.owner, "started_at": scan.started_at},
    )
    return bool(count)


async def hold(connection: Connection, scan_id: str, expected: State, state: State) -> bool:
    """Pause or resume; False when the scan isn't in the expected state."""
    count = await connection.execute(
        "UPDATE scans SET state = :state WHERE id = :id AND state = :expected",
        {"id": scan_id, "expected": expected.value, "state": state.value},
    )
    return bool(count)


async def ask_to_cancel(connection: Connection, scan_id: str) -> bool:
    """Ask whoever works on a scan to stop; False when nobody does."""
    count = await connection.execute(
        "UPDATE scans SET is_cancel_asked = 1 WHERE id = :id AND state IN ('running', 'paused')", {"id": scan_id}
    )
    return bool(count)


async def count(connection: Connection, scan: Scan, counts: Counts) -> bool:
    """Store how far its owner has come; False when the scan is its owner's no more."""
    changed = await connection.execute(
        """
        UPDATE scans SET counts = :counts
        WHERE id = :id AND owner = :owner AND state IN ('running', 'paused')
        """,
        {"id": scan.id, "owner": scan.owner, "counts": _json(counts)},
    )
    return bool(changed)


async def end(connection: Connection, scan: Scan, state: State, error: str | None, now: int) -> bool:
    """Store how a scan ended; False when it isn't as `scan` says: queued, or its owner's to work on.

    One that is paused can't be complete.
    """
    if scan.state is State.QUEUED:
        expected = [State.QUEUED]
    else:
        expected = [State.RUNNING] if state is State.COMPLETE else [State.RUNNING, State.PAUSED]
    changed = await connection.execute(
        """
        UPDATE scans SET state = :state, finished_at = :now, counts = :counts, error = :error
        WHERE id = :id AND owner IS NOT DISTINCT FROM :owner AND state IN :expected
        """,
        {
            "id": scan.id,
            "owner": scan.owner,
            "expected": [item.value for item in expected],
            "state": state.value,
            "now": now,
            "counts": _json(scan.counts),
            "error": error,
        },
    )
    return bool(changed)


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
