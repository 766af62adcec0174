"""Hashes that a fast scan left for later: worked off in the background, whenever no scan is running."""

from __future__ import annotations

import asyncio

from server import errors, log
from server.libraries.model import LibraryDirectory
from server.scanning.intake import Tools
from server.scanning.reader import Order, Task
from server.scanning.request import Request
from server.scanning.scanner import Scanner
from server.tracks.model import FileFacts, HashState

logger = log.get(__name__)
BATCH = 64
PAUSE_SECONDS = 5.0


class HashBackfill:
    """A service. Woken when a scan has ended; what a crash interrupts is found again, since it is in the rows."""

    name = "hash backfill"

    def __init__(self, tools: Tools, scanner: Scanner):
        self._tools = tools
        self._scanner = scanner
        self._after: dict[str, int] = {}  # how far this round has come in a directory

    async def run(self) -> None:
        while True:
            await self._scanner.idle()
            try:
                worked = await self._work()
            except (errors.Unavailable, errors.DiskFull) as error:
                logger.warning("hashing in the background has to wait", error=str(error))
                worked = False
            if not worked:
                await self._scanner.next_end(PAUSE_SECONDS)

    async def _work(self) -> bool:
        """Hash one batch of one directory; False when there was nothing to do."""
        for directory in await self._tools.libraries.all():
            if directory.is_available and await self._hash(directory):
                return True
        return False

    async def _hash(self, directory: LibraryDirectory) -> bool:
        tracks = self._tools.tracks
        rows = await tracks.hash_pending(directory.id, self._after.get(directory.id, 0), BATCH)
        if not rows:
            self._after.pop(directory.id, None)
            return False
        self._after[directory.id] = rows[-1]["pk"]
        order = Order(
            root=directory.path,
            library_directory_id=directory.id,
            with_hash=True,
            follow_symlinks=directory.follow_symlinks,
            now=self._tools.clock.now_ms(),
        )
        tasks = [
            Task(
                bytes(row["path"]),
                row["id"],
                FileFacts(row["file_size"], row["file_mtime_ns"], row["file_inode"], row["file_device"]),
            )
            for row in rows
        ]
        request = Request(order, tasks, sum(row["file_size"] for row in rows))
        outcomes = {outcome.track_id: outcome for outcome in await self._tools.workers.read(request)}
        async with self._tools.uow() as tx:
            read = []
            for row in await tracks.by_ids(tx, [row["id"] for row in rows]):
                outcome = outcomes[row["id"]]
                if row["hash_state"] != HashState.PENDING or bytes(row["path"]) != outcome.path:
                    continue  # a scan or a move was here meanwhile
                if outcome.read is not None:  # else it isn't there now, or its drive fails: it waits for the next round
                    read.append((row, outcome.read))
            await tracks.take_in(tx, read)
        await asyncio.sleep(0)
        return True
