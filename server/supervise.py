"""Everything that runs beside the requests: one task group, each service with a name, stopped in reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from server import log

logger = log.get(__name__)
STOP_DEADLINE_SECONDS = 5.0


class Service(Protocol):
    """Something that runs until it is cancelled. Expected faults it handles itself, with a backoff.

    An unexpected exception ends the process with its traceback.
    """

    name: str

    async def run(self) -> None: ...


class Supervisor:
    """Runs services until it is told to stop, or until one of them fails."""

    def __init__(self, services: Sequence[Service], deadline: float = STOP_DEADLINE_SECONDS):
        self._services = services
        self._deadline = deadline
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Return when `stopping` is set; raise what a service raised."""
        async with asyncio.TaskGroup() as group:
            for service in self._services:
                self._tasks[service.name] = group.create_task(_watched(service), name=service.name)
            await stopping.wait()
            await self._stop()

    async def _stop(self) -> None:
        for service in reversed(self._services):
            task = self._tasks[service.name]
            task.cancel()
            with suppress(asyncio.CancelledError):
                done, _ = await asyncio.wait([task], timeout=self._deadline)
                if not done:
                    logger.error("service didn't stop in time", service=service.name, deadline=self._deadline)


async def _watched(service: Service) -> None:
    try:
        await service.run()
    except Exception:
        logger.exception("service failed", service=service.name)
        raise
