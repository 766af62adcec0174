"""Migrations: numbered SQL files, each applied once in a transaction of its own, and a ledger of what was applied."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from server import errors, log
from server.db.database import Connection, Database, Dialect

logger = log.get(__name__)

DIRECTORY = Path(__file__).resolve().parents[2] / "migrations"
_NAME = re.compile(r"^(?P<name>\d{4}_\w+?)(?:\.(?P<dialect>sqlite|postgres))?\.sql$")
LEDGER = """CREATE TABLE IF NOT EXISTS migrations (
    name TEXT PRIMARY KEY,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL
)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """`name` as `0001_initial`; `checksum` is the SHA-256 of its text."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def available(dialect: Dialect, directory: Path = DIRECTORY) -> list[Migration]:
    """The migrations for one dialect, in order: `NAME.sql` serves both, `NAME.sqlite.sql`/`.postgres.sql` one each."""
    found: dict[str, Migration] = {}
    for file in sorted(directory.glob("*.sql")):
        match = _NAME.match(file.name)
        if match is None:
            raise errors.StartupError(f"{file.name} isn't named like a migration (0002_name.sql)")
        if match["dialect"] in (None, dialect.value):
            if match["name"] in found:
                raise errors.StartupError(f"migration {match['name']} stands there twice for {dialect}")
            found[match["name"]] = Migration(match["name"], file.read_text(encoding="utf-8"))
    return [found[name] for name in sorted(found)]


async def applied(connection: Connection) -> dict[str, str]:
    """The ledger: name → checksum."""
    return {row["name"]: row["checksum"] for row in await connection.fetch_all("SELECT name, checksum FROM migrations")}


async def migrate(database: Database, directory: Path = DIRECTORY, *, backup_to: Path | None = None) -> list[str]:
    """Bring the database to the program's version; returns the names of what was applied.

    Before an upgrade of a database that holds something, a backup is written (to `backup_to`, or beside the file).
    Raises `errors.StartupError` when the database is newer than the program, when an applied migration was changed
    afterwards, when the backup can't be made, or when a migration fails (which is then rolled back whole).
    """
    known = available(database.dialect, directory)
    async with database.write() as connection:
        await connection.execute(LEDGER)
        ledger = await applied(connection)
    _check(ledger, known)
    pending = [migration for migration in known if migration.name not in ledger]
    if pending and ledger:
        await _backup(database, max(ledger), backup_to)
    for migration in pending:
        await _apply(database, migration)
    return [migration.name for migration in pending]


def _check(ledger: dict[str, str], known: list[Migration]) -> None:
    checksums = {migration.name: migration.checksum for migration in known}
    unknown = sorted(ledger.keys() - checksums.keys())
    if unknown:
        raise errors.StartupError(
            f"the database is newer than this program (it has {', '.join(unknown)}); start the newer version of Mismo"
        )
    changed = sorted(name for name, checksum in ledger.items() if checksums[name] != checksum)
    if changed:
        raise errors.StartupError(f"migrations were changed after they had been applied: {', '.join(changed)}")


async def _apply(database: Database, migration: Migration) -> None:
    try:
        async with database.write() as connection:
            if migration.name in await applied(connection):
                return  # another process was faster
            await connection.execute_script(migration.sql)
            await connection.execute(
                "INSERT INTO migrations (name, checksum, applied_at) VALUES (:name, :checksum, :now)",
                {"name": migration.name, "checksum": migration.checksum, "now": time.time_ns() // 1_000_000},
            )
    except Exception as error:
        raise errors.StartupError(
            f"migration {migration.name} failed and was rolled back: {type(error).__name__}: {error}"
        ) from error
    logger.info("migration applied", migration=migration.name)


async def _backup(database: Database, version: str, directory: Path | None) -> None:
    source = getattr(database, "path", None)
    folder = directory or (source.parent if source else Path("data"))
    stem = source.name if source else "mismo-postgres"
    target = folder / f"{stem}.{version}.{datetime.now(UTC):%Y%m%dT%H%M%S%f}.backup"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        await database.backup(str(target))
    except (errors.MismoError, OSError) as error:
        raise errors.StartupError(f"not upgraded, since the backup before it failed: {error}") from error
    logger.info("database backed up before the upgrade", backup=str(target))
