"""The supervision of one companion: start it, wait for its health, restart a crash, give up, stop it with Mismo."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from server import errors, log
from server.clock import Clock
from server.companions.events import CompanionState
from server.companions.health import NotReady
from server.companions.model import Definition, State, Status
from server.companions.pace import Pace, RestartLimit
from server.companions.process import Process
from server.cores import Cores
from server.db.uow import UnitOfWork
from server.events.model import Event

logger = log.get(__name__)
_KEPT_LINES = 5
_LAST_OUTPUT_SECONDS = 1.0


class Unmanaged(errors.Conflict):
    """Mismo doesn't start this process: it is managed elsewhere."""

    code = "companion_unmanaged"


class Supervised:
    """A service: one companion for as long as Mismo runs. It never delays the start and never ends it."""

    def __init__(
        self,
        definition: Definition,
        uow: UnitOfWork[Event],
        clock: Clock,
        cores: Cores,
        pace: Pace | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self.definition = definition
        self.name = f"companion {definition.name}"
        self.pace = pace or Pace()
        self._uow = uow
        self._clock = clock
        self._cores = cores
        self._monotonic = monotonic
        self._is_wanted = definition.command is not None
        self._is_at_work = False
        # Set whenever somebody asked for something else than what is going on.
        self._asked = asyncio.Event()
        self._process: Process | None = None
        self._output: deque[str] = deque(maxlen=_KEPT_LINES)
        state = State.STOPPED if self._is_wanted else State.UNMANAGED
        detail = None if self._is_wanted else "managed elsewhere"
        self._status = Status(definition.name, definition.url, state, 0, detail, None, clock.now_ms())

    @property
    def status(self) -> Status:
        return self._status

    async def look(self) -> Status:
        """Its state. Of one that another process of this library starts, only whether it answers is known."""
        if self._is_at_work or self.definition.command is None:
            return self._status
        try:
            await self.definition.health.check()
        except NotReady as problem:
            return replace(self._status, state=State.STOPPED, detail=str(problem), pid=None)
        detail = "started by another server of this library"
        return replace(self._status, state=State.RUNNING, detail=detail, pid=None)

    # -- verbs

    def start(self) -> Status:
        """Ask for it to run; also after it was given up. Raises `Unmanaged`."""
        return self._ask(is_wanted=True, is_needed=self._process is None)

    def stop(self) -> Status:
        """Ask for it to end, and to stay down. Raises `Unmanaged`."""
        return self._ask(is_wanted=False, is_needed=True)

    def restart(self) -> Status:
        """Ask for its end and a new start. Raises `Unmanaged`."""
        return self._ask(is_wanted=True, is_needed=True)

    def demand_managed(self) -> None:
        """Raises `Unmanaged` where there is nothing that Mismo could start or stop."""
        if self.definition.command is None:
            raise Unmanaged(f"{self.definition.name} is managed elsewhere; Mismo only talks to {self.definition.url}")

    def _ask(self, *, is_wanted: bool, is_needed: bool) -> Status:
        self.demand_managed()
        self._is_wanted = is_wanted
        if is_needed:
            self._asked.set()
        return self._status

    # -- the service

    async def run(self) -> None:
        command = self.definition.command
        if command is None:
            await self._announce(State.UNMANAGED, "managed elsewhere")
            await asyncio.Event().wait()
            return
        self._is_at_work = True
        try:
            await self._supervise(command)
        finally:
            self._is_at_work = False

    async def _supervise(self, command: Sequence[str]) -> None:
        limit = RestartLimit(self.pace)
        while True:
            self._asked.clear()
            if not self._is_wanted:
                await self._announce(State.STOPPED)
                await self._asked.wait()
                limit.forget()
                continue
            ended = await self._live(command)
            if ended is None:
                limit.forget()
                continue
            pause = limit.next_pause(self._monotonic())
            if pause is None:
                await self._announce(State.FAILED, f"{ended}; it crashed too often and stays down")
                await self._asked.wait()
                limit.forget()
                continue
            await self._announce(State.WAITING, f"{ended}; starting again in {pause:g} s", restarts=1)
            await self._pause(pause)

    async def _live(self, command: Sequence[str]) -> str | None:
        """One life of the process. Returns how it ended by itself, or None when that was asked for."""
        await self._wait_for_a_free_place()
        if self._asked.is_set():
            return None
        self._output.clear()
        try:
            process = await Process.start(command, self.pace.grace)
        except OSError as error:
            return f"can't be started: {error.strerror}"
        self._process = process
        if self.definition.is_own:
            self._cores.enter(process.pid)
        logger.info("companion started", companion=self.definition.name, pid=process.pid)
        async with asyncio.TaskGroup() as group:
            copying = group.create_task(process.copy_output(self._take_line))
            try:
                return await self._watch(process, group)
            finally:
                await process.stop()
                self._process = None
                self._cores.leave(process.pid)
                # What it wrote last is read; a stray process that holds its output open isn't waited for.
                await asyncio.wait({copying}, timeout=_LAST_OUTPUT_SECONDS)
                copying.cancel()

    async def _watch(self, process: Process, group: asyncio.TaskGroup) -> str | None:
        await self._announce(State.STARTING)
        readying = group.create_task(self._until_ready())
        ending = group.create_task(process.wait())
        asking = group.create_task(self._asked.wait())
        try:
            await asyncio.wait({ending, asking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (readying, ending, asking):
                task.cancel()
        if self._asked.is_set():
            await self._announce(State.STOPPING)
            return None
        last = f": {self._output[-1]}" if self._output else ""
        return f"ended with status {await process.wait()}{last}"

    async def _until_ready(self) -> None:
        begun = self._monotonic()
        is_late = False
        while True:
            try:
                await self.definition.health.check()
            except NotReady as problem:
                if not is_late and self._monotonic() - begun > self.pace.slow_start:
                    is_late = True
                    await self._announce(State.STARTING, f"not ready after {self.pace.slow_start:g} s: {problem}")
            else:
                await self._announce(State.RUNNING)
                return
            await asyncio.sleep(self.pace.health_interval)

    async def _wait_for_a_free_place(self) -> None:
        """Another Mismo on this machine, or a person, may have started one at this address: then that one is used."""
        while not self._asked.is_set():
            try:
                await self.definition.health.check()
            except NotReady:
                return
            await self._announce(State.RUNNING, "started by somebody else; Mismo starts its own when that one ends")
            await self._pause(self.pace.health_interval * 10)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return

    def _take_line(self, line: str) -> None:
        if line:
            self._output.append(line[:500])
            logger.info("companion says", companion=self.definition.name, line=line)

    async def _announce(self, state: State, detail: str | None = None, restarts: int = 0) -> None:
        before = self._status
        pid = self._process.pid if self._process else None
        if (before.state, before.detail, before.pid) == (state, detail, pid) and not restarts:
            return
        self._status = Status(
            before.name, before.url, state, before.restarts + restarts, detail, pid, self._clock.now_ms()
        )
        say = logger.warning if state in (State.WAITING, State.FAILED) else logger.info
        say("companion is now", companion=before.name, state=state.value, detail=detail)
        if state is before.state and state in (State.UNMANAGED, State.STOPPED):
            return  # where it was at the start is nothing new
        try:
            async with self._uow() as tx:
                tx.emit(
                    CompanionState(
                        companion=before.name, state=state.value, restarts=self._status.restarts, detail=detail
                    )
                )
        except (errors.Unavailable, errors.DiskFull) as error:
            logger.warning("a companion's state can't be announced", companion=before.name, error=str(error))
