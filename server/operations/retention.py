"""Deleted files leave the trash for good when they have lain there for as long as the setting says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from server import errors, log
from server.events.bus import Bus
from server.events.model import Entry, Transient
from server.libraries.service import LibraryService
from server.operations.trash import Trashed, TrashService
from server.settings.service import SettingsService

logger = log.get(__name__)
SETTING = "trash_retention_days"
INTERVAL_SECONDS = 3600.0


class TrashRetention:
    """Looks every hour, and whenever a setting changes."""

    name = "trash retention"

    def __init__(self, trash: TrashService, libraries: LibraryService, settings: SettingsService, bus: Bus):
        self._trash = trash
        self._libraries = libraries
        self._settings = settings
        self._wake = asyncio.Event()
        bus.attach(self)

    def recorded(self, entries: Sequence[Entry]) -> None:
        if any(entry.name == "setting:updated" for entry in entries):
            self._wake.set()

    def transient(self, event: Transient, ts: int) -> None:
        """Nothing transient changes a setting."""

    async def run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.purge()
            except (errors.Unavailable, errors.DiskFull) as error:
                logger.warning("the trash can't be looked through now", error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await self._wake.wait()

    async def purge(self) -> list[Trashed]:
        """Remove what is older than the setting; answers what went. A directory that can't be reached waits."""
        days = await self._settings.get(SETTING)
        gone: list[Trashed] = []
        if not days:
            return gone
        for directory in await self._libraries.all():
            try:
                gone += await self._trash.empty(directory.id, days)
            except (errors.Conflict, errors.NotFound) as error:
                logger.info("trash stays as it is", directory=directory.id, reason=str(error))
        return gone
