"""PostgreSQL: a pool of asyncpg connections; any number of Mismo processes may share one database."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg

from server import errors
from server.db import sql as sqltext
from server.db.database import NOT_IN_BACKUPS, Connection, Database, Dialect, Params, Query, Row, Session, transaction
from server.db.postgres_errors import translated as _translated
from server.db.postgres_lock import locked
from server.db.postgres_session import PostgresSession
from server.db.turn import Turn

CHANNEL = "mismo_events"
SIGNALS = "mismo_signals"
POOL_SIZE = 8
# One process writes at a time, as one connection does in SQLite: what a transaction read is still so when it writes.
# The number is any that nothing else uses.
_BEGIN_TO_WRITE = "BEGIN; SELECT pg_advisory_xact_lock(7023601)"
# A process that stopped inside a transaction (frozen, or its machine asleep) doesn't keep the others waiting for ever.
_SETTINGS = {"application_name": "mismo", "idle_in_transaction_session_timeout": "30s"}
# What a connection that was lost may raise, whatever is done with it.
_LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
# The server finds out within half a minute that a machine which held locks was switched off.
_KEEP_ALIVE = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}


class PostgresConnection(Connection):
    dialect = Dialect.POSTGRES

    def __init__(self, connection: Any):
        self._connection = connection

    async def fetch_all(self, sql: str, params: Params | None = None) -> Sequence[Row]:
        text, values = _prepare(sql, params)
        with _translated():
            rows: Sequence[Row] = await self._connection.fetch(text, *values)
            return rows

    async def execute(self, sql: str, params: Params | None = None) -> int:
        text, values = _prepare(sql, params)
        with _translated():
            status: str = await self._connection.execute(text, *values)
        count = status.rsplit(" ", 1)[-1]
        return int(count) if count.isdigit() else 0

    async def execute_many(self, sql: str, rows: Iterable[Params]) -> None:
        text, names = sqltext.for_postgres(sql)
        with _translated():
            await self._connection.executemany(text, [[row[name] for name in names] for row in rows])

    async def execute_script(self, sql: str) -> None:
        with _translated():
            await self._connection.execute(sql)


def _prepare(sql: str, params: Params | None) -> tuple[str, list[Any]]:
    text, names = sqltext.for_postgres(sql)
    given = params or {}
    return text, [given[name] for name in names]


class PostgresDatabase(Database):
    dialect = Dialect.POSTGRES

    def __init__(self, url: str, turn: Turn | None = None, *, pool_size: int = POOL_SIZE):
        self.url = url
        self._pool_size = pool_size
        self._pool: Any = None
        self.turn = turn or Turn()

    async def open(self) -> None:
        try:
            self._pool = await asyncpg.create_pool(
                self.url, min_size=1, max_size=self._pool_size, server_settings=_SETTINGS
            )
        except (OSError, asyncpg.PostgresError, ValueError) as error:
            raise errors.StartupError(f"can't connect to PostgreSQL: {error}") from error

    async def close(self) -> None:
        # Nobody is given a connection of a pool that is closing.
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PostgresConnection]:
        pool = self._pool
        if pool is None:
            raise errors.DatabaseDown
        with _translated():
            raw = await pool.acquire()
        try:
            yield PostgresConnection(raw)
        finally:
            # One that was lost can't be made ready for the next: the pool opens another. What was done on it is done.
            with contextlib.suppress(*_LOST):
                await pool.release(raw)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        async with self._connection() as connection, _transaction(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ"):
            yield connection

    @asynccontextmanager
    async def write(self, *, is_patient: bool = False) -> AsyncIterator[Connection]:
        # Waiting for others of this process takes no connection away from its readers.
        async with (
            self.turn.taken(is_patient=is_patient),
            self._connection() as connection,
            _transaction(connection, _BEGIN_TO_WRITE),
        ):
            yield connection

    async def fetch_all(self, sql: str, params: Params | None = None) -> Sequence[Row]:
        async with self._connection() as connection:
            return await connection.fetch_all(sql, params)

    async def fetch_at_once(self, queries: Sequence[Query]) -> list[Sequence[Row]]:
        found: list[Sequence[Row]] = []
        async with self._connection() as connection:
            for query in queries:
                asked = query(found)
                found.append([] if asked is None else await connection.fetch_all(*asked))
        return found

    async def backup(self, target: str) -> None:
        dump = shutil.which("pg_dump")
        if dump is None:
            raise errors.Unavailable("pg_dump isn't installed, and a PostgreSQL database is backed up with it")
        process = await asyncio.create_subprocess_exec(
            dump,
            "--format=custom",
            *(f"--exclude-table-data={table}" for table in NOT_IN_BACKUPS),
            f"--file={target}",
            f"--dbname={self.url}",
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaint = await process.communicate()
        if process.returncode:
            raise errors.Unavailable(f"pg_dump failed: {complaint.decode(errors='replace').strip()}")

    async def size_bytes(self) -> int:
        rows = await self.fetch_all("SELECT pg_database_size(current_database())")
        return int(rows[0][0])

    async def optimize(self) -> None:
        async with self._connection() as connection:
            await connection.execute("ANALYZE")

    async def notify(self, connection: Connection, number: int) -> None:
        await connection.fetch_all("SELECT pg_notify(:channel, :number)", {"channel": CHANNEL, "number": str(number)})

    async def signal(self, text: str, connection: Connection | None = None) -> None:
        speaker = self.direct if connection is None else connection
        await speaker.fetch_all("SELECT pg_notify(:channel, :text)", {"channel": SIGNALS, "text": text})

    async def listen(self, wake: Callable[[], None], hear: Callable[[str], None]) -> None:
        async with self._own("mismo listener") as (raw, lost):
            with _translated():
                await raw.add_listener(CHANNEL, lambda *_: wake())
                await raw.add_listener(SIGNALS, lambda *said: hear(said[-1]))
            wake()  # what was committed before the listener stood is found now
            await lost.wait()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        async with self._own("mismo locks") as (raw, lost):
            yield PostgresSession(raw, lost)

    @asynccontextmanager
    async def _own(self, name: str) -> AsyncIterator[tuple[Any, asyncio.Event]]:
        """A connection outside the pool, and what is set when it is lost."""
        lost = asyncio.Event()
        with _translated():
            raw = await asyncpg.connect(self.url, server_settings={"application_name": name, **_KEEP_ALIVE})
        raw.add_termination_listener(lambda _: lost.set())
        try:
            yield raw, lost
        finally:
            with contextlib.suppress(*_LOST):
                await raw.close(timeout=2)

    def alone(self, work: str) -> AbstractAsyncContextManager[asyncio.Event]:
        return locked(self.url, work)


@asynccontextmanager
async def _transaction(connection: PostgresConnection, begin: str) -> AsyncIterator[None]:
    async with transaction(
        lambda: _begin(connection, begin), lambda: connection.execute("COMMIT"), lambda: _rollback(connection)
    ):
        yield


async def _begin(connection: PostgresConnection, begin: str) -> None:
    try:
        await connection.execute_script(begin)
    except BaseException:
        await _rollback(connection)  # BEGIN may have succeeded, and what follows it not
        raise


async def _rollback(connection: PostgresConnection) -> None:
    # A connection that was lost has nothing to roll back: the server has done it.
    with contextlib.suppress(errors.DatabaseDown):
        await connection.execute("ROLLBACK")
