"""One scan at work: walk, compare, read what differs, write it in batches, and at last say what is missing."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from server import errors, log
from server.db.database import Row, to_the_end
from server.filesystem import Unresponsive
from server.libraries.model import LibraryDirectory
from server.scanning import handover, identity, store
from server.scanning.ending import Ending
from server.scanning.intake import Intake, Tools, Tx
from server.scanning.model import Counts, Failure, Scan, Strategy
from server.scanning.part import Part
from server.scanning.plan import compare
from server.scanning.progress import Progress
from server.scanning.reader import Order, Outcome
from server.scanning.request import Request, requests
from server.scanning.trouble import DirectoryWentAway, TakenOver
from server.scanning.walk import Chunk, Entry, Options, Problem, Walk
from server.scanning.workers import HUNG
from server.threads import DaemonThreads

logger = log.get(__name__)
T = TypeVar("T")
# Others wait until a batch is written. Small ones make a scan slow: they are for while others do wait.
BATCH = 150
SMALL_BATCH = 40
ROWS = 5000
WALK_PATIENCE_SECONDS = 20.0
RETRY_SECONDS = 1.0
_END = None


@dataclass(slots=True)
class ScanRun:
    """A scan that runs; `go` holds it while it is paused. What it has written stays, however it ends.

    `growing` are files, by their path in the directory, that somebody still writes: they are left for later.
    """

    scan: Scan
    directory: LibraryDirectory
    tools: Tools
    report: Callable[[Progress], None]
    parts: Sequence[Part]
    growing: Callable[[], Awaitable[Collection[bytes]]]
    people: handover.People
    go: asyncio.Event = field(default_factory=asyncio.Event)
    counts: Counts = field(default_factory=Counts)
    progress: Progress = field(default_factory=Progress)
    _failures: list[Failure] = field(default_factory=list)
    _unknown: list[bytes] = field(default_factory=list)
    _unseen: array[int] = field(default_factory=lambda: array("q"))
    _read: list[Outcome] = field(default_factory=list)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.go.set()

    def hold(self, *, is_paused: bool) -> None:
        if is_paused:
            self.go.clear()
        else:
            self.go.set()

    async def run(self) -> None:
        """Raises `DirectoryWentAway` when the directory is lost on the way, before anything is called missing."""
        await self._note_drives_away()
        waiting: asyncio.Queue[Request | None] = asyncio.Queue(self.tools.workers.count * 2)
        readers = self.tools.workers.count + 1  # one more than there are processes, so that none waits for a writer
        async with asyncio.TaskGroup() as group:
            for _ in range(readers):
                group.create_task(self._read_requests(waiting))
            for part in self.parts:
                async for batch in self._walk(part):
                    for request in requests(self._order(), batch):
                        await waiting.put(request)
            self.progress.is_walk_over = True
            for _ in range(readers):
                await waiting.put(_END)
        await self.go.wait()
        await self._write_read(everything=True)
        self.progress.phase = "finishing"
        await self._finish()

    async def _note_drives_away(self) -> None:
        """What lies on a drive that was mounted inside the directory, and isn't there now, is unknown."""
        away = await self._answer(partial(self.tools.libraries.remember, self.directory))
        self.directory = await self._answer(partial(self.tools.libraries.get, self.directory.id))
        for mount in away:
            self._unknown.append(mount.prefix)
            if any(part.meets(mount.path) for part in self.parts):
                reason = "the drive that was mounted here isn't there; its tracks stay as they are"
                self._fail(Failure(mount.path.decode("utf-8", "replace"), "unmounted", reason))

    # -- walking and comparing

    async def _walk(self, part: Part) -> AsyncIterator[list[Entry]]:
        """Runs of files that must be read."""
        options = Options(
            max_depth=self.directory.max_depth if self.directory.recursive_scan else 0,
            scan_patterns=self.directory.scan_patterns,
            exclude_patterns=self.directory.exclude_patterns,
            follow_symlinks=self.directory.follow_symlinks,
            part=part,
        )
        after = part.prefix
        # A thread of its own: a walk over a slow network may take hours, and must not keep other calls waiting.
        with _one_thread() as thread:
            chunks = Walk(self.directory.path, options).chunks()
            loop = asyncio.get_running_loop()
            # One after the other: a walk beside the query would take the interpreter from it after each of its rows.
            while (chunk := await self._patiently(loop.run_in_executor(thread, _next, chunks))) is not None:
                await self.go.wait()
                self._note_problems(part, chunk.problems)
                self.counts.found += len(chunk.entries)
                self.progress.found = self.counts.found
                last = chunk.entries[-1].path if chunk.entries else None
                if last is not None:
                    async for batch in self._compare(part, chunk.entries, after, last):
                        yield batch
                after = last or after
            async for batch in self._compare(part, [], after, None):
                yield batch

    async def _patiently(self, upcoming: asyncio.Future[Chunk | None]) -> Chunk | None:
        """The next chunk; while it takes long, the directory is looked at from time to time."""
        while True:
            done, _ = await asyncio.wait([upcoming], timeout=WALK_PATIENCE_SECONDS)
            if done:
                return upcoming.result()
            await self._demand_directory()

    async def _demand_directory(self) -> LibraryDirectory:
        now = await self._answer(partial(self.tools.libraries.check, self.directory.id))
        if not now.is_available:
            raise DirectoryWentAway(f"the directory can't be reached any more ({now.unavailable_reason})")
        return now

    def _note_problems(self, part: Part, problems: Sequence[Problem]) -> None:
        for problem in problems:
            if problem.is_folder and not problem.path:
                raise DirectoryWentAway(problem.reason)
            if problem.code == "vanished":
                # Not unknown but gone; whether it really is, is looked up at the end.
                if problem.path == part.path:
                    continue
            else:
                self._unknown.append(problem.path + b"/" if problem.is_folder else problem.path)
            self._fail(Failure(problem.path.decode("utf-8", "replace"), problem.code, problem.reason))

    async def _compare(
        self, part: Part, entries: Sequence[Entry], after: bytes, upto: bytes | None
    ) -> AsyncIterator[list[Entry]]:
        """Hold a run of the listing against the rows of the same stretch of paths."""
        pending = list(entries)
        depth = None if part.is_recursive else part.depth
        while True:
            files = partial(self.tools.tracks.files, self.directory.id, after, upto, part.end, ROWS, depth)
            rows = await self._answer(files)
            is_last = len(rows) < ROWS
            if not is_last:
                # More rows than fit: the last path may go on in the next page, so it waits for it.
                edge = rows[-1]["path"]
                rows = [row for row in rows if row["path"] < edge]
                head = [entry for entry in pending if entry.path < edge]
                pending = pending[len(head) :]
            else:
                head = pending
            to_read = await self._act(head, rows)
            if to_read:
                yield to_read
            if is_last:
                return
            after = rows[-1]["path"]

    async def _act(self, entries: Sequence[Entry], rows: Sequence[Row]) -> list[Entry]:
        """Do what a comparison says, but for reading; returns what is to be read."""
        plan = compare(
            entries,
            rows,
            self.scan.strategy,
            self._unknown,
            has_stable_inodes=self.directory.has_stable_inodes,
        )
        self.counts.unchanged += plan.unchanged
        self._unseen.extend(plan.unseen)
        await self._restore(plan.found_again)
        to_read = await self._without_busy(plan.to_read)
        if to_read and self.scan.strategy is not Strategy.FULL:
            to_read = await self._recognise(to_read)
        self.progress.done += len(entries) - len(to_read)
        self.report(self.progress)
        return to_read

    async def _without_busy(self, entries: Sequence[Entry]) -> list[Entry]:
        """Files that nobody is writing or moving; who does will say when they are ready."""
        if not entries:
            return []
        growing = await self.growing()
        in_flight = await self._answer(partial(self.people.in_flight, self.tools.database.direct))
        return [
            entry for entry in entries if entry.path not in growing and (self.directory.id, entry.path) not in in_flight
        ]

    async def _restore(self, pks: Sequence[int]) -> None:
        for start in range(0, len(pks), BATCH):
            batch = pks[start : start + BATCH]
            await self._commit(partial(self._mark_found, batch))

    async def _mark_found(self, pks: Sequence[int], tx: Tx) -> Counts:
        return Counts(restored=await self.tools.tracks.mark_found(tx, pks))

    async def _commit(self, write: Callable[[Tx], Awaitable[Counts]]) -> None:
        """Write in one transaction, and count what it did once it is committed."""

        async def commit() -> None:
            async with self.tools.uow(is_patient=True) as tx:
                counts = await write(tx)
                failures = list(self._failures)
                await store.add_failures(tx, self.scan.id, failures)
                if not await store.count(tx, self.scan, self.counts.plus(counts)):
                    raise TakenOver
            self.counts.add(counts)
            del self._failures[: len(failures)]

        # A COMMIT runs to its end though the scan is cancelled meanwhile; what it wrote must be counted, too.
        await self._answer(lambda: to_the_end(commit()))

    async def _answer(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the database answers, or has taken.

        One that is locked or gone for a while is waited for: hours of scanning aren't thrown away for it.
        """
        while True:
            try:
                answer = await ask()
            except errors.Unavailable as error:
                logger.warning("a scan has to wait for the database", scan=self.scan.id, error=str(error))
                self.tell_waiting()
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self.progress.is_waiting = False
                return answer

    def tell_waiting(self) -> None:
        """Let the clients see why nothing goes on."""
        self.progress.is_waiting = True
        self.report(self.progress)

    async def _recognise(self, entries: Sequence[Entry]) -> list[Entry]:
        """Move tracks whose very file has another path now; returns what must be read."""
        intake = Intake(self.tools, self.directory)
        free = await self._answer(partial(intake.moved_candidates, entries))
        if not free:
            return list(entries)
        rest: list[Entry] = []

        async def move(tx: Tx) -> Counts:
            nonlocal rest
            moved, rest = await intake.move(tx, entries, free)
            return Counts(moved=moved)

        await self._commit(move)
        return rest

    # -- reading

    def _order(self) -> Order:
        return Order(
            root=self.directory.path,
            library_directory_id=self.directory.id,
            with_hash=self.scan.strategy is not Strategy.FAST,
            follow_symlinks=self.directory.follow_symlinks,
            now=self.tools.clock.now_ms(),
        )

    async def _read_requests(self, waiting: asyncio.Queue[Request | None]) -> None:
        while (request := await waiting.get()) is not _END:
            await self.go.wait()
            self.progress.phase = "reading"
            self.progress.current = request.tasks[0].path.decode("utf-8", "replace")
            # Not `+= await`: that would read the list before the wait and write it back after, over what others did.
            outcomes = await self.tools.workers.read(request)
            if any(failure.code == HUNG for outcome in outcomes for failure in outcome.failures):
                await self._demand_directory()  # was it the file, or the drive?
            self._read.extend(outcomes)
            self.progress.done += len(request.tasks)
            self.report(self.progress)
            if len(self._read) >= BATCH:
                await self._write_read()

    def _fail(self, failure: Failure) -> None:
        self._failures.append(failure)
        self.counts.failed += 1

    # -- writing

    async def _write_read(self, *, everything: bool = False) -> None:
        async with self._writing:
            while len(self._read) >= BATCH or (everything and self._read):
                size = SMALL_BATCH if self.tools.database.is_in_demand else BATCH
                batch, self._read = self._read[:size], self._read[size:]
                await self._write(batch)

    async def _write(self, outcomes: Sequence[Outcome]) -> None:
        intake = Intake(self.tools, self.directory)
        candidates = await self._answer(partial(intake.candidates, outcomes))
        stale = identity.stale(self.directory.id, outcomes, candidates) | await intake.left(outcomes)
        for outcome in outcomes:
            if outcome.path in stale:
                readable = outcome.path.decode("utf-8", "replace")
                self._fail(Failure(readable, "changed_while_read", "it was moved while others were being read"))
                continue
            for failure in outcome.failures[:1]:
                self._fail(failure)
            self._failures += outcome.failures[1:]
        whole = [outcome for outcome in outcomes if outcome.path not in stale]

        async def write(tx: Tx) -> Counts:
            # Who moves or deletes a file right now will say what became of it.
            busy = await self.people.in_flight(tx)
            settled = [outcome for outcome in whole if (self.directory.id, outcome.path) not in busy]
            return await intake.write(tx, settled, candidates)

        await self._commit(write)

    # -- the end

    async def _finish(self) -> None:
        """Call missing what a complete walk didn't find, if the directory is still there to be believed."""
        now = await self._demand_directory()
        ending = Ending(self.tools, now, self.people)
        for start in range(0, len(self._unseen), BATCH):
            await self.go.wait()
            pks = list(self._unseen[start : start + BATCH])
            try:
                absent = await self._answer(partial(ending.look, pks))
            except Unresponsive as error:
                raise DirectoryWentAway(str(error)) from None
            if absent.rows:
                await self._commit(partial(ending.write, absent))
        await self._reunite(ending)
        await self._answer(partial(self.tools.libraries.remember, now))

    async def _reunite(self, ending: Ending) -> None:
        after = 0
        while pks := await self._answer(partial(ending.waiting, after, BATCH)):
            await self.go.wait()
            absent = await self._answer(partial(ending.look_again, pks))
            if absent.present:
                await self._commit(partial(ending.reunite, absent))
            after = pks[-1]

    def remaining_failures(self) -> list[Failure]:
        """Failures that no batch has stored yet."""
        pending, self._failures = self._failures, []
        return pending


@contextmanager
def _one_thread() -> Iterator[DaemonThreads]:
    """A thread that isn't waited for: a walk that hangs must not keep its scan from ending."""
    thread = DaemonThreads(1, "walk")
    try:
        yield thread
    finally:
        thread.shutdown()


def _next(chunks: Iterator[Chunk]) -> Chunk | None:
    return next(chunks, None)
