"""SQLite's readers for answers that somebody on a stage waits for.

They wait for no reader that is busy with something long, and look at a file in the same hop between threads in which
the database said where it is: where others keep the cores busy, each hop may have to wait for one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from server.db import sqlite_calls as calls
from server.db.database import Look, Query, Row
from server.db.sqlite_errors import translated
from server.threads import DaemonThreads

T = TypeVar("T")
COUNT = 3


class HurriedReaders:
    def __init__(self) -> None:
        self._threads = DaemonThreads(COUNT, "hurried reader")
        self._free: asyncio.LifoQueue[sqlite3.Connection] = asyncio.LifoQueue()
        self._is_closed = False

    @classmethod
    async def opened(cls, connect: Callable[[], sqlite3.Connection]) -> HurriedReaders:
        """`connect` is called in a thread, and what it returns is used by others, one at a time."""
        readers = cls()
        try:
            for _ in range(COUNT):
                opening = asyncio.get_running_loop().run_in_executor(readers._threads, connect)
                readers._free.put_nowait(await opening)
        except BaseException:
            readers.close()
            raise
        return readers

    async def fetch(
        self, queries: Sequence[Query], look: Look[T] | None = None
    ) -> tuple[list[Sequence[Row]], T | None]:
        """As `Database.fetch_and_look`."""
        connection = await self._free.get()
        if self._free.empty():
            look = None  # it may never return, and one reader must always come back
        ended = asyncio.get_running_loop().run_in_executor(self._threads, _fetch, connection, queries, look)
        ended.add_done_callback(lambda done: self._back(connection, done))
        with translated():
            return await asyncio.shield(ended)

    def _back(self, connection: sqlite3.Connection, done: asyncio.Future[Any]) -> None:
        if not done.cancelled():
            done.exception()  # seen by who asked, unless he gave up
        if self._is_closed:
            connection.close()
        else:
            self._free.put_nowait(connection)

    def close(self) -> None:
        """A reader that looks at a file which never answers isn't waited for."""
        self._is_closed = True
        while not self._free.empty():
            self._free.get_nowait().close()
        self._threads.shutdown()


def _fetch(
    connection: sqlite3.Connection, queries: Sequence[Query], look: Look[T] | None
) -> tuple[list[Sequence[Row]], T | None]:
    found = calls.fetch_at_once(connection, queries)
    return found, None if look is None else look(found)
