"""One job on its way: plan it, commit the intent, change the disk, commit the outcome; or take it all back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from server import log, paths
from server.clock import Clock
from server.db.database import Database, to_the_end
from server.db.uow import Transaction, UnitOfWork
from server.events.bus import Bus
from server.events.model import Event
from server.operations import events, outcome, store
from server.operations.disk import Disk, Stopped
from server.operations.failure import OperationFailed, failure_of
from server.operations.job import Left, Planned, carry_out, take_all_back
from server.operations.model import Operation, Plan, State
from server.operations.planning import Planner
from server.operations.queue import Job
from server.tracks.model import FileFacts
from server.tracks.service import TrackService

logger = log.get(__name__)
T = TypeVar("T")
Tx = Transaction[Event]
BATCH_FAILED = "batch_failed"


class Watch(Protocol):
    """What watches the library directories: told beforehand of the places that Mismo is about to change itself."""

    def expect(self, places: Sequence[tuple[str, bytes]]) -> None: ...


class Unwatched:
    """Nothing watches."""

    def expect(self, places: Sequence[tuple[str, bytes]]) -> None:
        """There is nobody to tell."""


@dataclass(slots=True)
class Tools:
    """What every job works with. `backoff`: pauses in seconds before a transient failure is tried again."""

    database: Database
    uow: UnitOfWork[Event]
    tracks: TrackService
    bus: Bus
    clock: Clock
    backoff: Sequence[float] = (0.2, 1.0, 5.0)
    watch: Watch = field(default_factory=Unwatched)
    stop: threading.Event = field(default_factory=threading.Event)


class _Withdrawn(Exception):
    """An operation was cancelled before its intent was committed."""


@dataclass(slots=True)
class Attempt:
    """`run` sees the job to its end; the disk is touched in a thread of `pool`."""

    job: Job
    tools: Tools
    pool: ThreadPoolExecutor
    disk: Disk = field(init=False)
    undone: dict[str, Operation] = field(default_factory=dict)
    _plans: dict[str, Plan] = field(default_factory=dict)
    _tries: int = 0

    async def run(self) -> bool:
        """Whether the job is over. Otherwise it stays `running`, to be taken up again later or at the next start.

        Raises `Stopped` when the server ends meanwhile, and the database's own errors.
        """
        self.disk = await self._open_disk()
        await self._find_undone()
        try:
            failure = await self._try()
        except _Withdrawn:
            return True
        return failure is None or await self._give_up(failure)

    async def _try(self) -> OperationFailed | None:
        """None once it is done, else the failure that trying again doesn't help against."""
        for pause in (*self.tools.backoff, None):
            self._tries += 1
            try:
                if not self._plans:
                    await self._plan()
                    self._warn_the_watcher()
                arrived = await self._on_disk(carry_out)
            except (OSError, OperationFailed, paths.Outside) as error:
                failure = failure_of(error)
                logger.warning("file operation failed", job=self.job.id, code=failure.code, reason=failure.reason)
                if pause is None or not failure.is_transient:
                    return failure
                self.disk.is_resumed = bool(self._plans)
                await asyncio.sleep(pause)
            else:
                await to_the_end(self._conclude(arrived, None))
                return None
        raise AssertionError("the last try returns")

    def _warn_the_watcher(self) -> None:
        places = [
            (place.library_directory_id, place.path)
            for plan in self._plans.values()
            for step in plan.steps
            for place in (step.source, step.target)
        ]
        self.tools.watch.expect(places)

    # -- planning

    async def _open_disk(self) -> Disk:
        locations = await self.tools.tracks.locations(self.tools.database.direct)
        loop = asyncio.get_running_loop()

        def report(operation_id: str, done: int, total: int) -> None:
            progress = events.OperationProgress(
                subject=operation_id, operation_id=operation_id, bytes_done=done, bytes_total=total
            )
            loop.call_soon_threadsafe(self.tools.bus.publish, progress)

        def note(operation_id: str, number: int, changed: Mapping[str, int]) -> None:
            asyncio.run_coroutine_threadsafe(self._note(operation_id, number, changed), loop).result()

        roots = {directory_id: location.root for directory_id, location in locations.items()}
        return Disk(roots, note=note, report=report, stop=self.tools.stop)

    async def _find_undone(self) -> None:
        wanted = {item.id: item.undo_of for item in self.job.operations if item.undo_of is not None}
        found = {item.id: item for item in await store.by_ids(self.tools.database.direct, list(wanted.values()))}
        self.undone = {own: found[original] for own, original in wanted.items()}

    async def _plan(self) -> None:
        """Take the plans from the journal, or make them and commit them there: the intent."""
        if self.job.is_running:
            self.disk.is_resumed = True
            self._plans = {item.id: item.plan for item in self.job.operations if item.plan is not None}
            return
        ids = [item.track_id for item in self.job.operations]
        rows = await self.tools.tracks.by_ids(self.tools.database.direct, ids)
        known = {row["id"]: outcome.known_of(row) for row in rows}
        planner = Planner(self.disk, self.tools.clock.now_ms())

        def plan_all() -> dict[str, Plan]:
            plans = {}
            for item in self.job.operations:
                self.disk.at_work = item.id
                plans[item.id] = planner.plan(item, known.get(item.track_id), self.undone.get(item.id))
            return plans

        plans = await self._in_thread(plan_all)
        await to_the_end(self._commit_intent(plans))
        self._plans = plans

    async def _commit_intent(self, plans: Mapping[str, Plan]) -> None:
        now = self.tools.clock.now_ms()
        async with self.tools.uow() as tx:
            for item in self.job.operations:
                plan = plans[item.id]
                target = plan.steps[0].target
                values = {
                    "state": State.RUNNING.value,
                    "steps": plan.stored(),
                    **store.source_columns(plan.steps[0].source),
                    **store.target_columns(target),
                    "attempts": item.attempts + self._tries,
                    "started_at": now,
                }
                if not await store.update_queued(tx, item.id, values):
                    raise _Withdrawn
                tx.emit(events.OperationStarted(operation=await _described(tx, item.id)))

    async def _note(self, operation_id: str, number: int, changed: Mapping[str, int]) -> None:
        """Change a step in the journal, and here, before the disk goes on."""
        if self.tools.stop.is_set():
            raise Stopped
        plan = self._plans[operation_id]
        step = plan.steps[number]
        facts = replace(step.facts, inode=changed["inode"]) if "inode" in changed else step.facts
        step = replace(step, facts=facts, copy_inode=changed.get("copy_inode", step.copy_inode))
        plan = replace(plan, steps=(*plan.steps[:number], step, *plan.steps[number + 1 :]))
        async with self.tools.uow() as tx:
            await store.update(tx, operation_id, {"steps": plan.stored()})
        self._plans[operation_id] = plan

    # -- the disk

    async def _on_disk(self, work: Callable[[Sequence[Planned], Disk], T]) -> T:
        job = [Planned(item.id, self._plans[item.id]) for item in self.job.operations]
        return await self._in_thread(lambda: work(job, self.disk))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self.pool, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # A thread can't be left behind: a long copy looks at `stop`, all else takes a moment.
            self.tools.stop.set()
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()
            raise

    # -- the outcome

    async def _give_up(self, failure: OperationFailed) -> bool:
        failed_at = self.disk.at_work
        if not self._plans:
            await to_the_end(self._conclude({}, failure, failed_at))
            return True
        if self.disk.is_past_return:
            await self._note_trouble(failure)
            return False
        for pause in (*self.tools.backoff, None):
            try:
                # A copy that comes back gets another inode, which is noted in the plans while it is made.
                left = await self._on_disk(take_all_back)
            except (OSError, OperationFailed, paths.Outside) as error:
                trouble = failure_of(error)
                logger.error("can't be taken back", job=self.job.id, code=trouble.code, reason=trouble.reason)
                if pause is None:
                    await self._note_trouble(trouble)
                    return False
                await asyncio.sleep(pause)
            else:
                await to_the_end(self._conclude_back(left, failure, failed_at))
                return True
        raise AssertionError("the last try returns")

    async def _conclude_back(self, left: Mapping[str, Left], failure: OperationFailed, failed_at: str | None) -> None:
        arrived = {operation_id: item.at_target for operation_id, item in left.items() if item.at_target is not None}
        returned = {
            item.track_id: facts
            for item in self.job.operations
            if item.id not in arrived
            and (facts := left[item.id].at_source) is not None
            # Only the file itself: whatever else lies there now is for a scan to find.
            and facts.inode == self._plans[item.id].steps[0].facts.inode
        }
        await self._conclude(arrived, failure, failed_at, returned)

    async def _note_trouble(self, failure: OperationFailed) -> None:
        async with self.tools.uow() as tx:
            for item in self.job.operations:
                await store.update(tx, item.id, {"error_code": failure.code, "error": failure.reason})

    async def _conclude(
        self,
        arrived: Mapping[str, FileFacts | None],
        failure: OperationFailed | None,
        failed_at: str | None = None,
        returned: Mapping[str, FileFacts] | None = None,
    ) -> None:
        """Commit the outcome, unless somebody else has: a job that was cancelled before it began, or a process that
        took over while this one was cut off from the database.

        With a failure, only what couldn't be brought back is done, as `arrived` says.
        """
        now = self.tools.clock.now_ms()
        async with self.tools.uow() as tx:
            if not await store.end(tx, self.job.id, now):
                logger.warning("job was ended by somebody else", job=self.job.id)
                return
            done = [item for item in self.job.operations if failure is None or arrived.get(item.id) is not None]
            current = {item.id: item for item in await store.by_ids(tx, [item.id for item in done])}
            await outcome.settle(self.tools.tracks, tx, [current[item.id] for item in done], arrived, self.undone, now)
            await outcome.refresh(self.tools.tracks, tx, returned or {})
            for item in self.job.operations:
                values: dict[str, object] = {"attempts": item.attempts + self._tries}
                if item.id in current:
                    await self._complete(tx, item, values)
                else:
                    assert failure is not None
                    await self._fail(tx, item, values, failure, is_culprit=item.id == failed_at)
        logger.info("job over", job=self.job.id, operations=len(self.job.operations), failed=failure is not None)

    async def _complete(self, tx: Tx, item: Operation, values: Mapping[str, object]) -> None:
        done = {"state": State.DONE.value, "error_code": None, "error": None}
        await store.update(tx, item.id, {**values, **done})
        tx.emit(events.OperationComplete(operation=await _described(tx, item.id)))
        original = self.undone.get(item.id)
        if original is not None:
            await store.update(tx, original.id, {"state": State.UNDONE.value})
            tx.emit(events.OperationUndone(operation=await _described(tx, original.id)))

    async def _fail(
        self, tx: Tx, item: Operation, values: Mapping[str, object], failure: OperationFailed, *, is_culprit: bool
    ) -> None:
        is_own = is_culprit or len(self.job.operations) == 1
        why = {
            "error_code": failure.code if is_own else BATCH_FAILED,
            "error": failure.reason if is_own else f"another operation of its batch failed: {failure.reason}",
        }
        await store.update(tx, item.id, {**values, **why, "state": State.FAILED.value})
        tx.emit(events.OperationFailed(operation=await _described(tx, item.id)))


async def _described(tx: Tx, operation_id: str) -> dict[str, object]:
    found = await store.get(tx, operation_id)
    assert found is not None
    return found.as_json()
