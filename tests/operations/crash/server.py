"""The parts of a server that file operations need, on the ground's database."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from server.clock import SystemClock
from server.db.sqlite import SqliteDatabase
from server.db.uow import UnitOfWork
from server.events.bus import Bus
from server.events.log import EventLog
from server.events.model import Event
from server.filesystem import FileSystem
from server.libraries.service import LibraryService
from server.operations.attempt import Tools
from server.operations.model import Options, Place, Request
from server.operations.runner import OperationRunner
from server.operations.service import OperationService
from server.tracks.service import TrackService
from tests.operations.crash.fault import Scenario
from tests.operations.crash.ground import Ground

BACKOFF = (0.005, 0.005, 0.005)


@dataclass(slots=True)
class Server:
    operations: OperationService
    runner: OperationRunner
    database: SqliteDatabase
    uow: UnitOfWork[Event]

    async def until_idle(self) -> None:
        """Nothing waits or runs any more, or what does is stuck."""
        while True:
            left = await self.database.fetch_value(
                "SELECT count(*) FROM file_operations WHERE state IN ('queued', 'running')"
            )
            if not left or self.runner.is_stuck():
                return
            await asyncio.sleep(0.002)

    async def ask(self, place: Ground, scenario: Scenario) -> list[str]:
        """Queue what a scenario asks for; answers the operations' ids."""
        directory = place.directories[1] if scenario.is_across else place.directories[0]
        requests = [
            Request(
                scenario.kind,
                track_id,
                Place(directory, scenario.target.format(name=name).encode()) if scenario.target else None,
                Options(),
            )
            for track_id, name in place.tracks[: scenario.files]
        ]
        return [item.id for item in await self.operations.queue(requests, is_atomic=True)]

    async def undo(self, ids: Sequence[str]) -> None:
        async with self.uow() as tx:
            await self.operations.enqueue_undo(tx, ids)

    def thread_id(self, name: str) -> int:
        """The kernel's number of the thread that works on the disk, or for the database."""
        if name == "disk":
            self.runner._pool.submit(int).result()
            found: Any = [item for item in threading.enumerate() if item.name.startswith("file-operations")]
        elif name == "database":
            found = [self.database._writer._connection._thread]  # type: ignore[union-attr]
        else:
            found = [self.database._readers._queue[-1]._connection._thread]  # type: ignore[attr-defined]
        native: int = found[0].native_id
        return native


@asynccontextmanager
async def served(place: Ground) -> AsyncIterator[Server]:
    clock = SystemClock()
    # One reader, so that it is known which thread reads.
    database = SqliteDatabase(place.database, readers=1)
    await database.open()
    event_log = EventLog(database, clock)
    await event_log.open()
    uow: UnitOfWork[Event] = UnitOfWork(database, event_log)
    bus = Bus(database, event_log, clock.now_ms)
    tracks = TrackService(database, uow, event_log, clock)
    file_system = FileSystem()
    libraries = LibraryService(database, uow, tracks, file_system, clock)
    runner = OperationRunner(Tools(database, uow, tracks, bus, clock, backoff=BACKOFF), max_concurrent=1)
    operations = OperationService(database, uow, tracks, libraries, runner, clock)
    try:
        async with asyncio.TaskGroup() as group:
            services = [group.create_task(bus.run()), group.create_task(runner.run())]
            yield Server(operations, runner, database, uow)
            for task in services:
                task.cancel()
    finally:
        runner._pool.shutdown()
        file_system.close()
        await database.close()


def wait_for_threads() -> None:
    """Forking with threads at work may leave a lock held for ever."""
    while threading.active_count() > 1:
        time.sleep(0.0005)
