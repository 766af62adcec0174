"""The interface behind which SQLite and PostgreSQL are the same: SQL in, rows out, one transaction at a time."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from server.db.turn import Turn

T = TypeVar("T")
Params = Mapping[str, Any]
NOT_IN_BACKUPS = ("event_head",)


class Dialect(StrEnum):
    SQLITE = "sqlite"
    POSTGRES = "postgres"


class Row(Protocol):
    """One result row, read by column name or by position (`sqlite3.Row`, `asyncpg.Record`)."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Any: ...
    def __len__(self) -> int: ...
    def keys(self) -> Any: ...


# One of several queries in a row: made from the rows of those before it; None when there is nothing to ask.
Query = Callable[[Sequence[Sequence[Row]]], tuple[str, Params] | None]
Look = Callable[[Sequence[Sequence[Row]]], T]


class Connection(abc.ABC):
    """What a store gets: it runs statements and knows nothing of transactions.

    SQL is the subset both databases share, with `:named` parameters, and `IN :name` for a list. Driver errors arrive
    as the classes of `server.errors`.
    """

    dialect: Dialect

    @abc.abstractmethod
    async def fetch_all(self, sql: str, params: Params | None = None) -> Sequence[Row]:
        """All rows of a query (or of a `… RETURNING`)."""

    @abc.abstractmethod
    async def execute(self, sql: str, params: Params | None = None) -> int:
        """Run one statement; the number of rows it changed."""

    @abc.abstractmethod
    async def execute_many(self, sql: str, rows: Iterable[Params]) -> None:
        """Run one statement for each set of parameters (no lists), as a whole in one go."""

    @abc.abstractmethod
    async def execute_script(self, sql: str) -> None:
        """Run several statements separated by `;` (migrations)."""

    async def fetch_one(self, sql: str, params: Params | None = None) -> Row | None:
        rows = await self.fetch_all(sql, params)
        return rows[0] if rows else None

    async def fetch_value(self, sql: str, params: Params | None = None) -> Any:
        """The first column of the first row; None when there is none."""
        rows = await self.fetch_all(sql, params)
        return rows[0][0] if rows else None

    async def fetch_values(self, sql: str, params: Params | None = None) -> list[Any]:
        """The first column of every row."""
        return [row[0] for row in await self.fetch_all(sql, params)]


class Session(abc.ABC):
    """Locks by name among the processes that share a database, held until the session is closed or lost."""

    @abc.abstractmethod
    async def try_lock(self, name: str) -> bool:
        """Take a lock that no other session holds. True also when this one holds it already."""

    @abc.abstractmethod
    async def lost(self, seconds: float) -> bool:
        """Wait so long at most; True at once when the session, and with it every lock, is lost."""


class Database(abc.ABC):
    """A place where connections come from. `open` before use, `close` after it."""

    dialect: Dialect
    url: str
    turn: Turn  # of this process's writers

    @abc.abstractmethod
    async def open(self) -> None: ...

    @abc.abstractmethod
    async def close(self) -> None: ...

    @abc.abstractmethod
    def read(self) -> AbstractAsyncContextManager[Connection]:
        """A connection whose statements all see one snapshot."""

    @abc.abstractmethod
    def write(self, *, is_patient: bool = False) -> AbstractAsyncContextManager[Connection]:
        """A transaction: committed when the block ends, rolled back when it raises.

        There is one at a time in a process. Who is patient (a batch of a scan, a reaction to events) lets others
        that wait go first.

        BEGIN, COMMIT and ROLLBACK run to their end even when the caller is cancelled meanwhile; the cancellation goes
        on afterwards. So "committed or not" always agrees with what the block's caller is told.
        """

    @property
    def is_in_demand(self) -> bool:
        """Whether somebody had to wait for a patient writer in the last seconds: its transactions should be short."""
        return self.turn.is_in_demand

    @abc.abstractmethod
    async def fetch_all(self, sql: str, params: Params | None = None) -> Sequence[Row]:
        """One query outside any transaction: the fastest way to read."""

    @abc.abstractmethod
    async def fetch_at_once(self, queries: Sequence[Query]) -> list[Sequence[Row]]:
        """Several queries in one go, ahead of all other reading: for answers that somebody on a stage waits for."""

    async def fetch_and_look(
        self, queries: Sequence[Query], look: Look[T], patience: float
    ) -> tuple[list[Sequence[Row]], T | None]:
        """The same, and what `look` makes of the rows in the thread that found them; there it may block.

        None where there is no such thread, or none to spare: then the caller has to look for itself. Raises
        `TimeoutError` when all of it takes longer than `patience` seconds.
        """
        async with asyncio.timeout(patience):
            return await self.fetch_at_once(queries), None

    @abc.abstractmethod
    async def backup(self, target: str) -> None:
        """Write a consistent copy of the database to the file `target` while others go on working.

        The copy lacks the rows of `NOT_IN_BACKUPS`: who starts from it begins another epoch of the event log, since
        clients may have seen events that came after the copy was made.
        """

    @abc.abstractmethod
    async def size_bytes(self) -> int: ...

    @abc.abstractmethod
    async def optimize(self) -> None:
        """Refresh the planner's statistics; cheap when little has changed."""

    @abc.abstractmethod
    async def notify(self, connection: Connection, number: int) -> None:
        """Within a transaction: on its commit, wake every process that listens."""

    @abc.abstractmethod
    async def signal(self, text: str, connection: Connection | None = None) -> None:
        """Say a few words (less than 8,000 bytes) to every process that listens: at once, or on a commit."""

    @abc.abstractmethod
    async def listen(self, wake: Callable[[], None], hear: Callable[[str], None]) -> None:
        """Call `wake` whenever another process has committed, and `hear` with what it signals.

        `wake` is called at the start too, for what was missed. Returns when the listening connection is lost.
        """

    @abc.abstractmethod
    def session(self) -> AbstractAsyncContextManager[Session]:
        """A connection that is used for nothing but its locks."""

    @abc.abstractmethod
    def alone(self, work: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Wait until no other process on this database does a work of this name, and keep all others from it.

        The right ends with the block, with the process however it dies, and when its connection is lost: then the
        event is set, and the work must be dropped at once. Raises `Unavailable`.
        """

    async def fetch_one(self, sql: str, params: Params | None = None) -> Row | None:
        rows = await self.fetch_all(sql, params)
        return rows[0] if rows else None

    async def fetch_value(self, sql: str, params: Params | None = None) -> Any:
        rows = await self.fetch_all(sql, params)
        return rows[0][0] if rows else None

    @property
    def direct(self) -> Connection:
        """Reads outside any transaction, in the form that stores take."""
        return Direct(self)


class Direct(Connection):
    """Single reads outside any transaction, for a store that takes a connection."""

    def __init__(self, database: Database):
        self._database = database
        self.dialect = database.dialect

    async def fetch_all(self, sql: str, params: Params | None = None) -> Sequence[Row]:
        return await self._database.fetch_all(sql, params)

    async def execute(self, sql: str, params: Params | None = None) -> int:
        raise TypeError("writing takes a unit of work")

    async def execute_many(self, sql: str, rows: Iterable[Params]) -> None:
        raise TypeError("writing takes a unit of work")

    async def execute_script(self, sql: str) -> None:
        raise TypeError("writing takes a unit of work")


def as_dict(row: Row | Params) -> dict[str, Any]:
    """A row as a dict of its own, to be changed."""
    if isinstance(row, Mapping):
        return dict(row)
    # By position: SQLite looks for each name among all columns, which for a wide row takes twenty times as long.
    return dict(zip(row.keys(), row, strict=True))


async def to_the_end(awaitable: Awaitable[T]) -> T:
    """Await something that must not be left half done, then honour a cancellation that came meanwhile."""
    task = asyncio.ensure_future(awaitable)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except BaseException:  # noqa: S110 # it is the task's own outcome, which task.result() raises below
            pass
    try:
        result = task.result()
    except Exception as error:
        if cancelled is not None:
            raise cancelled from error
        raise
    if cancelled is not None:
        raise cancelled
    return result


@asynccontextmanager
async def transaction(
    begin: Callable[[], Awaitable[object]],
    commit: Callable[[], Awaitable[object]],
    rollback: Callable[[], Awaitable[object]],
) -> AsyncIterator[None]:
    """BEGIN … COMMIT, or ROLLBACK when the block (or BEGIN's own caller) fails; none of them is ever left half done."""
    begun = asyncio.ensure_future(begin())
    try:
        await to_the_end(begun)
    except BaseException:
        if begun.done() and not begun.cancelled() and begun.exception() is None:
            await to_the_end(rollback())
        raise
    try:
        yield
    except BaseException:
        await to_the_end(rollback())
        raise
    await to_the_end(commit())
