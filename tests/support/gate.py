"""A gate in front of the workers: reading files waits until it is opened."""

from __future__ import annotations

import asyncio

from server.scanning.reader import Outcome
from server.scanning.request import Request
from tests.support.application import Running


class Gate:
    """Holds all reading until it is opened; tells when somebody waits."""

    def __init__(self, server: Running, free: int = 0):
        self.is_open = asyncio.Event()
        self.reached = asyncio.Event()
        self.opened_files: list[bytes] = []
        self._free = free
        self._read = server.app.workers.read
        server.app.workers.read = self  # type: ignore[method-assign] # in front of the real pool

    async def __call__(self, request: Request) -> list[Outcome]:
        if self._free <= 0:
            self.reached.set()
            await self.is_open.wait()
        self._free -= 1
        self.opened_files += [task.path for task in request.tasks]
        return await self._read(request)
