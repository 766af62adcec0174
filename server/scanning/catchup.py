"""What a drive has missed while it was away: a hybrid scan follows each return."""

from __future__ import annotations

from collections.abc import Sequence

from server.db.uow import Transaction, UnitOfWork
from server.events.bus import Bus
from server.events.consumer import Consumer
from server.events.log import EventLog
from server.events.model import Entry, Event
from server.libraries.events import MediaConnected
from server.scanning.service import ScanService


class CatchUp(Consumer):
    """Queues a scan of every directory that has come back; its place in the log makes that survive a crash."""

    name = "catch-up scans"

    def __init__(self, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus, scans: ScanService):
        super().__init__(uow, event_log, bus)
        self._scans = scans

    def concerns(self, entry: Entry) -> bool:
        return entry.name == MediaConnected.name

    async def react(self, tx: Transaction[Event], entries: Sequence[Entry]) -> None:
        returned = [entry.data["directory"]["id"] for entry in entries]
        for directory_id in dict.fromkeys(returned):
            await self._scans.enqueue(tx, directory_id)
