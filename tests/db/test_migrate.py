"""Migrations: each once, whole or not at all, with a way back."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from server import errors
from server.db.database import Database, Dialect
from server.db.migrate import available, migrate
from tests.conftest import IS_POSTGRES, make_config
from tests.support.database import opened as opened_by


def opened(url: str) -> AbstractAsyncContextManager[Database]:
    return opened_by(make_config(database_url=url))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Migrations of a small program: one that makes things."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_things.sql").write_text("CREATE TABLE things (id TEXT PRIMARY KEY);\n")
    return folder


async def _tables(database: Database) -> set[str]:
    query = (
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        if IS_POSTGRES
        else "SELECT name FROM sqlite_master WHERE type = 'table'"
    )
    return {row[0] for row in await database.fetch_all(query)}


async def test_fresh_database_is_made_by_the_migrations_alone(empty_url: str) -> None:
    async with opened(empty_url) as database:
        names = await migrate(database)
        assert names == [migration.name for migration in available(database.dialect)]
        assert {"migrations", "events", "tracks"} <= await _tables(database)


async def test_every_migration_is_applied_once_and_stands_in_the_ledger(empty_url: str, folder: Path) -> None:
    async with opened(empty_url) as database:
        assert await migrate(database, folder) == ["0001_things"]
        (folder / "0002_parts.sql").write_text("CREATE TABLE parts (id TEXT PRIMARY KEY);")
        assert await migrate(database, folder, backup_to=folder) == ["0002_parts"]
        assert await migrate(database, folder) == []
        rows = await database.fetch_all("SELECT name, checksum, applied_at FROM migrations ORDER BY name")
        known = available(database.dialect, folder)
        assert [(row["name"], row["checksum"]) for row in rows] == [(m.name, m.checksum) for m in known]
        assert all(row["applied_at"] > 0 for row in rows)


async def test_migration_that_was_changed_afterwards_is_refused(empty_url: str, folder: Path) -> None:
    async with opened(empty_url) as database:
        await migrate(database, folder)
        (folder / "0001_things.sql").write_text("CREATE TABLE things (id TEXT PRIMARY KEY, size BIGINT);")
        with pytest.raises(errors.StartupError, match="changed after they had been applied: 0001_things"):
            await migrate(database, folder)


async def test_database_newer_than_the_program_is_refused_and_left_alone(empty_url: str, folder: Path) -> None:
    (folder / "0002_parts.sql").write_text("CREATE TABLE parts (id TEXT PRIMARY KEY);")
    async with opened(empty_url) as database:
        await migrate(database, folder)
        (folder / "0002_parts.sql").unlink()
        (folder / "0001_zzz.sql").write_text("CREATE TABLE more (id TEXT PRIMARY KEY);")
        with pytest.raises(errors.StartupError, match=r"newer than this program \(it has 0002_parts\)"):
            await migrate(database, folder)
        assert "more" not in await _tables(database)


async def test_failing_migration_is_rolled_back_whole_and_those_before_it_stay(empty_url: str, folder: Path) -> None:
    (folder / "0002_fails.sql").write_text(
        "CREATE TABLE parts (id TEXT PRIMARY KEY);\n"
        "INSERT INTO things (id) VALUES ('a');\n"
        "INSERT INTO nowhere (id) VALUES ('b');\n"
    )
    async with opened(empty_url) as database:
        with pytest.raises(errors.StartupError, match=r"migration 0002_fails failed and was rolled back: .*nowhere"):
            await migrate(database, folder, backup_to=folder)
        assert await _tables(database) >= {"things"}
        assert "parts" not in await _tables(database)
        assert await database.fetch_value("SELECT count(*) FROM things") == 0
        (folder / "0002_fails.sql").write_text("CREATE TABLE parts (id TEXT PRIMARY KEY);")
        assert await migrate(database, folder, backup_to=folder) == ["0002_fails"]


async def test_backup_is_made_before_an_upgrade_and_holds_what_stood_there(empty_url: str, folder: Path) -> None:
    backups = folder / "backups"
    async with opened(empty_url) as database:
        await migrate(database, folder, backup_to=backups)
        assert not backups.exists(), "an empty database needs no backup"
        async with database.write() as connection:
            await connection.execute("INSERT INTO things (id) VALUES ('precious')")
        (folder / "0002_empty.sql").write_text("DELETE FROM things;")
        await migrate(database, folder, backup_to=backups)
        assert await database.fetch_value("SELECT count(*) FROM things") == 0
    (backup,) = backups.iterdir()
    assert "0001_things" in backup.name
    if IS_POSTGRES:
        restore = await asyncio.create_subprocess_exec(
            "pg_restore", "--data-only", "--file=-", str(backup), stdout=subprocess.PIPE
        )
        assert b"precious" in (await restore.communicate())[0]
    else:
        with closing(sqlite3.connect(backup)) as copy:
            assert copy.execute("SELECT id FROM things").fetchall() == [("precious",)]
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_upgrade_without_a_backup_is_refused(empty_url: str, folder: Path) -> None:
    async with opened(empty_url) as database:
        await migrate(database, folder)
        (folder / "0002_parts.sql").write_text("CREATE TABLE parts (id TEXT PRIMARY KEY);")
        (folder / "file").touch()
        with pytest.raises(errors.StartupError, match="not upgraded, since the backup before it failed"):
            await migrate(database, folder, backup_to=folder / "file" / "below")
        assert "parts" not in await _tables(database)


_MIGRATE = """
import asyncio, sys
from pathlib import Path
from server.db.opening import open_database
from server.config import load
from server.db.migrate import migrate

async def main():
    database = open_database(load(None, database_url=sys.argv[1]))
    await database.open()
    try:
        print(*await migrate(database, Path(sys.argv[2])))
    finally:
        await database.close()

asyncio.run(main())
"""


async def test_processes_that_start_at_once_apply_each_migration_once(empty_url: str, folder: Path) -> None:
    for number in range(2, 10):
        (folder / f"000{number}_more.sql").write_text(f"CREATE TABLE more_{number} (id TEXT PRIMARY KEY);")
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _MIGRATE, empty_url, str(folder), stdout=subprocess.PIPE, cwd=Path.cwd()
        )
        for _ in range(3)
    ]
    for process in processes:
        await process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    async with opened(empty_url) as database:
        assert await database.fetch_value("SELECT count(*) FROM migrations") == 9
        assert {f"more_{number}" for number in range(2, 10)} <= await _tables(database)


def test_file_that_is_named_otherwise_is_refused(folder: Path) -> None:
    (folder / "2_parts.sql").write_text("CREATE TABLE parts (id TEXT PRIMARY KEY);")
    for dialect in Dialect:
        with pytest.raises(errors.StartupError, match=r"2_parts\.sql isn't named like a migration"):
            available(dialect, folder)
