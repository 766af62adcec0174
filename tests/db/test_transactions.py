"""Transactions: whole or not at all, one at a time, and never left open, whoever is cancelled when."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from server import errors
from server.db.database import Connection, Database, Dialect, to_the_end
from server.db.uow import UnitOfWork
from server.events.log import EventLog
from server.events.model import Event
from server.settings.events import SettingUpdated
from tests.conftest import IS_POSTGRES

_INSERT = "INSERT INTO settings (key, value, updated_at) VALUES (:key, :value, 0)"


async def _keys(database: Database) -> list[str]:
    return [row["key"] for row in await database.fetch_all("SELECT key FROM settings ORDER BY key")]


async def _insert(connection: Connection, key: object) -> None:
    await connection.execute(_INSERT, {"key": str(key), "value": "1"})


async def test_block_that_ends_is_committed_with_its_events(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog
) -> None:
    done = []
    async with uow() as tx:
        await _insert(tx, "a")
        tx.emit(SettingUpdated(key="a", value=1), SettingUpdated(key="a", value=2))
        tx.on_commit(lambda: done.append(event_log.seq))
        assert await _keys(database) == [], "nobody sees it before the commit"
    assert await _keys(database) == ["a"]
    assert [entry.data["value"] for entry in await event_log.read(0)] == [1, 2]
    assert done == [event_log.seq] == [2]


async def test_block_that_raises_leaves_nothing(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with uow() as tx:
            await _insert(tx, "a")
            tx.emit(SettingUpdated(key="a", value=1))
            tx.on_commit(lambda: pytest.fail("nothing was committed"))
            raise ZeroDivisionError
    assert await _keys(database) == []
    assert await event_log.read(0) == []
    assert not event_log.woken.is_set()


async def test_row_that_exists_is_a_conflict_and_the_writer_goes_on(database: Database) -> None:
    async with database.write() as connection:
        await _insert(connection, "a")
    with pytest.raises(errors.UniqueViolation):
        async with database.write() as connection:
            await _insert(connection, "b")
            await _insert(connection, "a")
    async with database.write() as connection:
        await _insert(connection, "c")
    assert await _keys(database) == ["a", "c"]


async def test_commit_that_fails_leaves_no_transaction_open(database: Database) -> None:
    """A deferred foreign key is looked at when it is too late for the block to notice."""
    column = "BIGINT" if IS_POSTGRES else "INTEGER"
    async with database.write() as connection:
        await connection.execute(f"CREATE TABLE wholes (id {column} PRIMARY KEY)")
        await connection.execute(
            f"CREATE TABLE parts (whole {column} REFERENCES wholes (id) DEFERRABLE INITIALLY DEFERRED)"
        )
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        async with database.write() as connection:
            await connection.execute("INSERT INTO parts (whole) VALUES (1)")
    async with database.write() as connection:
        await connection.execute("INSERT INTO wholes (id) VALUES (1)")
        await connection.execute("INSERT INTO parts (whole) VALUES (1)")
    assert await database.fetch_value("SELECT count(*) FROM parts") == 1


async def test_reader_sees_one_moment_for_its_whole_block(database: Database) -> None:
    async with database.write() as connection:
        await _insert(connection, "a")
    async with database.read() as reader:
        assert await reader.fetch_values("SELECT key FROM settings") == ["a"]
        async with database.write() as connection:
            await _insert(connection, "b")
        assert await reader.fetch_values("SELECT key FROM settings") == ["a"]
    assert await _keys(database) == ["a", "b"]


async def test_readers_go_on_while_a_writer_holds_its_transaction(database: Database) -> None:
    async with database.write() as connection:
        await _insert(connection, "a")
        for _ in range(20):  # more than there are readers
            assert await _keys(database) == []
            async with database.read() as reader:
                assert await reader.fetch_value("SELECT count(*) FROM settings") == 0


async def test_statements_of_two_writers_never_interleave(database: Database) -> None:
    async def count_up() -> None:
        for _ in range(10):
            async with database.write() as connection:
                lock = " FOR UPDATE" if IS_POSTGRES else ""
                value = await connection.fetch_value(f"SELECT value FROM settings WHERE key = 'n'{lock}")
                await asyncio.sleep(0)
                await connection.execute(
                    "UPDATE settings SET value = :value WHERE key = 'n'", {"value": str(int(value) + 1)}
                )

    async with database.write() as connection:
        await connection.execute(_INSERT, {"key": "n", "value": "0"})
    await asyncio.gather(*(count_up() for _ in range(8)))
    assert await database.fetch_value("SELECT value FROM settings WHERE key = 'n'") == "80"


async def test_patient_writers_let_others_go_first_and_get_their_turn(database: Database) -> None:
    order: list[str] = []
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def write(name: str, *, is_patient: bool) -> None:
        async with database.write(is_patient=is_patient) as connection:
            await _insert(connection, name)
            order.append(name)
            begun.set()
            await may_end.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(write(f"batch {number}", is_patient=True))
        await begun.wait()
        was_in_demand = database.is_in_demand
        for number in range(2):
            group.create_task(write(f"change {number}", is_patient=False))
        await asyncio.sleep(0)
        may_end.set()
    assert order == ["batch 0", "change 0", "change 1", "batch 1", "batch 2"]
    assert (was_in_demand, database.is_in_demand) == (False, True)
    assert await _keys(database) == sorted(order)


async def test_cancelled_reader_leaves_its_connection_to_the_next(database: Database) -> None:
    """More endless queries than there are connections are given up; the connections are free all the same."""
    endless = (
        "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS top FROM n"
    )
    for _ in range(10):
        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await database.fetch_all(endless)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.02), database.read() as reader:
                await reader.fetch_all(endless)
    assert await _keys(database) == []


async def test_cancellation_storm_leaves_rows_and_events_equal(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog
) -> None:
    """Writes are cancelled at every moment of their lives; whatever was committed was announced, once, in order."""
    chance = random.Random(20260501)
    told: dict[str, bool] = {}

    async def write(n: int) -> None:
        key = f"{n:04d}"
        try:
            async with uow() as tx:
                await tx.execute(_INSERT, {"key": key, "value": "1"})
                await tx.execute("UPDATE settings SET value = '2' WHERE key = :key", {"key": key})
                tx.emit(SettingUpdated(key=key, value=n))
        except asyncio.CancelledError:
            told[key] = False
            raise
        told[key] = True

    async def cancel(task: asyncio.Task[None]) -> None:
        for _ in range(chance.choice((0, 1, 2, 3, 5, 8, 13))):
            await asyncio.sleep(0)
        await asyncio.sleep(chance.choice((0, 0, 0.0001, 0.0005, 0.001, 0.002, 0.005)))
        task.cancel()

    for start in range(0, 600, 12):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(write(n)) for n in range(start, start + 12)]
            for task in tasks:
                if chance.random() < 0.8:
                    group.create_task(cancel(task))
            await asyncio.gather(*tasks, return_exceptions=True)

    rows = await _keys(database)
    entries = await event_log.read(0, 10_000)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert sorted(entry.data["key"] for entry in entries) == rows
    assert {key for key, was_committed in told.items() if was_committed} <= set(rows)
    assert 0 < len(rows) < 600, "the storm must hit some and miss some"
    assert event_log.seq == len(entries), "every commit was told, also those whose caller was cancelled"
    assert await _open_transactions(database) == 0
    async with uow() as tx:
        await _insert(tx, "after")
        tx.emit(SettingUpdated(key="after", value=0))
    assert "after" in await _keys(database)


async def _open_transactions(database: Database) -> int:
    if database.dialect is Dialect.POSTGRES:
        count: int = await database.fetch_value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        )
        return count
    async with database.write() as connection:  # would say "within a transaction"
        value: int = await connection.fetch_value("SELECT 0")
    return value


async def test_what_must_finish_finishes_and_then_the_cancellation_goes_on() -> None:
    steps: list[object] = []

    async def must() -> str:
        for step in range(3):
            await asyncio.sleep(0)
            steps.append(step)
        return "done"

    async def caller() -> None:
        await to_the_end(must())
        steps.append("not reached")

    task = asyncio.ensure_future(caller())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # impatience doesn't help
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == [0, 1, 2]


async def test_failure_of_what_must_finish_does_not_swallow_a_cancellation() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise errors.DatabaseBusy

    with pytest.raises(errors.DatabaseBusy):
        await to_the_end(fails())
    task = asyncio.ensure_future(to_the_end(fails()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as raised:
        await task
    assert task.cancelled()
    assert raised.value is not None


async def test_writing_outside_a_unit_of_work_is_refused(database: Database) -> None:
    for write in (
        database.direct.execute("DELETE FROM settings"),
        database.direct.execute_many("DELETE FROM settings", []),
        database.direct.execute_script("DELETE FROM settings;"),
    ):
        with pytest.raises(TypeError, match="unit of work"):
            await write
