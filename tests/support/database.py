"""A database without a server around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.config import Config
from server.db.database import Database
from server.db.opening import open_database


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Database]:
    """The database of a configuration, open."""
    database = open_database(config)
    await database.open()
    try:
        yield database
    finally:
        await database.close()
