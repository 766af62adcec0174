"""A database as commands need it: there, of this version, and closed in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from server import errors
from server.cli.lock import AlreadyRunning, Lock, only_one
from server.config import Config
from server.db.database import Database
from server.db.migrate import applied, available, migrate
from server.db.opening import open_database


@asynccontextmanager
async def existing(config: Config) -> AsyncIterator[Database]:
    """The database as it is. One that isn't there is an error, where opening it would make an empty one."""
    if not config.is_postgres and not config.sqlite_path.is_file():
        raise errors.StartupError(f"there is no database at {config.sqlite_path}")
    database = open_database(config)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def opened(config: Config, lock: Lock | None = None) -> AsyncIterator[Database]:
    """The database, made or brought to this version first. Without the `lock`, a server may be running on it."""
    database = open_database(config)
    await database.open()
    try:
        try:
            with nullcontext(lock) if lock is not None else only_one(config):
                await migrate(database)
        except AlreadyRunning as other:
            await _refuse_another_version(database, other)
        yield database
    finally:
        await database.close()


async def _refuse_another_version(database: Database, other: AlreadyRunning) -> None:
    """Nothing is migrated beneath a running server; but then it must be of this version."""
    ledger = await applied(database.direct)
    if ledger != {migration.name: migration.checksum for migration in available(database.dialect)}:
        raise errors.StartupError(f"{other}, and it is of another version: stop it first")
