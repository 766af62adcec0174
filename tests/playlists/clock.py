"""A clock that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from server.config import Config
from server.duties import Duty
from server.playlists.refresh import SmartMarker
from server.playlists.upkeep import EntryUpkeep
from tests.support.application import Running, running

START = 1_790_000_000_000


@dataclass
class StoppedClock:
    now: int = START

    def now_ms(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


@asynccontextmanager
async def running_at(config: Config, clock: StoppedClock) -> AsyncIterator[Running]:
    async with running(config, clock) as server:
        yield server


async def marked(server: Running) -> None:
    """Wait until every committed change has been considered by the reactions to it."""
    await server.settled()
    head = server.app.log.seq
    duties = [service.service for service in server.app.services if isinstance(service, Duty)]
    reactions = [service for service in duties if isinstance(service, EntryUpkeep | SmartMarker)]
    assert len(reactions) == 2
    while any(reaction.considered < head for reaction in reactions):
        await server.app.database.fetch_value("SELECT 1")  # gives them their turn


async def refreshed(server: Running) -> None:
    """Let everything that is due have its turn, and what follows from that."""
    while True:
        await marked(server)
        if not await server.app.refresher.refresh_due():
            return
