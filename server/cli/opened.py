"""A database as commands need it: opened, migrated, closed in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.app import open_database
from server.config import Config
from server.db.database import Database
from server.db.migrate import migrate


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Database]:
    database = open_database(config)
    await database.open()
    try:
        await migrate(database)
        yield database
    finally:
        await database.close()
