"""What a database does when the world around it fails: locks, full disks, lost connections, broken files."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from server import errors
from server.db.database import Database
from server.db.migrate import migrate
from server.db.postgres import PostgresDatabase
from server.db.sqlite import SqliteDatabase
from server.db.uow import UnitOfWork
from server.events.log import EventLog
from server.events.model import Event
from server.settings.events import SettingUpdated
from tests.conftest import IS_POSTGRES

only_sqlite = pytest.mark.skipif(IS_POSTGRES, reason="not for PostgreSQL: about a database in a file")
only_postgres = pytest.mark.skipif(not IS_POSTGRES, reason="not for SQLite: about a database server")
_INSERT = "INSERT INTO settings (key, value, updated_at) VALUES (:key, :value, 0)"


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """A migrated file whose locks are waited for only a moment."""
    database = SqliteDatabase(tmp_path / "library.db", busy_timeout_ms=50)
    await database.open()
    await migrate(database)
    yield database
    await database.close()


@only_sqlite
async def test_lock_of_another_program_is_busy_and_passes(sqlite: SqliteDatabase) -> None:
    with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.DatabaseBusy):
            async with sqlite.write():
                pytest.fail("the lock is taken")
        assert await sqlite.fetch_value("SELECT count(*) FROM settings") == 0, "reading needs no lock"
        other.execute("COMMIT")
    async with sqlite.write() as connection:
        await connection.execute(_INSERT, {"key": "a", "value": "1"})
    assert await sqlite.fetch_value("SELECT count(*) FROM settings") == 1


@only_sqlite
async def test_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(errors.StartupError, match=r"can't open the database .*library\.db: file is not a database"):
        await SqliteDatabase(path).open()
    assert path.read_text().startswith("Dear diary")


@only_sqlite
async def test_closed_database_is_down(sqlite: SqliteDatabase) -> None:
    await sqlite.close()
    with pytest.raises(errors.DatabaseDown):
        await sqlite.fetch_all("SELECT 1")
    with pytest.raises(errors.DatabaseDown):
        await sqlite.fetch_at_once([lambda _: ("SELECT 1", {})])
    with pytest.raises(errors.DatabaseDown):
        async with sqlite.write():
            pytest.fail("there is nothing to write to")


@only_sqlite
async def test_closing_waits_for_who_writes(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "library.db")
    await database.open()
    await migrate(database)
    inside, may_end = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with database.write() as connection:
            inside.set()
            await may_end.wait()
            await connection.execute(_INSERT, {"key": "last", "value": "1"})

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        await inside.wait()
        group.create_task(database.close())
        await asyncio.sleep(0)
        may_end.set()
    with closing(sqlite3.connect(database.path)) as after:
        assert after.execute("SELECT key FROM settings").fetchall() == [("last",)]


async def _write_until_full(database: Database) -> int:
    """Whole transactions until one fails for want of space; returns how many were committed."""
    event_log = EventLog(database, _FixedClock())
    await event_log.open()
    uow: UnitOfWork[Event] = UnitOfWork(database, event_log)
    committed = 0
    with pytest.raises(errors.DiskFull):
        while committed < 10_000:
            async with uow() as tx:
                key = f"{committed}"
                await tx.execute(_INSERT, {"key": key, "value": "x" * 5000})
                tx.emit(SettingUpdated(key=key, value=committed))
            committed += 1
    return committed


class _FixedClock:
    def now_ms(self) -> int:
        return 1


async def _holds(database: Database, committed: int) -> None:
    """Every transaction that was committed is there whole; the one that failed isn't, and nothing is stuck."""
    assert await database.fetch_value("SELECT count(*) FROM settings") == committed > 0
    assert await database.fetch_value("SELECT count(*) FROM events") == committed
    assert await database.fetch_value("SELECT seq FROM event_head") == committed


@only_sqlite
async def test_database_at_its_size_limit_is_full_and_keeps_what_it_has(sqlite: SqliteDatabase) -> None:
    async with sqlite.write() as connection:
        pages = await connection.fetch_value("PRAGMA page_count")
    assert sqlite._writer is not None
    await sqlite._writer.fetch_all(f"PRAGMA max_page_count = {pages + 40}")
    await _holds(sqlite, await _write_until_full(sqlite))
    await sqlite._writer.fetch_all("PRAGMA max_page_count = 100000")
    async with sqlite.write() as connection:
        await connection.execute(_INSERT, {"key": "more", "value": "1"})
    assert await sqlite.fetch_value("SELECT count(*) FROM settings WHERE key = 'more'") == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root; the size limit above stands in for it")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount; the size limit above stands in for it")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@only_sqlite
async def test_full_disk_changes_nothing_and_passes(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    database = SqliteDatabase(small_disk / "library.db")
    await database.open()
    try:
        await migrate(database)
        await _holds(database, await _write_until_full(database))
        ballast.unlink()
        async with database.write() as connection:
            await connection.execute(_INSERT, {"key": "more", "value": "1"})
    finally:
        await database.close()
    with closing(sqlite3.connect(database.path)) as after:
        assert after.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert after.execute("SELECT count(*) FROM settings WHERE key = 'more'").fetchone() == (1,)


_CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> :own"


async def _cut_off(database: Database) -> None:
    """End every connection of the database but the one that does it."""
    # No transaction that writes: it would wait for the one that is to be cut off.
    async with database.read() as connection:
        own = await connection.fetch_value("SELECT pg_backend_pid()")
        await connection.fetch_all(_CUT_OFF, {"own": own})


@pytest.fixture
async def another(database_url: str) -> AsyncIterator[Database]:
    """A second process, as far as the server can tell."""
    database = PostgresDatabase(database_url)
    await database.open()
    yield database
    await database.close()


@only_postgres
async def test_lost_connection_is_an_outage_and_the_next_transaction_works(
    database: Database, another: Database, uow: UnitOfWork[Event], event_log: EventLog
) -> None:
    with pytest.raises(errors.DatabaseDown):
        async with uow() as tx:
            await tx.execute(_INSERT, {"key": "lost", "value": "1"})
            tx.emit(SettingUpdated(key="lost", value=1))
            await _cut_off(another)
            await tx.execute(_INSERT, {"key": "lost too", "value": "1"})
    async with uow() as tx:
        await tx.execute(_INSERT, {"key": "kept", "value": "1"})
        tx.emit(SettingUpdated(key="kept", value=1))
    assert [row["key"] for row in await database.fetch_all("SELECT key FROM settings")] == ["kept"]
    assert [entry.data["key"] for entry in await event_log.read(0)] == ["kept"]


@only_postgres
async def test_connection_lost_at_the_commit_is_an_outage(database: Database, another: Database) -> None:
    with pytest.raises(errors.DatabaseDown):
        async with database.write() as connection:
            await connection.execute(_INSERT, {"key": "lost", "value": "1"})
            await _cut_off(another)
    assert await database.fetch_value("SELECT count(*) FROM settings") == 0


@only_postgres
async def test_transaction_that_stood_still_for_too_long_is_an_outage_and_holds_nobody_up(
    database: Database, another: Database
) -> None:
    with pytest.raises(errors.DatabaseDown):
        async with database.write() as connection:
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '50ms'")
            async with another.write() as other:  # waits until the server has ended the first
                await other.execute(_INSERT, {"key": "other", "value": "1"})
            await connection.execute(_INSERT, {"key": "lost", "value": "1"})
    assert [row["key"] for row in await database.fetch_all("SELECT key FROM settings")] == ["other"]


@only_postgres
async def test_idle_connections_that_were_lost_are_replaced(database: Database, another: Database) -> None:
    await asyncio.gather(*(database.fetch_all("SELECT pg_sleep(0.01)") for _ in range(6)))
    await _cut_off(another)
    for _ in range(10):
        try:
            assert await database.fetch_value("SELECT 1") == 1
        except errors.DatabaseDown:
            continue  # each idle connection may notice its end only when it is used
    assert await database.fetch_value("SELECT 1") == 1


@only_postgres
async def test_listener_hears_others_and_says_when_it_was_cut_off(database: Database, another: Database) -> None:
    woken: asyncio.Queue[None] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(database.listen(lambda: woken.put_nowait(None), lambda _: None))
        await woken.get()  # it listens
        async with another.write() as connection:
            await another.notify(connection, 7)
        await woken.get()
        await _cut_off(another)
        await listening


@only_postgres
async def test_server_that_isnt_there_stops_the_start() -> None:
    with pytest.raises(errors.StartupError, match="can't connect to PostgreSQL"):
        await PostgresDatabase("postgresql://mismo@127.0.0.1:1/nothing").open()


@only_postgres
async def test_work_that_one_process_does_alone_goes_on_elsewhere_when_its_session_dies(database_url: str) -> None:
    one, other = PostgresDatabase(database_url), PostgresDatabase(database_url)
    await one.open()
    try:
        async with one.alone("work") as lost:
            taken = asyncio.Event()

            async def wait_for_turn() -> None:
                async with other.alone("work"):
                    taken.set()

            waiting = asyncio.create_task(wait_for_turn())
            async with one.alone("other work"):
                assert not taken.is_set()
            assert not lost.is_set()
            await one.fetch_all(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            )
            async with asyncio.timeout(30):
                await lost.wait()
                await waiting
        assert taken.is_set()
    finally:
        await one.close()
