"""Whose turn it is to write."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

DEMAND_SECONDS = 2.0


class Turn:
    """One at a time, in the order they came; but of those that are patient only one stands in the line.

    So whoever isn't waits for the one at work, never for a row of batches that a scan and what follows from it have
    ready. And the patient one in the line is passed by nobody, so that it gets its turn however many come.
    """

    def __init__(self) -> None:
        self._line = asyncio.Lock()
        self._patient = asyncio.Lock()
        self._demanded_at = -math.inf

    def demanded(self) -> None:
        """Somebody has to wait for a patient one."""
        self._demanded_at = time.monotonic()

    @property
    def is_in_demand(self) -> bool:
        """Whether somebody had to wait for a patient one just now."""
        return time.monotonic() - self._demanded_at < DEMAND_SECONDS

    @asynccontextmanager
    async def taken(self, *, is_patient: bool = False) -> AsyncIterator[None]:
        if is_patient:
            async with self._patient, self._line:
                yield
        else:
            if self._patient.locked():
                self.demanded()
            async with self._line:
                yield
