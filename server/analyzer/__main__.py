"""Runs the analysis server: `python -m server.analyzer`."""

import asyncio
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

import structlog
from aiohttp import web

from server.analyzer import callbacks
from server.analyzer.application import Application
from server.analyzer.jobs import Jobs
from server.analyzer.options import Options, parse

_PARENT_CHECK_SECONDS = 0.5

logger = structlog.get_logger(__name__)


def main() -> int:
    # At once: if the parent were gone already when it is asked for, its successor would pass for it.
    parent = os.getppid()
    options = parse()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    with tempfile.TemporaryDirectory(prefix="mismo-analyzer-") as temporary:
        folder = options.cache or Path(temporary)
        try:
            asyncio.run(serve(options, folder, parent))
        except OSError as error:
            logger.error("can't start", host=options.host, port=options.port, reason=error.strerror)
            return 1
    return 0


async def serve(options: Options, folder: Path, parent: int) -> None:
    """Serves until SIGTERM or SIGINT, or until the parent (a process id) is gone if that is wanted.

    Raises OSError when it can't listen.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with callbacks.session() as session:
        jobs = Jobs(options, callbacks.Courier(session), folder)
        runner = web.AppRunner(Application(options, jobs, folder).build(), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, options.host, options.port).start()
            logger.info("listening", host=options.host, port=runner.addresses[0][1], workers=options.workers)
            async with asyncio.TaskGroup() as services:
                running = [services.create_task(jobs.run())]
                if options.exit_with_parent:
                    running.append(services.create_task(_watch_parent(parent, stopping)))
                await stopping.wait()
                for service in running:
                    service.cancel()
        finally:
            await runner.cleanup()


async def _watch_parent(parent: int, stopping: asyncio.Event) -> None:
    """Looks who the parent is, since a signal at its death (PR_SET_PDEATHSIG) would come already when the thread
    that started this process ends."""
    while os.getppid() == parent:  # noqa: ASYNC110 (nothing else tells)
        await asyncio.sleep(_PARENT_CHECK_SECONDS)
    logger.info("parent is gone")
    stopping.set()


if __name__ == "__main__":
    sys.exit(main())
