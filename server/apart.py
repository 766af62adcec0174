"""The scanning process: the composition root again, of which only the scanning works (`scanning.process` says why).

It is started by the server, with the number of the descriptor of the socket between them, and ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from server import errors, log
from server.app import App, build
from server.config import Config
from server.db.database import Database
from server.db.opening import open_database
from server.scanning.host import LentTurn, ScanHost
from server.scanning.pipe import Pipe, receive

logger = log.get(__name__)
RETRY_SECONDS = 2.0
NICENESS = 5  # behind whatever answers people, before its own reading processes


async def serve(descriptor: int) -> None:
    """Work on scans until the server has gone."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))
    # Nobody reaches this process over the network; whether the server's doors are locked was asked there.
    config = replace(await receive(reader), host="127.0.0.1")
    log.configure(config)
    app: App | None = None
    verbs: dict[str, Callable[..., Any]] = {}
    turn = LentTurn()
    turn.pipe = pipe = Pipe(reader, writer, verbs, lambda: _end(app))
    async with asyncio.TaskGroup() as group:
        group.create_task(pipe.run())
        database = open_database(config, turn)
        await database.open()
        app = await _built(config, database)
        host = ScanHost(app.scanner.tools, app.scanner.people, pipe)
        verbs.update(scan=host.scan, hold=host.hold, cancel=host.cancel)
        pipe.tell("ready")
        await _tell_of_commits(app, pipe)


async def _built(config: Config, database: Database) -> App:
    while True:
        try:
            return await build(config, database)
        except (errors.Unavailable, errors.DiskFull) as error:
            logger.warning("scans have to wait for the database", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)


async def _tell_of_commits(app: App, pipe: Pipe) -> None:
    while True:
        await app.log.woken.wait()
        app.log.woken.clear()
        pipe.tell("committed", app.log.seq)


def _end(app: App | None) -> None:
    """At once: nobody hears any more what is done here, and the database rolls back what isn't committed."""
    for process_id in app.workers.process_ids if app is not None else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
    os._exit(0)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server ends it
    os.nice(NICENESS)
    try:
        asyncio.run(serve(int(sys.argv[1])))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the server had gone before this began
    except Exception:
        logger.exception("the scanning process can't go on")
    # The threads of an open database would keep the process, and the server waiting for it.
    os._exit(1)


if __name__ == "__main__":
    main()
