"""The verbs of file operations: queue them, look at them, undo, retry and cancel them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from server import errors, ids
from server.clock import Clock
from server.db.database import Connection, Database, Row
from server.db.uow import Transaction, UnitOfWork
from server.events.model import Event
from server.libraries.service import DirectoryUnavailable, LibraryService
from server.operations import store
from server.operations.model import Kind, Operation, Place, Request, State
from server.operations.outcome import known_of
from server.operations.runner import LOOK_SECONDS, OperationRunner
from server.tracks.service import TrackService

Tx = Transaction[Event]
MAX_BATCH = 10_000


class FileMissing(errors.Conflict):
    """The track's file is missing, so there is nothing to work on."""

    code = "file_missing"


class WrongState(errors.Conflict):
    """This operation isn't in a state that allows it."""

    code = "wrong_state"


class OperationService:
    def __init__(
        self,
        database: Database,
        uow: UnitOfWork[Event],
        tracks: TrackService,
        libraries: LibraryService,
        runner: OperationRunner,
        clock: Clock,
    ):
        self._database = database
        self._uow = uow
        self._tracks = tracks
        self._libraries = libraries
        self._runner = runner
        self._clock = clock

    # -- reading

    async def deletions(self, connection: Connection, track_ids: Sequence[str]) -> set[tuple[str, int]]:
        """Which of some tracks somebody has deleted, and when: ids with the `missing_since` that they got then."""
        return await store.deletions(connection, track_ids)

    async def in_flight(self, connection: Connection) -> set[tuple[str, bytes]]:
        """Places (library directory, path) that operations move files from and to, from before the disk is touched
        until the change is committed; by the journal, so those of every process.
        """
        return {
            (place.library_directory_id, place.path)
            for plan in await store.running(connection)
            for step in plan.steps
            for place in (step.source, step.target)
        }

    async def get(self, operation_id: str) -> Operation:
        """An operation; raises `NotFound`."""
        found = await store.get(self._database.direct, operation_id)
        if found is None:
            raise errors.NotFound(f"there is no operation {operation_id}")
        return found

    async def by_ids(self, operation_ids: Sequence[str]) -> list[Operation]:
        return await store.by_ids(self._database.direct, operation_ids)

    async def page(
        self, statuses: Sequence[str], track_id: str | None, limit: int, offset: int
    ) -> tuple[list[Operation], int]:
        """The journal, newest first, and how long it is."""
        return await store.page(self._database.direct, statuses, track_id, limit, offset)

    async def finished(self, operation_ids: Sequence[str]) -> list[Operation]:
        """Wait until none of the operations waits or runs; answers them."""
        while True:
            end = self._runner.next_end  # taken before looking, so that an end meanwhile isn't missed
            found = await self.by_ids(operation_ids)
            if all(item.state not in (State.QUEUED, State.RUNNING) for item in found):
                return found
            with suppress(TimeoutError):
                # What another process cancels is announced by nobody.
                await asyncio.wait_for(end.wait(), LOOK_SECONDS)

    # -- queueing

    async def renamed(self, track_id: str, name: bytes, *, keeps_extension: bool) -> Place:
        """The place of a track's file under another name, in the same folder."""
        place = known_of(await self._tracks.row(track_id)).place
        folder, _, old = place.path.rpartition(b"/")
        _, dot, extension = old.rpartition(b".")
        if keeps_extension and dot and not name.lower().endswith(b"." + extension.lower()):
            name += b"." + extension
        if len(name) > 255:
            raise errors.Invalid.field("new_name", "must not be longer than 255 bytes with its extension")
        return Place(place.library_directory_id, folder + b"/" + name if folder else name)

    async def queue(self, requests: Sequence[Request], *, is_atomic: bool) -> list[Operation]:
        """Queue operations: all of them as one, or each by itself.

        Raises `NotFound`, `FileMissing`, `DirectoryUnavailable`, and `Invalid` for what can't be one batch.
        """
        await self._check_directories(requests)
        async with self._uow() as tx:
            return await self.enqueue(tx, requests, is_atomic=is_atomic)

    async def enqueue(self, tx: Tx, requests: Sequence[Request], *, is_atomic: bool) -> list[Operation]:
        """Queue operations within somebody's transaction, so that they run if, and only if, it is committed."""
        if len(requests) > MAX_BATCH:
            raise errors.Invalid.field("operations", f"are {len(requests)}; the limit is {MAX_BATCH}")
        wanted = [request.track_id for request in requests]
        if is_atomic and len(set(wanted)) < len(wanted):
            raise errors.Invalid.field("operations", "name a track twice, which one atomic batch can't")
        rows = {row["id"]: row for row in await self._tracks.by_ids(tx, wanted)}
        operations = self._new(requests, rows, is_atomic=is_atomic)
        await store.insert(tx, operations)
        tx.on_commit(self._runner.wake)
        return operations

    def _new(self, requests: Sequence[Request], rows: dict[str, Row], *, is_atomic: bool) -> list[Operation]:
        now = self._clock.now_ms()
        batch_id = ids.new_id()
        operations = []
        for request in requests:
            row = rows.get(request.track_id)
            if row is None:
                raise errors.NotFound(f"there is no track {request.track_id}")
            if row["missing_since"] is not None:
                raise FileMissing(f"the file of track {request.track_id} is missing")
            source = known_of(row).place
            if request.target == source:
                field = "new_name" if request.kind is Kind.RENAME else "destination_path"
                raise errors.Invalid.field(field, "is where the file lies already")
            operation_id = ids.new_id()
            operations.append(
                Operation(
                    id=operation_id,
                    job_id=batch_id if is_atomic else operation_id,
                    batch_id=batch_id if len(requests) > 1 else None,
                    kind=request.kind,
                    state=State.QUEUED,
                    track_id=request.track_id,
                    undo_of=None,
                    source=source,
                    target=request.target,
                    options=request.options,
                    plan=None,
                    attempts=0,
                    error_code=None,
                    error=None,
                    bytes=row["file_size"],
                    created_at=now,
                    started_at=None,
                    finished_at=None,
                )
            )
        return operations

    async def _check_directories(self, requests: Sequence[Request]) -> None:
        wanted = {request.target.library_directory_id for request in requests if request.target is not None}
        for directory_id in wanted:
            directory = await self._libraries.get(directory_id)
            if not directory.is_available:
                raise DirectoryUnavailable(f"{directory.readable_path} can't be reached")

    # -- going back, going on

    async def undo(self, operation_id: str) -> Operation:
        """Queue taking back a finished operation. Raises `NotFound`, and `WrongState` when it can't be."""
        await self.get(operation_id)
        async with self._uow() as tx:
            (operation,) = await self.enqueue_undo(tx, [operation_id])
        return operation

    async def enqueue_undo(self, tx: Tx, operation_ids: Sequence[str]) -> list[Operation]:
        """Queue taking back finished operations, all as one, the last of them first."""
        originals = await store.by_ids(tx, operation_ids)
        undos = {item.undo_of for item in await store.undos_of(tx, operation_ids)}
        now = self._clock.now_ms()
        job_id = ids.new_id()
        operations = []
        for original in reversed(originals):
            if original.state is not State.DONE or original.kind is Kind.UNDO or original.plan is None:
                raise WrongState(f"this {original.kind} is {original.state}, and can't be undone")
            if original.options.permanent:
                raise WrongState("the file was deleted for good")
            if original.id in undos:
                raise WrongState("it is being undone already")
            step = original.plan.steps[0]
            operations.append(
                replace(
                    original,
                    id=ids.new_id(),
                    job_id=job_id,
                    batch_id=job_id if len(originals) > 1 else None,
                    kind=Kind.UNDO,
                    state=State.QUEUED,
                    undo_of=original.id,
                    source=step.target,
                    target=step.source,
                    plan=None,
                    attempts=0,
                    created_at=now,
                    started_at=None,
                    finished_at=None,
                )
            )
        await store.insert(tx, operations)
        tx.on_commit(self._runner.wake)
        return operations

    async def retry(self, operation_id: str) -> Operation:
        """Queue a failed operation again, with all of its atomic batch. Raises `NotFound`, `WrongState`."""
        operation = await self.get(operation_id)
        async with self._uow() as tx:
            for item in await self._job_in(tx, operation, State.FAILED):
                values = {"state": State.QUEUED.value, "steps": None, "error_code": None, "error": None}
                await store.update(tx, item.id, {**values, "started_at": None, "finished_at": None})
            tx.on_commit(self._runner.wake)
        return await self.get(operation_id)

    async def cancel(self, operation_id: str) -> Operation:
        """Cancel a waiting operation, with all of its atomic batch. Raises `NotFound`, `WrongState`."""
        operation = await self.get(operation_id)
        async with self._uow() as tx:
            await self.cancel_job(tx, operation)
        return await self.get(operation_id)

    async def cancel_job(self, tx: Tx, operation: Operation) -> None:
        """Cancel a waiting job within somebody's transaction; raises `WrongState`."""
        now = self._clock.now_ms()
        for item in await self._job_in(tx, operation, State.QUEUED):
            if not await store.update_queued(tx, item.id, {"state": State.CANCELLED.value, "finished_at": now}):
                raise WrongState("it has started meanwhile")

    async def _job_in(self, tx: Tx, operation: Operation, state: State) -> list[Operation]:
        job = await store.of_job(tx, operation.job_id)
        for item in job:
            if item.state is not state:
                raise WrongState(f"it is {item.state}, not {state}")
        return job
