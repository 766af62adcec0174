"""A right that one process of many on a PostgreSQL database has: an advisory lock, held by a session of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from server.db.postgres_errors import translated

ASK_AGAIN_SECONDS = 1.0
PING_SECONDS = 2.0
PING_DEADLINE_SECONDS = 3.0
# The server lets go of the lock of a machine that fell silent after 5 + 3 · 3 s: later than its holder, which pings,
# has noticed.
_SETTINGS = {
    "application_name": "mismo lock",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
}


@asynccontextmanager
async def locked(url: str, work: str) -> AsyncIterator[asyncio.Event]:
    """Hold the lock of a work for the time of the block; the event is set when it is lost before."""
    lost = asyncio.Event()
    with translated():
        session = await asyncpg.connect(url, server_settings=_SETTINGS)
    session.add_termination_listener(lambda _: lost.set())
    pinging = None
    try:
        # Asked for again and again: waiting inside the server would hold a snapshot, and with it all dead rows.
        while not await _try_to_lock(session, work):  # noqa: ASYNC110 # what is waited for is in another process
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        pinging = asyncio.create_task(_ping(session, lost), name=f"hold {work}")
        yield lost
    finally:
        if pinging is not None:
            pinging.cancel()
            await asyncio.wait([pinging])
        with contextlib.suppress(asyncpg.PostgresError, OSError, TimeoutError):
            await session.close(timeout=2)


async def _try_to_lock(session: Any, work: str) -> bool:
    with translated():
        return bool(await session.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", f"mismo {work}"))


async def _ping(session: Any, lost: asyncio.Event) -> None:
    """Notice a server that doesn't answer any more before it, or its successor, gives the lock to another process."""
    while not lost.is_set():
        await asyncio.sleep(PING_SECONDS)
        try:
            await session.fetchval("SELECT 1", timeout=PING_DEADLINE_SECONDS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            lost.set()
