"""`mismo scan`: through the running server if there is one, else by itself."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from server import ids
from server.access.service import AccessService
from server.cli.lock import AlreadyRunning, only_one
from server.cli.opened import opened
from server.clock import SystemClock
from server.config import Config
from server.scanning.model import Strategy

NAME = "scan"
HELP = "scan a folder (it is added to the library if need be), or all library directories"
EXAMPLE = "mismo scan ~/Music --strategy full"


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("path", nargs="?", type=Path, help="the folder; one inside a library directory is scanned alone")
    what.add_argument("--all", action="store_true", help="every library directory")
    parser.add_argument("--strategy", choices=[strategy.value for strategy in Strategy], default="hybrid")


async def run(config: Config, given: argparse.Namespace) -> int:
    # A server and a client of it, which `mismo --help` needn't wait for.
    from server.cli.alone import own_server
    from server.cli.scanner import scan

    path = None if given.all else os.fsdecode(os.path.abspath(given.path.expanduser()))  # noqa: ASYNC240 # reads nothing
    try:
        with only_one(config) as lock:
            async with own_server(config, lock) as url:
                return await scan(url, config.api_token, path, given.strategy)
    except AlreadyRunning as other:
        if not other.url:
            raise
        async with _token(config) as token:
            return await scan(other.url, token, path, given.strategy)


@asynccontextmanager
async def _token(config: Config) -> AsyncIterator[str | None]:
    """What the running server wants to see: `API_TOKEN`, or else a token for the time of the scan."""
    if config.api_token is not None or config.is_loopback:
        yield config.api_token
        return
    async with opened(config) as database:
        access = AccessService(database, SystemClock(), None)
        name = f"scan {ids.new_id()}"
        token = await access.create(name)
        try:
            yield token
        finally:
            await access.revoke(name)
