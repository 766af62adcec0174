"""Which database it is: the embedded SQLite, or the PostgreSQL of `DATABASE_URL`."""

from __future__ import annotations

from server import errors
from server.config import Config
from server.db.database import Database
from server.db.sqlite import SqliteDatabase
from server.db.turn import Turn


def open_database(config: Config, turn: Turn | None = None) -> Database:
    """The database of `DATABASE_URL`, not yet opened. `turn`: where its writers stand in line."""
    if not config.is_postgres:
        return SqliteDatabase(config.sqlite_path, turn)
    try:
        from server.db.postgres import PostgresDatabase
    except ImportError as error:
        raise errors.StartupError("PostgreSQL needs the extra 'postgres': pip install 'mismo[postgres]'") from error
    return PostgresDatabase(config.database_url, turn)
