"""Blocking file-system calls in one small pool of threads, each with a deadline: a network mount may never answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 8
TIMEOUT_SECONDS = 10.0


class Unresponsive(OSError):
    """The file system didn't answer in time."""


class FileSystem:
    """A call that hangs keeps its thread until it ends; when all of them hang, further calls fail at once."""

    def __init__(self, threads: int = THREADS):
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="filesystem")
        self._free = asyncio.Semaphore(threads)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in the pool; raises `Unresponsive` after `TIMEOUT_SECONDS`."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._free.acquire()
                future = asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, **kwargs))
                # The slot is free again when the call really ends, not when its caller gave up.
                future.add_done_callback(self._release)
                return await asyncio.shield(future)
        except TimeoutError:
            raise Unresponsive("the file system didn't answer in time") from None

    def _release(self, future: asyncio.Future[T]) -> None:
        self._free.release()
        if not future.cancelled():
            future.exception()  # seen by the caller, unless it gave up

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
