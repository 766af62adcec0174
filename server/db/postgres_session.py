"""The session of PostgreSQL whose locks say who has a duty."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from server.db.database import Session
from server.db.postgres_errors import translated

ANSWER_SECONDS = 10.0


class PostgresSession(Session):
    """Session-level advisory locks: the server lets them go when the process that holds them is gone."""

    def __init__(self, connection: Any, lost: asyncio.Event):
        self._connection = connection
        self._lost = lost
        self._held: set[str] = set()

    async def try_lock(self, name: str) -> bool:
        if name not in self._held:
            with translated():
                taken = await self._connection.fetchval(
                    "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", f"mismo {name}", timeout=ANSWER_SECONDS
                )
            if taken:
                self._held.add(name)
        return name in self._held

    async def lost(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        except TimeoutError:
            # A server that vanished says nothing: it has to be asked.
            try:
                await self._connection.fetchval("SELECT 1", timeout=ANSWER_SECONDS)
            except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                return True
            return False
        return True
