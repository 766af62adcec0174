"""A whole Mismo inside the test's event loop: real database, real sockets, real files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from server import app as application
from server.analysis.pace import Pace
from server.api.runner import Runner
from server.app import App
from server.clock import Clock
from server.config import Config
from server.db.opening import open_database
from server.engine.pace import Pace as EnginePace
from server.supervise import Supervisor
from tests.support.client import Client
from tests.support.websocket import Socket


@dataclass(frozen=True, slots=True)
class Running:
    """A running server: its parts, its address, and a client for it."""

    app: App
    url: str
    client: Client
    session: aiohttp.ClientSession

    @asynccontextmanager
    async def socket(
        self, *topics: str, since: int | None = None, detail: str = "full", headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Socket]:
        """A websocket client, subscribed when topics are given."""
        async with self.session.ws_connect(f"{self.url}/ws", headers=headers, max_msg_size=0) as raw:
            socket = Socket(raw)
            socket.hello = await socket.receive()
            if topics:
                await socket.subscribe(*topics, since=since, detail=detail)
            yield socket

    async def settled(self) -> None:
        """Wait until everything that was committed has been published."""
        await self.app.log.refresh()
        await self.app.bus.reached(self.app.log.seq)

    async def scanned(self, directory_id: str, **body: Any) -> dict[str, Any]:
        """Scan a directory and wait for its end; answers the scan."""
        scan = (await self.client.post(f"/api/scan/library/{directory_id}", body, status=202))["data"]
        while True:
            current: dict[str, Any] = (await self.client.get(f"/api/scan/{scan['id']}"))["data"]
            if current["state"] not in ("queued", "running", "paused"):
                return current
            await self.app.scanner.next_end(1.0)

    async def added(self, path: object, **body: Any) -> dict[str, Any]:
        """Add a library directory; answers it."""
        answer = await self.client.post("/api/library/directories", {"path": str(path), **body}, status=201)
        directory: dict[str, Any] = answer["data"]
        return directory


@asynccontextmanager
async def running(
    config: Config,
    clock: Clock | None = None,
    analysis_pace: Pace | None = None,
    port: int = 0,
    *,
    is_watching: bool = False,
    engine_pace: EnginePace | None = None,
) -> AsyncIterator[Running]:
    """Start everything on a migrated database; a service that fails fails the test."""
    database = open_database(config)
    await database.open()
    app = await application.build(config, database, clock, analysis_pace, engine_pace)
    if not is_watching:
        app.watcher.switch_off()  # a test says itself when the disk is looked at
    runner = Runner(app.http, shutdown_timeout=1)
    try:
        await runner.setup()
        await web.TCPSite(runner, config.host, port).start()
        url = f"http://{config.host}:{runner.addresses[0][1]}"
        app.analysis.service.listening_at(url)
        ending = asyncio.Event()
        async with aiohttp.ClientSession() as session:
            services = asyncio.create_task(_served(app, ending, session))
            try:
                yield Running(app, url, Client(url, session, app.routes), session)
            finally:
                await app.hub.close()
                ending.set()
                await services
    finally:
        # Also after a service failed: a connection that is left open would keep the run from ending.
        await runner.cleanup()
        await application.close(app)


async def _served(app: App, ending: asyncio.Event, session: aiohttp.ClientSession) -> None:
    try:
        await Supervisor(app.services).run(ending)
    except BaseException:
        # The test would wait for ever for what a dead service should do; now its next request fails.
        await session.close()
        raise
