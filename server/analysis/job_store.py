"""The SQL of `analysis_jobs`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import orjson

from server.analysis.job import ACTIVE, Asker, Job, Priority, State
from server.analysis.stage import ordered
from server.db.database import Connection, Row

_COLUMNS = tuple(item.name for item in fields(Job))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM analysis_jobs"
_LISTS = ("stages", "asked", "clients")


def from_row(row: Row) -> Job:
    values = {name: row[name] for name in _COLUMNS}
    values["state"] = State(values["state"])
    values["priority"] = Priority(values["priority"])
    for name in ("stages", "asked"):
        values[name] = ordered(orjson.loads(values[name]))
    values["clients"] = tuple(Asker(*asker) for asker in orjson.loads(values["clients"]))
    return Job(**values)


def _to_row(job: Job) -> dict[str, Any]:
    values = {name: getattr(job, name) for name in _COLUMNS}
    for name in _LISTS:
        # orjson takes a tuple, but no kind of its own of it.
        values[name] = orjson.dumps([tuple(x) if isinstance(x, tuple) else x for x in values[name]]).decode()
    return {**values, "state": job.state.value, "priority": int(job.priority)}


async def by_hash(connection: Connection, audio_hash: str) -> Job | None:
    row = await connection.fetch_one(f"{_SELECT} WHERE audio_hash = :hash", {"hash": audio_hash})
    return None if row is None else from_row(row)


async def by_hashes(connection: Connection, hashes: Sequence[str]) -> dict[str, Job]:
    rows = await connection.fetch_all(f"{_SELECT} WHERE audio_hash IN :hashes ORDER BY audio_hash", {"hashes": hashes})
    return {row["audio_hash"]: from_row(row) for row in rows}


async def by_token(connection: Connection, token_hash: str) -> Job | None:
    row = await connection.fetch_one(f"{_SELECT} WHERE token_hash = :token_hash", {"token_hash": token_hash})
    return None if row is None else from_row(row)


async def insert_missing(connection: Connection, jobs: Iterable[Job]) -> None:
    """Insert jobs for audios that have none."""
    await connection.execute_many(
        f"""
        INSERT INTO analysis_jobs ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})
        ON CONFLICT (audio_hash) DO NOTHING
        """,
        [_to_row(job) for job in jobs],
    )  # fmt: skip


async def save(connection: Connection, jobs: Sequence[Job]) -> None:
    if jobs:
        changes = ", ".join(f"{name} = :{name}" for name in _COLUMNS if name != "audio_hash")
        await connection.execute_many(
            f"UPDATE analysis_jobs SET {changes} WHERE audio_hash = :audio_hash",
            [_to_row(job) for job in jobs],
        )


async def page(connection: Connection, state: State | None, limit: int, offset: int) -> list[Job]:
    """Jobs in the order in which they were asked for, latest first."""
    where = "" if state is None else " WHERE state = :state"
    rows = await connection.fetch_all(
        f"{_SELECT}{where} ORDER BY queued_at DESC, pk DESC LIMIT :limit OFFSET :offset",
        {
            "limit": limit,
            "offset": offset,
            **({} if state is None else {"state": state.value}),
        },
    )
    return [from_row(row) for row in rows]


async def count(connection: Connection, state: State | None) -> int:
    where = "" if state is None else " WHERE state = :state"
    total: int = await connection.fetch_value(
        f"SELECT count(*) FROM analysis_jobs{where}",
        {} if state is None else {"state": state.value},
    )
    return total


async def counts(connection: Connection) -> list[Row]:
    """(state, priority, number of jobs)."""
    return list(
        await connection.fetch_all("SELECT state, priority, count(*) FROM analysis_jobs GROUP BY state, priority")
    )


async def completed_since(connection: Connection, since: int) -> tuple[int, int | None]:
    """How many jobs were completed, and when the first of them was begun (Unix ms)."""
    row = await connection.fetch_one(
        "SELECT count(*), min(started_at) FROM analysis_jobs WHERE state = 'completed' AND finished_at >= :since"
        " AND started_at IS NOT NULL",
        {"since": since},
    )
    assert row is not None
    return row[0], row[1]


# -- for the broker


async def running_at(connection: Connection, server: str) -> int:
    total: int = await connection.fetch_value(
        "SELECT count(*) FROM analysis_jobs WHERE state = 'running' AND server = :server",
        {"server": server},
    )
    return total


async def next_queued(connection: Connection, now: int, limit: int) -> list[Job]:
    """The jobs whose turn it is."""
    rows = await connection.fetch_all(
        f"""
        {_SELECT} WHERE state = 'queued' AND not_before <= :now
        ORDER BY priority, queued_at, pk LIMIT :limit
        """,
        {"now": now, "limit": limit},
    )
    return [from_row(row) for row in rows]


async def running(connection: Connection, owner: str) -> list[Job]:
    """The jobs that a Mismo waits for."""
    rows = await connection.fetch_all(
        f"{_SELECT} WHERE state = 'running' AND owner = :owner ORDER BY started_at",
        {"owner": owner},
    )
    return [from_row(row) for row in rows]


async def all_running(connection: Connection) -> list[Job]:
    rows = await connection.fetch_all(f"{_SELECT} WHERE state = 'running' ORDER BY started_at")
    return [from_row(row) for row in rows]


async def renew(connection: Connection, owner: str, lease_until: int) -> None:
    await connection.execute(
        "UPDATE analysis_jobs SET lease_until = :until WHERE state = 'running' AND owner = :owner",
        {"until": lease_until, "owner": owner},
    )


async def abandoned(connection: Connection, now: int, limit: int) -> list[Job]:
    """Running jobs whose Mismo has stopped renewing its lease."""
    rows = await connection.fetch_all(
        f"""
        {_SELECT} WHERE state = 'running' AND lease_until < :now
        ORDER BY audio_hash LIMIT :limit
        """,
        {"now": now, "limit": limit},
    )
    return [from_row(row) for row in rows]


async def hashes_in(connection: Connection, state: State, after: str, limit: int) -> list[str]:
    """Audio hashes of the jobs in one state, in their order, after one of them."""
    return await connection.fetch_values(
        "SELECT audio_hash FROM analysis_jobs WHERE state = :state AND audio_hash > :after"
        " ORDER BY audio_hash LIMIT :limit",
        {"state": state.value, "after": after, "limit": limit},
    )


async def has_active(connection: Connection) -> bool:
    states = sorted(state.value for state in ACTIVE)
    row = await connection.fetch_one("SELECT 1 FROM analysis_jobs WHERE state IN :states LIMIT 1", {"states": states})
    return row is not None
