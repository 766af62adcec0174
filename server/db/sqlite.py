"""SQLite: one writer connection, several readers, WAL. The embedded default."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from server import errors
from server.db import sql as sqltext
from server.db import sqlite_calls as calls
from server.db.database import (
    NOT_IN_BACKUPS,
    Connection,
    Database,
    Dialect,
    Look,
    Params,
    Query,
    Row,
    Session,
    transaction,
)
from server.db.hurried import HurriedReaders
from server.db.sqlite_errors import translated
from server.db.turn import Turn

T = TypeVar("T")
READERS = 3
HURRIED = 3
BUSY_TIMEOUT_MS = 5_000
# Each connection's page cache, a share of the file within bounds: it should hold the inner pages of the indexes, which
# every look-up passes. The operating system caches the rest; mapping the file into memory would make the process look
# as large as the library.
CACHE_SHARE = 64
CACHE_KIB_MIN, CACHE_KIB_MAX = 6 * 1024, 32 * 1024
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # FULL: what was announced to a client is still there after a power cut.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)


class SqliteConnection(Connection):
    dialect = Dialect.SQLITE

    def __init__(self, connection: aiosqlite.Connection):
        self._connection = connection
        self._is_to_begin = False

    async def fetch_all(self, sql: str, params: Params | None = None) -> Sequence[Row]:
        rows: Sequence[Row] = await self._hop(calls.fetch_all, *calls.prepare(sql, params))
        return rows

    async def execute(self, sql: str, params: Params | None = None) -> int:
        count: int = await self._hop(calls.execute, *calls.prepare(sql, params))
        return count

    async def execute_many(self, sql: str, rows: Iterable[Params]) -> None:
        await self._hop(calls.execute_many, sql, rows)

    async def execute_script(self, sql: str) -> None:
        for statement in sqltext.statements(sql):
            await self.execute(statement)

    async def roll_back(self) -> None:
        await self._hop(calls.roll_back)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All statements of the block see the same; it costs no hop between threads.

        SQLite takes a snapshot when a transaction first reads, so its BEGIN may as well be sent with that statement.
        Nobody waits for the end: it comes before whatever the connection is used for next.
        """
        self._is_to_begin = True
        try:
            yield
        finally:
            if self._is_to_begin:
                self._is_to_begin = False
            elif (connection := self._connection._connection) is not None:
                # The future is nobody's: asyncio tells of its exception, should it ever have one.
                ended = asyncio.get_running_loop().create_future()
                self._connection._tx.put_nowait((ended, partial(calls.roll_back, connection)))

    async def _hop(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """One call in the connection's thread. aiosqlite's own methods need two, one of them to close a cursor."""
        if self._is_to_begin:
            self._is_to_begin = False
            function, arguments = calls.begun, (function, *arguments)
        with translated():
            try:
                return await self._connection._execute(function, self._connection._conn, *arguments)
            except asyncio.CancelledError:
                # Nobody waits for the statement any more, but the next user of the connection would wait for its end.
                self._connection._conn.interrupt()
                raise


class SqliteDatabase(Database):
    dialect = Dialect.SQLITE

    def __init__(
        self, path: Path, turn: Turn | None = None, *, readers: int = READERS, busy_timeout_ms: int = BUSY_TIMEOUT_MS
    ):
        """`busy_timeout_ms`: how long to wait for another program's lock before `DatabaseBusy` is raised."""
        self.path = path
        self._busy_timeout_ms = busy_timeout_ms
        self.url = f"sqlite:///{path}"
        self._reader_count = readers
        self._writer: SqliteConnection | None = None
        self.turn = turn or Turn()
        self._readers: asyncio.LifoQueue[SqliteConnection] = asyncio.LifoQueue()
        self._hurried: HurriedReaders | None = None
        self._open: list[aiosqlite.Connection] = []

    async def open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = SqliteConnection(await self._connect())
            for _ in range(self._reader_count):
                self._readers.put_nowait(await self._new_reader())
            hurried = [await asyncio.to_thread(self._connect_hurried) for _ in range(HURRIED)]
            self._hurried = HurriedReaders(hurried)
        except (sqlite3.DatabaseError, OSError, errors.MismoError) as error:
            await self.close()
            raise errors.StartupError(f"can't open the database {self.path}: {error}") from error

    async def _new_reader(self) -> SqliteConnection:
        reader = SqliteConnection(await self._connect())
        await reader.execute("PRAGMA query_only = ON")
        return reader

    async def _connect(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(self.path, isolation_level=None, cached_statements=256)
        self._open.append(connection)
        connection.row_factory = sqlite3.Row
        with translated():
            for pragma in self._pragmas():
                await connection.execute_fetchall(pragma)
        return connection

    def _connect_hurried(self) -> sqlite3.Connection:
        """Blocking."""
        connection = sqlite3.connect(self.path, isolation_level=None, cached_statements=256, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        with translated():
            for pragma in (*self._pragmas(), "PRAGMA query_only = ON"):
                connection.execute(pragma).close()
        return connection

    def _pragmas(self) -> tuple[str, ...]:
        return f"PRAGMA busy_timeout = {self._busy_timeout_ms}", *_PRAGMAS, self._cache_pragma()

    def _cache_pragma(self) -> str:
        share = self.path.stat().st_size // 1024 // CACHE_SHARE
        # A negative number is in KiB, a positive one in pages.
        return f"PRAGMA cache_size = {-min(max(share, CACHE_KIB_MIN), CACHE_KIB_MAX)}"

    async def close(self) -> None:
        async with self.turn.taken():  # who writes now comes to its end
            self._writer = None
            if self._hurried is not None:
                await self._hurried.close()
                self._hurried = None
            while self._open:
                await self._open.pop().close()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        async with self._reader() as reader:
            with reader.snapshot():
                yield reader

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[SqliteConnection]:
        if self._writer is None:
            raise errors.DatabaseDown
        reader = await self._readers.get()
        try:
            yield reader
        finally:
            self._readers.put_nowait(reader)

    @asynccontextmanager
    async def write(self, *, is_patient: bool = False) -> AsyncIterator[Connection]:
        async with self.turn.taken(is_patient=is_patient):
            writer = self._writer
            if writer is None:
                raise errors.DatabaseDown
            async with transaction(
                lambda: writer.execute("BEGIN IMMEDIATE"), lambda: _commit(writer), writer.roll_back
            ):
                yield writer

    async def fetch_all(self, sql: str, params: Params | None = None) -> Sequence[Row]:
        async with self._reader() as reader:
            return await reader.fetch_all(sql, params)

    async def fetch_at_once(self, queries: Sequence[Query]) -> list[Sequence[Row]]:
        found, _ = await self._in_a_hurry().fetch(queries)
        return found

    async def fetch_and_look(
        self, queries: Sequence[Query], look: Look[T], patience: float
    ) -> tuple[list[Sequence[Row]], T | None]:
        return await self._in_a_hurry().fetch(queries, look, patience)

    def _in_a_hurry(self) -> HurriedReaders:
        if self._hurried is None:
            raise errors.DatabaseDown
        return self._hurried

    async def backup(self, target: str) -> None:
        async with self._reader() as reader:
            await reader.execute("PRAGMA query_only = OFF")
            try:
                await reader.execute("VACUUM INTO :target", {"target": target})
            finally:
                await reader.execute("PRAGMA query_only = ON")
        await asyncio.to_thread(_finish_backup, target)

    async def size_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.path.parent.glob(self.path.name + "*"))

    async def optimize(self) -> None:
        async with self.turn.taken():
            if self._writer is not None:
                # Bounded: a look at a sample of each index, not at every row of a million.
                await self._writer.execute("PRAGMA analysis_limit = 1000")
                await self._writer.execute("PRAGMA optimize")

    async def notify(self, connection: Connection, number: int) -> None:
        """One process owns the file, and it knows its own commits."""

    async def signal(self, text: str, connection: Connection | None = None) -> None:
        """There is nobody else who could hear it."""

    async def listen(self, wake: Callable[[], None], hear: Callable[[str], None]) -> None:
        """Nobody else writes to the file, so there is nothing to hear."""
        await asyncio.Event().wait()

    @asynccontextmanager
    async def alone(self, work: str) -> AsyncIterator[asyncio.Event]:
        """One process owns the file."""
        yield asyncio.Event()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        yield _Alone()


class _Alone(Session):
    """One process owns the file, and with it every lock."""

    async def try_lock(self, name: str) -> bool:
        return True

    async def lost(self, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return False


async def _commit(writer: SqliteConnection) -> None:
    try:
        await writer.execute("COMMIT")
    except Exception:
        # A commit that failed (disk full, busy, a deferred foreign key) leaves the transaction open; the next writer
        # must not inherit it.
        await writer.roll_back()
        raise


def _finish_backup(target: str) -> None:
    with closing(sqlite3.connect(target)) as copy, copy:
        tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in tables.intersection(NOT_IN_BACKUPS):
            copy.execute(f"DELETE FROM {table}")
