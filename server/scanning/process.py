"""The scanning process, as the server sees it: whole directories are scanned there.

A scan keeps an interpreter busy, and whoever shares it waits; so the server's own answers nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from server import __version__, child, log
from server.config import Config
from server.cores import Cores
from server.db.database import Database, to_the_end
from server.libraries.model import LibraryDirectory
from server.scanning.job import Ended, Job
from server.scanning.model import Counts, Failure, Scan
from server.scanning.pipe import Gone, Pipe, send
from server.scanning.progress import Progress
from server.scanning.trouble import Outdated, ScanFailed, TakenOver

logger = log.get(__name__)
# The next scan then starts at once, and until then the memory is somebody else's.
IDLE_SECONDS = 300.0
END_SECONDS = 3.0


class ScanProcess:
    """A service: starts the process when a scan needs it, and lets it go when none has for a while."""

    name = "scanning process"

    def __init__(self, config: Config, database: Database, cores: Cores, committed: Callable[[int], None]):
        """`committed` is told the number of the last event that the process has committed."""
        self._config = config
        self._database = database
        self._cores = cores
        self._committed = committed
        self.process_id: int | None = None
        self._runs: dict[str, ProcessRun] = {}
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[Pipe]] = []
        self._pipe: Pipe | None = None
        self._lent = _Lent()
        self._rest: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if all(scan.done() for scan in self._waiting):
                continue  # who asked while another one started has got that one, or wants none any more
            try:
                process, ours = await _start()
            except OSError as error:
                self._refuse(str(error))
                continue
            await self._serve(process, ours)

    def _waited(self) -> Iterator[asyncio.Future[Pipe]]:
        waiting, self._waiting = self._waiting, []
        return (scan for scan in waiting if not scan.done())

    def _refuse(self, reason: str) -> None:
        for scan in self._waited():
            scan.set_exception(ScanFailed(f"the scanning process can't be started: {reason}"))

    async def _serve(self, process: asyncio.subprocess.Process, ours: socket.socket) -> None:
        was_ready = False

        def ready() -> None:
            nonlocal was_ready
            was_ready, self._pipe = True, pipe
            for scan in self._waited():
                scan.set_result(pipe)

        verbs: dict[str, Callable[..., Any]] = {
            "ready": ready, "committed": self._committed, "progress": self._progress, "growing": self._growing,
            "take_turn": self._take_turn, "end_turn": self._end_turn,
        }  # fmt: skip
        reader, writer = await asyncio.open_connection(sock=ours)
        send(writer, self._config)
        pipe = Pipe(reader, writer, verbs)
        self.process_id = process.pid
        self._cores.enter(process.pid)
        try:
            await pipe.run()
        finally:
            is_surprise = self._pipe is pipe
            self._pipe = self.process_id = None
            await self._end_turn()
            self._cores.leave(process.pid)
            how = await to_the_end(_end(process))  # or one that hangs would outlive a server that stops just now
        if is_surprise or not was_ready:
            logger.error("the scanning process has ended", how=how)
        if not was_ready:
            self._refuse(how)

    async def scan(self, run: ProcessRun) -> Ended:
        """Raises `ScanFailed` when there is no process, or no more."""
        if self._rest is not None:
            self._rest.cancel()
        self._runs[run.scan.id] = run
        try:
            run.pipe = await self._link()
            return await self._see_through(run, run.pipe)
        except Gone:
            raise ScanFailed("the scanning process has ended") from None
        finally:
            del self._runs[run.scan.id]
            if not self._runs:
                self._rest = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._let_go)

    async def _see_through(self, run: ProcessRun, pipe: Pipe) -> Ended:
        asking = pipe.ask("scan", run.job)
        if not run.go.is_set():
            pipe.tell("hold", run.scan.id, True)
        try:
            ended: Ended = await asyncio.shield(asking)
        except asyncio.CancelledError:
            # What it has committed until then is to be counted.
            pipe.tell("cancel", run.scan.id)
            with contextlib.suppress(TimeoutError, Gone):
                async with asyncio.timeout(END_SECONDS):
                    run.take(await asking)
            raise
        return ended

    async def _link(self) -> Pipe:
        if self._pipe is not None:
            return self._pipe
        coming: asyncio.Future[Pipe] = asyncio.get_running_loop().create_future()
        self._waiting.append(coming)
        self._wanted.set()
        return await coming

    def _let_go(self) -> None:
        if self._pipe is not None and not self._runs:
            pipe, self._pipe = self._pipe, None
            pipe.close()

    # -- what the process says

    def _progress(self, scan_id: str, progress: Progress, counts: Counts) -> None:
        run = self._runs.get(scan_id)
        if run is not None:
            run.progress, run.counts = progress, counts
            run.report(progress)

    async def _growing(self, scan_id: str) -> Collection[bytes]:
        run = self._runs.get(scan_id)
        return () if run is None else await run.growing()

    def _take_turn(self, is_patient: bool) -> Awaitable[bool]:
        self._lent = lent = _Lent()
        return self._lend(lent, is_patient)

    async def _lend(self, lent: _Lent, is_patient: bool) -> bool:
        """The turn is taken in one task and given back in another; the answer: whether others want it, too."""
        turn = self._database.turn
        await lent.held.enter_async_context(turn.taken(is_patient=is_patient))
        if lent.is_over:
            await lent.held.aclose()  # who asked has not waited
        return turn.is_in_demand

    def _end_turn(self) -> Awaitable[None]:
        # Which turn it is must be known now: the next word may be for another one.
        lent, self._lent = self._lent, _Lent()
        lent.is_over = True
        return lent.held.aclose()


@dataclass(slots=True)
class _Lent:
    held: AsyncExitStack = field(default_factory=AsyncExitStack)
    is_over: bool = False


@dataclass(slots=True)
class ProcessRun:
    """A scan at work in the scanning process; to the scanner it is like one that runs here."""

    job: Job
    process: ScanProcess
    report: Callable[[Progress], None]
    growing: Callable[[], Awaitable[Collection[bytes]]]
    counts: Counts = field(default_factory=Counts)
    progress: Progress = field(default_factory=Progress)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    pipe: Pipe | None = None
    _failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.go.set()

    @property
    def scan(self) -> Scan:
        return self.job.scan

    @property
    def directory(self) -> LibraryDirectory:
        return self.job.directory

    async def run(self) -> None:
        """Raises `TakenOver`, and `ScanFailed` with the words of what went wrong there."""
        ended = await self.process.scan(self)
        self.take(ended)
        if ended.is_taken_over:
            raise TakenOver
        if ended.error is not None:
            raise ScanFailed(ended.error)

    def take(self, ended: Ended) -> None:
        self.counts, self._failures = ended.counts, ended.failures

    def hold(self, *, is_paused: bool) -> None:
        if is_paused is not self.go.is_set():
            return
        if is_paused:
            self.go.clear()
        else:
            self.go.set()
        if self.pipe is not None:
            self.pipe.tell("hold", self.scan.id, is_paused)

    def remaining_failures(self) -> list[Failure]:
        """Failures that no batch has stored yet."""
        pending, self._failures = self._failures, []
        return pending

    def tell_waiting(self) -> None:
        self.progress.is_waiting = True
        self.report(self.progress)


async def _start() -> tuple[asyncio.subprocess.Process, socket.socket]:
    """The process, and the server's end of the socket between the two."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                *child.command("server.apart", str(theirs.fileno()), parent=os.getpid(), version=__version__),
                stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
    return process, ours


async def _end(process: asyncio.subprocess.Process) -> str:
    """Wait until the process has ended, for it knows that it is to; says how it ended."""
    try:
        async with asyncio.timeout(END_SECONDS):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        code = await process.wait()
    if code == child.OTHER_VERSION:
        return str(Outdated())
    return f"signal {-code}" if code < 0 else f"exit {code}"
