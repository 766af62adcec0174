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
from typing import Any

from server import log
from server.app import App, build
from server.db.opening import open_database
from server.scanning.host import LentTurn, ScanHost
from server.scanning.pipe import Pipe, receive

NICENESS = 5  # behind whatever answers people, before its own reading processes


async def serve(descriptor: int) -> None:
    """Work on scans until the server has gone."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))
    config = await receive(reader)
    log.configure(config)
    turn = LentTurn()
    database = open_database(config, turn)
    await database.open()
    app = await build(config, database)
    host = ScanHost(app.scanner.tools, app.scanner.people)
    verbs: dict[str, Callable[..., Any]] = {"scan": host.scan, "hold": host.hold, "cancel": host.cancel}
    host.pipe = turn.pipe = pipe = Pipe(reader, writer, verbs, lambda: _end(app))
    async with asyncio.TaskGroup() as group:
        group.create_task(_tell_of_commits(app, pipe))
        await pipe.run()


async def _tell_of_commits(app: App, pipe: Pipe) -> None:
    while True:
        await app.log.woken.wait()
        app.log.woken.clear()
        pipe.tell("committed", app.log.seq)


def _end(app: App) -> None:
    """At once: nobody hears any more what is done here, and the database rolls back what isn't committed."""
    for process_id in app.workers.process_ids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
    os._exit(0)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server ends it
    os.nice(NICENESS)
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # the server had gone before this began
        asyncio.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
