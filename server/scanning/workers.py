"""The pool of worker processes: hands out files, and survives whatever a file does to the process that reads it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

from server import __version__, child, log
from server.cores import Cores
from server.scanning.pipe import receive, send
from server.scanning.reader import Order, Outcome, Task, by_name_only
from server.scanning.request import Request
from server.scanning.trouble import Outdated

logger = log.get(__name__)
# A file on the slowest media still comes with so many bytes a second; a worker silent for longer hangs.
SLOWEST_BYTES_PER_SECOND = 500_000
PATIENCE_SECONDS = 40.0
# How long a killed process may take to be gone; one that waits for a dead mount can't be killed at all.
END_SECONDS = 5.0
HUNG, CRASHED = "parser_hung", "parser_crashed"


class _Died(Exception):
    """The worker ended, or was ended, before it had answered for every file."""


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process):
        self._process = process

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    @property
    def process_id(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls) -> _Worker:
        return cls(
            await asyncio.create_subprocess_exec(
                *child.command("server.scanning.worker", parent=os.getpid(), version=__version__),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 20,
            )
        )

    async def read(self, request: Request, patience: float) -> AsyncIterator[list[Outcome]]:
        """Outcomes as they come; raises `_Died` when the process ends or stays silent for `patience` seconds.

        Raises `Outdated` when it is of another version.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            send(stdin, (request.order, list(request.tasks)))
            missing = len(request.tasks)
            while missing:
                async with asyncio.timeout(patience):
                    outcomes: list[Outcome] = await receive(stdout)
                missing -= len(outcomes)
                yield outcomes
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            how = await self._ended()
            if self._process.returncode == child.OTHER_VERSION:
                raise Outdated from None
            raise _Died(f"ended ({how})") from error
        except TimeoutError as error:
            await self.stop()
            raise _Died("hung") from error

    async def _ended(self) -> str:
        """How it ended by itself: it has closed its side just now, and to be killed only then would hide why."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        return await self.stop()

    async def stop(self) -> str:
        """End the process; says how it ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        try:
            async with asyncio.timeout(END_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            return "can't be ended"
        return f"signal {-code}" if code < 0 else f"exit {code}"


class WorkerPool:
    """`count` processes, started when they are first needed. A dead one is replaced; what killed it is reported."""

    def __init__(self, count: int, cores: Cores, patience: float = PATIENCE_SECONDS):
        self.count = count
        self._cores = cores
        self._patience = patience
        self._idle: asyncio.LifoQueue[_Worker | None] = asyncio.LifoQueue()
        for _ in range(count):
            self._idle.put_nowait(None)
        self._started: set[_Worker] = set()

    async def read(self, request: Request) -> list[Outcome]:
        """An outcome for every file of the request.

        When the process dies over a request, the files it hadn't answered for are tried again one by one, so that the
        one that killed it is the one that is named.
        """
        outcomes, died = await self._attempt(request)
        if died is None:
            return outcomes
        answered = {outcome.path for outcome in outcomes}
        left = [task for task in request.tasks if task.path not in answered]
        if len(left) == 1:
            return [*outcomes, _killed(left[0], request.order, died)]
        for task in left:
            outcomes += await self.read(Request(request.order, [task], task.facts.size))
        return outcomes

    async def _attempt(self, request: Request) -> tuple[list[Outcome], str | None]:
        worker = await self._take()
        outcomes: list[Outcome] = []
        is_whole = False
        try:
            patience = self._patience + request.size / SLOWEST_BYTES_PER_SECOND
            async for some in worker.read(request, patience):
                outcomes += some
            is_whole = True
        except _Died as error:
            logger.warning("a reading process died", how=str(error), files=len(request.tasks))
            return outcomes, str(error)
        finally:
            if is_whole:
                self._idle.put_nowait(worker)
            else:
                # Also when the caller was cancelled: an answer on its way would be taken for the next request's.
                self._forget(worker)
                self._idle.put_nowait(None)
                await worker.stop()
        return outcomes, None

    async def _take(self) -> _Worker:
        worker = await self._idle.get()
        if worker is not None and worker.is_alive:
            return worker
        if worker is not None:
            # It ended while it had nothing to do, so no file is to blame.
            self._forget(worker)
        try:
            worker = await _Worker.start()
        except BaseException:
            self._idle.put_nowait(None)
            raise
        self._started.add(worker)
        self._cores.enter(worker.process_id)
        return worker

    def _forget(self, worker: _Worker) -> None:
        self._started.discard(worker)
        self._cores.leave(worker.process_id)

    @property
    def process_ids(self) -> list[int]:
        """The processes that run now."""
        return [worker.process_id for worker in self._started]

    async def close(self) -> None:
        for worker in list(self._started):
            await worker.stop()
            self._forget(worker)


def _killed(task: Task, order: Order, how: str) -> Outcome:
    return by_name_only(task, order, HUNG if how == "hung" else CRASHED, f"the process that read it {how}")
