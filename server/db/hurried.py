"""SQLite's readers for answers that somebody on a stage waits for.

They wait for no reader that is busy with something long, and look at a file in the same hop between threads in which
the database said where it is: where others keep the cores busy, each hop may have to wait for one.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from server.db import sqlite_calls as calls
from server.db.database import Look, Query, Row
from server.db.sqlite_errors import translated

T = TypeVar("T")


class HurriedReaders:
    def __init__(self, connections: Sequence[sqlite3.Connection]):
        """Each is used by a thread of its own from now on."""
        self._free: asyncio.LifoQueue[_Thread] = asyncio.LifoQueue()
        for connection in connections:
            self._free.put_nowait(_Thread(connection))
        self._is_closed = False

    async def fetch(
        self, queries: Sequence[Query], look: Look[T] | None = None, patience: float | None = None
    ) -> tuple[list[Sequence[Row]], T | None]:
        """As `Database.fetch_and_look`, or `fetch_at_once` where nothing is to be looked at."""
        thread = await self._free.get()
        if self._free.empty():
            look = None  # it may never return, and one thread must always come back
        answer = self._ask(thread, partial(_fetch, thread.connection, queries, look))
        # Cheaper than `asyncio.timeout`, which is felt here.
        loop = asyncio.get_running_loop()
        giving_up = None if patience is None else loop.call_later(patience, _give_up, answer)
        try:
            with translated():
                found: tuple[list[Sequence[Row]], T | None] = await answer
        finally:
            if giving_up is not None:
                giving_up.cancel()
        return found

    def _ask(self, thread: _Thread, function: Callable[[], Any]) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        thread.call(function, partial(self._back, thread, answer))
        return answer

    def _back(self, thread: _Thread, answer: asyncio.Future[Any], found: Any, error: BaseException | None) -> None:
        if self._is_closed:
            thread.end()
        else:
            self._free.put_nowait(thread)
        if answer.done():
            return  # who asked has given up
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    async def close(self) -> None:
        """Close what is free. A thread that looks at a file which never answers isn't waited for."""
        self._is_closed = True
        while not self._free.empty():
            thread = self._free.get_nowait()
            await self._ask(thread, thread.connection.close)


class _Thread:
    """Answers in one hop there and one back; an executor's futures take twice as long."""

    def __init__(self, connection: sqlite3.Connection):
        self.connection = connection
        self._loop = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Callable[..., None]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="hurried reader", daemon=True).start()

    def call(self, function: Callable[[], Any], back: Callable[..., None]) -> None:
        """`back` is called in the event loop, with the result and with what was raised."""
        self._calls.put((function, back))

    def end(self) -> None:
        self._calls.put(None)

    def _work(self) -> None:
        while (order := self._calls.get()) is not None:
            function, back = order
            found, raised = None, None
            try:
                found = function()
            except BaseException as error:  # handed on to who asked
                raised = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(back, found, raised)
            # Nothing of it must be kept alive while the thread waits for the next one.
            del order, function, back, found, raised


def _give_up(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


def _fetch(
    connection: sqlite3.Connection, queries: Sequence[Query], look: Look[T] | None
) -> tuple[list[Sequence[Row]], T | None]:
    found = calls.fetch_at_once(connection, queries)
    return found, None if look is None else look(found)
