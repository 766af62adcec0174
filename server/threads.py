"""Threads for calls that may never return."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonThreads(Executor):
    """Threads that the process doesn't wait for when it ends: a call into a dead mount may never return.

    `concurrent.futures.ThreadPoolExecutor` joins its threads at exit, which would keep the server from stopping.
    """

    def __init__(self, threads: int, name: str):
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._limit = threads
        self._name = name
        self._started = 0
        self._waiting = threading.Semaphore(0)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        self._calls.put(lambda: _run(future, lambda: fn(*args, **kwargs)))
        if not self._waiting.acquire(blocking=False) and self._started < self._limit:
            self._started += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()
        return future

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            # A call must not be kept alive, with all it holds, while the thread waits for the next one.
            del call
            self._waiting.release()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end after what they are doing; never waits for them."""
        del wait, cancel_futures
        for _ in range(self._started):
            self._calls.put(None)


def _run(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # handed on to whoever awaits the future
        future.set_exception(error)
    else:
        future.set_result(result)
