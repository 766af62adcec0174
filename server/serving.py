"""A server from its start to its end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from server import errors, log
from server.api.runner import Runner
from server.app import App, build, close
from server.config import Config
from server.db.migrate import migrate
from server.db.opening import open_database
from server.libraries.service import DirectoryExists
from server.supervise import Supervisor

logger = log.get(__name__)


async def serve(config: Config, library: list[Path], ready: Callable[[App, str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called once, with the server's URL."""
    database = open_database(config)
    await database.open()
    try:
        await migrate(database)
        app = await build(config, database)
    except BaseException:
        await database.close()
        raise
    stopping, ending = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    runner = Runner(app.http)
    try:
        await runner.setup()
        url = await _listen(runner, config)
        app.analysis.service.listening_at(url)
        await app.duties.open()
        if app.duties.post("library").is_held:
            await app.scanner.recover()  # or what a killed server left would be in the way of the next scan
        await _add_libraries(app, library)
        async with asyncio.TaskGroup() as group:
            # A service that fails ends the group, and with it the server.
            group.create_task(Supervisor(app.services).run(ending))
            ready(app, url)
            await stopping.wait()
            # Accept no more, let every websocket know, and only then end the services.
            for site in list(runner.sites):
                await site.stop()
            await app.hub.close()
            ending.set()
    finally:
        await runner.cleanup()
        await app.duties.close()
        await close(app)
    logger.info("stopped")


async def _listen(runner: Runner, config: Config) -> str:
    """Start to listen; returns the URL, with the port that was really taken."""
    site = web.TCPSite(runner, config.host, config.port)
    try:
        await site.start()
    except OSError as error:
        # asyncio's own words repeat the address; a name that doesn't resolve has a number below zero.
        why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
        raise errors.StartupError(f"can't listen on {config.host}:{config.port}: {why}") from error
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"http://{host}:{runner.addresses[0][1]}"


async def _add_libraries(app: App, paths: list[Path]) -> None:
    """Manage the folders that the command line names, and scan them."""
    known = {directory.path: directory.id for directory in await app.libraries.all()}
    for path in paths:
        raw = os.path.normpath(os.fsencode(path))  # noqa: ASYNC240 (text only: no file is touched)
        try:
            directory_id = known.get(raw) or (await app.libraries.add(os.fsdecode(raw), {})).id
        except DirectoryExists as error:
            # The same folder under another name (a link): what the person wants managed is managed.
            directory_id = error.extra["library_directory_id"]
        except errors.MismoError as error:
            raise errors.StartupError(f"--library {path}: {error.detail}") from error
        try:
            await app.scans.start(directory_id)
        except errors.Conflict as error:
            # A known drive that isn't plugged in is no reason not to start.
            logger.warning("not scanned", library=str(path), reason=error.detail)
