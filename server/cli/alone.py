"""A server for the time of one command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp.web

from server import app, errors
from server.api.runner import Runner
from server.cli.lock import Lock
from server.cli.opened import opened
from server.config import Config
from server.supervise import Supervisor


@asynccontextmanager
async def own_server(config: Config, lock: Lock) -> AsyncIterator[str]:
    """A server for the time of the scan, on a free port of the loopback address, without companions."""
    alone = replace(
        config,
        host="127.0.0.1",
        analysis_server_command="",
        audio_server_command=None,
        audio_server_ws_url="",
        scan_process=False,  # there is nobody else whom it could keep waiting
    )
    async with opened(alone, lock) as database:
        made = await app.build(alone, database)
        made.watcher.switch_off()  # what is asked for is scanned, and nothing else
        runner = Runner(made.http, shutdown_timeout=1)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, alone.host, 0).start()
        ending = asyncio.Event()
        refusal: errors.StartupError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(Supervisor(made.services).run(ending))
                try:
                    yield f"http://{alone.host}:{runner.addresses[0][1]}"
                except errors.StartupError as error:
                    refusal = error  # raised in here, the group would wrap it
                finally:
                    await made.hub.close()
                    ending.set()
            if refusal is not None:
                raise refusal
        finally:
            await runner.cleanup()
            await app.close(made)
