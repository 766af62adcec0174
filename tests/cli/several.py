"""Several real servers, each a process of its own, on one PostgreSQL database."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp

from tests.cli.program import Program, Server
from tests.support.client import Client
from tests.support.websocket import Socket


@dataclass(frozen=True, slots=True)
class One:
    """One of the servers, and a client for it."""

    server: Server
    client: Client
    session: aiohttp.ClientSession

    @asynccontextmanager
    async def socket(self, *topics: str, since: int | None = None) -> AsyncIterator[Socket]:
        async with self.session.ws_connect(f"{self.server.url}/ws", max_msg_size=0) as raw:
            socket = Socket(raw)
            socket.hello = await socket.receive()
            await socket.subscribe(*topics, since=since)
            yield socket

    async def kill(self) -> None:
        """As a power cut would end it, but for the database."""
        await self.server.stop(signal.SIGKILL)

    async def added(self, path: object, **body: Any) -> dict[str, Any]:
        """Add a library directory; answers it."""
        answer = await self.client.post("/api/library/directories", {"path": str(path), **body}, status=201)
        directory: dict[str, Any] = answer["data"]
        return directory

    async def scanned(self, directory: dict[str, Any]) -> dict[str, Any]:
        """Scan a directory and wait for the end; answers the scan."""
        async with self.socket("library:directory:scan:*") as socket:
            scan = (await self.client.post(f"/api/scan/library/{directory['id']}", {}, status=202))["data"]
            ended = await socket.until(partial(is_end_of, scan["id"]))
        found: dict[str, Any] = ended["data"]["scan"]
        return found

    async def data(self, path: str, **params: Any) -> Any:
        return (await self.client.get(path, **params))["data"]


@asynccontextmanager
async def another(program: Program, *arguments: str, **settings: str) -> AsyncIterator[One]:
    """One more server on the program's database."""
    async with program.serving(*arguments, **settings) as server, aiohttp.ClientSession() as session:
        yield One(server, Client(server.url, session, ()), session)


def is_end_of(scan_id: str, event: dict[str, Any]) -> bool:
    """Whether an event is the end of a scan, whichever."""
    scan = event["data"].get("scan", {})
    return scan.get("id") == scan_id and scan["state"] not in ("queued", "running", "paused")
