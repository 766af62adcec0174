"""Blocking file-system calls in one small pool of threads, each with a deadline: a network mount may never answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from server.threads import DaemonThreads

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 16
THREADS_AT_ONE_PLACE = 4
TIMEOUT_SECONDS = 10.0


class Unresponsive(OSError):
    """The file system didn't answer in time."""


class FileSystem:
    """A call that hangs keeps its thread until it ends. A place that hangs isn't asked again until it has answered."""

    def __init__(self, threads: int = THREADS, timeout: float = TIMEOUT_SECONDS):
        self._pool = DaemonThreads(threads, "filesystem")
        self._free = asyncio.Semaphore(threads)
        self.timeout = timeout
        self._hanging: set[bytes] = set()
        self._in_other_threads: dict[bytes, object] = {}
        self._at: defaultdict[bytes, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(THREADS_AT_ONE_PLACE))

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in the pool; raises `Unresponsive` when it takes too long."""
        return await self._call(None, lambda: function(*args, **kwargs))

    async def call_at(self, place: bytes, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for a call into one library directory: while an earlier one hangs there, it fails at once.

        So that a dead mount takes four threads, however often it is asked, and the other directories keep theirs.
        """
        if place in self._hanging:
            raise Unresponsive("the file system still doesn't answer")
        return await self._call(place, lambda: function(*args, **kwargs))

    def call_here(self, place: bytes, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same in the very thread that calls this, without a deadline. One call into a place at a time, so that a
        dead mount takes one thread only: raises `Unresponsive` while another is on its way or hangs there.
        """
        call = object()
        # `setdefault` is one step, which no other thread comes between.
        if place in self._hanging or self._in_other_threads.setdefault(place, call) is not call:
            raise Unresponsive("the file system may not answer")
        try:
            return function(*args, **kwargs)
        finally:
            del self._in_other_threads[place]

    async def _call(self, place: bytes | None, call: Callable[[], T]) -> T:
        future: asyncio.Future[T] | None = None
        try:
            async with asyncio.timeout(self.timeout):
                slots = [self._free] if place is None else [self._at[place], self._free]
                future = await self._begin(call, slots)
                return await asyncio.shield(future)
        except TimeoutError:
            if place is not None and future is not None:
                self._hanging.add(place)
                future.add_done_callback(lambda _: self._hanging.discard(place))
            raise Unresponsive("the file system didn't answer in time") from None

    async def _begin(self, call: Callable[[], T], slots: Sequence[asyncio.Semaphore]) -> asyncio.Future[T]:
        """Start a call once each slot is free. They are free again when it ends, not when its caller gives up."""
        with contextlib.ExitStack() as held:
            for slot in slots:
                await slot.acquire()
                held.callback(slot.release)
            future = asyncio.get_running_loop().run_in_executor(self._pool, call)
            release = held.pop_all().close

        def ended(done: asyncio.Future[T]) -> None:
            release()
            if not done.cancelled():
                done.exception()  # seen by the caller, unless it gave up

        future.add_done_callback(ended)
        return future

    def close(self) -> None:
        self._pool.shutdown(wait=False)
