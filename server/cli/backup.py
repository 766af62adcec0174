"""`mismo backup`."""

from __future__ import annotations

import argparse
import os

from server import errors
from server.app import open_database
from server.cli.output import say
from server.config import Config

NAME = "backup"
HELP = "write a copy of the whole database to a file, also while the server runs"
EXAMPLE = "mismo backup ~/mismo-2026-11-20.db"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="the file to write; it must not exist")


async def run(config: Config, given: argparse.Namespace) -> int:
    target = os.path.abspath(os.path.expanduser(given.file))  # noqa: ASYNC240 # nothing else runs in this process
    if os.path.lexists(target):  # noqa: ASYNC240
        raise errors.StartupError(f"{target} exists already")
    database = open_database(config)
    await database.open()
    try:
        await database.backup(target)
    finally:
        await database.close()
    say(f"{target}: {os.path.getsize(target)} bytes")  # noqa: ASYNC240
    return 0
