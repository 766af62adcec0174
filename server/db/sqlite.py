"""SQLite: one writer connection, several readers, WAL. The embedded default."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import orjson

from server import errors
from server.db import sql as sqltext
from server.db.database import Connection, Database, Dialect, Params, Row, transaction

READERS = 3
BUSY_TIMEOUT_MS = 5_000
# A negative cache_size is in KiB, for each connection. The operating system caches the file anyway; mapping it into
# memory gains little and makes the process look as large as the library.
_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    # FULL: what was announced to a client is still there after a power cut.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -6144",
)


@contextmanager
def _translated() -> Iterator[None]:
    """The one place where sqlite3's exceptions become Mismo's."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        if "UNIQUE" in str(error) or "PRIMARY KEY" in str(error):
            raise errors.UniqueViolation() from error
        raise
    except sqlite3.OperationalError as error:
        text = str(error)
        if "disk is full" in text or "disk I/O error" in text:
            raise errors.DiskFull() from error
        if "locked" in text or "busy" in text:
            raise errors.DatabaseBusy() from error
        if "unable to open" in text or "readonly" in text:
            raise errors.DatabaseDown() from error
        raise


class SqliteConnection(Connection):
    dialect = Dialect.SQLITE

    def __init__(self, connection: aiosqlite.Connection):
        self._connection = connection

    async def fetch_all(self, sql: str, params: Params | None = None) -> Sequence[Row]:
        text, values = _prepare(sql, params)
        with _translated():
            return await self._connection.execute_fetchall(text, values)  # type: ignore[return-value] # sqlite3.Row

    async def execute(self, sql: str, params: Params | None = None) -> int:
        text, values = _prepare(sql, params)
        with _translated():
            # One hop to the thread: `execute` leaves a cursor that would need a second one to close.
            return await self._connection._execute(_run, self._connection._conn, text, values)  # type: ignore[no-any-return] # the count

    async def execute_many(self, sql: str, rows: Iterable[Params]) -> None:
        with _translated():
            await self._connection._execute(_run_many, self._connection._conn, sql, rows)

    async def execute_script(self, sql: str) -> None:
        for statement in sqltext.statements(sql):
            await self.execute(statement)


def _run(connection: sqlite3.Connection, sql: str, values: dict[str, Any]) -> int:
    cursor = connection.execute(sql, values)
    count = cursor.rowcount
    cursor.close()
    return count


def _run_many(connection: sqlite3.Connection, sql: str, rows: Iterable[Params]) -> None:
    connection.executemany(sql, rows).close()


def _prepare(sql: str, params: Params | None) -> tuple[str, dict[str, Any]]:
    text, lists = sqltext.for_sqlite(sql)
    values = dict(params or {})
    for name in lists:
        items = list(values.pop(name))
        if items and isinstance(items[0], bytes):
            # JSON has no bytes; these are bound one by one.
            text = text.replace(sqltext.json_list(name), f"({', '.join(f':{name}_{n}' for n in range(len(items)))})")
            values.update({f"{name}_{n}": item for n, item in enumerate(items)})
        else:
            values[name] = orjson.dumps(items).decode()
    return text, values


class SqliteDatabase(Database):
    dialect = Dialect.SQLITE

    def __init__(self, path: Path, readers: int = READERS):
        self.path = path
        self.url = f"sqlite:///{path}"
        self._reader_count = readers
        self._writer: SqliteConnection | None = None
        self._turn = asyncio.Lock()
        self._readers: asyncio.LifoQueue[SqliteConnection] = asyncio.LifoQueue()
        self._open: list[aiosqlite.Connection] = []
        self._wake: list[Callable[[], None]] = []

    async def open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = SqliteConnection(await self._connect())
            for _ in range(self._reader_count):
                reader = SqliteConnection(await self._connect())
                await reader.execute("PRAGMA query_only = ON")
                self._readers.put_nowait(reader)
        except (sqlite3.DatabaseError, OSError, errors.MismoError) as error:
            await self.close()
            raise errors.StartupError(f"can't open the database {self.path}: {error}") from error

    async def _connect(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(self.path, isolation_level=None, cached_statements=256)
        self._open.append(connection)
        connection.row_factory = sqlite3.Row
        with _translated():
            for pragma in _PRAGMAS:
                await connection.execute_fetchall(pragma)
        return connection

    async def close(self) -> None:
        while self._open:
            await self._open.pop().close()
        self._writer = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        async with self._reader() as reader, _snapshot(reader):
            yield reader

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[SqliteConnection]:
        reader = await self._readers.get()
        try:
            yield reader
        finally:
            self._readers.put_nowait(reader)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        async with self._turn:
            writer = self._writer
            if writer is None:
                raise errors.DatabaseDown
            async with transaction(
                lambda: writer.execute("BEGIN IMMEDIATE"), lambda: _commit(writer), lambda: _rollback(writer)
            ):
                yield writer

    async def fetch_all(self, sql: str, params: Params | None = None) -> Sequence[Row]:
        async with self._reader() as reader:
            return await reader.fetch_all(sql, params)

    async def backup(self, target: str) -> None:
        async with self._reader() as reader:
            await reader.execute("PRAGMA query_only = OFF")
            try:
                await reader.execute("VACUUM INTO :target", {"target": target})
            finally:
                await reader.execute("PRAGMA query_only = ON")

    async def size_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.path.parent.glob(self.path.name + "*"))

    async def optimize(self) -> None:
        async with self._turn:
            if self._writer is not None:
                # Bounded: a look at a sample of each index, not at every row of a million.
                await self._writer.execute("PRAGMA analysis_limit = 1000")
                await self._writer.execute("PRAGMA optimize")

    async def notify(self, connection: Connection, number: int) -> None:
        """One process owns the file, and it knows its own commits."""

    async def listen(self, wake: Callable[[], None]) -> None:
        """Nobody else writes to the file, so there is nothing to hear."""
        await asyncio.Event().wait()


async def _commit(writer: SqliteConnection) -> None:
    try:
        await writer.execute("COMMIT")
    except errors.MismoError:
        # A commit that failed (disk full, busy) leaves the transaction open; the next writer must not inherit it.
        await _rollback(writer)
        raise


async def _rollback(writer: SqliteConnection) -> None:
    with _translated():
        await writer._connection._execute(_run_rollback, writer._connection._conn)


def _run_rollback(connection: sqlite3.Connection) -> None:
    # SQLite has already rolled back by itself after some errors (a full disk among them).
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@asynccontextmanager
async def _snapshot(reader: SqliteConnection) -> AsyncIterator[None]:
    async with transaction(
        lambda: reader.execute("BEGIN"), lambda: reader.execute("COMMIT"), lambda: _rollback(reader)
    ):
        yield
