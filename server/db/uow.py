"""The unit of work: the only way to write, and the only place where a change can be announced."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

from server.db.database import Connection, Database, Dialect, Params, Row

E = TypeVar("E")
E_contra = TypeVar("E_contra", contravariant=True)


class Recorder(Protocol[E_contra]):
    """What keeps the announcements of a transaction: the event log."""

    async def record(self, connection: Connection, events: Sequence[E_contra]) -> int:
        """Insert the events as the transaction's last act; returns the number of the last one."""

    def committed(self, number: int) -> None:
        """Told after the commit, so that whoever reads the log wakes up."""


class Transaction(Connection, Generic[E]):
    """A connection inside a unit of work. Pass it to stores; announce with `emit`."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self.dialect: Dialect = connection.dialect
        self.events: list[E] = []
        self.after_commit: list[Callable[[], None]] = []

    def emit(self, *events: E) -> None:
        """Announce a change. It is recorded when, and only when, the change itself is committed."""
        self.events.extend(events)

    def on_commit(self, act: Callable[[], None]) -> None:
        """Run `act` once committed: only to wake something that would find its work in the database anyway."""
        self.after_commit.append(act)

    async def fetch_all(self, sql: str, params: Params | None = None) -> Sequence[Row]:
        return await self._connection.fetch_all(sql, params)

    async def execute(self, sql: str, params: Params | None = None) -> int:
        return await self._connection.execute(sql, params)

    async def execute_many(self, sql: str, rows: Iterable[Params]) -> None:
        await self._connection.execute_many(sql, rows)

    async def execute_script(self, sql: str) -> None:
        await self._connection.execute_script(sql)


class UnitOfWork(Generic[E]):
    """`async with uow() as tx:` opens a transaction; leaving the block records its events and commits, once."""

    def __init__(self, database: Database, recorder: Recorder[E]):
        self.database = database
        self._recorder = recorder

    @asynccontextmanager
    async def __call__(self, *, is_patient: bool = False) -> AsyncIterator[Transaction[E]]:
        """`is_patient`: let other writers go first, as `Database.write` says."""
        number: int | None = None
        tx: Transaction[E] | None = None
        committed = False
        try:
            async with self.database.write(is_patient=is_patient) as connection:
                tx = Transaction(connection)
                yield tx
                if tx.events:
                    number = await self._recorder.record(connection, tx.events)
                    await self.database.notify(connection, number)
                committed = True
        finally:
            # Also when the caller was cancelled while COMMIT ran to its end. A COMMIT that failed wakes readers for
            # nothing, which is harmless: they find in the log what really stands there.
            if committed and tx is not None:
                if number is not None:
                    self._recorder.committed(number)
                for act in tx.after_commit:
                    act()
