"""Whose turn it is to write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turn:
    """One at a time, in the order they came; but of those that are patient only one stands in the line.

    So whoever isn't waits for the one at work, never for a row of batches that a scan and what follows from it have
    ready. And the patient one in the line is passed by nobody, so that it gets its turn however many come.
    """

    def __init__(self) -> None:
        self._line = asyncio.Lock()
        self._patient = asyncio.Lock()

    @asynccontextmanager
    async def taken(self, *, is_patient: bool = False) -> AsyncIterator[None]:
        if is_patient:
            async with self._patient, self._line:
                yield
        else:
            async with self._line:
                yield
