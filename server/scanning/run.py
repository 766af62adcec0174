"""One scan at work: walk, compare, read what differs, write it in batches, and at last say what is missing."""

from __future__ import annotations

import asyncio
import os
from array import array
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from server import ids
from server.clock import Clock
from server.db.database import Connection, Database, Row
from server.db.uow import UnitOfWork
from server.events.model import Event
from server.filesystem import FileSystem
from server.libraries.model import LibraryDirectory
from server.libraries.service import LibraryService
from server.scanning import identity, store
from server.scanning.model import Counts, Failure, Scan, Strategy
from server.scanning.plan import compare
from server.scanning.reader import Order, Outcome, Task
from server.scanning.walk import Chunk, Entry, Options, Problem, Walk
from server.scanning.workers import Request, WorkerPool
from server.tracks.model import FileFacts, Location, Missing, signed
from server.tracks.service import Move, TrackService

REQUEST_FILES = 32
REQUEST_BYTES = 64 * 1024 * 1024
BATCH = 500
ROWS = 5000
_END = None


class DirectoryWentAway(Exception):
    """The library directory can't be reached any more; what it held is as it was."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What every scan works with."""

    database: Database
    uow: UnitOfWork[Event]
    tracks: TrackService
    libraries: LibraryService
    file_system: FileSystem
    workers: WorkerPool
    clock: Clock


@dataclass(slots=True)
class Progress:
    """How far the scan is: files the walk has found, and how many of them are dealt with."""

    phase: str = "walking"
    found: int = 0
    done: int = 0
    is_walk_over: bool = False
    current: str = ""


@dataclass(slots=True)
class ScanRun:
    """A scan that runs; `go` holds it while it is paused. What it has written stays, however it ends."""

    scan: Scan
    directory: LibraryDirectory
    tools: Tools
    report: Callable[[Progress], None]
    go: asyncio.Event = field(default_factory=asyncio.Event)
    counts: Counts = field(default_factory=Counts)
    progress: Progress = field(default_factory=Progress)
    _failures: list[Failure] = field(default_factory=list)
    _unknown: list[bytes] = field(default_factory=list)
    _unseen: array[int] = field(default_factory=lambda: array("q"))
    _read: list[Outcome] = field(default_factory=list)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Raises `DirectoryWentAway` when the directory is lost on the way, before anything is called missing."""
        self.go.set()
        requests: asyncio.Queue[Request | None] = asyncio.Queue(self.tools.workers.count * 2)
        readers = self.tools.workers.count + 1  # one more than there are processes, so that none waits for a writer
        async with asyncio.TaskGroup() as group:
            for _ in range(readers):
                group.create_task(self._read_requests(requests))
            async for batch in self._walk():
                for request in self._requests(batch):
                    await requests.put(request)
            for _ in range(readers):
                await requests.put(_END)
        await self._write_read(everything=True)
        self.progress.phase = "finishing"
        await self._finish()

    # -- walking and comparing

    async def _walk(self) -> AsyncIterator[list[Entry]]:
        """Runs of files that must be read."""
        options = Options(
            max_depth=self.directory.max_depth if self.directory.recursive_scan else 0,
            scan_patterns=self.directory.scan_patterns,
            exclude_patterns=self.directory.exclude_patterns,
            follow_symlinks=self.directory.follow_symlinks,
            start=self.scan.path,
        )
        after = self.scan.path + b"/" if self.scan.path else b""
        # A thread of its own: a walk over a slow network may take hours, and must not keep other calls waiting.
        with _one_thread() as thread:
            chunks = Walk(self.directory.path, options).chunks()
            loop = asyncio.get_running_loop()
            upcoming = loop.run_in_executor(thread, _next, chunks)
            while (chunk := await upcoming) is not None:
                upcoming = loop.run_in_executor(thread, _next, chunks)
                await self.go.wait()
                self._note_problems(chunk.problems)
                self.counts.found += len(chunk.entries)
                self.progress.found = self.counts.found
                last = chunk.entries[-1].path if chunk.entries else None
                async for batch in self._compare(chunk.entries, after, last):
                    yield batch
                after = last or after
            async for batch in self._compare([], after, None):
                yield batch
        self.progress.is_walk_over = True

    def _note_problems(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            readable = problem.path.decode("utf-8", "replace")
            is_start = problem.path == self.scan.path
            if is_start and problem.is_folder and not problem.path:
                raise DirectoryWentAway(problem.reason)
            if not (is_start and problem.code == "vanished"):
                self._unknown.append(problem.path + b"/" if problem.is_folder else problem.path)
                self._fail(Failure(readable, problem.code, problem.reason))

    async def _compare(self, entries: Sequence[Entry], after: bytes, upto: bytes | None) -> AsyncIterator[list[Entry]]:
        """Hold a run of the listing against the rows of the same stretch of paths."""
        before = self.scan.path + b"0" if self.scan.path else None  # "0" is the byte after "/"
        if upto is None and entries:
            raise ValueError("the last stretch has no entries")
        pending = list(entries)
        while True:
            rows = await self.tools.tracks.files(self.directory.id, after, upto, before, ROWS)
            is_last = len(rows) < ROWS
            if not is_last:
                # More rows than fit: the last path may go on in the next page, so it waits for it.
                edge = rows[-1]["path"]
                rows = [row for row in rows if row["path"] < edge]
                head = [entry for entry in pending if entry.path < edge]
                pending = pending[len(head) :]
            else:
                head = pending
            plan = compare(head, rows, self.scan.strategy, self._unknown)
            self.counts.unchanged += plan.unchanged
            self.progress.done += plan.unchanged + len(plan.found_again)
            self._unseen.extend(plan.unseen)
            await self._restore(plan.found_again)
            self.report(self.progress)
            if plan.to_read:
                yield plan.to_read
            if is_last:
                return
            after = rows[-1]["path"]

    async def _restore(self, track_ids: Sequence[str]) -> None:
        for start in range(0, len(track_ids), BATCH):
            async with self.tools.uow() as tx:
                self.counts.restored += await self.tools.tracks.mark_found(tx, track_ids[start : start + BATCH])

    # -- reading

    def _requests(self, entries: Sequence[Entry]) -> Iterator[Request]:
        """Entries in portions for the workers."""
        order = Order(
            root=self.directory.path,
            library_directory_id=self.directory.id,
            with_hash=self.scan.strategy is not Strategy.FAST,
            follow_symlinks=self.directory.follow_symlinks,
            now=self.tools.clock.now_ms(),
        )
        tasks: list[Task] = []
        size = 0
        for entry in entries:
            tasks.append(
                Task(entry.path, ids.new_id(), FileFacts(entry.size, entry.mtime_ns, entry.inode, entry.device))
            )
            size += entry.size
            if len(tasks) >= REQUEST_FILES or size >= REQUEST_BYTES:
                yield Request(order, tasks, size)
                tasks, size = [], 0
        if tasks:
            yield Request(order, tasks, size)

    async def _read_requests(self, requests: asyncio.Queue[Request | None]) -> None:
        while (request := await requests.get()) is not _END:
            await self.go.wait()
            self.progress.phase = "reading"
            self.progress.current = request.tasks[0].path.decode("utf-8", "replace")
            # Not `+= await`: that would read the list before the wait and write it back after, over what others did.
            outcomes = await self.tools.workers.read(request)
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
                batch, self._read = self._read[:BATCH], self._read[BATCH:]
                await self._write(batch)

    async def _write(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            for failure in outcome.failures[:1]:
                self._fail(failure)
            self._failures += outcome.failures[1:]
        whole = [outcome for outcome in outcomes if outcome.read is not None]
        free = await self._free_tracks(whole)
        tracks = self.tools.tracks
        async with self.tools.uow() as tx:
            at_place: dict[bytes, list[Row]] = {}
            rows = await tracks.by_paths(tx, self.directory.id, [outcome.path for outcome in whole])
            for row in sorted(rows, key=lambda row: (row["missing_since"] is not None, row["pk"])):
                at_place.setdefault(bytes(row["path"]), []).append(row)
            still_free = await self._still_free(tx, free) if free else []
            matches = identity.match(self.directory.id, whole, at_place, still_free)
            self.counts.missing += await tracks.mark_missing(tx, [row["pk"] for row in matches.displaced])
            moves = [Move(row, self.directory.id, outcome.path, outcome.read or {}) for outcome, row in matches.moved]
            await tracks.relocate(tx, moves)
            taken = await tracks.take_in(tx, [(row, outcome.read or {}) for outcome, row in matches.known])
            added = await tracks.add(
                tx,
                [outcome.row for outcome in matches.new if outcome.row is not None],
                [outcome.json for outcome in matches.new if outcome.json is not None],
            )
            pending, self._failures = self._failures, []
            await store.add_failures(tx, self.scan.id, pending)
            self.counts.moved += len(moves)
            self.counts.updated += len(taken.updated)
            self.counts.restored += len(taken.restored)
            self.counts.unchanged += len(taken.unchanged)
            self.counts.added += len(added)
            await store.update(tx, self.scan.id, {"counts": self.counts})

    async def _free_tracks(self, outcomes: Sequence[Outcome]) -> list[Row]:
        """Tracks that one of the files may be, and whose own file isn't where it was: looked up on disk."""
        hashes = sorted(
            {outcome.read["audio_hash"] for outcome in outcomes if outcome.read and outcome.read["audio_hash"]}
        )
        inodes = sorted({outcome.read["file_inode"] for outcome in outcomes if outcome.read})
        candidates = await self.tools.tracks.like(self.tools.database.direct, hashes, inodes)
        if not candidates:
            return []
        locations = await self.tools.tracks.locations(self.tools.database.direct)
        return await self.tools.file_system.call(_not_at_their_place, candidates, locations)

    async def _still_free(self, tx: Connection, free: Sequence[Row]) -> list[Row]:
        """The same tracks as they are within the transaction, without those that another scan has moved meanwhile."""
        known = {row["pk"]: row for row in free}
        rows = await self.tools.tracks.by_pks(tx, list(known))
        return [
            row
            for row in rows
            if row["path"] == known[row["pk"]]["path"] and row["updated_at"] == known[row["pk"]]["updated_at"]
        ]

    # -- the end

    async def _finish(self) -> None:
        """Call missing what a complete walk didn't find, if the directory is still there to be believed."""
        now = await self.tools.libraries.check(self.directory.id)
        if not now.is_available:
            raise DirectoryWentAway(f"the directory can't be reached any more ({now.unavailable_reason})")
        for start in range(0, len(self._unseen), BATCH):
            await self.go.wait()
            pks = list(self._unseen[start : start + BATCH])
            rows = await self.tools.tracks.by_pks(self.tools.database.direct, pks)
            gone = await self.tools.file_system.call(_gone, rows, self.directory.path)
            async with self.tools.uow() as tx:
                self.counts.missing += await self.tools.tracks.mark_missing(tx, gone)
        await self.tools.libraries.remember(now)

    def remaining_failures(self) -> list[Failure]:
        """Failures that no batch has stored yet."""
        pending, self._failures = self._failures, []
        return pending


def _one_thread() -> _Thread:
    return _Thread(1, thread_name_prefix="walk")


class _Thread(ThreadPoolExecutor):
    """A pool that isn't waited for: a walk that hangs must not keep its scan from ending."""

    def __exit__(self, *_: object) -> None:
        self.shutdown(wait=False, cancel_futures=True)


def _next(chunks: Iterator[Chunk]) -> Chunk | None:
    return next(chunks, None)


def _not_at_their_place(rows: Sequence[Row], locations: dict[str, Location]) -> list[Row]:
    """Those rows whose place holds nothing, or another file (blocking). What can't be reached isn't called gone."""
    found = []
    for row in rows:
        location = locations.get(row["library_directory_id"])
        if location is None or location.unreachable_reason == Missing.MEDIA:
            continue
        if location.unreachable_reason == Missing.REMOVED:
            found.append(row)
            continue
        try:
            status = os.lstat(os.path.join(location.root, row["path"]))
        except (FileNotFoundError, NotADirectoryError):
            found.append(row)
        except OSError:
            continue
        else:
            facts = (status.st_size, status.st_mtime_ns, signed(status.st_ino))
            if facts != (row["file_size"], row["file_mtime_ns"], row["file_inode"]):
                found.append(row)
    return found


def _gone(rows: Sequence[Row], root: bytes) -> list[int]:
    """Row numbers of those whose path holds nothing (blocking)."""
    found = []
    for row in rows:
        try:
            os.lstat(os.path.join(root, row["path"]))
        except (FileNotFoundError, NotADirectoryError):
            found.append(row["pk"])
        except OSError:
            continue
    return found
